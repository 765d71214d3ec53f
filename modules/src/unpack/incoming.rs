//! The temporary folder a package is unpacked in. It is locked while in use, so that the folders
//! that a killed process left behind can be told from the living ones and swept.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::disk::failed;
use super::{Outcome, UnpackError};

const PREFIX: &str = ".incoming-";

/// Tells the folders of one process apart.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A locked temporary folder, deleted when dropped unless kept.
pub struct Incoming {
    path: PathBuf,
    lock: File,
    is_kept: bool,
}

impl Incoming {
    pub fn create(releases_dir: &Path) -> Result<Self, UnpackError> {
        failed("make folder", releases_dir, fs::create_dir_all(releases_dir))?;
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = releases_dir.join(format!("{PREFIX}{}-{number}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(cause) => return failed("make folder", &path, Err(cause)),
            }
            if let Some(lock) = failed("lock", &path, lock(&path))? {
                return Ok(Self { path, lock, is_kept: false });
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder and all that is in it durable, and gives it its name.
    pub fn keep(mut self, target: &Path) -> Result<Outcome, UnpackError> {
        failed("finish", &self.path, self.lock.set_permissions(PermissionsExt::from_mode(0o755)))?;
        // One flush of the file system costs less than one for each file and folder.
        failed("flush", &self.path, rustix::fs::syncfs(&self.lock).map_err(io::Error::from))?;
        match fs::rename(&self.path, target) {
            Ok(()) => self.is_kept = true,
            // Somebody else stored the same release meanwhile.
            Err(_) if target.is_dir() => return Ok(Outcome::Present),
            Err(cause) => return failed("rename to", target, Err(cause)),
        }
        let above = target.parent().expect("a release folder has a folder above it");
        failed("flush", above, File::open(above).and_then(|folder| folder.sync_all()))?;
        Ok(Outcome::Stored)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.is_kept {
            // Nothing can be done about a failure here; the next sweep tries again.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Locks the folder at `path`; nothing when it is locked by another or was swept meanwhile.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let folder = match File::open(path) {
        Ok(folder) => folder,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause),
    };
    match folder.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(cause)) => return Err(cause),
    }
    let locked = folder.metadata()?;
    let is_same =
        fs::metadata(path).is_ok_and(|there| there.ino() == locked.ino() && there.dev() == locked.dev());
    Ok(is_same.then_some(folder))
}

/// Deletes the temporary folders in `releases_dir` that nobody uses any more, and counts them.
///
/// # Errors
/// When the folder cannot be read or a left-over cannot be deleted.
pub fn sweep(releases_dir: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(releases_dir) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(cause) => return Err(cause),
    };
    let mut swept = 0;
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Some(_lock) = lock(&entry.path())? {
            fs::remove_dir_all(entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}
