//! The unit of an instance that systemd runs.

use std::fs;
use std::io;
use std::path::Path;

use proto::v1::{InstanceSpec, instance_spec};

use crate::disk::DiskError;
use crate::runtime::kill::TOKEN_VARIABLE;
use crate::runtime::unit::{OURS, UnitPlan};
use crate::scene::{Scene, SceneError};

impl Scene {
    /// None for what systemd does not run. A unit file comes from the rendered templates, or from the package as it
    /// is; where it is in neither, an install step has brought it, and it keeps its name.
    ///
    /// # Errors
    /// When a template has an unknown reference, or a file cannot be read.
    pub fn unit(&self, spec: &InstanceSpec) -> Result<Option<UnitPlan>, SceneError> {
        let Some(instance_spec::Runtime::Systemd(systemd)) = &spec.runtime else { return Ok(None) };
        let templates = self.templates()?;
        let rendered = templates.into_iter().find(|(path, _)| path == Path::new(&systemd.unit));
        let text = match rendered {
            Some((_, text)) => Some(text),
            None => read(&self.release_dir.join(&systemd.unit))?,
        };
        let name = match &text {
            Some(_) => {
                format!("{OURS}{}-{}{}", self.id.deployment, self.id.index, suffix(&systemd.unit))
            }
            None => systemd.unit.clone(),
        };
        let limits = spec.limits.unwrap_or_default();
        Ok(Some(UnitPlan {
            name,
            text,
            environment: self.unit_environment(),
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            open_files: limits.open_files,
            dir: self.records.clone(),
            log: self.log.clone(),
        }))
    }
}

impl Scene {
    /// Without our mark, by which the agent would take its processes for ones that nobody knows.
    fn unit_environment(&self) -> Vec<(String, String)> {
        const NOT_OURS: [&str; 4] = [TOKEN_VARIABLE, "PATH", "HOME", "LANG"];
        self.env.iter().filter(|(name, _)| !NOT_OURS.contains(&name.as_str())).cloned().collect()
    }
}

fn suffix(unit: &str) -> &str {
    unit.rfind('.').map_or(".service", |at| &unit[at..])
}

fn read(path: &Path) -> Result<Option<String>, SceneError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(DiskError::new("read", path, cause).into()),
    }
}
