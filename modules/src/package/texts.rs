//! The small files of a package, for what must be read of it besides MODULE.yaml.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use flate2::read::GzDecoder;

/// Longer files are known by their names only.
const LONGEST: u64 = 1 << 20;
const MOST: u64 = 8 << 20;

/// What a package holds.
#[derive(Debug, Default)]
pub struct Texts {
    pub files: BTreeMap<String, Vec<u8>>,
    /// All files, and the folders they are in.
    pub paths: BTreeSet<String>,
}

/// Reads a package that was verified before.
///
/// # Errors
/// When it cannot be read.
pub fn texts(package: impl Read) -> io::Result<Texts> {
    let mut archive = tar::Archive::new(GzDecoder::new(package));
    let mut texts = Texts::default();
    let mut sum = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").trim_end_matches('/').to_owned();
        texts.note(&path);
        let size = entry.size();
        if !entry.header().entry_type().is_file() || size > LONGEST || sum + size > MOST {
            continue;
        }
        sum += size;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        texts.files.insert(path, bytes);
    }
    Ok(texts)
}

impl Texts {
    fn note(&mut self, path: &str) {
        let mut path = path;
        while !path.is_empty() && self.paths.insert(path.to_owned()) {
            path = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        }
    }
}
