//! Opening what a path names and nothing else: no link is followed on the way, and where the way really leads is judged
//! once more, at the moment of use.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use plan::policy::path::{self as paths, Access};
use plan::policy::verdict::Decision;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::{Errand, second_name};
use crate::runs::look::Node;

/// Why a path was not opened.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("{path} is a link; hint: name the place that it leads to")]
    Link { path: String },
    #[error("{path} is not there")]
    NotThere { path: String },
    #[error("{path} is no {expected}")]
    Other { path: String, expected: &'static str },
    #[error("{0}")]
    Forbidden(String),
    #[error("{path:?} is no plain path")]
    NotPlain { path: String },
    #[error("{path}: {cause}")]
    System { path: String, cause: io::Error },
}

/// A folder that was reached without a link, and a name in it.
#[derive(Debug)]
pub struct Place {
    pub dir: OwnedFd,
    pub name: std::ffi::OsString,
    pub path: PathBuf,
    /// What belongs to the agent.
    own: Arc<[String]>,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Place {
    /// Walks to the folder of a path, and judges where it has come to.
    ///
    /// # Errors
    /// When a link is in the way, a folder is not there, or the policy is against it.
    pub fn find(errand: &Errand, path: &str, access: Access) -> Result<Self, PathError> {
        let (folders, name) = split(path)?;
        let dir = walk(&folders, path)?;
        let place = Self { path: real(&dir, path)?.join(&name), dir, name, own: errand.own.clone() };
        place.judge(errand, access)?;
        Ok(place)
    }

    /// The policy's limits, on where this really is.
    fn judge(&self, errand: &Errand, access: Access) -> Result<(), PathError> {
        let path = self.path.to_string_lossy();
        let node = Node { policy: &errand.terms.policy, own: &errand.own };
        let verdict = node.with(|look| paths::judge(&errand.terms.policy, &path, access, look));
        match verdict.decision {
            Decision::Allow | Decision::Ask => Ok(()),
            Decision::Forbid => Err(PathError::Forbidden(verdict.reason())),
        }
    }

    pub fn kind(&self) -> Result<Option<FileType>, PathError> {
        match rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(cause) => Err(self.system(cause)),
        }
    }

    /// A regular file, to be read.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn open_file(&self) -> Result<File, PathError> {
        let path = || self.path.to_string_lossy().into_owned();
        match self.kind()? {
            None => return Err(PathError::NotThere { path: path() }),
            Some(FileType::RegularFile) => {}
            Some(FileType::Symlink) => return Err(PathError::Link { path: path() }),
            Some(_) => return Err(PathError::Other { path: path(), expected: "regular file" }),
        }
        // Not to wait for the other end of a pipe that has taken its place since.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = rustix::fs::openat(&self.dir, &self.name, flags, Mode::empty());
        let file = File::from(file.map_err(|cause| self.system(cause))?);
        let meta = file.metadata().map_err(|cause| self.system(cause))?;
        if !meta.is_file() {
            return Err(PathError::Other { path: path(), expected: "regular file" });
        }
        match second_name::is_own(&meta, &self.own).map_err(|cause| self.system(cause))? {
            true => Err(PathError::Forbidden(format!("{} belongs to the agent", path()))),
            false => Ok(file),
        }
    }

    /// # Errors
    /// When it is no folder, or a link to one.
    pub fn open_folder(&self) -> Result<OwnedFd, PathError> {
        if self.kind()? == Some(FileType::Symlink) {
            return Err(PathError::Link { path: self.path.to_string_lossy().into_owned() });
        }
        let opened = rustix::fs::openat(&self.dir, &self.name, FOLDER | OFlags::RDONLY, Mode::empty());
        opened.map_err(|cause| self.system(cause))
    }

    pub fn system(&self, cause: impl Into<io::Error>) -> PathError {
        system(&self.path, cause.into())
    }
}

/// The folders above, and the last name; `.` and `..` are in no plain path.
fn split(path: &str) -> Result<(Vec<&OsStr>, std::ffi::OsString), PathError> {
    let not_plain = || PathError::NotPlain { path: path.chars().take(200).collect() };
    if !path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| matches!(part, "." | ".."))
    {
        return Err(not_plain());
    }
    let names = Path::new(path).components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let mut names: Vec<&OsStr> = names.collect();
    let name = names.pop().map_or_else(|| OsStr::new(".").to_owned(), OsStr::to_owned);
    Ok((names, name))
}

fn walk(folders: &[&OsStr], path: &str) -> Result<OwnedFd, PathError> {
    let mut at = PathBuf::from("/");
    let root = rustix::fs::open("/", FOLDER | OFlags::PATH, Mode::empty());
    let mut dir = root.map_err(|cause| system(&at, cause.into()))?;
    for name in folders {
        at.push(name);
        dir = rustix::fs::openat(&dir, *name, FOLDER | OFlags::PATH, Mode::empty()).map_err(|cause| {
            let kind = rustix::fs::statat(&dir, *name, AtFlags::SYMLINK_NOFOLLOW);
            let kind = kind.map(|stat| FileType::from_raw_mode(stat.st_mode));
            let shown = at.to_string_lossy().into_owned();
            match (cause, kind) {
                (_, Ok(FileType::Symlink)) => PathError::Link { path: shown },
                (rustix::io::Errno::NOENT, _) => PathError::NotThere { path: path.to_owned() },
                (rustix::io::Errno::NOTDIR, _) => PathError::Other { path: shown, expected: "folder" },
                _ => system(&at, cause.into()),
            }
        })?;
    }
    Ok(dir)
}

/// Where an open folder is, by the kernel's word.
fn real(dir: &OwnedFd, path: &str) -> Result<PathBuf, PathError> {
    let link = format!("/proc/self/fd/{}", dir.as_raw_fd());
    std::fs::read_link(link).map_err(|cause| system(Path::new(path), cause))
}

fn system(path: &Path, cause: io::Error) -> PathError {
    PathError::System { path: path.to_string_lossy().into_owned(), cause }
}
