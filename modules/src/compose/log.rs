//! What is found while compose files are read: errors, notes, where every field is, which variables were asked for.

use std::collections::BTreeMap;

use super::{Mode, Note, NoteKind, Origin, Unresolved, Variable};
use crate::spec::error::{Place, START, SpecError, SpecErrors};

/// A place in one of the files that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    pub file: u16,
    pub place: Place,
}

const KEPT: usize = 100;
const NOTES: usize = 300;

pub struct Log {
    mode: Mode,
    files: Vec<String>,
    errors: Vec<SpecError>,
    omitted: usize,
    pub notes: Vec<Note>,
    places: BTreeMap<String, At>,
    pub variables: Vec<Variable>,
    pub unresolved: Vec<Unresolved>,
}

impl Log {
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            files: Vec::new(),
            errors: Vec::new(),
            omitted: 0,
            notes: Vec::new(),
            places: BTreeMap::new(),
            variables: Vec::new(),
            unresolved: Vec::new(),
        }
    }

    /// Gives a file its number.
    pub fn file(&mut self, name: &str) -> u16 {
        if let Some(known) = self.files.iter().position(|file| file == name) {
            return u16::try_from(known).unwrap_or(u16::MAX);
        }
        self.files.push(name.to_owned());
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    /// The folder of a file, which its relative paths begin in; without a slash at the end.
    pub fn folder(&self, file: u16) -> &str {
        let name = self.name(file);
        name.rfind('/').map_or("", |slash| &name[..slash])
    }

    pub fn name(&self, file: u16) -> &str {
        self.files.get(usize::from(file)).map_or("", String::as_str)
    }

    pub fn origin(&self, at: At) -> Origin {
        Origin { file: self.name(at.file).to_owned(), place: at.place }
    }

    pub fn is_lenient(&self) -> bool {
        self.mode == Mode::Lenient
    }

    pub fn is_broken(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Remembers where a field is.
    pub fn visit(&mut self, field: &str, at: At) {
        self.places.entry(field.to_owned()).or_insert(at);
    }

    /// Where a field is, or the nearest field around it that is written.
    pub fn at(&self, field: &str) -> At {
        let mut around = field;
        loop {
            if let Some(at) = self.places.get(around) {
                return *at;
            }
            match around.rfind(['.', '[']) {
                Some(end) => around = &around[..end],
                None => return At { file: 0, place: START },
            }
        }
    }

    /// Where all fields are.
    pub fn places(&self) -> BTreeMap<String, Origin> {
        self.places.iter().map(|(field, at)| (field.clone(), self.origin(*at))).collect()
    }

    /// Something that does not fit: an error, or a note to the lenient.
    pub fn wrong(
        &mut self,
        at: At,
        field: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: Option<String>,
    ) {
        let (found, expected) = (found.into(), expected.into());
        if self.is_lenient() {
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            return self.push(
                at,
                field,
                NoteKind::Problem,
                format!("found {found}, expected {expected}{hint}"),
            );
        }
        if self.errors.len() == KEPT {
            self.omitted += 1;
            return;
        }
        let Origin { file, place } = self.origin(at);
        let error = SpecError { file, place, field: field.to_owned(), found, expected, hint };
        // What an anchor holds is read once for each alias, and is wrong once.
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Something that is read and has no effect.
    pub fn ignored(&mut self, at: At, field: &str, why: impl Into<String>) {
        self.push(at, field, NoteKind::Ignored, why.into());
    }

    /// Something that works, and may surprise.
    pub fn remark(&mut self, at: At, field: &str, what: impl Into<String>) {
        self.push(at, field, NoteKind::Remark, what.into());
    }

    fn push(&mut self, at: At, field: &str, kind: NoteKind, text: String) {
        let note = Note { origin: self.origin(at), field: field.to_owned(), kind, text };
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Puts the notes in the order of the files.
    pub fn sort(&mut self) {
        self.notes.sort_by(|a, b| (&a.origin, &a.field).cmp(&(&b.origin, &b.field)));
    }

    /// What is wrong, if anything is.
    pub fn finish(&mut self) -> Result<(), SpecErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let mut errors = std::mem::take(&mut self.errors);
        errors.sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
        Err(SpecErrors { errors, omitted: self.omitted })
    }
}
