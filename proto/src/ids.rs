//! Names and ids that travel between coordinator and agents. Parsed once at the door, trusted afterwards; their text is
//! shared, so copies cost nothing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("{kind} is empty")]
    Empty { kind: &'static str },
    #[error("{kind} {text:?} is longer than {max} characters")]
    TooLong { kind: &'static str, text: String, max: usize },
    #[error("{kind} {text:?} has {found:?}; allowed are a-z, 0-9 and '-', first and last a letter or digit")]
    Character { kind: &'static str, text: String, found: char },
    #[error("instance {text:?} is not <deployment>/<index>")]
    Instance { text: String },
}

const MAX_NAME: usize = 63;

fn check_name(kind: &'static str, text: &str) -> Result<(), IdError> {
    let bad = |found| IdError::Character { kind, text: text.to_owned(), found };
    if text.is_empty() {
        return Err(IdError::Empty { kind });
    }
    if text.len() > MAX_NAME {
        return Err(IdError::TooLong { kind, text: text.to_owned(), max: MAX_NAME });
    }
    if let Some(found) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(bad(found));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(bad('-'));
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// # Errors
            /// When the text is empty, longer than 63 characters or has other characters than `[a-z0-9-]`.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                check_name($kind, text).map(|()| Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

name!(
    /// An enrolled machine.
    NodeName,
    "node name"
);
name!(
    /// A wish: this release, so many, these constraints.
    DeploymentName,
    "deployment name"
);

/// One running copy of a deployment: `<deployment>/<index>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId {
    pub deployment: DeploymentName,
    pub index: u32,
}

impl InstanceId {
    /// # Errors
    /// When the text is not `<deployment>/<index>`, the index without leading zeros.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError::Instance { text: text.to_owned() };
        let (deployment, index) = text.split_once('/').ok_or_else(wrong)?;
        let id = Self {
            deployment: DeploymentName::parse(deployment)?,
            index: index.parse().map_err(|_| wrong())?,
        };
        if id.to_string() == text { Ok(id) } else { Err(wrong()) }
    }

    /// The id as a file name: `<deployment>.<index>`.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.deployment, self.index)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.deployment, self.index))
    }
}

impl TryFrom<String> for InstanceId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> String {
        id.to_string()
    }
}

/// Counts the versions of a wish; only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_only_letters_digits_and_inner_dashes() {
        for good in ["a", "pi-4", "0x", &"a".repeat(63)] {
            assert!(NodeName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "ä", "a b", &"a".repeat(64)] {
            assert!(NodeName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_instance_id_has_one_spelling() {
        assert_eq!(InstanceId::parse("web/3").expect("valid").file_name(), "web.3");
        for bad in ["web", "web/", "web/03", "web/+3", "/3", "web/3/4", "web/x"] {
            assert!(InstanceId::parse(bad).is_err(), "{bad}");
        }
    }
}
