//! The folder that a program gets for itself, gone when the program is.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use crate::clock;
use crate::disk;

/// More files than this are more than any step needs.
const MOST_FILES: u64 = 20_000;

/// A folder of a program; removed by [`Scratch::remove`].
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// # Errors
    /// When it cannot be made or given away.
    pub fn make(token: &str, uid: Option<u32>) -> io::Result<Self> {
        let path = root().join(format!("{}{:016x}", prefix(token), clock::noise()));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        if let Some(uid) = uid {
            chown(&path, Some(uid), Some(uid))?;
        }
        Ok(Self(path))
    }

    /// Whether more than `most` bytes, or far too many files, lie in it.
    pub fn is_over(path: &Path, most: u64) -> bool {
        let (mut bytes, mut files) = (0, 0);
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let Ok(meta) = entry.metadata() else { continue };
                bytes += meta.blocks() * 512;
                files += 1;
                if bytes > most || files > MOST_FILES {
                    return true;
                }
                if meta.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        false
    }

    /// Removes it with all that is in it. For when nothing runs in it any more.
    pub fn remove(&self) {
        if let Err(error) = disk::remove_tree(&self.0) {
            tracing::warn!(%error, "a scratch folder could not be removed");
        }
    }
}

impl Drop for Scratch {
    /// For when nothing ever ran in it.
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// Removes those that an agent with this token left when it was killed.
pub fn sweep(token: &str) {
    let prefix = prefix(token);
    for entry in fs::read_dir(root()).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            Scratch(entry.path()).remove();
        }
    }
}

/// Not in the data folder, into which no program of a step may look.
fn root() -> &'static Path {
    let lasting = Path::new("/var/tmp");
    if lasting.is_dir() { lasting } else { Path::new("/tmp") }
}

fn prefix(token: &str) -> String {
    format!("orchestrator-step-{token}-")
}
