//! A hard link gives a file a second name that no path leads back from: what belongs to the agent is known by its inode.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Entries that are looked at before it is given up; where it is, nothing is read.
const MOST: usize = 200_000;

/// Whether an open file is one of the agent's, by whatever name it was opened.
///
/// # Errors
/// When that cannot be told.
pub fn is_own(meta: &Metadata, own: &[String]) -> io::Result<bool> {
    if meta.nlink() <= 1 {
        return Ok(false);
    }
    let mut waiting: Vec<PathBuf> = own.iter().map(PathBuf::from).collect();
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        seen += 1;
        if seen > MOST {
            return Err(io::Error::other(
                "it has several names, and the agent has too many files to compare",
            ));
        }
        let Some(found) = there(path.symlink_metadata())? else { continue };
        if found.is_dir() {
            waiting.extend(entries(&path)?);
        } else if (found.dev(), found.ino()) == (meta.dev(), meta.ino()) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = there(std::fs::read_dir(folder))? else { return Ok(Vec::new()) };
    entries.map(|entry| entry.map(|entry| entry.path())).collect()
}

/// Files of instances come and go meanwhile.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_all_its_names() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("own/identity")).expect("made");
        for name in ["own/identity/key", "other"] {
            std::fs::write(path(name), "x").expect("written");
        }
        std::fs::hard_link(path("own/identity/key"), path("second")).expect("linked");
        std::fs::hard_link(path("other"), path("third")).expect("linked");
        let own = [path("own").to_string_lossy().into_owned(), "/no/such/agent".to_owned()];
        for (name, expected) in [("second", true), ("third", false), ("other", false)] {
            let meta = path(name).metadata().expect("there");
            assert_eq!(is_own(&meta, &own).expect("told"), expected, "{name}");
        }
    }
}
