//! What is wrong with a plan or a policy: the field, what was found there, and what was expected.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Such as `steps[2].args.argv`; empty for the whole.
    pub field: String,
    pub found: String,
    pub expected: String,
    pub hint: Option<String>,
}

/// Everything that is wrong, in the order it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    pub faults: Vec<Fault>,
}

const KEPT: usize = 100;

impl Faults {
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    pub fn add(
        &mut self,
        field: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.faults.len() < KEPT {
            let (found, expected) = (found.into(), expected.into());
            self.faults.push(Fault { field: field.to_owned(), found, expected, hint });
        }
    }

    /// Adds a fault about `text`, and which of the names may have been meant.
    pub fn guess<'n>(
        &mut self,
        field: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        text: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) {
        self.add(field, found, expected, did_you_mean(text, names));
    }

    /// Nothing, or all faults.
    ///
    /// # Errors
    /// When there is any.
    pub fn finish(self) -> Result<(), Faults> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// A hint that names the closest of the names.
#[cfg(feature = "yaml")]
pub fn did_you_mean<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    modules::suggest::closest(text, names).map(|name| format!("did you mean {name:?}?"))
}

/// Nodes check plans that were checked before: they need no guesses.
#[cfg(not(feature = "yaml"))]
pub fn did_you_mean<'n>(_: &str, _: impl IntoIterator<Item = &'n str>) -> Option<String> {
    None
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "found {}, expected {}", self.found, self.expected)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
