//! Writes the entries of a package below one folder that nobody else writes to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::UnpackError;
use super::archive::Sink;

/// The folder written to, and the file being written.
pub struct Disk<'d> {
    root: &'d Path,
    file: Option<(PathBuf, File)>,
}

impl<'d> Disk<'d> {
    pub fn new(root: &'d Path) -> Self {
        Self { root, file: None }
    }
}

impl Sink for Disk<'_> {
    fn folder(&mut self, path: &str) -> Result<(), UnpackError> {
        let place = self.root.join(path);
        failed("make folder", &place, fs::create_dir(&place))?;
        failed("make folder", &place, fs::set_permissions(&place, PermissionsExt::from_mode(0o755)))
    }

    fn link(&mut self, path: &str, target: &str) -> Result<(), UnpackError> {
        let place = self.root.join(path);
        failed("make link", &place, symlink(target, &place))
    }

    fn begin(&mut self, path: &str, is_executable: bool, _size: u64) -> Result<(), UnpackError> {
        let place = self.root.join(path);
        let mode = if is_executable { 0o755 } else { 0o644 };
        let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(&place);
        let file = failed("create", &place, opened)?;
        // The umask may have taken bits away.
        failed("create", &place, file.set_permissions(PermissionsExt::from_mode(mode)))?;
        self.file = Some((place, file));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        let (place, file) = self.file.as_mut().expect("data comes after begin");
        failed("write", place, file.write_all(bytes))
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        self.file = None;
        Ok(())
    }
}

pub fn failed<T>(operation: &'static str, path: &Path, result: io::Result<T>) -> Result<T, UnpackError> {
    result.map_err(|cause| UnpackError::Disk { operation, path: path.to_owned(), cause })
}
