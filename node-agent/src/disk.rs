//! Writing so that a crash or a power cut leaves either the old content or the new, never a mixture.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub mod discard;
mod folder;

pub use folder::{Folder, Owner};

/// How long a dead holder's lock is waited for.
const HEIRS: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(2);

/// A write that failed, with the path it was for.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {}", path.display())]
pub struct DiskError {
    pub action: &'static str,
    pub path: PathBuf,
    #[source]
    pub cause: io::Error,
}

impl DiskError {
    pub fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { action, path: path.to_owned(), cause }
    }

    pub fn is_full(&self) -> bool {
        matches!(self.cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Whether a new content must survive power loss, or only the death of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    PowerLoss,
    Crash,
}

/// Replaces a file in one step. The temporary file is `<name>.tmp`: there is one writer for each file.
///
/// # Errors
/// When any step fails; the old content is untouched then and the temporary file is gone.
pub fn replace(path: &Path, content: &[u8], mode: u32, durability: Durability) -> Result<(), DiskError> {
    let temp = temp_of(path);
    let written = write_new(&temp, content, mode, durability)
        .and_then(|()| fs::rename(&temp, path))
        .map_err(|cause| DiskError::new("write", path, cause));
    if written.is_err() {
        let _ = fs::remove_file(&temp);
        return written;
    }
    match (durability, path.parent()) {
        (Durability::PowerLoss, Some(parent)) => sync_dir(parent),
        _ => Ok(()),
    }
}

pub fn temp_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

fn write_new(temp: &Path, content: &[u8], mode: u32, durability: Durability) -> io::Result<()> {
    match fs::remove_file(temp) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temp)?;
    file.write_all(content)?;
    if durability == Durability::PowerLoss {
        file.sync_all()?;
    }
    Ok(())
}

/// # Errors
/// When the folder cannot be opened or synced.
pub fn sync_dir(path: &Path) -> Result<(), DiskError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|cause| DiskError::new("sync", path, cause))
}

/// Makes a folder (and its parents) that only the agent's user may enter.
///
/// # Errors
/// When it cannot be made.
pub fn make_dir(path: &Path, mode: u32) -> Result<(), DiskError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|cause| DiskError::new("create", path, cause))
}

/// Removes a folder and all in it; one that is not there is fine.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove", path, cause)),
        _ => Ok(()),
    }
}

/// An exclusive lock on a file, held until dropped or the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// What came of trying to lock.
#[derive(Debug)]
pub enum Locked {
    Ours(Lock),
    /// Somebody holds it, by its own words with this pid.
    Held(Option<i32>),
}

impl Lock {
    /// Takes the lock unless somebody holds it, and writes our pid into the file.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub fn try_take(path: &Path) -> Result<Locked, DiskError> {
        let error = |cause| DiskError::new("lock", path, cause);
        let mut file = open_lock(path).map_err(error)?;
        // SAFETY: flock on a descriptor we own.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            let cause = io::Error::last_os_error();
            if cause.kind() == io::ErrorKind::WouldBlock {
                return Ok(Locked::Held(holder(path)));
            }
            return Err(error(cause));
        }
        // The pid is a convenience for `stop`; a full disk must not keep the agent from running.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Locked::Ours(Self { _file: file }))
    }

    /// As `try_take`, but waits a moment where the holder is dead by `is_alive`: what that has just forked holds its
    /// lock on until it executes something, or ends.
    ///
    /// # Errors
    /// When the file cannot be opened or written.
    pub fn try_inherit(path: &Path, is_alive: impl Fn(i32) -> bool) -> Result<Locked, DiskError> {
        let begin = Instant::now();
        loop {
            match Self::try_take(path)? {
                Locked::Held(Some(pid)) if !is_alive(pid) => {
                    if begin.elapsed() > HEIRS {
                        return Ok(Locked::Held(None));
                    }
                    std::thread::sleep(POLL);
                }
                done => return Ok(done),
            }
        }
    }

    /// Takes the lock, waiting for its holder.
    ///
    /// # Errors
    /// When the file cannot be opened or locked.
    pub fn take(path: &Path) -> Result<Self, DiskError> {
        let error = |cause| DiskError::new("lock", path, cause);
        let file = open_lock(path).map_err(error)?;
        loop {
            // SAFETY: flock on a descriptor we own.
            if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } == 0 {
                return Ok(Self { _file: file });
            }
            let cause = io::Error::last_os_error();
            if cause.kind() != io::ErrorKind::Interrupted {
                return Err(error(cause));
            }
        }
    }

    /// The pid of who holds the lock now; none when it is free.
    ///
    /// # Errors
    /// When the file is there but cannot be opened.
    pub fn holder(path: &Path) -> Result<Option<i32>, DiskError> {
        if !path.exists() {
            return Ok(None);
        }
        let file = open_lock(path).map_err(|cause| DiskError::new("open", path, cause))?;
        // SAFETY: flock on a descriptor we own; closing the file gives it back.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) } == 0 {
            return Ok(None);
        }
        Ok(holder(path))
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

fn holder(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_leaves_no_temporary_one() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("ledger");
        for content in ["one", "two"] {
            replace(&path, content.as_bytes(), 0o600, Durability::PowerLoss).expect("written");
            assert_eq!(fs::read_to_string(&path).expect("read"), content);
        }
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_lock_is_held_once_and_names_its_holder() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("agent.lock");
        let Locked::Ours(lock) = Lock::try_take(&path).expect("free") else { panic!("held") };
        let me = i32::try_from(std::process::id()).expect("a pid");
        assert!(matches!(Lock::try_take(&path).expect("checked"), Locked::Held(Some(pid)) if pid == me));
        assert_eq!(Lock::holder(&path).expect("checked"), Some(me));
        drop(lock);
        assert_eq!(Lock::holder(&path).expect("checked"), None);
    }

    #[test]
    fn the_lock_of_a_dead_holder_is_waited_for_and_that_of_a_living_one_is_not() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("agent.lock");
        let Locked::Ours(lock) = Lock::try_take(&path).expect("free") else { panic!("held") };
        let Locked::Held(Some(_)) = Lock::try_inherit(&path, |_| true).expect("checked") else {
            panic!("it lives")
        };
        // A copy of the descriptor, as a child has it that was forked before its parent died.
        let heir = lock._file.try_clone().expect("a copy");
        drop(lock);
        let (asked, ask) = std::sync::mpsc::channel();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || {
                Lock::try_inherit(&path, |_| {
                    let _ = asked.send(());
                    false
                })
            }
        });
        ask.recv().expect("asked whether it lives");
        drop(heir);
        assert!(matches!(waiting.join().expect("ended").expect("checked"), Locked::Ours(_)));
    }
}
