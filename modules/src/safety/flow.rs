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
    /// Of more than is followed, so that a part of it is lost.
    pub cut: bool,
}

impl Taint {
    pub fn and(self, other: Self) -> Self {
        Self {
            downloaded: self.downloaded || other.downloaded,
            decoded: self.decoded || other.decoded,
            remote: self.remote || other.remote,
            cut: self.cut || other.cut,
        }
    }
}

/// Which lines of a file a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// It stands there as it is, from this line on.
    From(usize),
    /// It was put together or taken out of quotes, so all of it counts as being in this line.
    In(usize),
}

impl Lines {
    pub fn first(self) -> usize {
        match self {
            Lines::From(line) | Lines::In(line) => line,
        }
    }
}

/// A word after expansion, an output, or what a variable holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    /// With [`UNKNOWN`] in place of what is not known.
    pub text: String,
    pub taint: Taint,
    /// The line in which the text begins, where all its line ends are those of the file.
    pub line: Option<usize>,
}

impl Value {
    pub fn literal(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    pub fn unknown() -> Self {
        Self::tainted(Taint::default())
    }

    /// What is not known, but for where it comes from.
    pub fn tainted(taint: Taint) -> Self {
        Self { text: UNKNOWN.to_string(), taint, line: None }
    }

    pub fn is_known(&self) -> bool {
        !self.text.contains(UNKNOWN)
    }

    /// The lines of the text when a command in this line uses it.
    pub fn lines(&self, line: usize) -> Lines {
        self.line.map_or(Lines::In(line), Lines::From)
    }

    pub fn push(&mut self, other: &Value) {
        self.line = match (self.text.is_empty(), other.text.contains('\n')) {
            (true, _) => other.line,
            (false, true) => None,
            (false, false) => self.line,
        };
        self.text.push_str(&other.text);
        self.taint = self.taint.and(other.taint);
    }
}
