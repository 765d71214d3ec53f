//! `modules.json`: what a repository of modules has, in one file, so that a registry need not read all of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::name::ModuleName;
use crate::package::{PackageError, pack};
use crate::unpack::MANIFEST;
use crate::version::Version;

/// Its name, at the top of the repository.
pub const FILE: &str = "modules.json";
/// The format this program writes and reads.
pub const FORMAT: u32 = 1;

/// What is in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleIndex {
    pub format: u32,
    /// By name and version.
    pub modules: Vec<Entry>,
}

/// A module of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub name: ModuleName,
    pub version: Version,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub category: Option<String>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub license: Option<String>,
    /// Its folder, below the top; empty: the top itself.
    pub path: String,
    /// Of the package that the folder makes.
    pub digest: Digest,
}

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("{FILE} is no index of modules")]
    Json {
        #[source]
        cause: serde_json::Error,
    },
    #[error("{FILE} has format {found}; this program knows up to {FORMAT}")]
    Newer { found: u32 },
    #[error("{FILE} names the folder {path:?}, which is not below it")]
    Path { path: String },
    #[error("{FILE} has {name} {version} twice")]
    Twice { name: ModuleName, version: Version },
}

impl ModuleIndex {
    pub fn new(mut modules: Vec<Entry>) -> Self {
        modules.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Self { format: FORMAT, modules }
    }

    /// Reads an index that nobody vouches for.
    ///
    /// # Errors
    /// When it is no index, of a newer format, or names what is not in its repository.
    pub fn parse(text: &str) -> Result<Self, IndexError> {
        let index: Self = serde_json::from_str(text).map_err(|cause| IndexError::Json { cause })?;
        if index.format > FORMAT {
            return Err(IndexError::Newer { found: index.format });
        }
        let mut seen = BTreeMap::new();
        for entry in &index.modules {
            let is_below = |part: &str| !matches!(part, "" | "." | "..");
            if !entry.path.is_empty() && !entry.path.split('/').all(is_below) {
                return Err(IndexError::Path { path: entry.path.clone() });
            }
            if seen.insert((&entry.name, &entry.version), ()).is_some() {
                return Err(IndexError::Twice { name: entry.name.clone(), version: entry.version.clone() });
            }
        }
        Ok(index)
    }

    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("an index has text keys only");
        text + "\n"
    }
}

/// The index of all modules below a folder. Each is packed, so what cannot be published is found now.
///
/// # Errors
/// Where a folder cannot be read or a module cannot be packed.
pub fn of_folder(top: &Path) -> Result<ModuleIndex, PackageError> {
    let mut folders = Vec::new();
    find(top, 0, &mut folders)?;
    let mut entries = Vec::new();
    for folder in folders {
        let packed = pack(&folder)?;
        let below = folder.strip_prefix(top).unwrap_or(&folder);
        let spec = &packed.spec;
        entries.push(Entry {
            name: spec.name.clone(),
            version: spec.version.clone(),
            description: spec.description.clone(),
            category: spec.category.clone(),
            tags: spec.tags.clone(),
            license: spec.license.clone(),
            path: below.to_string_lossy().into_owned(),
            digest: packed.digest,
        });
    }
    Ok(ModuleIndex::new(entries))
}

/// How deep below the top modules may be.
const DEPTH: usize = 4;

/// A folder with a MODULE.yaml is a module; what is below it belongs to it.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), PackageError> {
    if folder.join(MANIFEST).is_file() {
        found.push(folder.to_owned());
        return Ok(());
    }
    let failed = |cause| PackageError::Read { path: folder.to_owned(), cause };
    let mut below: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if entry.file_type().map_err(failed)?.is_dir() && !is_hidden {
            below.push(entry.path());
        }
    }
    below.sort();
    if depth < DEPTH {
        below.iter().try_for_each(|folder| find(folder, depth + 1, found))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_tells_what_the_folders_make_and_reads_back() {
        let top = tempfile::tempdir().expect("a temporary folder");
        for (folder, name) in [("b", "web"), ("group/a", "cache"), (".git/x", "hidden")] {
            let folder = top.path().join(folder);
            fs::create_dir_all(&folder).expect("a new folder");
            let yaml =
                format!("name: {name}\nversion: 1.0.0\nruntime: {{process: {{command: [sleep, '9']}}}}\n");
            fs::write(folder.join(MANIFEST), yaml).expect("a new file");
        }
        let index = of_folder(top.path()).expect("good modules");
        let found: Vec<_> = index.modules.iter().map(|one| (one.name.as_str(), one.path.as_str())).collect();
        assert_eq!(found, [("cache", "group/a"), ("web", "b")]);
        assert_eq!(index.modules[1].digest, pack(&top.path().join("b")).expect("packs").digest);
        assert_eq!(ModuleIndex::parse(&index.to_json()).expect("its own text"), index);
    }

    #[test]
    fn an_index_that_lies_is_refused() {
        let entry = |path: &str| {
            format!(
                r#"{{"name": "a", "version": "1.0.0", "path": {path:?}, "digest": "sha256:{}"}}"#,
                "0".repeat(64)
            )
        };
        let with = |modules: &str| format!(r#"{{"format": 1, "modules": [{modules}]}}"#);
        assert!(ModuleIndex::parse(&with(&entry("a/b"))).is_ok());
        for bad in [
            with(&entry("../a")),
            with(&entry("/etc")),
            with(&entry("a//b")),
            with(&format!("{}, {}", entry("a"), entry("b"))),
            r#"{"format": 2, "modules": []}"#.to_owned(),
            "[]".to_owned(),
            String::new(),
        ] {
            assert!(ModuleIndex::parse(&bad).is_err(), "{bad}");
        }
    }
}
