//! What is known of a text that a script handles: its characters, as far as they are, and where it comes from.

/// Stands for what is not known.
pub const UNKNOWN: char = '\u{fffc}';

/// Where a text comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taint {
    /// From the network.
    pub downloaded: bool,
    /// From an encoding that hides what it says.
    pub decoded: bool,
    /// From a connection that somebody else ends.
    pub remote: bool,
}

impl Taint {
    pub fn and(self, other: Self) -> Self {
        Self {
            downloaded: self.downloaded || other.downloaded,
            decoded: self.decoded || other.decoded,
            remote: self.remote || other.remote,
        }
    }
}

/// A word after expansion, an output, or what a variable holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    /// With [`UNKNOWN`] in place of what is not known.
    pub text: String,
    pub taint: Taint,
}

impl Value {
    pub fn literal(text: impl Into<String>) -> Self {
        Self { text: text.into(), taint: Taint::default() }
    }

    pub fn unknown() -> Self {
        Self::literal(UNKNOWN.to_string())
    }

    pub fn is_known(&self) -> bool {
        !self.text.contains(UNKNOWN)
    }

    pub fn push(&mut self, other: &Value) {
        self.text.push_str(&other.text);
        self.taint = self.taint.and(other.taint);
    }
}
