//! The name of a run, unique in the fleet. It is also the name of the run's folder.

use std::fmt;

/// A run's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(String);

/// Why a text is no name of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not the name of a run: 1 to 64 letters, digits, '-', '_' and '.', first a letter or digit"
)]
pub struct RunIdError {
    pub text: String,
}

const MAX: usize = 64;

impl RunId {
    /// # Errors
    /// When the text could not be the name of a run's folder.
    pub fn parse(text: &str) -> Result<Self, RunIdError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_good = text.len() <= MAX
            && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
            && text.bytes().all(plain);
        match is_good {
            true => Ok(Self(text.to_owned())),
            false => Err(RunIdError { text: text.chars().take(MAX + 1).collect() }),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_out_of_the_folder_of_runs() {
        for good in ["r1", "run-2026.11.28_x", "7"] {
            assert_eq!(RunId::parse(good).map(|id| id.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", ".", "..", ".x", "-x", "a/b", "a\0", "ä", &"x".repeat(65)] {
            assert!(RunId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
