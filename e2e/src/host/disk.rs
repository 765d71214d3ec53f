//! The disk of a host: a tmpfs of its own that holds the upper layer of an overlay on the machine's `/`.
//!
//! It outlives the host's processes, as a disk does. All that was written survives a power loss, fsynced or not:
//! a missing fsync cannot be found here.

use std::ffi::{CString, c_ulong};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders of the machine that a host must not see, with their mode.
const HIDDEN: [(&str, u32); 7] = [
    ("etc/ssh", 0o755),
    ("root", 0o700),
    ("home", 0o755),
    ("tmp", 0o1777),
    ("var/tmp", 0o1777),
    ("var/lib/orchestrator", 0o755),
    ("mnt", 0o755),
];

/// One disk, mounted on the machine while the host exists.
#[derive(Debug, Clone)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    pub fn at(folder: PathBuf) -> Disk {
        Disk { folder }
    }

    /// Mounts an empty disk that hides what is personal on this machine.
    pub fn mount(&self, bytes: u64) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        mount(&self.folder, 0, bytes).context("could not mount a tmpfs for a host")?;
        fs::create_dir(self.folder.join("work"))?;
        for (path, mode) in HIDDEN {
            if !Path::new("/").join(path).exists() {
                continue;
            }
            self.cover(path, mode)?;
        }
        Ok(())
    }

    /// Puts an empty folder in the place of one of the machine's, before the host runs.
    pub fn cover(&self, path: &str, mode: u32) -> Result<()> {
        let folder = self.upper(path);
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(mode))?;
        hide_lower(&folder).with_context(|| format!("could not make {path} opaque"))
    }

    /// Where the host's file `path` is kept, as long as the host does not run.
    pub fn upper(&self, path: &str) -> PathBuf {
        self.folder.join("upper").join(path.trim_start_matches('/'))
    }

    /// Writes a file with its mode before the host runs.
    pub fn write(&self, path: &str, content: &str, mode: u32) -> Result<()> {
        let file = self.upper(path);
        fs::create_dir_all(file.parent().unwrap_or(&self.folder))?;
        fs::write(&file, content).with_context(|| format!("could not write {path} of a host"))?;
        Ok(fs::set_permissions(&file, Permissions::from_mode(mode))?)
    }

    /// Makes a file of the machine invisible before the host runs.
    pub fn hide(&self, path: &str) -> Result<()> {
        let file = self.upper(path);
        fs::create_dir_all(file.parent().unwrap_or(&self.folder))?;
        let name = CString::new(file.as_os_str().as_bytes())?;
        // Overlayfs takes a device 0/0 for "deleted". SAFETY: the string lives until the call returns.
        match unsafe { libc::mknod(name.as_ptr(), libc::S_IFCHR, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()).with_context(|| format!("could not hide {path}")),
        }
    }

    pub fn used(&self) -> Result<u64> {
        let path = CString::new(self.folder.as_os_str().as_bytes())?;
        // SAFETY: statvfs fills the zeroed struct it is given.
        let (answer, stat) = unsafe {
            let mut stat: libc::statvfs = std::mem::zeroed();
            (libc::statvfs(path.as_ptr(), &mut stat), stat)
        };
        if answer != 0 {
            return Err(io::Error::last_os_error()).context("could not look at a host's disk");
        }
        Ok((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
    }

    /// Gives the disk another size. The kernel refuses less than what is in use.
    pub fn resize(&self, bytes: u64) -> Result<()> {
        mount(&self.folder, libc::MS_REMOUNT, bytes).context("could not resize a host's disk")
    }
}

fn mount(folder: &Path, flags: c_ulong, bytes: u64) -> Result<()> {
    let target = CString::new(folder.as_os_str().as_bytes())?;
    let options = CString::new(format!("size={bytes},mode=755"))?;
    let tmpfs = c"tmpfs".as_ptr();
    // SAFETY: all strings live until the call returns.
    let answer = unsafe { libc::mount(tmpfs, target.as_ptr(), tmpfs, flags, options.as_ptr().cast()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}

/// Marks a folder of the upper layer so that overlayfs does not look through it.
fn hide_lower(folder: &Path) -> Result<()> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let name = c"trusted.overlay.opaque".as_ptr();
    // SAFETY: the value is one byte long and all strings live until the call returns.
    let answer = unsafe { libc::setxattr(path.as_ptr(), name, c"y".as_ptr().cast(), 1, 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error().into()) }
}
