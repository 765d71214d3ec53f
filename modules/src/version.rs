//! Versions of modules (semver) and what a module asks of another's version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version of a release: semver, three numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(semver::Version);

/// Which versions are good enough: `>=7`, `^1.2`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Requirement(semver::VersionReq);

/// Why a text is not a version, or not a requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error("{text:?} is not a version: semver needs three parts, write {instead}")]
    Parts { text: String, instead: String },
    #[error("{text:?} is not a version: leave out the 'v', write {instead}")]
    Prefix { text: String, instead: String },
    #[error("{text:?} is not a version: numbers have no leading zero, write {instead}")]
    LeadingZero { text: String, instead: String },
    #[error("{text:?} is not a version: {reason}")]
    Version { text: String, reason: String },
    #[error("{text:?} is not a version requirement such as \">=7\" or \"^1.2\": {reason}")]
    Requirement { text: String, reason: String },
}

const MAX: usize = 128;

impl Version {
    /// # Errors
    /// When the text is not semver; the error says what to write instead where that can be told.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX {
            let reason = format!("longer than {MAX} characters");
            return Err(VersionError::Version { text: text.chars().take(20).collect(), reason });
        }
        semver::Version::parse(text).map(Self).map_err(|cause| explain(text, &cause))
    }

    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }
}

/// Finds the usual mistake behind a version that semver refuses.
fn explain(text: &str, cause: &semver::Error) -> VersionError {
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (numbers, rest) = bare.split_at(bare.find(['-', '+']).unwrap_or(bare.len()));
    let stripped: Vec<&str> = numbers.split('.').map(without_leading_zeros).collect();
    let filled = [&stripped[..], &["0", "0"][..3usize.saturating_sub(stripped.len()).min(2)]].concat();
    let instead = format!("{}{rest}", filled.join("."));
    let text = text.to_owned();
    if semver::Version::parse(&instead).is_err() {
        return VersionError::Version { text, reason: cause.to_string() };
    }
    if bare.len() != text.len() {
        return VersionError::Prefix { text, instead };
    }
    if stripped.len() < 3 {
        return VersionError::Parts { text, instead };
    }
    VersionError::LeadingZero { text, instead }
}

fn without_leading_zeros(number: &str) -> &str {
    let kept = number.trim_start_matches('0');
    if kept.is_empty() && !number.is_empty() { "0" } else { kept }
}

impl Requirement {
    /// Every version will do.
    pub const ANY: Self = Self(semver::VersionReq::STAR);

    /// # Errors
    /// When the text is not a requirement.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        let wrong =
            |reason: String| VersionError::Requirement { text: text.chars().take(MAX).collect(), reason };
        if text.len() > MAX {
            return Err(wrong(format!("longer than {MAX} characters")));
        }
        semver::VersionReq::parse(text).map(Self).map_err(|cause| wrong(cause.to_string()))
    }

    pub fn accepts(&self, version: &Version) -> bool {
        self.0.matches(&version.0)
    }
}

macro_rules! as_text {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0.to_string())
            }
        }

        impl FromStr for $type {
            type Err = VersionError;
            fn from_str(text: &str) -> Result<Self, VersionError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = VersionError;
            fn try_from(text: String) -> Result<Self, VersionError> {
                Self::parse(&text)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.0.to_string()
            }
        }
    };
}

as_text!(Version);
as_text!(Requirement);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refused_version_says_what_to_write() {
        let cases = [
            ("2.0", "semver needs three parts, write 2.0.0"),
            ("2", "semver needs three parts, write 2.0.0"),
            ("1.10-rc1", "semver needs three parts, write 1.10.0-rc1"),
            ("v1.2.3", "leave out the 'v', write 1.2.3"),
            ("v1.2", "leave out the 'v', write 1.2.0"),
            ("1.08.0", "numbers have no leading zero, write 1.8.0"),
            ("2024.01", "semver needs three parts, write 2024.1.0"),
            ("1.2.3.4", "unexpected character"),
            ("latest", "unexpected character"),
            ("", "empty string"),
        ];
        for (text, says) in cases {
            let error = Version::parse(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_requirement_accepts_what_it_says() {
        let version = |text| Version::parse(text).expect("a version");
        assert!(Requirement::parse(">=7").expect("valid").accepts(&version("7.0.1")));
        assert!(!Requirement::parse("^1.2").expect("valid").accepts(&version("2.0.0")));
        assert!(Requirement::ANY.accepts(&version("0.0.1")));
        assert!(Requirement::parse("newest").is_err());
    }

    proptest! {
        #[test]
        fn a_version_reads_back_what_it_writes(text in "[0-9v.+-]{0,12}|[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}(-[a-z0-9.]{1,5})?|\\PC{0,9}") {
            if let Ok(version) = Version::parse(&text) {
                prop_assert_eq!(version.to_string(), text);
            }
        }
    }
}
