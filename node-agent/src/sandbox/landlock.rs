//! Landlock: which files a program may open at all. What a rung promises must hold, so the kernel must know every
//! right that is handled here; there is no best effort.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

/// The kernel's version of Landlock that is needed: the third also guards truncation (Linux 6.2).
const LEAST: libc::c_long = 3;
/// From this on signals and abstract sockets stay inside (Linux 6.12).
const WITH_SCOPES: libc::c_long = 6;

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const ALL: u64 = (1 << 15) - 1;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const IOCTL_DEV: u64 = 1 << 15;
const WITH_IOCTL: libc::c_long = 5;
const SCOPES: u64 = 0b11;

const READ: u64 = EXECUTE | READ_FILE | READ_DIR;
const FILE_RIGHTS: u64 = EXECUTE | WRITE_FILE | READ_FILE | (1 << 14);
const VERSION: u32 = 1;
const PATH_BENEATH: u32 = 1;

/// What a folder or file, and all below it, is open for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    /// Everything but devices.
    Write,
    /// A device or a file that is only read from and written to.
    Use,
}

/// A ruleset; what no rule allows is refused.
#[derive(Debug)]
pub struct Ruleset(OwnedFd);

#[repr(C)]
struct Attributes {
    files: u64,
    network: u64,
    scopes: u64,
}

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

impl Ruleset {
    /// # Errors
    /// When the kernel has no Landlock, or one that does not know all that is asked of it.
    pub fn new() -> io::Result<Self> {
        let version = version()?;
        if version < LEAST {
            return Err(io::Error::other(format!("its version is {version}; {LEAST} is needed (Linux 6.2)")));
        }
        let attributes = Attributes {
            files: if version >= WITH_IOCTL { ALL | IOCTL_DEV } else { ALL },
            network: 0,
            scopes: if version >= WITH_SCOPES { SCOPES } else { 0 },
        };
        let size = if version >= WITH_SCOPES { size_of::<Attributes>() } else { size_of::<u64>() };
        // SAFETY: the attributes are valid for the size that is said.
        let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0) };
        let fd = i32::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Opens a path and all below it. What is not there needs no rule; a symbolic link gives its own, not its target.
    ///
    /// # Errors
    /// When the kernel refuses the rule.
    pub fn allow(&self, path: &Path, access: Access) -> io::Result<()> {
        // Not by the standard library: with musl it takes O_PATH for an access mode and leaves it out, and then a pipe
        // that nobody writes to would hold up the agent, and devices would be opened.
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let Ok(file) = rustix::fs::open(path, flags, Mode::empty()) else { return Ok(()) };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
        if kind == FileType::Symlink {
            return Ok(());
        }
        let wanted = match access {
            Access::Read => READ,
            Access::Write => ALL & !(MAKE_CHAR | MAKE_BLOCK),
            Access::Use => READ_FILE | WRITE_FILE,
        };
        let allowed = if kind == FileType::Directory { wanted } else { wanted & FILE_RIGHTS };
        let beneath = Beneath { allowed, parent: file.as_raw_fd() };
        let (ruleset, rule) = (self.0.as_raw_fd(), &raw const beneath);
        // SAFETY: the rule is valid, and the kernel copies it.
        match unsafe { libc::syscall(libc::SYS_landlock_add_rule, ruleset, PATH_BENEATH, rule, 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Opens for reading all that there is but the `hidden` folder (and what comes to lie beside its ancestors later).
    ///
    /// # Errors
    /// When a folder on the way cannot be listed.
    pub fn allow_all_but(&self, hidden: &Path, access: Access) -> io::Result<()> {
        let hidden = hidden.canonicalize()?;
        for folder in hidden.ancestors().skip(1) {
            let kept = hidden.strip_prefix(folder).ok().and_then(|rest| rest.components().next());
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if kept.is_none_or(|kept| kept.as_os_str() != entry.file_name()) {
                    self.allow(&entry.path(), access)?;
                }
            }
        }
        Ok(())
    }

    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

fn version() -> io::Result<libc::c_long> {
    // SAFETY: with this flag nothing is read.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<Attributes>(), 0, VERSION)
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Puts the calling process, which must have no_new_privs, under a ruleset for good.
///
/// # Safety
/// For a forked child: it only makes a system call.
pub unsafe fn restrict(ruleset: i32) -> i32 {
    // SAFETY: plain numbers.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) };
    if answer < 0 { -1 } else { 0 }
}
