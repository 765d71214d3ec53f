//! The folder with everything a coordinator keeps: closed to others, and never somebody else's.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// What only a data folder of ours has.
const OURS: [&str; 3] = ["orchestrator.db", "master.key", "packages"];

/// Makes the folder where there is none, and closes it to others. One that is open to others and holds something
/// else, like `/tmp` or `/srv`, is refused: closing it would lock out everybody else there.
pub fn prepare(folder: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = fs::metadata(folder)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    if is_ours(folder) || fs::read_dir(folder)?.next().is_none() {
        return fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    }
    let mode = mode & 0o7777;
    let what = format!("it holds other things and is open to other users (mode {mode:04o})");
    Err(Error::new(ErrorKind::PermissionDenied, what))
}

fn is_ours(folder: &Path) -> bool {
    OURS.iter().any(|name| folder.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(folder: &Path) -> u32 {
        fs::metadata(folder).expect("it is there").permissions().mode() & 0o7777
    }

    #[test]
    fn a_folder_of_others_is_left_as_it_is() {
        let temporary = tempfile::tempdir().expect("a folder");
        let shared = temporary.path().join("shared");
        fs::create_dir(&shared).expect("made");
        fs::write(shared.join("letter"), "").expect("written");
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("set");
        let error = prepare(&shared).expect_err("it is somebody else's");
        assert_eq!(error.to_string(), "it holds other things and is open to other users (mode 1777)");
        assert_eq!(mode_of(&shared), 0o1777);
    }

    #[test]
    fn a_folder_of_its_own_is_closed() {
        let temporary = tempfile::tempdir().expect("a folder");
        let data = temporary.path().join("a/data");
        prepare(&data).expect("new");
        assert_eq!(mode_of(&data), 0o700);
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("set");
        prepare(&data).expect("empty");
        assert_eq!(mode_of(&data), 0o700);
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("set");
        fs::write(data.join("orchestrator.db"), "").expect("written");
        prepare(&data).expect("ours");
        assert_eq!(mode_of(&data), 0o700);
    }
}
