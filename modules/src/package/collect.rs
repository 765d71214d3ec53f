//! Finds what belongs in a package, in the order it is packed.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use super::{IGNORE_FILE, PackageError, PackedFile};
use crate::unpack::path::{Kind, Tree};
use crate::unpack::{Limits, MANIFEST};

/// Something that belongs in the package.
#[derive(Debug)]
pub struct Found {
    /// In the package.
    pub path: String,
    /// On the disk.
    pub place: PathBuf,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    Folder,
    File { size: u64, is_executable: bool },
    Link { target: String },
}

impl Found {
    pub fn is_executable(&self) -> bool {
        match &self.content {
            Content::File { is_executable, .. } => *is_executable,
            Content::Folder | Content::Link { .. } => true,
        }
    }

    pub fn into_packed(self) -> Option<PackedFile> {
        match self.content {
            Content::Folder => None,
            Content::File { size, is_executable } => {
                Some(PackedFile { path: self.path, size, is_executable })
            }
            Content::Link { .. } => Some(PackedFile { path: self.path, size: 0, is_executable: false }),
        }
    }
}

/// Lists what belongs in the package of `folder`, sorted, all of it fit to be unpacked again.
pub fn collect(folder: &Path) -> Result<Vec<Found>, PackageError> {
    let limits = Limits::default();
    let mut found = walk(folder)?;
    if !found.iter().any(|entry| entry.path == MANIFEST) {
        // An ignore file cannot take away what makes it a package.
        found.extend(examine(folder, &folder.join(MANIFEST))?);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let mut tree = Tree::new(&limits);
    let mut total = 0;
    for entry in &found {
        let refused = |cause| PackageError::Refused { folder: folder.to_owned(), cause };
        let (kind, size) = match &entry.content {
            Content::Folder => (Kind::Folder, 0),
            Content::Link { target } => {
                tree.link_target(&entry.path, target.as_bytes()).map_err(refused)?;
                (Kind::Link, 0)
            }
            Content::File { size, .. } => (Kind::File, *size),
        };
        tree.plain_path(entry.path.as_bytes()).and_then(|path| tree.add(&path, kind)).map_err(refused)?;
        total += size;
    }
    if total > limits.package_bytes {
        return Err(PackageError::TooBig { folder: folder.to_owned(), limit: limits.package_bytes });
    }
    Ok(found)
}

fn walk(folder: &Path) -> Result<Vec<Found>, PackageError> {
    let mut builder = WalkBuilder::new(folder);
    builder.standard_filters(false).follow_links(false).add_custom_ignore_filename(IGNORE_FILE);
    builder.filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
    let mut found = Vec::new();
    for entry in builder.build() {
        let entry = entry.map_err(|cause| PackageError::Walk { path: folder.to_owned(), cause })?;
        if let Some(cause) = entry.error() {
            return Err(PackageError::Walk { path: entry.path().to_owned(), cause: cause.clone() });
        }
        if entry.depth() > 0 && entry.file_name() != IGNORE_FILE {
            found.extend(examine(folder, entry.path())?);
        }
    }
    Ok(found)
}

fn examine(folder: &Path, place: &Path) -> Result<Option<Found>, PackageError> {
    let unreadable = |cause| PackageError::Read { path: place.to_owned(), cause };
    let not_utf8 = || PackageError::NotUtf8 { path: place.to_owned() };
    let path = place.strip_prefix(folder).expect("the walk stays in the folder");
    let path = path.to_str().ok_or_else(not_utf8)?.to_owned();
    let metadata = fs::symlink_metadata(place).map_err(unreadable)?;
    let content = if metadata.is_symlink() {
        let target = fs::read_link(place).map_err(unreadable)?;
        Content::Link { target: target.to_str().ok_or_else(not_utf8)?.to_owned() }
    } else {
        examine_mode(place, &metadata)?;
        match special_kind(&metadata) {
            Some(kind) => return Err(PackageError::Special { path: place.to_owned(), kind }),
            None if metadata.is_dir() => Content::Folder,
            None => Content::File {
                size: metadata.len(),
                is_executable: metadata.permissions().mode() & 0o111 != 0,
            },
        }
    };
    Ok(Some(Found { path, place: place.to_owned(), content }))
}

/// Files must not be packed without a bit that they need. A folder's setgid bit is inherited and means nothing here.
fn examine_mode(place: &Path, metadata: &Metadata) -> Result<(), PackageError> {
    if metadata.is_file() && metadata.permissions().mode() & 0o7000 != 0 {
        return Err(PackageError::SpecialMode { path: place.to_owned() });
    }
    Ok(())
}

fn special_kind(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    match () {
        () if kind.is_file() || kind.is_dir() => None,
        () if kind.is_socket() => Some("socket"),
        () if kind.is_fifo() => Some("named pipe"),
        () => Some("device"),
    }
}

impl Content {
    /// The file's bytes, neither more nor fewer than were announced.
    pub fn exactly(file: File, size: u64) -> Exactly {
        Exactly { file, left: size, failure: None }
    }
}

/// See [`Content::exactly`].
pub struct Exactly {
    file: File,
    /// What has not come yet; after the end, what is missing.
    pub left: u64,
    pub failure: Option<io::Error>,
}

impl Exactly {
    pub fn has_more(&mut self) -> bool {
        self.file.read(&mut [0]).is_ok_and(|read| read > 0)
    }
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.file.read(&mut buffer[..wanted]) {
            Ok(read) => {
                self.left -= read as u64;
                Ok(read)
            }
            Err(cause) => {
                let kind = cause.kind();
                self.failure = Some(cause);
                Err(kind.into())
            }
        }
    }
}
