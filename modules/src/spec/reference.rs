//! Which `${…}` references a module's texts may have.

use super::ModuleSpec;
use crate::item_name::ItemName;
use crate::suggest::closest;
use crate::template::{self, TemplateError};

/// Always known, whatever the module declares.
const FIXED: [&str; 5] = ["instance", "instance.dir", "instance.index", "node", "release.dir"];

/// A reference that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadReference {
    /// The byte of the text where it begins.
    pub at: usize,
    pub found: String,
    pub expected: String,
    pub hint: Option<String>,
}

/// What others can see of a text, once it is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody on the node: command lines.
    Public,
    /// Everybody who asks systemd: unit files.
    Unit,
    /// The instance alone: its environment and its files.
    Private,
}

impl ModuleSpec {
    /// The references in `text` that mean nothing, or that would show a secret. `extra` are known besides.
    pub(crate) fn bad_references(
        &self,
        text: &str,
        visibility: Visibility,
        extra: &[String],
    ) -> Vec<BadReference> {
        match template::references(text) {
            Err(error) => vec![malformed(&error)],
            Ok(found) => {
                found.into_iter().filter_map(|(at, name)| self.judge(at, name, visibility, extra)).collect()
            }
        }
    }

    fn judge(&self, at: usize, name: &str, visibility: Visibility, extra: &[String]) -> Option<BadReference> {
        let item = name.strip_prefix("config.").and_then(|name| self.config_item(name));
        let found = format!("${{{name}}}");
        if let Some(item) = item.filter(|item| item.secret)
            && let Some((expected, hint)) = shown(&item.name, visibility)
        {
            return Some(BadReference { at, found, expected: expected.to_owned(), hint: Some(hint) });
        }
        let known = self.references(extra);
        if known.iter().any(|known| known == name) || self.is_port_of_dependency(name) {
            return None;
        }
        let hint =
            closest(name, known.iter().map(String::as_str)).map(|name| format!("did you mean ${{{name}}}?"));
        let expected = "a reference to something this module declares".to_owned();
        Some(BadReference { at, found, expected, hint })
    }

    fn references(&self, extra: &[String]) -> Vec<String> {
        let config = self.config.iter().map(|item| format!("config.{}", item.name));
        let ports = self.ports.iter().map(|port| format!("port.{}", port.name));
        let volumes = self.volumes.iter().map(|volume| format!("volume.{}", volume.name));
        let fixed = FIXED.iter().map(|name| (*name).to_owned());
        config.chain(ports).chain(volumes).chain(fixed).chain(extra.iter().cloned()).collect()
    }

    /// `depends.<module>.<port>`: the module is known here, its ports are not.
    fn is_port_of_dependency(&self, name: &str) -> bool {
        let Some((module, port)) = name.strip_prefix("depends.").and_then(|rest| rest.split_once('.')) else {
            return false;
        };
        self.depends.iter().any(|dependency| dependency.module.as_str() == module)
            && ItemName::parse(port).is_ok()
    }
}

/// Who would see the secret, and what to do instead; none where nobody would.
fn shown(name: &ItemName, visibility: Visibility) -> Option<(&'static str, String)> {
    match visibility {
        Visibility::Public => Some((
            "no secret in a command line, which everybody on the node can read",
            "use an environment variable or a file under templates/".to_owned(),
        )),
        Visibility::Unit => Some((
            "no secret in a unit, which `systemctl show` tells everybody on the node",
            format!("the unit has it in its environment, as CONFIG_{}", variable(name)),
        )),
        Visibility::Private => None,
    }
}

/// As agents write it.
fn variable(name: &ItemName) -> String {
    name.as_str().to_uppercase().replace('-', "_")
}

fn malformed(error: &TemplateError) -> BadReference {
    let hint = Some("write \"$${\" for a literal \"${\"".to_owned());
    let (found, expected) = match error {
        TemplateError::Unclosed { .. } => ("\"${\" without \"}\"".to_owned(), "\"}\""),
        TemplateError::NotAReference { text, .. } => {
            (format!("{text:?}"), "a reference such as ${config.name}")
        }
        TemplateError::Unknown { name, .. } => (format!("${{{name}}}"), "a known reference"),
    };
    BadReference { at: error.at(), found, expected: expected.to_owned(), hint }
}
