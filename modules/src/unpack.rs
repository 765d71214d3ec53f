//! Unpacks packages that nobody vouches for: verified while they stream, into a temporary folder,
//! which becomes the release's folder by one rename or leaves nothing behind.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::digest::Digest;

pub(crate) mod archive;
mod disk;
mod incoming;
pub(crate) mod path;
pub(crate) mod pax;
mod stream;
#[cfg(test)]
mod tests;

pub use incoming::sweep;

/// The file every package has at its top.
pub const MANIFEST: &str = "MODULE.yaml";

/// How much a package may ask of the machine that unpacks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the package as it travels.
    pub package_bytes: u64,
    /// Of the archive inside, headers included.
    pub unpacked_bytes: u64,
    /// Files, folders and links together.
    pub entries: usize,
    /// Unpacked bytes for each packed one, once past the first MiB.
    pub ratio: u64,
    pub path_bytes: usize,
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            package_bytes: 1 << 30,
            unpacked_bytes: 4 << 30,
            entries: 50_000,
            ratio: 200,
            path_bytes: 1024,
            depth: 32,
        }
    }
}

/// What [`unpack`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Stored,
    /// The release was there already; nothing was read.
    Present,
}

/// Who has to act on an [`UnpackError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The package itself is bad and will be again.
    Package,
    /// The bytes did not arrive as they were sent; sending again may help.
    Transfer,
    /// This machine could not store it.
    Disk,
}

/// Why a package was not unpacked. Nothing of it is left on the disk.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("could not read the package")]
    Read {
        #[source]
        cause: io::Error,
    },
    #[error("could not {operation} {path}", path = path.display())]
    Disk {
        operation: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the package has {found} bytes, announced were {expected}")]
    SizeMismatch { expected: u64, found: u64 },
    #[error("the package has more than the {expected} bytes that were announced")]
    TooMuch { expected: u64 },
    #[error("the package's digest is {found}, expected was {expected}")]
    DigestMismatch { expected: Digest, found: Digest },
    #[error("the package is not gzip")]
    NotGzip,
    #[error("the package ends too early")]
    Truncated,
    #[error("the package's compressed stream is corrupt")]
    Corrupt {
        #[source]
        cause: io::Error,
    },
    #[error("the package has data after its end")]
    TrailingData,
    #[error("the package is empty")]
    Empty,
    #[error("the package has no file {MANIFEST} at its top")]
    NoManifest,
    #[error("the package has {found} bytes, at most {limit} are allowed")]
    PackageTooBig { found: u64, limit: u64 },
    #[error("the package unpacks to more than the allowed {limit} bytes")]
    TooBig { limit: u64 },
    #[error("the package has more than the allowed {limit} files and folders")]
    TooManyEntries { limit: usize },
    #[error("the package unpacks to more than {limit} times its size")]
    Ratio { limit: u64 },
    #[error("a path of {found} bytes is too long, at most {limit} are allowed: {path:?}…")]
    PathTooLong { path: String, found: usize, limit: usize },
    #[error("{path:?} is nested deeper than the allowed {limit} folders")]
    TooDeep { path: String, limit: usize },
    #[error("a path is not UTF-8: {path:?}")]
    NotUtf8 { path: String },
    #[error("{path:?} has a control character in its name")]
    ControlCharacter { path: String },
    #[error("an entry has an empty path")]
    EmptyPath,
    #[error("{path:?} is an absolute path")]
    Absolute { path: String },
    #[error("{path:?} leaves the package by \"..\"")]
    Parent { path: String },
    #[error("link {path:?} leaves the package: {target:?}")]
    LinkLeaves { path: String, target: String },
    #[error("{path:?} goes through the link {link:?}")]
    ThroughLink { path: String, link: String },
    #[error("{path:?} is a hard link, which packages cannot hold")]
    HardLink { path: String },
    #[error("{path:?} is a {kind}, which packages cannot hold")]
    Special { path: String, kind: &'static str },
    #[error("{path:?} has the setuid, setgid or sticky bit (mode {mode:o})")]
    SpecialMode { path: String, mode: u32 },
    #[error("{path:?} is there twice")]
    Duplicate { path: String },
    #[error("{path:?} is there both as a file and as a folder")]
    Conflict { path: String },
    #[error("bad header in the archive: {reason}")]
    Header { reason: &'static str },
    #[error("the extended header has {key:?}, which packages cannot hold")]
    Extension { key: String },
}

impl UnpackError {
    pub fn fault(&self) -> Fault {
        match self {
            UnpackError::Read { .. }
            | UnpackError::SizeMismatch { .. }
            | UnpackError::TooMuch { .. }
            | UnpackError::DigestMismatch { .. } => Fault::Transfer,
            UnpackError::Disk { .. } => Fault::Disk,
            _ => Fault::Package,
        }
    }

    /// What the person can do about it, where we know.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            UnpackError::Disk { cause, .. } if cause.kind() == io::ErrorKind::StorageFull => {
                Some("free some disk space on the node and try again")
            }
            UnpackError::Disk { cause, .. } if cause.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                Some("the node's data folder is on a read-only file system; remount it writable")
            }
            UnpackError::NoManifest => {
                Some("pack the module's folder with \"orchestrator module pack\", not its parent folder")
            }
            UnpackError::HardLink { .. } | UnpackError::Special { .. } | UnpackError::SpecialMode { .. } => {
                Some("pack the module with \"orchestrator module pack\"")
            }
            UnpackError::SizeMismatch { .. } | UnpackError::DigestMismatch { .. } => {
                Some("the transfer was cut or damaged; try again")
            }
            _ => None,
        }
    }
}

/// Unpacks the package that `reader` gives into `releases_dir/<hex digest>`, unless it is there already.
///
/// # Errors
/// When the bytes are not the announced ones, the package is malformed or hostile, or the disk refuses.
/// Nothing is left behind then.
pub fn unpack(
    reader: impl Read,
    expected: &Digest,
    size: u64,
    releases_dir: &Path,
    limits: &Limits,
) -> Result<Outcome, UnpackError> {
    let target = releases_dir.join(expected.hex());
    if target.is_dir() {
        return Ok(Outcome::Present);
    }
    if size > limits.package_bytes {
        return Err(UnpackError::PackageTooBig { found: size, limit: limits.package_bytes });
    }
    let incoming = incoming::Incoming::create(releases_dir)?;
    let mut disk = disk::Disk::new(incoming.path());
    archive::read(reader, Some((*expected, size)), limits, &mut disk)?;
    incoming.keep(&target)
}
