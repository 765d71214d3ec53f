//! The agent's programs in its folder: the installed one, one that was received, the one on trial, the one before.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use modules::digest::Digest;

use crate::config::DataDir;
use crate::disk::{self, DiskError};
use crate::fault;
use crate::runtime::procfs;
use crate::upgrade::decide::Program;

const RUNNING: &str = "/proc/self/exe";
/// As `node add` names what it uploads, too; the pid says whether somebody still writes it.
const TEMPORARY: &str = ".node-agent.";

/// See the module's words.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
    pub installed: PathBuf,
    pub received: PathBuf,
    pub on_trial: PathBuf,
    previous: PathBuf,
}

impl Files {
    pub fn of(data: &DataDir) -> Self {
        let folder = data.bin();
        let named = |name: &str| folder.join(name);
        Self {
            installed: data.binary(),
            received: named("node-agent.received"),
            on_trial: named("node-agent.trial"),
            previous: named("node-agent.previous"),
            folder,
        }
    }

    /// Which of them this process is.
    pub fn running(&self) -> Program {
        match is_running(&self.on_trial) {
            true => Program::OnTrial,
            false => Program::Installed,
        }
    }

    /// Whether a restart would come back to this very program.
    pub fn is_installed(&self) -> bool {
        is_running(&self.installed)
    }

    pub fn has_trial(&self) -> bool {
        self.on_trial.exists()
    }

    /// Where a process writes a build that is not whole yet.
    pub fn temporary(&self, pid: u32) -> PathBuf {
        self.folder.join(format!("{TEMPORARY}{pid}"))
    }

    /// Takes away what those left that died before they were through.
    pub fn sweep(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let pid = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY)?.parse().ok());
            if pid.is_some_and(|pid| !procfs::is_anyone(pid)) {
                // Whoever sweeps next tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// What was received is what is tried next; nobody else can replace it from here on.
    pub fn take_received(&self) -> Result<(), DiskError> {
        self.rename(&self.received, &self.on_trial)
    }

    /// The build on trial becomes the one that is started, and the present one is kept.
    pub fn install(&self) -> Result<(), DiskError> {
        remove(&self.previous)?;
        // A file system without links needs a copy.
        fs::hard_link(&self.installed, &self.previous)
            .or_else(|_| fs::copy(&self.installed, &self.previous).map(drop))
            .map_err(|cause| DiskError::new("keep", &self.installed, cause))?;
        fault::point("upgrade.kept");
        self.rename(&self.on_trial, &self.installed)?;
        fault::point("upgrade.installed");
        Ok(())
    }

    /// No build is to be tried any more.
    pub fn forget_trial(&self) -> Result<(), DiskError> {
        remove(&self.on_trial)
    }

    pub fn forget_received(&self) -> Result<(), DiskError> {
        remove(&self.received)
    }

    /// Nor is any waited for.
    pub fn forget_all(&self) -> Result<(), DiskError> {
        self.sweep();
        self.forget_received()?;
        self.forget_trial()
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::rename(from, to).map_err(|cause| DiskError::new("rename", from, cause))?;
        disk::sync_dir(&self.folder)
    }
}

/// The digest of a program, `sha256:<hex>`.
pub fn digest(path: &Path) -> Result<String, DiskError> {
    let bytes = fs::read(path).map_err(|cause| DiskError::new("read", path, cause))?;
    Ok(Digest::of(&bytes).to_string())
}

pub fn running_digest() -> Result<String, DiskError> {
    digest(Path::new(RUNNING))
}

/// By its inode: the same file has several names in its life.
fn is_running(path: &Path) -> bool {
    let inode = |path: &Path| fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    inode(path).is_some_and(|found| inode(Path::new(RUNNING)) == Some(found))
}

fn remove(path: &Path) -> Result<(), DiskError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(DiskError::new("remove", path, cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_is_swept_and_what_the_living_write_stays() {
        let dir = tempfile::tempdir().expect("tempdir");
        let data = DataDir(dir.path().to_owned());
        fs::create_dir(data.bin()).expect("made");
        let files = Files::of(&data);
        let mut child = std::process::Command::new("true").spawn().expect("spawned");
        let (dead, ours) = (files.temporary(child.id()), files.temporary(std::process::id()));
        child.wait().expect("ended");
        for path in [&dead, &ours, &files.received, &files.installed] {
            fs::write(path, "").expect("written");
        }
        files.forget_all().expect("swept");
        assert!(!dead.exists() && ours.exists() && !files.received.exists() && files.installed.exists());
    }

    #[test]
    fn installing_keeps_the_former_program_and_can_be_repeated_from_its_middle() {
        let dir = tempfile::tempdir().expect("tempdir");
        let data = DataDir(dir.path().to_owned());
        fs::create_dir(data.bin()).expect("made");
        let files = Files::of(&data);
        let put = |path: &Path, text: &str| fs::write(path, text).expect("written");
        let text = |path: &Path| fs::read_to_string(path).expect("read");
        put(&files.previous, "first");
        put(&files.installed, "second");
        put(&files.received, "third");
        files.take_received().expect("taken");
        assert!(files.has_trial() && !files.received.exists());
        // As after a death between its two steps.
        fs::remove_file(&files.previous).expect("removed");
        fs::hard_link(&files.installed, &files.previous).expect("linked");
        files.install().expect("installed");
        assert_eq!((text(&files.installed), text(&files.previous)), ("third".into(), "second".into()));
        assert!(!files.has_trial());
        files.forget_all().expect("nothing to forget is fine");
    }
}
