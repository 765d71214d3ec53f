//! The key of a provider: held, sent as a header, and never shown.

use std::fmt;

/// An API key. Neither `Debug` nor any error shows it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes a key; spaces and line ends around it (as files and pipes leave them) are not part of it.
    pub fn new(key: &str) -> ApiKey {
        ApiKey(key.trim().to_owned())
    }

    /// The key itself, for the header of a request and nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The text with every occurrence of the key replaced: servers echo keys in their errors.
    pub(crate) fn scrub(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "***") }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_nowhere() {
        let key = ApiKey::new(" sk-secret\n");
        assert_eq!(format!("{key:?} {:?}", Some(&key)), "*** Some(***)");
        assert_eq!(key.scrub("bad key sk-secret!"), "bad key ***!");
        assert_eq!(ApiKey::new("").scrub("text"), "text");
    }
}
