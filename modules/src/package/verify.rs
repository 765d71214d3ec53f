//! Checks a package without installing it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::{PackageError, PackedFile, image};
use crate::compose::module::ComposeFiles;
use crate::digest::Digest;
use crate::release::Release;
use crate::spec::ModuleSpec;
use crate::unpack::archive::{self, Sink};
use crate::unpack::{Limits, MANIFEST, UnpackError};

/// A package that could be installed.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    pub spec: ModuleSpec,
    pub digest: Digest,
    /// Of the package itself, in bytes.
    pub size: u64,
    pub files: Vec<PackedFile>,
    /// What its compose file needs, if it has one.
    pub compose: Option<ComposeFiles>,
}

impl Verified {
    pub fn release(&self) -> Release {
        Release { module: self.spec.name.clone(), version: self.spec.version.clone(), digest: self.digest }
    }
}

/// Reads a whole package as unpacking would, and its MODULE.yaml, and writes nothing.
///
/// # Errors
/// When the file cannot be read, is no good package, or its MODULE.yaml is wrong.
pub fn verify(path: &Path) -> Result<Verified, PackageError> {
    let file = File::open(path).map_err(|cause| PackageError::Read { path: path.to_owned(), cause })?;
    let mut contents = Contents::default();
    let read = archive::read(file, None, &Limits::default(), &mut contents);
    let (size, digest) = read.map_err(|cause| PackageError::Bad { path: path.to_owned(), cause })?;
    let name = format!("{}:{MANIFEST}", path.display());
    let mut spec = ModuleSpec::parse_bytes(&name, &contents.manifest)?;
    let texts = contents.texts;
    let paths = contents.files.keys().cloned().collect();
    let compose = ComposeFiles::gather(&spec, paths, &|path| texts.get(path).cloned())?;
    let files = contents.files.into_values().collect();
    image::fit(&mut spec, compose.as_ref(), |archive| image::in_package(path, archive))?;
    Ok(Verified { spec, digest, size, files, compose })
}

/// The most that is read of a MODULE.yaml; the parser refuses less than that.
const MANIFEST_BYTES: usize = 1 << 20;
/// What a compose file and those it names may have, each and together.
const TEXT_BYTES: usize = 2 << 20;
const TEXTS_BYTES: usize = 16 << 20;

/// Remembers names, sizes, the MODULE.yaml, and what could be a compose file or what one reads.
#[derive(Default)]
struct Contents {
    files: BTreeMap<String, PackedFile>,
    manifest: Vec<u8>,
    in_manifest: bool,
    texts: BTreeMap<String, Vec<u8>>,
    /// The file that is read, if it is small enough to be kept.
    open: Option<String>,
    kept: usize,
}

impl Sink for Contents {
    fn folder(&mut self, _path: &str) -> Result<(), UnpackError> {
        Ok(())
    }

    fn link(&mut self, path: &str, _target: &str) -> Result<(), UnpackError> {
        self.begin(path, false, 0)
    }

    fn begin(&mut self, path: &str, is_executable: bool, size: u64) -> Result<(), UnpackError> {
        self.in_manifest = path == MANIFEST;
        let size_kept = usize::try_from(size).unwrap_or(usize::MAX);
        let is_kept = size_kept <= TEXT_BYTES && self.kept.saturating_add(size_kept) <= TEXTS_BYTES;
        self.open = is_kept.then(|| path.to_owned());
        if is_kept {
            self.kept += size_kept;
            self.texts.insert(path.to_owned(), Vec::with_capacity(size_kept));
        }
        self.files.insert(path.to_owned(), PackedFile { path: path.to_owned(), size, is_executable });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        if self.in_manifest {
            let room = MANIFEST_BYTES - self.manifest.len();
            self.manifest.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        if let Some(text) = self.open.as_ref().and_then(|path| self.texts.get_mut(path)) {
            text.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        self.in_manifest = false;
        self.open = None;
        Ok(())
    }
}
