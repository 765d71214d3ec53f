//! The name of a module: `[a-z0-9-]`, up to 63 characters, unique in a registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MAX: usize = 63;

/// The name of a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModuleName(String);

/// Why a text is not a module's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a module's name is empty")]
    Empty,
    #[error("{length} characters are too many for a module's name; at most {MAX}")]
    TooLong { length: usize },
    #[error("{text:?} has {found:?}; a module's name has only a-z, 0-9 and '-'")]
    Character { text: String, found: char },
    #[error("{text:?} begins or ends with '-'; a module's name begins and ends with a letter or digit")]
    Dash { text: String },
}

impl ModuleName {
    pub const PATTERN: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

    /// # Errors
    /// When the text is empty, too long, or has other characters than `[a-z0-9-]`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX {
            return Err(NameError::TooLong { length: text.chars().count() });
        }
        if let Some(found) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            return Err(NameError::Character { text: text.to_owned(), found });
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(NameError::Dash { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ModuleName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ModuleName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<ModuleName> for String {
    fn from(name: ModuleName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_accepted_exactly_when_it_fits_the_pattern(text in "[a-z0-9A-Z_.-]{0,3}|[a-z0-9-]{0,70}|\\PC{0,5}") {
            let inner = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
            let fits = (1..=63).contains(&text.len())
                && text.chars().all(inner)
                && !text.starts_with('-')
                && !text.ends_with('-');
            prop_assert_eq!(ModuleName::parse(&text).is_ok(), fits);
        }
    }
}
