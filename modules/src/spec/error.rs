//! What is wrong with a MODULE.yaml, each with its place; and the list of all of them.

use std::collections::BTreeMap;
use std::fmt;

/// A place in a file; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// Where a file begins.
pub const START: Place = Place { line: 1, column: 1 };

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    pub file: String,
    pub place: Place,
    /// Such as `runtime.process.command[1]`; empty for the file as a whole.
    pub field: String,
    pub found: String,
    pub expected: String,
    /// What to do about it, where we know.
    pub hint: Option<String>,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpecError { file, place, field, found, expected, hint } = self;
        write!(f, "{file}:{}:{}: ", place.line, place.column)?;
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        write!(f, "found {found}, expected {expected}")?;
        hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// Everything that is wrong with one file, in its order; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecErrors {
    pub errors: Vec<SpecError>,
    /// How many more there are than were kept.
    pub omitted: usize,
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "\n" })?;
        }
        if self.omitted > 0 {
            write!(f, "\n… and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for SpecErrors {}

const KEPT: usize = 100;

/// Collects what is wrong while a file is read, and remembers where its fields are.
pub struct Report {
    file: String,
    errors: Vec<SpecError>,
    omitted: usize,
    places: BTreeMap<String, Place>,
}

impl Report {
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), errors: Vec::new(), omitted: 0, places: BTreeMap::new() }
    }

    /// Remembers where a field is, for [`Report::at`].
    pub fn visit(&mut self, field: &str, place: Place) {
        self.places.insert(field.to_owned(), place);
    }

    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub fn wrong(
        &mut self,
        place: Place,
        field: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        if self.errors.len() == KEPT {
            self.omitted += 1;
            return;
        }
        self.errors.push(SpecError {
            file: self.file.clone(),
            place,
            field: field.to_owned(),
            found: found.into(),
            expected: expected.into(),
            hint,
        });
    }

    /// Reports on a field by its name: at its own place, or that of the nearest field around it that is written.
    pub fn at(
        &mut self,
        field: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        self.wrong(self.place(field), field, found, expected, hint);
    }

    /// Where a field is, or the nearest field around it that is written.
    pub fn place(&self, field: &str) -> Place {
        let mut around = field;
        loop {
            if let Some(place) = self.places.get(around) {
                return *place;
            }
            match around.rfind(['.', '[']) {
                Some(end) => around = &around[..end],
                None => return START,
            }
        }
    }

    /// Whether something in `field` was wrong already, so that what refers to it cannot be judged.
    pub fn is_broken(&self, field: &str) -> bool {
        self.omitted > 0
            || self.errors.iter().any(|error| {
                error
                    .field
                    .strip_prefix(field)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            })
    }

    /// Gives `value`, or all that was reported.
    ///
    /// # Errors
    /// When anything was reported.
    pub fn finish<T>(mut self, value: T) -> Result<T, SpecErrors> {
        if self.errors.is_empty() {
            return Ok(value);
        }
        self.errors.sort_by_key(|error| error.place);
        Err(SpecErrors { errors: self.errors, omitted: self.omitted })
    }
}
