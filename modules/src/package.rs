//! Packages: a module's folder as a tar.gz that has the same bytes on any machine.
//!
//! Entries are sorted, without times and owners, modes are 644 or 755, the gzip header is fixed, and the
//! compressor is fed blocks of one size. What is packed obeys the rules that unpacking enforces.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use tempfile::SpooledTempFile;

use crate::compose::module::ComposeFiles;
use crate::digest::{Digest, Hasher};
use crate::image::archive::ArchiveError;
use crate::release::Release;
use crate::spec::ModuleSpec;
use crate::spec::error::{Report, SpecErrors};
use crate::unpack::{MANIFEST, UnpackError};

mod check;
mod collect;
mod contents;
mod image;
#[cfg(test)]
mod tests;
mod verify;

use collect::{Content, Found};
pub use contents::{ContentFile, Contents, contents};
pub use verify::{Verified, verify};

/// Like `.gitignore`, for what does not belong in the package.
pub const IGNORE_FILE: &str = ".orchestratorignore";
/// Small packages stay in memory.
const IN_MEMORY: usize = 16 << 20;
const BLOCK: usize = 64 << 10;
/// Most of what level 6 saves, in a third of its time.
const LEVEL: Compression = Compression::new(3);

/// A packed module.
#[derive(Debug)]
pub struct Package {
    pub spec: ModuleSpec,
    pub digest: Digest,
    /// Of the package itself, in bytes.
    pub size: u64,
    /// In the package's order.
    pub files: Vec<PackedFile>,
    /// What its compose file needs, if it has one.
    pub compose: Option<ComposeFiles>,
    bytes: SpooledTempFile,
}

/// An entry of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFile {
    pub path: String,
    pub size: u64,
    pub is_executable: bool,
}

/// Why a folder cannot be packed, or a package is not good.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("{path} is no module: it has no {MANIFEST}", path = path.display())]
    NoManifest { path: PathBuf },
    #[error("{0}")]
    Spec(#[from] SpecErrors),
    #[error("could not read {path}", path = path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("could not look through {path}", path = path.display())]
    Walk {
        path: PathBuf,
        #[source]
        cause: ignore::Error,
    },
    #[error("{path} is a {kind}, which packages cannot hold", path = path.display())]
    Special { path: PathBuf, kind: &'static str },
    #[error("{path} has the setuid, setgid or sticky bit", path = path.display())]
    SpecialMode { path: PathBuf },
    #[error("the name of {path} is not UTF-8", path = path.display())]
    NotUtf8 { path: PathBuf },
    #[error("{path} changed while it was packed", path = path.display())]
    Changed { path: PathBuf },
    #[error("{folder} has more than {limit} bytes", folder = folder.display())]
    TooBig { folder: PathBuf, limit: u64 },
    #[error("{folder} cannot be packed", folder = folder.display())]
    Refused {
        folder: PathBuf,
        #[source]
        cause: UnpackError,
    },
    #[error("the image in {path} cannot be used")]
    Image {
        path: String,
        #[source]
        cause: ArchiveError,
    },
    #[error("the image {image} in {path} is for {is_for}, and the module for {asked}")]
    ImageArch { image: String, path: String, is_for: String, asked: String },
    #[error("could not write the package")]
    Write {
        #[source]
        cause: io::Error,
    },
    #[error("{path} is not a good package", path = path.display())]
    Bad {
        path: PathBuf,
        #[source]
        cause: UnpackError,
    },
}

impl PackageError {
    pub fn hint(&self) -> Option<String> {
        match self {
            PackageError::Special { .. } | PackageError::TooBig { .. } => {
                Some(format!("name what does not belong in the package in {IGNORE_FILE}"))
            }
            PackageError::SpecialMode { path } => Some(format!("chmod u-s,g-s,-t {}", path.display())),
            PackageError::Refused { cause, .. } | PackageError::Bad { cause, .. } => {
                cause.hint().map(str::to_owned)
            }
            PackageError::Changed { .. } => Some("try again".to_owned()),
            PackageError::ImageArch { .. } => {
                Some("save the image for the processor of the nodes, or change requires.arch".to_owned())
            }
            PackageError::NoManifest { .. }
            | PackageError::Image { .. }
            | PackageError::Spec(_)
            | PackageError::Read { .. }
            | PackageError::Walk { .. }
            | PackageError::NotUtf8 { .. }
            | PackageError::Write { .. } => None,
        }
    }
}

impl Package {
    pub fn release(&self) -> Release {
        Release { module: self.spec.name.clone(), version: self.spec.version.clone(), digest: self.digest }
    }

    /// The package's bytes, from the start.
    ///
    /// # Errors
    /// When the temporary file that holds a large package cannot be read.
    pub fn reader(&mut self) -> io::Result<impl Read + '_> {
        self.bytes.rewind()?;
        Ok(&mut self.bytes)
    }

    /// # Errors
    /// As [`Package::reader`].
    pub fn into_bytes(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or_default());
        self.reader()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Packs the module in `folder`, after checking it.
///
/// # Errors
/// When MODULE.yaml is missing or wrong, a file cannot be read, or something cannot be in a package.
pub fn pack(folder: &Path) -> Result<Package, PackageError> {
    let (mut spec, report) = read(folder)?;
    let found = collect::collect(folder)?;
    let compose = check::check(&spec, report, &found)?;
    image::fit(&mut spec, compose.as_ref(), |path| image::in_folder(folder, path))?;
    let failed = |cause| PackageError::Write { cause };
    let output = Digesting { inner: SpooledTempFile::new(IN_MEMORY), hasher: Hasher::default(), size: 0 };
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(output, LEVEL);
    let mut archive = tar::Builder::new(Blocks { inner: gzip, block: Vec::with_capacity(BLOCK) });
    for entry in &found {
        append(&mut archive, entry)?;
    }
    let gzip = archive.into_inner().and_then(Blocks::finish).map_err(failed)?;
    let output = gzip.finish().map_err(failed)?;
    let files = found.into_iter().filter_map(Found::into_packed).collect();
    let (digest, size) = (output.hasher.finish(), output.size);
    Ok(Package { spec, digest, size, files, compose, bytes: output.inner })
}

/// Reads the MODULE.yaml in `folder`; errors name it by its path.
///
/// # Errors
/// When it is missing, unreadable or wrong.
pub fn read_spec(folder: &Path) -> Result<ModuleSpec, PackageError> {
    read(folder).map(|(spec, _)| spec)
}

fn read(folder: &Path) -> Result<(ModuleSpec, Report), PackageError> {
    let path = folder.join(MANIFEST);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(ModuleSpec::parse_reporting(&path.display().to_string(), &bytes)?),
        Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(PackageError::NoManifest { path: folder.to_owned() })
        }
        Err(cause) => Err(PackageError::Read { path, cause }),
    }
}

fn append<W: Write>(archive: &mut tar::Builder<W>, entry: &Found) -> Result<(), PackageError> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(if entry.is_executable() { 0o755 } else { 0o644 });
    header.set_size(0);
    let failed = |cause| PackageError::Write { cause };
    match &entry.content {
        Content::Folder => {
            header.set_entry_type(tar::EntryType::Directory);
            archive.append_data(&mut header, format!("{}/", entry.path), io::empty()).map_err(failed)
        }
        Content::Link { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            archive.append_link(&mut header, &entry.path, target).map_err(failed)
        }
        Content::File { size, .. } => {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(*size);
            append_file(archive, &mut header, entry, *size)
        }
    }
}

fn append_file<W: Write>(
    archive: &mut tar::Builder<W>,
    header: &mut tar::Header,
    entry: &Found,
    size: u64,
) -> Result<(), PackageError> {
    let unreadable = |cause| PackageError::Read { path: entry.place.clone(), cause };
    let file = File::open(&entry.place).map_err(unreadable)?;
    let mut content = Content::exactly(file, size);
    let appended = archive.append_data(header, &entry.path, &mut content);
    if let Some(cause) = content.failure {
        return Err(unreadable(cause));
    }
    if content.left != 0 || content.has_more() {
        return Err(PackageError::Changed { path: entry.place.clone() });
    }
    appended.map_err(|cause| PackageError::Write { cause })
}

/// Counts and digests what is written.
struct Digesting<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Hands on blocks of one size, however the writes came: a compressor's output depends on how it is fed.
struct Blocks<W> {
    inner: W,
    block: Vec<u8>,
}

impl<W: Write> Blocks<W> {
    fn finish(mut self) -> io::Result<W> {
        self.inner.write_all(&self.block)?;
        Ok(self.inner)
    }
}

impl<W: Write> Write for Blocks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.inner.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
