//! Where modules come from: a repository on GitHub or elsewhere, a folder, a file. Each gives the few files that say
//! how a project is deployed, with where they came from; nothing of them is trusted.

mod archive;
pub mod error;
mod folder;
pub mod git;
pub mod github;
pub mod http;
#[cfg(test)]
mod tests;
mod text;
pub mod wanted;

use std::path::PathBuf;

pub use error::SourceError;
pub use wanted::Wanted;

/// What a person named, told apart by its look and by what is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Folder(PathBuf),
    File(PathBuf),
    Package(PathBuf),
    /// A repository on GitHub, or on a host with the same API.
    GitHub(github::Repository),
    /// Any other git repository.
    Git(git::Address),
    /// One file on the web: a MODULE.yaml, a compose file, a README, a package.
    Url(String),
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Within the project.
    pub path: String,
    pub bytes: Vec<u8>,
}

/// What was found at a place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Project {
    /// What a module made of it may be called.
    pub name: String,
    /// Where it came from, for people.
    pub origin: String,
    /// The exact state, where the source has such: a commit.
    pub commit: Option<String>,
    pub files: Vec<File>,
    /// What the host says of the project, beside its files.
    pub about: About,
    /// What a person should know of how it was read.
    pub notes: Vec<String>,
}

/// What a host such as GitHub says of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    pub description: Option<String>,
    pub homepage: Option<String>,
    pub license: Option<String>,
    pub topics: Vec<String>,
}

/// How sources are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub github_api: String,
    pub github_raw: String,
    /// The web pages of that host: `https://github.com`.
    pub github_web: String,
    pub token: Option<Token>,
}

/// Proves to a host who we are; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            github_api: "https://api.github.com".to_owned(),
            github_raw: "https://raw.githubusercontent.com".to_owned(),
            github_web: "https://github.com".to_owned(),
            token: None,
        }
    }
}

impl Place {
    /// # Errors
    /// Where the text names nothing that can be read.
    pub fn parse(text: &str, access: &Access) -> Result<Self, SourceError> {
        if text.trim().is_empty() {
            return Err(SourceError::Unknown { text: text.to_owned() });
        }
        if let Some(repository) = github::Repository::parse(text, &access.github_web)? {
            return Ok(Place::GitHub(repository));
        }
        if let Some(address) = git::Address::parse(text)? {
            return Ok(Place::Git(address));
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(Place::Url(text.to_owned()));
        }
        if text.contains("://") {
            return Err(SourceError::Unknown { text: text.to_owned() });
        }
        let path = PathBuf::from(text);
        let found = std::fs::metadata(&path)
            .map_err(|cause| SourceError::Read { what: path.display().to_string(), cause })?;
        match found {
            found if found.is_dir() => Ok(Place::Folder(path)),
            _ if text.ends_with(".tar.gz") || text.ends_with(".tgz") => Ok(Place::Package(path)),
            found if found.is_file() => Ok(Place::File(path)),
            _ => Err(SourceError::Unknown { text: text.to_owned() }),
        }
    }
}

/// Reads what is at a place. Dropping the future stops it and leaves nothing behind.
///
/// # Errors
/// Where it cannot be reached or read, or is too big to be what it should be.
pub async fn read(place: &Place, access: &Access, wanted: &Wanted) -> Result<Project, SourceError> {
    if let Place::Git(address) = place {
        return git::read(address, wanted).await;
    }
    let (place, access, wanted) = (place.clone(), access.clone(), wanted.clone());
    let read = tokio::task::spawn_blocking(move || read_blocking(&place, &access, &wanted));
    read.await.expect("reading does not panic")
}

fn read_blocking(place: &Place, access: &Access, wanted: &Wanted) -> Result<Project, SourceError> {
    match place {
        Place::Folder(path) => folder::read(path, wanted),
        Place::File(path) => folder::read_file(path),
        Place::Package(path) => archive::read(path),
        Place::GitHub(repository) => github::read(repository, access, wanted),
        Place::Url(url) => http::read_one(url),
        Place::Git(address) => Err(SourceError::Unknown { text: address.shown() }),
    }
}

/// The last part of a path or address, without the endings that say what kind of thing it is.
fn name_of(text: &str) -> String {
    let text = text.trim_end_matches('/').split(['?', '#']).next().unwrap_or_default();
    let last = text.rsplit(['/', ':']).next().unwrap_or(text);
    let known = [".git", ".tar.gz", ".tgz", ".md", ".rst", ".yaml", ".yml"];
    known.iter().find_map(|end| last.strip_suffix(end)).unwrap_or(last).to_owned()
}
