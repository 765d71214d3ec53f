//! What a node offers and a module requires: `docker`, `gpio`, `sandbox.t2`, `arch=aarch64`, `label:room=attic`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MAX: usize = 128;
const LABEL: &str = "label:";

/// One capability; a node has it or does not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(String);

/// Why a text is not a capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    #[error("a capability is empty")]
    Empty,
    #[error("a capability of {length} bytes is too long; at most {MAX}")]
    TooLong { length: usize },
    #[error(
        "capability {text:?} has {found:?}; allowed are letters, digits and . _ - / after an optional \"label:\", once with '='"
    )]
    Character { text: String, found: char },
    #[error("capability {text:?} has an empty part")]
    EmptyPart { text: String },
}

impl Capability {
    pub const PATTERN: &str = "^(label:)?[A-Za-z0-9._/-]+(=[A-Za-z0-9._/-]+)?$";

    /// Offered where Docker or Podman answers.
    pub const CONTAINER: &str = "container";
    /// Offered where systemd runs.
    pub const SYSTEMD: &str = "systemd";

    /// # Errors
    /// When the text is not `name`, `name=value`, `label:name` or `label:name=value`.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        if text.is_empty() {
            return Err(CapabilityError::Empty);
        }
        if text.len() > MAX {
            return Err(CapabilityError::TooLong { length: text.len() });
        }
        let bare = text.strip_prefix(LABEL).unwrap_or(text);
        let (name, value) = bare.split_once('=').unwrap_or((bare, "-"));
        let wrong = |c: &char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-' | '/');
        if let Some(found) = name.chars().chain(value.chars()).find(wrong) {
            return Err(CapabilityError::Character { text: text.to_owned(), found });
        }
        if name.is_empty() || value.is_empty() {
            return Err(CapabilityError::EmptyPart { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key and value of `label:key=value`; a label without value has an empty one.
    pub fn label(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix(LABEL).map(|label| label.split_once('=').unwrap_or((label, "")))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;
    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Capability {
    type Error = CapabilityError;
    fn try_from(text: String) -> Result<Self, CapabilityError> {
        Self::parse(&text)
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> String {
        capability.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_a_name_with_at_most_one_value() {
        for good in ["docker", "sandbox.t2", "arch=aarch64", "label:room=attic", "label:edge", "gpio"] {
            assert!(Capability::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a=b=c", "=x", "x=", "label:", "label:=x", "other:x", "ä", &"a".repeat(129)] {
            assert!(Capability::parse(bad).is_err(), "{bad}");
        }
        let label = Capability::parse("label:room=attic").expect("valid");
        assert_eq!(label.label(), Some(("room", "attic")));
        assert_eq!(Capability::parse("docker").expect("valid").label(), None);
    }
}
