//! Trees that go: out of the way at once, deleted in a thread of their own. On a card, tens of thousands of files take
//! minutes, and an agent that waits for them says nothing meanwhile and counts as lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{DiskError, remove_tree};
use crate::log;

/// How folders begin that are being deleted; whoever finds one after a crash deletes it.
pub const REMOVING: &str = ".removing-";

/// One after the other: a card is not faster for more.
static TURN: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Makes a tree vanish from its place; one that is not there is fine. It is gone for good a while later. `near` is a
/// folder of ours on the same file system, if possible.
///
/// # Errors
/// When it can be neither moved nor removed.
pub fn discard(path: &Path, near: &Path) -> Result<(), DiskError> {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let aside = near.join(format!("{REMOVING}{}-{number}", std::process::id()));
    match fs::rename(path, &aside) {
        Ok(()) => {
            delete(aside);
            Ok(())
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        // On another file system, or somebody else's.
        Err(_) => remove_tree(path),
    }
}

/// Deletes what a crash left half deleted.
pub fn sweep(folder: &Path) {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in found.filter(|entry| entry.file_name().to_string_lossy().starts_with(REMOVING)) {
        delete(entry.path());
    }
}

fn delete(aside: PathBuf) {
    let told = |aside: &Path| {
        if let Err(error) = remove_tree(aside) {
            tracing::warn!(error = log::chain(&error), "what was removed still takes room");
        }
    };
    let small = thread::Builder::new().stack_size(256 << 10);
    let spawned = small.spawn({
        let aside = aside.clone();
        move || {
            let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            told(&aside);
        }
    });
    if spawned.is_err() {
        told(&aside);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_is_discarded_is_gone_at_once_and_nothing_of_it_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let tree = dir.path().join("tree");
        for name in ["a", "b/c", "b/d/e"] {
            fs::create_dir_all(tree.join(name)).expect("made");
            fs::write(tree.join(name).join("file"), "text").expect("written");
        }
        fs::create_dir(dir.path().join(".removing-1-1")).expect("made");
        discard(&tree, dir.path()).expect("moved");
        assert!(!tree.exists());
        discard(&tree, dir.path()).expect("none there is fine");
        sweep(dir.path());
        let deadline = Instant::now() + Duration::from_secs(10);
        while fs::read_dir(dir.path()).expect("listed").next().is_some() {
            assert!(Instant::now() < deadline, "it is deleted");
            thread::yield_now();
        }
    }
}
