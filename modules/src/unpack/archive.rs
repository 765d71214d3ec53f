//! Walks the tar archive of a package, checks every entry, and hands the good ones to a [`Sink`].
//!
//! The walk is ours, not `tar`'s, because every long name, extension and end mark is to be bounded and checked.

use std::io::Read;

use tar::{EntryType, Header};

use super::path::{Kind, Tree};
use super::pax::{self, Pax};
use super::stream::Plain;
use super::{Limits, MANIFEST, UnpackError};
use crate::digest::Digest;

const BLOCK: u64 = 512;
/// Of a long name or an extended header: these are held in memory.
pub(crate) const TEXT_LIMIT: u64 = 64 << 10;
const SPECIAL_BITS: u32 = 0o7000;

/// Takes the checked entries of a package. Paths are relative, plain, and their folders come first.
pub trait Sink {
    fn folder(&mut self, path: &str) -> Result<(), UnpackError>;
    fn link(&mut self, path: &str, target: &str) -> Result<(), UnpackError>;
    fn begin(&mut self, path: &str, is_executable: bool, size: u64) -> Result<(), UnpackError>;
    fn data(&mut self, bytes: &[u8]) -> Result<(), UnpackError>;
    fn end(&mut self) -> Result<(), UnpackError>;
}

/// Reads a whole package into `sink` and gives its size and digest.
///
/// Where the bytes are not the expected ones, that is the error, whatever else the reading met.
pub fn read(
    reader: impl Read,
    expected: Option<(Digest, u64)>,
    limits: &Limits,
    sink: &mut dyn Sink,
) -> Result<(u64, Digest), UnpackError> {
    let most = expected.map_or(limits.package_bytes, |(_, size)| size);
    let mut plain = Plain::new(reader, most, limits);
    let walked =
        Walk { plain: &mut plain, sink, limits, tree: Tree::new(limits), next: Names::default() }.walk();
    let (size, digest) = plain.settle()?;
    if let Some((wanted, announced)) = expected {
        if size > announced {
            return Err(UnpackError::TooMuch { expected: announced });
        }
        if size < announced {
            return Err(UnpackError::SizeMismatch { expected: announced, found: size });
        }
        if digest != wanted {
            return Err(UnpackError::DigestMismatch { expected: wanted, found: digest });
        }
    } else if size > most {
        return Err(UnpackError::PackageTooBig { found: size, limit: most });
    }
    walked.map(|()| (size, digest))
}

/// Names that a header of their own gave for the next entry.
#[derive(Default)]
struct Names {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

struct Walk<'w, R> {
    plain: &'w mut Plain<R>,
    sink: &'w mut dyn Sink,
    limits: &'w Limits,
    tree: Tree,
    next: Names,
}

impl<R: Read> Walk<'_, R> {
    fn walk(mut self) -> Result<(), UnpackError> {
        self.plain.check_magic()?;
        let mut headers = 0;
        while let Some(header) = self.header()? {
            headers += 1;
            // An entry has at most three headers: a long name, a long link, its own.
            if headers > self.limits.entries.saturating_mul(3) {
                return Err(UnpackError::TooManyEntries { limit: self.limits.entries });
            }
            self.element(&header)?;
        }
        if self.next.path.is_some() || self.next.link.is_some() {
            return Err(UnpackError::Header { reason: "a long name without an entry" });
        }
        self.plain.finish()?;
        if headers == 0 {
            return Err(UnpackError::Empty);
        }
        if self.tree.is_file(MANIFEST) { Ok(()) } else { Err(UnpackError::NoManifest) }
    }

    /// The next header, or nothing at the archive's end mark.
    fn header(&mut self) -> Result<Option<Header>, UnpackError> {
        let mut header = Header::new_old();
        if self.plain.fill(header.as_mut_bytes())? {
            return Err(UnpackError::Truncated);
        }
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let expected = sum(&bytes[..148]) + sum(&bytes[156..]) + 8 * u32::from(b' ');
        if header.cksum().ok() != Some(expected) {
            return Err(UnpackError::Header { reason: "wrong checksum" });
        }
        Ok(Some(header))
    }

    fn element(&mut self, header: &Header) -> Result<(), UnpackError> {
        let size = header.entry_size().map_err(|_| UnpackError::Header { reason: "unreadable size" })?;
        if size > self.limits.unpacked_bytes {
            return Err(UnpackError::TooBig { limit: self.limits.unpacked_bytes });
        }
        match header.entry_type() {
            EntryType::GNULongName => {
                let text = self.text(size)?;
                set_once(&mut self.next.path, pax::until_nul(text))
            }
            EntryType::GNULongLink => {
                let text = self.text(size)?;
                set_once(&mut self.next.link, pax::until_nul(text))
            }
            EntryType::XHeader => {
                let text = self.text(size)?;
                let Pax { path, link } = pax::read(&text)?;
                path.map_or(Ok(()), |path| set_once(&mut self.next.path, path))?;
                link.map_or(Ok(()), |link| set_once(&mut self.next.link, link))
            }
            EntryType::XGlobalHeader => {
                let text = self.text(size)?;
                match pax::read(&text)? {
                    Pax { path: None, link: None } => Ok(()),
                    Pax { .. } => Err(UnpackError::Header { reason: "a path for all entries" }),
                }
            }
            kind => {
                let names = std::mem::take(&mut self.next);
                self.entry(header, kind, size, names)
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        names: Names,
    ) -> Result<(), UnpackError> {
        let raw = names.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let path = self.tree.plain_path(&raw)?;
        if let Some(error) = refused_kind(kind, &path) {
            return Err(error);
        }
        let mode = header.mode().map_err(|_| UnpackError::Header { reason: "unreadable mode" })?;
        if mode & SPECIAL_BITS != 0 {
            return Err(UnpackError::SpecialMode { path, mode: mode & 0o7777 });
        }
        match kind {
            EntryType::Directory => self.folder(&path, size),
            EntryType::Symlink => {
                let target = names.link.or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
                self.link(&path, &target.unwrap_or_default(), size)
            }
            _ if raw.ends_with(b"/") => Err(UnpackError::Header { reason: "a file whose name ends in '/'" }),
            _ => self.file(&path, mode & 0o111 != 0, size),
        }
    }

    fn folder(&mut self, path: &str, size: u64) -> Result<(), UnpackError> {
        if size != 0 {
            return Err(UnpackError::Header { reason: "a folder with content" });
        }
        self.place(path, Kind::Folder)
    }

    fn link(&mut self, path: &str, target: &[u8], size: u64) -> Result<(), UnpackError> {
        if size != 0 {
            return Err(UnpackError::Header { reason: "a link with content" });
        }
        let target = self.tree.link_target(path, target)?;
        self.place(path, Kind::Link)?;
        self.sink.link(path, &target)
    }

    fn file(&mut self, path: &str, is_executable: bool, size: u64) -> Result<(), UnpackError> {
        self.place(path, Kind::File)?;
        self.sink.begin(path, is_executable, size)?;
        let mut left = size;
        while left > 0 {
            let chunk = self.plain.chunk(left)?;
            if chunk.is_empty() {
                return Err(UnpackError::Truncated);
            }
            left -= chunk.len() as u64;
            self.sink.data(chunk)?;
        }
        self.sink.end()?;
        self.padding(size)
    }

    /// Claims the entry's place and makes the folders that are new by it.
    fn place(&mut self, path: &str, kind: Kind) -> Result<(), UnpackError> {
        for folder in self.tree.add(path, kind)? {
            self.sink.folder(&folder)?;
        }
        Ok(())
    }

    /// The content of a header that belongs to the next entry.
    fn text(&mut self, size: u64) -> Result<Vec<u8>, UnpackError> {
        if size > TEXT_LIMIT {
            return Err(UnpackError::Header { reason: "an extended header or name of more than 64 KiB" });
        }
        let mut text = vec![0; usize::try_from(size).expect("at most 64 KiB")];
        if size > 0 && self.plain.fill(&mut text)? {
            return Err(UnpackError::Truncated);
        }
        self.padding(size)?;
        Ok(text)
    }

    fn padding(&mut self, size: u64) -> Result<(), UnpackError> {
        let mut rest = [0; BLOCK as usize];
        let rest = &mut rest[..usize::try_from((BLOCK - size % BLOCK) % BLOCK).expect("less than a block")];
        if !rest.is_empty() && self.plain.fill(rest)? { Err(UnpackError::Truncated) } else { Ok(()) }
    }
}

fn set_once(slot: &mut Option<Vec<u8>>, name: Vec<u8>) -> Result<(), UnpackError> {
    match slot.replace(name) {
        None => Ok(()),
        Some(_) => Err(UnpackError::Header { reason: "two long names for one entry" }),
    }
}

/// The error for an entry that is neither file, folder nor symbolic link.
fn refused_kind(kind: EntryType, path: &str) -> Option<UnpackError> {
    let path = path.to_owned();
    let kind = match kind {
        EntryType::Regular | EntryType::Directory | EntryType::Symlink => return None,
        EntryType::Link => return Some(UnpackError::HardLink { path }),
        EntryType::Block | EntryType::Char => "device",
        EntryType::Fifo => "named pipe",
        EntryType::GNUSparse => "sparse file",
        EntryType::Continuous => "contiguous file",
        _ => "entry of unknown kind",
    };
    Some(UnpackError::Special { path, kind })
}
