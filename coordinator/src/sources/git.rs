//! Any git repository, through the system's git: nothing of it is run and nothing is checked out. The files are
//! read out of a shallow copy in a temporary folder.

mod command;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::wanted::{self, FILE_BYTES, Wanted};
use super::{Project, SourceError, folder, name_of};
use command::{Git, Limits};

/// Where a repository is: checked to be an address, and no option and no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address(String);

/// Hosts whose addresses are repositories, though they do not look so.
const HOSTS: &[&str] =
    &["gitlab.com", "codeberg.org", "bitbucket.org", "gitea.com", "framagit.org", "git.sr.ht"];
const SCHEMES: &[&str] = &["https://", "http://", "ssh://", "git://", "file://"];

impl Address {
    /// Reads addresses that are repositories by their look: `….git`, `ssh://…`, `user@host:path`, `git+https://…`,
    /// and those of well-known hosts.
    ///
    /// # Errors
    /// Where it is an address that git would take for something else.
    pub fn parse(text: &str) -> Result<Option<Self>, SourceError> {
        let (bare, is_said) = text.strip_prefix("git+").map_or((text, false), |bare| (bare, true));
        let is_address = SCHEMES.iter().any(|scheme| bare.starts_with(scheme));
        let looks_so = is_said
            || ["ssh://", "git://", "file://"].iter().any(|scheme| bare.starts_with(scheme))
            || is_address && (bare.trim_end_matches('/').ends_with(".git") || is_known(bare))
            || !is_address && is_scp_like(bare);
        if bare.contains("::") && !is_address {
            let reason = "git would run a command for it";
            return Err(SourceError::Refused { text: text.to_owned(), reason });
        }
        if looks_so { Self::exactly(bare).map(Some) } else { Ok(None) }
    }

    /// An address that is said to be a repository.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn exactly(text: &str) -> Result<Self, SourceError> {
        let refused = |reason| SourceError::Refused { text: text.to_owned(), reason };
        if text.starts_with('-') {
            return Err(refused("it begins like an option"));
        }
        if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ') {
            return Err(refused("it has spaces or control characters"));
        }
        let is_address = SCHEMES.iter().any(|scheme| text.starts_with(scheme));
        if text.contains("::") && !is_address {
            return Err(refused("git would run a command for it"));
        }
        if is_address && super::http::host_of(text).starts_with('-') {
            return Err(refused("its host begins like an option"));
        }
        let is_folder = Path::new(text).is_dir();
        if !is_address && !is_scp_like(text) && !is_folder {
            return Err(refused("it is no address of a git repository"));
        }
        let text = if is_folder && !is_address { absolute(text) } else { text.to_owned() };
        Ok(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without a password that the address may hold.
    pub fn shown(&self) -> String {
        match self.0.split_once("://") {
            Some((scheme, rest)) => match rest.split_once('@') {
                Some((user, rest)) if user.contains(':') && !user.contains('/') => {
                    format!("{scheme}://***@{rest}")
                }
                _ => self.0.clone(),
            },
            None => self.0.clone(),
        }
    }
}

fn absolute(text: &str) -> String {
    std::fs::canonicalize(text).map_or_else(|_| text.to_owned(), |path| path.display().to_string())
}

/// `user@host:path`.
fn is_scp_like(text: &str) -> bool {
    let Some((host, path)) = text.split_once(':') else { return false };
    host.contains('@')
        && !host.contains('/')
        && !host.starts_with('-')
        && !path.is_empty()
        && !path.starts_with('-')
}

fn is_known(text: &str) -> bool {
    let host = super::http::host_of(text);
    let path =
        text.split_once("://").map_or("", |(_, rest)| rest).split_once('/').map_or("", |(_, path)| path);
    let has_repository = path.trim_matches('/').matches('/').count() >= 1 && !path.contains("/-/");
    HOSTS.contains(&host.as_str()) && has_repository && !path.contains("/raw/") && !path.contains("/blob/")
}

/// A copy of one commit of a repository, gone when dropped.
#[derive(Debug)]
pub struct Copy {
    git: Git,
    pub commit: String,
    _folder: TempDir,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    pub size: u64,
    pub is_executable: bool,
    object: String,
}

impl Copy {
    /// Fetches one commit: a branch, tag or commit, or what the repository shows. `limits` bound the copy.
    pub async fn fetch(address: &Address, revision: Option<&str>) -> Result<Self, SourceError> {
        let folder = tempfile::Builder::new().prefix("orchestrator-git-").tempdir();
        let folder =
            folder.map_err(|cause| SourceError::Read { what: "the temporary folder".to_owned(), cause })?;
        let git = Git::new(folder.path().to_owned(), address.shown(), Limits::default());
        git.run(&["init", "--quiet", "--bare", "--template="]).await?;
        let wanted = format!("+{}:refs/heads/imported", checked_revision(revision)?);
        let shallow = [
            "fetch",
            "--quiet",
            "--depth=1",
            "--no-tags",
            "--no-recurse-submodules",
            "--",
            address.as_str(),
            &wanted,
        ];
        if let Err(error) = git.run(&shallow).await {
            // Plain web servers, and some others, give all of a repository or nothing.
            let SourceError::Git { message, .. } = &error else { return Err(error) };
            if !message.contains("shallow") && !message.contains("dumb http") {
                return Err(not_found(address, error));
            }
            git.run(&[
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-recurse-submodules",
                "--",
                address.as_str(),
                &wanted,
            ])
            .await?;
        }
        let commit = git.run(&["rev-parse", "--verify", "refs/heads/imported^{commit}"]).await?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        Ok(Self { git, commit, _folder: folder })
    }

    /// All plain files, by path; links and submodules are left out.
    pub async fn entries(&self) -> Result<Vec<Entry>, SourceError> {
        let listing = self.git.run(&["ls-tree", "-r", "-z", "-l", &self.commit]).await?;
        let lines = listing.split(|byte| *byte == 0).filter_map(|line| std::str::from_utf8(line).ok());
        Ok(lines.filter_map(entry).collect())
    }

    pub async fn content(&self, entry: &Entry) -> Result<Vec<u8>, SourceError> {
        self.git.run(&["cat-file", "blob", &entry.object]).await
    }
}

/// A line of `ls-tree -l`: `100644 blob <object> <size>\t<path>`.
fn entry(line: &str) -> Option<Entry> {
    let (facts, path) = line.split_once('\t')?;
    let facts: Vec<&str> = facts.split_whitespace().collect();
    let [mode @ ("100644" | "100755"), "blob", object, size] = facts[..] else { return None };
    Some(Entry {
        path: path.to_owned(),
        size: size.parse().ok()?,
        is_executable: mode == "100755",
        object: object.to_owned(),
    })
}

fn checked_revision(revision: Option<&str>) -> Result<&str, SourceError> {
    let revision = revision.unwrap_or("HEAD");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if revision.is_empty() || revision.starts_with('-') || !revision.chars().all(is_plain) {
        let reason = "a branch, tag or commit has letters, digits, '-', '_', '.' and '/'";
        return Err(SourceError::Refused { text: revision.to_owned(), reason });
    }
    Ok(revision)
}

fn not_found(address: &Address, error: SourceError) -> SourceError {
    let SourceError::Git { message, .. } = &error else { return error };
    let lower = message.to_lowercase();
    let is_missing =
        ["not found", "does not exist", "couldn't find remote ref", "does not appear to be a git repository"];
    if is_missing.iter().any(|words| lower.contains(words)) {
        let what = match lower.contains("remote ref") {
            true => format!("{}: {message}", address.shown()),
            false => address.shown(),
        };
        return SourceError::NotFound { what, has_token: true };
    }
    error
}

/// Reads the telling files of a repository.
pub async fn read(address: &Address, wanted: &Wanted) -> Result<Project, SourceError> {
    let copy = Copy::fetch(address, wanted.revision.as_deref()).await?;
    let mut project = Project {
        name: name_of(address.as_str()),
        origin: address.shown(),
        commit: Some(copy.commit.clone()),
        ..Project::default()
    };
    let entries = copy.entries().await?;
    for path in wanted::choose(entries.iter().map(|entry| entry.path.as_str()), wanted) {
        let entry = entries.iter().find(|entry| entry.path == path).expect("chosen from these");
        let (bytes, is_whole) = match entry.size {
            0..=FILE_BYTES => (copy.content(entry).await?, true),
            _ => (Vec::new(), false),
        };
        let below =
            path.strip_prefix(wanted.folder.trim_matches('/')).unwrap_or(path).trim_start_matches('/');
        folder::add(&mut project, below, bytes, is_whole)?;
    }
    if project.files.is_empty() {
        return Err(SourceError::Nothing { what: project.origin });
    }
    Ok(project)
}

/// Writes a folder of a commit below `target`.
pub async fn write_folder(
    copy: &Copy,
    entries: &[Entry],
    folder: &str,
    target: &Path,
) -> Result<PathBuf, SourceError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |what: &Path, cause| SourceError::Read { what: what.display().to_string(), cause };
    for entry in entries {
        let below = if folder.is_empty() {
            Some(entry.path.as_str())
        } else {
            entry.path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
        };
        let Some(below) = below.filter(|below| is_plain_path(below)) else { continue };
        let place = target.join(below);
        let parent = place.parent().expect("below the target");
        std::fs::create_dir_all(parent).map_err(|cause| failed(parent, cause))?;
        std::fs::write(&place, copy.content(entry).await?).map_err(|cause| failed(&place, cause))?;
        let mode = if entry.is_executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode))
            .map_err(|cause| failed(&place, cause))?;
    }
    Ok(target.to_owned())
}

fn is_plain_path(path: &str) -> bool {
    !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git"))
}
