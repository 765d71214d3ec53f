//! Checks a package without installing it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::{PackageError, PackedFile};
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
    let spec = ModuleSpec::parse_bytes(&name, &contents.manifest)?;
    let files = contents.files.into_values().collect();
    Ok(Verified { spec, digest, size, files })
}

/// The most that is read of a MODULE.yaml; the parser refuses less than that.
const MANIFEST_BYTES: usize = 1 << 20;

/// Remembers names, sizes and the MODULE.yaml.
#[derive(Default)]
struct Contents {
    files: BTreeMap<String, PackedFile>,
    manifest: Vec<u8>,
    in_manifest: bool,
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
        self.files.insert(path.to_owned(), PackedFile { path: path.to_owned(), size, is_executable });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        if self.in_manifest {
            let room = MANIFEST_BYTES - self.manifest.len();
            self.manifest.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        self.in_manifest = false;
        Ok(())
    }
}
