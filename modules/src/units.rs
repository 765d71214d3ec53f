//! Durations (`10s`), sizes (`64MiB`): how they are written and read.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A number of bytes, written `64MiB`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// Why a text is not a duration or a size; says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("a number without unit; write {instead}")]
    NoUnit { instead: String },
    #[error("unknown unit {unit:?}; expected {expected}")]
    Unit { unit: String, expected: &'static str },
    #[error("expected a number and a unit, such as {example}")]
    Malformed { example: &'static str },
    #[error("too large; at most {limit}")]
    TooLarge { limit: &'static str },
}

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];
const MAX_SIZE: u64 = 1 << 50;
const SIZE_UNITS: &str = "B, KiB, MiB, GiB, TiB (or KB, MB, GB, TB)";

impl ByteSize {
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }

    /// # Errors
    /// When the text is not a number with a unit such as `64MiB`, or is absurdly large.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let malformed = UnitError::Malformed { example: "64MiB" };
        let text = text.trim();
        let (number, unit) = split_number(text).ok_or_else(|| malformed.clone())?;
        if unit.is_empty() && number.parse() == Ok(0) {
            return Ok(Self(0));
        }
        if unit.is_empty() {
            return Err(UnitError::NoUnit { instead: format!("{number}MiB or {number}B") });
        }
        let factor =
            SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
        let factor = factor.ok_or_else(|| UnitError::Unit { unit: shortened(unit), expected: SIZE_UNITS })?;
        let number: f64 = number.parse().map_err(|_| malformed)?;
        let bytes = number * factor as f64;
        if bytes > MAX_SIZE as f64 {
            return Err(UnitError::TooLarge { limit: "1024TiB" });
        }
        Ok(Self(bytes.round() as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = &SIZES[..4];
        match binary.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor)) {
            Some((unit, factor)) => f.pad(&format!("{}{unit}", self.0 / factor)),
            None => f.pad(&format!("{}B", self.0)),
        }
    }
}

impl TryFrom<String> for ByteSize {
    type Error = UnitError;
    fn try_from(text: String) -> Result<Self, UnitError> {
        Self::parse(&text)
    }
}

impl From<ByteSize> for String {
    fn from(size: ByteSize) -> String {
        size.to_string()
    }
}

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const MAX_MILLIS: u64 = 365 * 86_400_000;

/// Reads `10s`, `500ms`, `1m30s`, `2h`, `1d`.
///
/// # Errors
/// When the text is not numbers with units, or longer than a year.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let malformed = UnitError::Malformed { example: "10s" };
    let mut rest = text.trim();
    let mut millis = 0.0;
    if rest.is_empty() {
        return Err(malformed);
    }
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(|| malformed.clone())?;
        let unit = &after[..after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len())];
        if unit.is_empty() {
            return Err(UnitError::NoUnit { instead: format!("{number}s") });
        }
        let factor = DURATIONS.iter().find(|(name, _)| *name == unit.trim()).map(|(_, factor)| *factor);
        let factor =
            factor.ok_or_else(|| UnitError::Unit { unit: shortened(unit), expected: "ms, s, m, h, d" })?;
        let number: f64 = number.parse().map_err(|_| malformed.clone())?;
        millis += number * factor as f64;
        rest = &after[unit.len()..];
    }
    if millis > MAX_MILLIS as f64 {
        return Err(UnitError::TooLarge { limit: "365d" });
    }
    Ok(Duration::from_millis(millis.round() as u64))
}

/// Writes a duration so that [`parse_duration`] reads it back.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole =
        DURATIONS[1..4].iter().rev().find(|(_, factor)| millis >= *factor && millis.is_multiple_of(*factor));
    whole.map_or_else(|| format!("{millis}ms"), |(unit, factor)| format!("{}{unit}", millis / factor))
}

/// The decimal number a text begins with, and the rest without space in between.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let is_number = number.starts_with(|c: char| c.is_ascii_digit()) && number.parse::<f64>().is_ok();
    is_number.then(|| (number, rest.trim_start()))
}

fn shortened(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Durations as text, for serde's `with`.
pub mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        super::parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_a_unit_only() {
        let good = [
            ("64MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("10 KB", 10_000),
            ("0", 0),
            ("7b", 7),
            ("1tib", 1 << 40),
        ];
        for (text, bytes) in good {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)), "{text}");
        }
        let bad = [
            ("64", "write 64MiB or 64B"),
            ("64M", "unknown unit \"M\"; expected B, KiB, MiB"),
            ("MiB", "such as 64MiB"),
            ("-1MiB", "such as 64MiB"),
            ("1e9B", "unknown unit"),
            ("", "such as 64MiB"),
            ("99999TiB", "at most 1024TiB"),
            ("1.2.3MiB", "such as 64MiB"),
        ];
        for (text, says) in bad {
            let error = ByteSize::parse(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_read_with_a_unit_only() {
        let good =
            [("10s", 10_000), ("500ms", 500), ("1m30s", 90_000), ("0.5s", 500), ("2h", 7_200_000), ("0s", 0)];
        for (text, millis) in good {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        let bad = [
            ("10", "write 10s"),
            ("10 sec", "unknown unit \"sec\"; expected ms, s, m, h, d"),
            ("s", "such as 10s"),
            ("-1s", "such as 10s"),
            ("", "such as 10s"),
            ("9999999h", "at most 365d"),
        ];
        for (text, says) in bad {
            let error = parse_duration(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(number in 0..1_u64 << 50, millis in 0..MAX_MILLIS, text in "\\PC{0,12}|[0-9.smhdBKi]{0,12}") {
            proptest::prop_assert_eq!(ByteSize::parse(&ByteSize(number).to_string()), Ok(ByteSize(number)));
            let duration = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            let _ = (ByteSize::parse(&text), parse_duration(&text));
        }
    }
}
