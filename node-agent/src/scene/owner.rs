//! Whom an instance runs as, and that its files are that user's.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown, lchown};
use std::path::Path;

use super::SceneError;
use crate::disk::{self, DiskError};
use crate::runtime::account::Account;

/// The account of a user name; none when the agent's own is meant. An agent that is not root has no choice: all
/// that it starts runs as its own user, who has no more rights than the one asked for.
pub fn account(name: &str) -> Result<Option<Account>, SceneError> {
    // SAFETY: geteuid has no preconditions.
    if name.is_empty() || unsafe { libc::geteuid() } != 0 {
        return Ok(None);
    }
    Account::find(name).map(Some).ok_or_else(|| SceneError::UnknownUser(name.to_owned()))
}

/// Makes a volume, or gives one that another user had, with all that is in it, to this one. A folder outside of
/// the volumes that was there before is somebody's: it stays as it is.
pub fn furnish_volume(path: &Path, root: &Path, account: Option<&Account>) -> Result<(), DiskError> {
    let is_ours = path.starts_with(root);
    if is_ours {
        disk::make_dir(root, 0o711)?;
    }
    let was_there = path.is_dir();
    disk::make_dir(path, 0o750)?;
    match account {
        Some(account) if !was_there => hand_over(path, account),
        Some(account) if is_ours && !is_of(path, account) => hand_over_tree(path, account),
        Some(_) | None => Ok(()),
    }
}

/// Gives a file or folder to the account.
pub fn hand_over(path: &Path, account: &Account) -> Result<(), DiskError> {
    chown(path, Some(account.uid), Some(account.gid)).map_err(failed(path))
}

/// The top comes last, so that a crash in the middle is made good by the next start. Links are not followed.
fn hand_over_tree(path: &Path, account: &Account) -> Result<(), DiskError> {
    for entry in fs::read_dir(path).map_err(failed(path))? {
        let entry = entry.map_err(failed(path))?;
        if entry.file_type().map_err(failed(path))?.is_dir() {
            hand_over_tree(&entry.path(), account)?;
        } else {
            lchown(entry.path(), Some(account.uid), Some(account.gid)).map_err(failed(&entry.path()))?;
        }
    }
    lchown(path, Some(account.uid), Some(account.gid)).map_err(failed(path))
}

fn is_of(path: &Path, account: &Account) -> bool {
    path.metadata().is_ok_and(|meta| meta.uid() == account.uid)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> DiskError {
    move |cause| DiskError::new("hand over", path, cause)
}
