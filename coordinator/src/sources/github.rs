//! A repository on GitHub, or on a host with the same API: three questions to the API, the files from the raw host.

use serde::Deserialize;

use super::http::{Client, host_of};
use super::wanted::{self, FILE_BYTES, Wanted};
use super::{About, Access, Project, SourceError, folder};

/// `owner/name`, and the part of it that an address names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repository {
    pub owner: String,
    pub name: String,
    /// From `/tree/BRANCH/…` or `/blob/BRANCH/…`.
    pub revision: Option<String>,
    pub folder: String,
}

const JSON: &str = "application/vnd.github+json";
/// Answers of the API are lists of names at most.
const ANSWER_BYTES: u64 = 32 << 20;

impl Repository {
    /// Reads `https://github.com/OWNER/REPO…`, and `OWNER/REPO` where no such path is here.
    ///
    /// # Errors
    /// Where the address is one of the host's, but names no repository.
    pub fn parse(text: &str, web: &str) -> Result<Option<Self>, SourceError> {
        let refused = |reason| SourceError::Refused { text: text.to_owned(), reason };
        let Some(path) = path_on_host(text, web) else {
            return Ok(if is_short(text) {
                Self::of_parts(&text.split('/').collect::<Vec<_>>())
            } else {
                None
            });
        };
        let path = path.split(['?', '#']).next().unwrap_or(path);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.len() < 2 {
            return Err(refused("it names no repository; write https://github.com/OWNER/REPO"));
        }
        match Self::of_parts(&parts) {
            Some(repository) => Ok(Some(repository)),
            None => Err(refused("no repository has such a name")),
        }
    }

    fn of_parts(parts: &[&str]) -> Option<Self> {
        let name = parts[1].strip_suffix(".git").unwrap_or(parts[1]);
        if !is_good(parts[0]) || !is_good(name) {
            return None;
        }
        let (revision, mut folder) = match parts.get(2).copied() {
            Some("tree" | "blob" | "raw") => {
                (parts.get(3).map(|part| (*part).to_owned()), parts[4.min(parts.len())..].join("/"))
            }
            _ => (None, String::new()),
        };
        if parts.get(2) == Some(&"blob") {
            folder = folder.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned());
        }
        Some(Self { owner: parts[0].to_owned(), name: name.to_owned(), revision, folder })
    }
}

fn path_on_host<'t>(text: &'t str, web: &str) -> Option<&'t str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let rest = rest.strip_prefix("www.").unwrap_or(rest);
    let own = host_of(web);
    let after = |host: &str| rest.strip_prefix(host)?.strip_prefix('/');
    after("github.com").or_else(|| if own.is_empty() { None } else { after(&own) })
}

/// `OWNER/REPO`, and nothing here is called so.
fn is_short(text: &str) -> bool {
    let mut parts = text.split('/');
    let (owner, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_plain = |part: &str| !part.is_empty() && !part.starts_with(['.', '~']) && is_good(part);
    parts.next().is_none() && is_plain(owner) && is_plain(name) && !std::path::Path::new(text).exists()
}

fn is_good(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    part.len() <= 100 && part != "." && part != ".." && !part.is_empty() && part.chars().all(is_plain)
}

#[derive(Debug, Deserialize)]
struct RepositoryAnswer {
    full_name: String,
    default_branch: Option<String>,
    description: Option<String>,
    homepage: Option<String>,
    license: Option<LicenseAnswer>,
    #[serde(default)]
    topics: Vec<String>,
    #[serde(default)]
    archived: bool,
}

#[derive(Debug, Deserialize)]
struct LicenseAnswer {
    spdx_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TreeAnswer {
    tree: Vec<TreeEntry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Debug, Deserialize)]
struct TreeEntry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
    sha: String,
}

/// Reads the telling files of a repository.
pub fn read(repository: &Repository, access: &Access, wanted: &Wanted) -> Result<Project, SourceError> {
    let reader = Reader { client: Client::new(access.token.clone()), access };
    let about: RepositoryAnswer = reader.ask(&format!("/repos/{}/{}", repository.owner, repository.name))?;
    let revision = wanted.revision.clone().or_else(|| repository.revision.clone());
    let revision = revision.or(about.default_branch.clone()).unwrap_or_else(|| "HEAD".to_owned());
    let commit = reader.commit(&about.full_name, &revision)?;
    let tree: TreeAnswer =
        reader.ask(&format!("/repos/{}/git/trees/{commit}?recursive=1", about.full_name))?;
    let mut project = Project {
        name: about.full_name.rsplit('/').next().unwrap_or_default().to_owned(),
        origin: format!("{}/{}", access.github_web, about.full_name),
        commit: Some(commit.clone()),
        notes: notes(repository, &about, &tree),
        about: About {
            description: about.description,
            homepage: about.homepage.filter(|homepage| !homepage.is_empty()),
            license: about.license.and_then(|license| license.spdx_id).filter(|id| id != "NOASSERTION"),
            topics: about.topics,
        },
        ..Project::default()
    };
    let files = tree.tree.iter().filter(|entry| entry.kind == "blob");
    let within = if wanted.folder.is_empty() { &repository.folder } else { &wanted.folder };
    let within = Wanted { folder: within.clone(), revision: None };
    for path in wanted::choose(files.map(|entry| entry.path.as_str()), &within) {
        let entry = tree.tree.iter().find(|entry| entry.path == path).expect("chosen from these");
        let (bytes, is_whole) = match entry.size {
            0..=FILE_BYTES => reader.file(&about.full_name, &commit, entry)?,
            _ => (Vec::new(), false),
        };
        let below =
            path.strip_prefix(within.folder.trim_matches('/')).unwrap_or(path).trim_start_matches('/');
        folder::add(&mut project, below, bytes, is_whole)?;
    }
    if project.files.is_empty() {
        return Err(SourceError::Nothing { what: project.origin });
    }
    Ok(project)
}

fn notes(asked: &Repository, about: &RepositoryAnswer, tree: &TreeAnswer) -> Vec<String> {
    let mut notes = Vec::new();
    if !about.full_name.eq_ignore_ascii_case(&format!("{}/{}", asked.owner, asked.name)) {
        notes.push(format!("the repository is called {} now", about.full_name));
    }
    if about.archived {
        notes.push("the repository is archived: nobody looks after it any more".to_owned());
    }
    if tree.truncated {
        notes.push("the repository has too many files to see all of them".to_owned());
    }
    notes
}

struct Reader<'a> {
    client: Client,
    access: &'a Access,
}

impl Reader<'_> {
    fn ask<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, SourceError> {
        let url = format!("{}{path}", self.access.github_api);
        let answer = self.client.get(&url, JSON, ANSWER_BYTES)?;
        let what = url.split('?').next().unwrap_or(&url).to_owned();
        if !answer.is_whole {
            return Err(SourceError::TooBig { what, limit: ANSWER_BYTES });
        }
        serde_json::from_slice(&answer.bytes).map_err(|cause| SourceError::Answer {
            host: host_of(&url),
            what,
            reason: cause.to_string(),
        })
    }

    fn commit(&self, full_name: &str, revision: &str) -> Result<String, SourceError> {
        let url = format!("{}/repos/{full_name}/commits/{}", self.access.github_api, escaped(revision));
        let answer = self.client.get(&url, "application/vnd.github.sha", ANSWER_BYTES)?;
        let text = String::from_utf8_lossy(&answer.bytes).trim().to_owned();
        // Hosts that do not know this kind of answer give the whole commit.
        let sha = match serde_json::from_str::<serde_json::Value>(&text) {
            Ok(commit) if commit.is_object() => commit["sha"].as_str().unwrap_or_default().to_owned(),
            _ => text,
        };
        if sha.len() >= 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(sha);
        }
        let reason = "it is not the name of a commit".to_owned();
        Err(SourceError::Answer { host: host_of(&url), what: url, reason })
    }

    /// From the raw host; from the API, where that one does not have it, as for private repositories of some hosts.
    fn file(&self, full_name: &str, commit: &str, entry: &TreeEntry) -> Result<(Vec<u8>, bool), SourceError> {
        let raw = format!("{}/{full_name}/{commit}/{}", self.access.github_raw, escaped(&entry.path));
        let answer = match self.client.get(&raw, "*/*", FILE_BYTES) {
            Err(SourceError::NotFound { .. }) => {
                let blob = format!("{}/repos/{full_name}/git/blobs/{}", self.access.github_api, entry.sha);
                self.client.get(&blob, "application/vnd.github.raw", FILE_BYTES)?
            }
            answer => answer?,
        };
        Ok((answer.bytes, answer.is_whole))
    }
}

/// A path for an address: what is not plain becomes `%XX`.
fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                text.push(char::from(byte))
            }
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}
