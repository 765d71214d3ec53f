//! Whom an instance runs as, and that its files are that user's.

use std::os::unix::fs::lchown;
use std::path::Path;

use super::SceneError;
use crate::disk::{self, DiskError, Folder, Owner};
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
    match path.strip_prefix(root) {
        Ok(inner) => furnish_inside(root, inner, account),
        Err(_) if path.is_dir() => Ok(()),
        Err(_) => make_outside(path, account),
    }
}

/// A volume may lie in another one, which its user may have filled with anything.
fn furnish_inside(root: &Path, inner: &Path, account: Option<&Account>) -> Result<(), DiskError> {
    disk::make_dir(root, 0o711)?;
    let volume = Folder::open(root)?.enter_all(inner, 0o750)?;
    match account.map(owner) {
        Some(owner) if volume.owner()? != owner.uid => volume.hand_over_tree(owner),
        Some(_) | None => Ok(()),
    }
}

/// Its user must get through the folders on the way.
fn make_outside(path: &Path, account: Option<&Account>) -> Result<(), DiskError> {
    if let Some(parent) = path.parent() {
        disk::make_dir(parent, 0o755)?;
    }
    disk::make_dir(path, 0o750)?;
    account.map_or(Ok(()), |account| hand_over(path, account))
}

/// Gives a file or folder to the account.
pub fn hand_over(path: &Path, account: &Account) -> Result<(), DiskError> {
    let given = lchown(path, Some(account.uid), Some(account.gid));
    given.map_err(|cause| DiskError::new("hand over", path, cause))
}

/// Gives an instance's folder to its user, or takes it back from the one of a former release.
pub fn furnish_home(path: &Path, account: Option<&Account>) -> Result<(), DiskError> {
    let agents = own();
    match account {
        Some(account) => hand_over(path, account),
        None => {
            let home = Folder::open(path)?;
            if home.owner()? == agents.uid { Ok(()) } else { home.hand_over(agents) }
        }
    }
}

pub fn owner(account: &Account) -> Owner {
    Owner { uid: account.uid, gid: account.gid }
}

/// The agent's own.
fn own() -> Owner {
    // SAFETY: neither has preconditions.
    unsafe { Owner { uid: libc::geteuid(), gid: libc::getegid() } }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    const USER: u32 = 4711;

    fn account() -> Account {
        Account { uid: USER, gid: USER, groups: vec![USER], binds_low_ports: false }
    }

    /// The mode and the user of a folder.
    fn look(path: &Path) -> (u32, u32) {
        let meta = path.symlink_metadata().expect("there");
        (meta.permissions().mode() & 0o777, meta.uid())
    }

    /// None where it says that only root can do this.
    fn folder() -> Option<tempfile::TempDir> {
        let dir = tempfile::tempdir().expect("tempdir");
        let is_root = look(dir.path()).1 == 0;
        if !is_root {
            eprintln!("NOT TESTED: only root gives files away");
        }
        is_root.then_some(dir)
    }

    #[test]
    fn the_user_of_a_volume_gets_to_it_through_folders_that_were_missing() {
        let Some(dir) = folder() else { return };
        let (root, outside) = (dir.path().join("volumes/web.0"), dir.path().join("srv/dav/files"));
        for path in [root.join("a/b"), outside.clone()] {
            furnish_volume(&path, &root, Some(&account())).expect("made");
            assert_eq!(look(&path), (0o750, USER));
            assert_eq!(look(path.parent().expect("one")), (0o755, 0));
        }
        assert_eq!(look(&root), (0o711, 0));
        assert_eq!(look(&dir.path().join("srv")), (0o755, 0));
    }

    #[test]
    fn what_a_user_puts_in_the_place_of_a_volume_leads_to_nothing_of_others() {
        let Some(dir) = folder() else { return };
        let (root, other) = (dir.path().join("volumes"), dir.path().join("other"));
        fs::create_dir_all(other.join("sub")).expect("made");
        furnish_volume(&root.join("data"), &root, Some(&account())).expect("made");
        symlink(&other, root.join("data/sub")).expect("linked");
        for volume in ["data/sub", "data/sub/sub"] {
            furnish_volume(&root.join(volume), &root, Some(&account())).expect_err("refused");
        }
        assert_eq!([look(&other).1, look(&other.join("sub")).1], [0, 0]);
    }

    #[test]
    fn a_home_is_taken_back_where_the_release_has_no_user_any_more() {
        let Some(dir) = folder() else { return };
        let home = dir.path().join("web.0");
        disk::make_dir(&home, 0o700).expect("made");
        furnish_home(&home, Some(&account())).expect("made");
        assert_eq!(look(&home), (0o700, USER));
        furnish_home(&home, None).expect("taken back");
        assert_eq!(look(&home), (0o700, 0));
    }
}
