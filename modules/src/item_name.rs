//! Names inside one module: of a config key, a port, a volume, an action.
//!
//! They become environment variables, folder names and references, so they are plain.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const MAX: usize = 63;

/// The name of something that a module declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a name: expected a lower-case letter, then up to 62 of a-z, 0-9, '_' and '-'")]
pub struct ItemNameError {
    pub text: String,
}

impl ItemName {
    pub const PATTERN: &str = "^[a-z][a-z0-9_-]{0,62}$";

    /// # Errors
    /// When the text does not fit [`ItemName::PATTERN`].
    pub fn parse(text: &str) -> Result<Self, ItemNameError> {
        let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.len() <= MAX
            && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(ItemNameError { text: text.chars().take(80).collect() })
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as part of an environment variable: upper case, `_` for `-`.
    pub fn env(&self) -> String {
        self.0.to_ascii_uppercase().replace('-', "_")
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ItemName {
    type Err = ItemNameError;
    fn from_str(text: &str) -> Result<Self, ItemNameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ItemName {
    type Error = ItemNameError;
    fn try_from(text: String) -> Result<Self, ItemNameError> {
        Self::parse(&text)
    }
}

impl From<ItemName> for String {
    fn from(name: ItemName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_name_is_safe_as_variable_and_folder() {
        assert_eq!(ItemName::parse("max-size_2").expect("valid").env(), "MAX_SIZE_2");
        for bad in ["", "2nd", "-a", "_a", "A", "a.b", "a/b", "..", "a b", "ä", &"a".repeat(64)] {
            assert!(ItemName::parse(bad).is_err(), "{bad}");
        }
    }
}
