//! Reads the files of a repository and drafts a module from them.
//!
//! Sync and pure: files in, a draft out, with the line that each field comes from, how sure it is, and what to look
//! at. Nothing is executed and nothing is fetched. The rules hold for projects in general; none knows a project.

use std::collections::BTreeMap;

mod assemble;
mod compose_file;
mod container;
mod docker_run;
mod dockerfile;
mod document;
mod draft;
mod facts;
mod fields;
pub mod fill;
mod image;
mod launcher;
mod names;
mod parallel;
mod provenance;
mod reading;
mod routes;
mod shell;
mod supplement;
#[cfg(test)]
mod tests;
mod text;
mod told;
mod verdict;
mod words;

pub use draft::Draft;
pub use facts::{Confidence, EnvFact, Facts, Found, Kind, Origin, PortFact, ServiceFact, VolumeFact};
pub use names::squeeze;
pub use provenance::{Trace, Warning};
pub use routes::Method;
pub use text::TextError;
pub use verdict::Reason;

use names::Identity;
use reading::Reading;

/// The files of a repository by path, as far as they matter: see [`Files::wants`].
#[derive(Debug, Clone, Default)]
pub struct Files {
    files: BTreeMap<String, Vec<u8>>,
}

/// Where the files come from.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The repository's name, or the folder's.
    pub name: String,
    pub owner: Option<String>,
    /// The repository's address.
    pub url: Option<String>,
    /// The newest release or tag, where the source knows it.
    pub version: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Import {
    pub verdict: Verdict,
    pub facts: Facts,
    /// Which line of which file gave each field of the draft.
    pub provenance: Vec<Trace>,
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Clone)]
pub enum Verdict {
    Deployable(Box<Draft>),
    NotDeployable { reason: Reason, sentence: String },
}

/// Why nothing could be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("there is no README among the {count} files")]
    NoReadme { count: usize },
    #[error("could not read {path}")]
    Text {
        path: String,
        #[source]
        cause: TextError,
    },
}

impl Source {
    /// `https://host/owner/name` and `owner/name`.
    pub fn of_url(url: &str) -> Self {
        let path =
            url.split("://").nth(1).map_or(url, |rest| rest.split_once('/').map_or("", |(_, path)| path));
        let path =
            path.split(['?', '#']).next().unwrap_or_default().trim_matches('/').trim_end_matches(".git");
        let mut parts = path.split('/');
        let (owner, name) = (parts.next().unwrap_or_default(), parts.next());
        let (owner, name) = name.map_or((None, owner), |name| (Some(owner.to_owned()), name));
        Self { name: name.to_owned(), owner, url: url.contains("://").then(|| url.to_owned()), version: None }
    }
}

impl Files {
    /// Whether a file of this path is of use; a source need not bring the others.
    pub fn wants(path: &str) -> bool {
        let lower = path.to_ascii_lowercase();
        let name = lower.rsplit('/').next().unwrap_or(&lower);
        let depth = lower.matches('/').count();
        let is_manifest = matches!(
            name,
            "dockerfile"
                | "containerfile"
                | "package.json"
                | "cargo.toml"
                | "pyproject.toml"
                | "setup.py"
                | "setup.cfg"
                | "go.mod"
                | ".env.example"
                | "env.example"
                | ".env.sample"
                | ".env.dist"
                | ".env.template"
                | "example.env"
        );
        let is_legal =
            name.starts_with("license") || name.starts_with("licence") || name.starts_with("copying");
        let is_text = name.starts_with("readme");
        (is_compose(name) || name.ends_with(".service")) && depth <= 2
            || (is_manifest || is_legal) && depth == 0
            || is_text && depth <= 1
    }

    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.files.insert(path.into(), bytes.into());
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The README that is read: its path, and its text where it is one.
    pub fn readme_text(&self) -> Option<(&str, String)> {
        let path = self.readme()?;
        Some((path, self.text(path)?))
    }

    /// A file's text, if it is one.
    fn text(&self, path: &str) -> Option<String> {
        let bytes = self.files.get(path)?;
        text::decode(bytes).ok()
    }

    /// The README to read: the root's before others, the untranslated before the translated.
    fn readme(&self) -> Option<&str> {
        let rank = |path: &&str| {
            let lower = path.to_ascii_lowercase();
            let name = lower.rsplit('/').next().unwrap_or(&lower).to_owned();
            let stem_length = name.split('.').next().map_or(0, str::len);
            let format = ["md", "markdown", "rst", "adoc", "asciidoc", "txt"]
                .iter()
                .position(|end| name.ends_with(end));
            (
                lower.matches('/').count(),
                name.matches('.').count() > 1,
                stem_length > 6,
                format.unwrap_or(9),
                name,
            )
        };
        let is_readme = |path: &&str| {
            path.rsplit('/').next().is_some_and(|name| name.to_ascii_lowercase().starts_with("readme"))
        };
        self.paths().filter(is_readme).min_by_key(rank)
    }

    /// The compose files, those of the root first.
    fn compose(&self) -> Vec<(&str, String)> {
        let mut paths: Vec<&str> = self
            .paths()
            .filter(|path| is_compose(&path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase()))
            .collect();
        paths.sort_by_key(|path| (path.matches('/').count(), path.len()));
        paths.into_iter().filter_map(|path| Some((path, self.text(path)?))).collect()
    }

    fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }
}

fn is_compose(name: &str) -> bool {
    (name.ends_with(".yml") || name.ends_with(".yaml"))
        && (name.starts_with("compose")
            || name.contains("docker-compose")
            || name.starts_with("podman-compose"))
}

/// Reads the files and drafts a module, or says why there is none to draft.
///
/// # Errors
/// When there is no README, or it is no text or too large.
pub fn import(files: &Files, source: &Source) -> Result<Import, ImportError> {
    let path = files.readme().ok_or(ImportError::NoReadme { count: files.files.len() });
    let path = match path {
        Ok(path) => path.to_owned(),
        // A folder with nothing but a compose file says enough.
        Err(_) if !files.compose().is_empty() => String::new(),
        Err(error) => return Err(error),
    };
    let bytes = files.bytes(&path).unwrap_or_default();
    let text = text::decode(bytes).map_err(|cause| ImportError::Text { path: path.clone(), cause })?;
    let mut reading = Reading::new(Identity::new(source), &path, &text, files);
    reading.learn_names(files);
    let facts = assemble::facts(&reading, files, source);
    let (verdict, facts, provenance, warnings) = verdict::judge(&reading, files, source, facts);
    Ok(Import { verdict, facts, provenance, warnings })
}

impl Import {
    pub fn is_deployable(&self) -> bool {
        matches!(self.verdict, Verdict::Deployable(_))
    }
}
