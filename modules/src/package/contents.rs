//! The files of a package, for whoever looks them over.

use std::fs::File;
use std::path::Path;

use super::PackageError;
use crate::unpack::archive::{self, Sink};
use crate::unpack::{Limits, UnpackError};

/// A file of a package, or as much of it as is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFile {
    pub path: String,
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// Of one file.
const FILE_BYTES: usize = 1 << 20;
/// Of all of them.
const TOTAL_BYTES: usize = 64 << 20;

/// Reads the files of a package, large ones in part.
///
/// # Errors
/// When it is no good package.
pub fn contents(path: &Path) -> Result<Vec<ContentFile>, PackageError> {
    let file = File::open(path).map_err(|cause| PackageError::Read { path: path.to_owned(), cause })?;
    let mut reader = Reader::default();
    archive::read(file, None, &Limits::default(), &mut reader)
        .map_err(|cause| PackageError::Bad { path: path.to_owned(), cause })?;
    Ok(reader.files)
}

#[derive(Default)]
struct Reader {
    files: Vec<ContentFile>,
    total: usize,
}

impl Sink for Reader {
    fn folder(&mut self, _path: &str) -> Result<(), UnpackError> {
        Ok(())
    }

    fn link(&mut self, _path: &str, _target: &str) -> Result<(), UnpackError> {
        Ok(())
    }

    fn begin(&mut self, path: &str, is_executable: bool, _size: u64) -> Result<(), UnpackError> {
        let mode = if is_executable { 0o755 } else { 0o644 };
        self.files.push(ContentFile { path: path.to_owned(), bytes: Vec::new(), mode });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        let file = self.files.last_mut().expect("begun");
        let room = (FILE_BYTES - file.bytes.len()).min(TOTAL_BYTES - self.total);
        let kept = &bytes[..bytes.len().min(room)];
        file.bytes.extend_from_slice(kept);
        self.total += kept.len();
        Ok(())
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        Ok(())
    }
}
