//! Compose files: from their text and an environment to a project of typed services, in start order.
//!
//! Pure: other files (`.env`, `env_file`, `extends`, `include`, an override) come from a function. Strictly read, whatever cannot be
//! carried out is an error with its place; leniently, it becomes a note, and what can be read is given. All texts of a
//! [`Project`] are templates of ours: `${port.web}` is a reference that the node resolves, `$${` a literal `${`.

use std::collections::BTreeMap;

use crate::spec::error::{Place, SpecErrors};

mod addresses;
mod depends;
mod dotenv;
mod extends;
mod files;
mod interpolate;
mod keys;
mod log;
mod merge;
pub mod model;
pub mod module;
mod mounts;
mod networking;
mod node;
mod overrides;
mod ports;
mod project;
mod read;
mod resources;
mod service;
mod storage;
#[cfg(test)]
mod tests;
mod top;
mod tree;
mod words;

pub use dotenv::parse as parse_dotenv;
pub use tree::MAX_BYTES;
pub use words::split as split_words;

use model::Project;

/// What to read.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    /// The compose file's path among the files, such as `deploy/compose.yaml`.
    pub file: &'s str,
    pub text: &'s [u8],
    /// The other files: from a path with neither `.` nor `..` in it to the file's bytes.
    pub files: &'s dyn Fn(&str) -> Option<Vec<u8>>,
    /// What variables stand for; comes before `.env`. Values are templates.
    pub env: &'s BTreeMap<String, String>,
    /// The profiles that are wanted; `*` stands for all.
    pub profiles: &'s [String],
}

impl<'s> Source<'s> {
    /// A file on its own: no other files, no variables, no profiles.
    pub fn alone(file: &'s str, text: &'s [u8]) -> Self {
        const NO_ENV: &BTreeMap<String, String> = &BTreeMap::new();
        Self { file, text, files: &|_| None, env: NO_ENV, profiles: &[] }
    }
}

/// What becomes of what does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Strict,
    Lenient,
}

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub file: String,
    pub place: Place,
}

/// Something a person should know about a file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub origin: Origin,
    /// Such as `services.web.logging`.
    pub field: String,
    pub kind: NoteKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// Does not fit, and was left out. Only the lenient reader has these.
    Problem,
    /// Is left out, and the services work without.
    Ignored,
    /// Is carried out, and may surprise.
    Remark,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { line, column } = self.origin.place;
        write!(f, "{}:{line}:{column}: ", self.origin.file)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.text)
    }
}

/// A variable that the file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    /// As written, from `${NAME:-default}`.
    pub default: Option<String>,
    /// Whether the file says that it must be set: `${NAME:?why}`.
    pub is_required: bool,
    pub uses: Vec<Use>,
}

/// A field that a variable is used in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub field: String,
    pub origin: Origin,
}

/// A field that must be a number or a truth value and holds a reference which is not resolved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    pub field: String,
    pub text: String,
    pub origin: Origin,
}

/// Reads a compose file that is to be deployed.
///
/// # Errors
/// Everything that is wrong with it or cannot be carried out, each with its file, line and column.
pub fn parse(source: &Source<'_>) -> Result<Project, SpecErrors> {
    let mut log = log::Log::new(Mode::Strict);
    let project = project::read(source, &mut log);
    log.finish()?;
    Ok(project.unwrap_or_default())
}

/// Reads what can be read, such as a fence of a README; the project's notes say what could not.
pub fn read(source: &Source<'_>) -> Project {
    let mut log = log::Log::new(Mode::Lenient);
    project::read(source, &mut log).unwrap_or_else(|| project::with_notes(Project::default(), &mut log))
}
