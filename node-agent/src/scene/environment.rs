//! The environment of an instance's commands. Nothing of the agent's own is passed on.

use std::collections::BTreeMap;

use crate::runtime::kill::{INSTANCE_VARIABLE, TOKEN_VARIABLE};
use crate::scene::{Scene, SceneError};

const BASE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Scene {
    /// Later ones win over earlier ones.
    pub(super) fn environment(&self, token: &str) -> Result<Vec<(String, String)>, SceneError> {
        let mut env = BTreeMap::new();
        env.insert("PATH".to_owned(), self.path());
        env.insert("HOME".to_owned(), self.instance_dir.to_string_lossy().into_owned());
        env.insert("LANG".to_owned(), "C.UTF-8".to_owned());
        if self.release_dir.join(".pip").is_dir() && !self.release_dir.join(".pip/pyvenv.cfg").exists() {
            env.insert("PYTHONPATH".to_owned(), self.release_dir.join(".pip").to_string_lossy().into_owned());
        }
        for (name, value) in &self.config {
            env.insert(variable("CONFIG", name), value.clone());
        }
        for (name, (port, _)) in &self.ports {
            env.insert(variable("PORT", name), port.to_string());
        }
        for (name, path) in &self.volumes {
            env.insert(variable("VOLUME", name), path.to_string_lossy().into_owned());
        }
        for (name, value) in &self.process.env {
            if let Some(value) = self.render_variable(&format!("env {name}"), value)? {
                env.insert(name.clone(), value);
            }
        }
        env.insert("ORCHESTRATOR_NODE".to_owned(), self.node.clone());
        env.insert(INSTANCE_VARIABLE.to_owned(), self.id.to_string());
        env.insert(TOKEN_VARIABLE.to_owned(), token.to_owned());
        Ok(env.into_iter().collect())
    }

    fn path(&self) -> String {
        let dirs = [".pip/bin", ".npm/node_modules/.bin"].map(|dir| self.release_dir.join(dir));
        let own = dirs.iter().filter(|dir| dir.is_dir()).map(|dir| format!("{}:", dir.display()));
        format!("{}{BASE_PATH}", own.collect::<String>())
    }
}

fn variable(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", name.to_uppercase().replace(['-', '.'], "_"))
}
