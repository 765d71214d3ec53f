//! The modules of a git repository at one commit, packed.

use std::collections::BTreeMap;

use modules::index::{FILE as INDEX, ModuleIndex};
use modules::unpack::MANIFEST;
use proto::code::Code;

use super::{Found, pack};
use crate::cli::problem::Failure;
use crate::sources::git::{Address, Copy, Entry, write_folder};

/// Largest folder of a module that is taken from a repository.
const MODULE_BYTES: u64 = 256 << 20;
const SIGNATURE_BYTES: u64 = 64 << 10;
const MODULES: usize = 10_000;

/// What a repository has.
#[derive(Debug)]
pub struct Repository {
    pub commit: String,
    pub modules: Vec<Found>,
    /// Folders that are no good modules, and why.
    pub bad: Vec<(String, String)>,
}

impl Repository {
    pub async fn read(address: &Address, revision: Option<&str>) -> Result<Self, Failure> {
        let copy = Copy::fetch(address, revision).await?;
        let entries = copy.entries().await?;
        let index = index(&copy, &entries).await?;
        let folders = match &index {
            Some(index) => index.modules.iter().map(|entry| entry.path.clone()).collect(),
            None => folders(&entries),
        };
        if folders.is_empty() {
            return Err(Failure::invalid(format!("{} has no modules", address.shown()))
                .with_hint(format!("a module is a folder with a {MANIFEST}")));
        }
        if folders.len() > MODULES {
            return Err(Failure::invalid(format!("{} has more than {MODULES} modules", address.shown())));
        }
        let mut read = Self { commit: copy.commit.clone(), modules: Vec::new(), bad: Vec::new() };
        for folder in folders {
            match module(&copy, &entries, &folder).await? {
                Ok(found) => read.modules.push(found),
                Err(why) => read.bad.push((shown(&folder), why)),
            }
        }
        read.check_against(index.as_ref());
        read.check_names();
        Ok(read)
    }

    /// What the index says must be what the folders make.
    fn check_against(&mut self, index: Option<&ModuleIndex>) {
        for entry in index.iter().flat_map(|index| &index.modules) {
            let Some(at) = self.modules.iter().position(|found| found.path == entry.path) else { continue };
            let packed = &self.modules[at].packed;
            let is_it = packed.spec.name == entry.name && packed.spec.version == entry.version;
            if is_it && packed.digest == entry.digest {
                continue;
            }
            let found = format!("{} {} {}", packed.spec.name, packed.spec.version, packed.digest);
            let why = format!(
                "{INDEX} says {} {} {}, the folder is {found}",
                entry.name, entry.version, entry.digest
            );
            let found = self.modules.remove(at);
            self.bad.push((shown(&found.path), why));
        }
    }

    /// Two folders must not say that they are the same version of the same module.
    fn check_names(&mut self) {
        let mut seen: BTreeMap<(String, String), String> = BTreeMap::new();
        let (mut good, mut twice) = (Vec::new(), Vec::new());
        for found in self.modules.drain(..) {
            let key = (found.packed.spec.name.to_string(), found.packed.spec.version.to_string());
            match seen.get(&key) {
                Some(first) => {
                    twice.push((shown(&found.path), format!("is {} {} as {first} is", key.0, key.1)))
                }
                None => {
                    seen.insert(key, shown(&found.path));
                    good.push(found);
                }
            }
        }
        self.modules = good;
        self.bad.extend(twice);
    }
}

fn shown(folder: &str) -> String {
    if folder.is_empty() { "the top folder".to_owned() } else { folder.to_owned() }
}

async fn index(copy: &Copy, entries: &[Entry]) -> Result<Option<ModuleIndex>, Failure> {
    let Some(entry) = entries.iter().find(|entry| entry.path == INDEX) else { return Ok(None) };
    let bytes = copy.content(entry).await?;
    let index = ModuleIndex::parse(&String::from_utf8_lossy(&bytes));
    index.map(Some).map_err(|error| Failure::new(Code::InvalidInput, &error))
}

/// The folders with a MODULE.yaml; what is below one belongs to it.
fn folders(entries: &[Entry]) -> Vec<String> {
    let mut folders: Vec<String> = entries
        .iter()
        .filter_map(|entry| match entry.path.strip_suffix(MANIFEST)? {
            "" => Some(String::new()),
            folder => folder.strip_suffix('/').map(str::to_owned),
        })
        .collect();
    folders.sort();
    let mut tops: Vec<String> = Vec::new();
    for folder in folders {
        let is_below = |top: &String| {
            top.is_empty() || folder.strip_prefix(top.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        if !tops.iter().any(is_below) {
            tops.push(folder);
        }
    }
    tops
}

/// Packs one folder; the inner error says what is wrong with it.
async fn module(copy: &Copy, entries: &[Entry], folder: &str) -> Result<Result<Found, String>, Failure> {
    let below = |entry: &&Entry| {
        folder.is_empty() || entry.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    let size: u64 = entries.iter().filter(below).map(|entry| entry.size).sum();
    if size > MODULE_BYTES {
        return Ok(Err(format!("has more than {MODULE_BYTES} bytes")));
    }
    let target =
        tempfile::tempdir().map_err(|cause| Failure::io("could not make a temporary folder", &cause))?;
    write_folder(copy, entries, folder, target.path()).await?;
    let top = target.path().display().to_string();
    match pack(folder, target.path()) {
        Ok(found) => Ok(Ok(Found { signature: signature(copy, entries, folder).await?, ..found })),
        Err(why) => Ok(Err(why.replace(&format!("{top}/"), ""))),
    }
}

/// Beside the folder, where `module sign` puts it; empty where nobody signed.
async fn signature(copy: &Copy, entries: &[Entry], folder: &str) -> Result<Vec<u8>, Failure> {
    let beside = format!("{folder}.minisig");
    match entries.iter().find(|entry| !folder.is_empty() && entry.path == beside) {
        Some(entry) if entry.size > SIGNATURE_BYTES => {
            Err(Failure::invalid(format!("{beside} has more than {SIGNATURE_BYTES} bytes")))
        }
        Some(entry) => Ok(copy.content(entry).await?),
        None => Ok(Vec::new()),
    }
}
