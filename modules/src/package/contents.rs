//! The files of a package, for whoever looks them over.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use super::PackageError;
use crate::safety::{Beside, MAX_BYTES, has_commands, reached};
use crate::unpack::archive::{self, Sink};
use crate::unpack::{Limits, MANIFEST, UnpackError};

/// A file of a package, or as much of it as is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFile {
    pub path: String,
    pub bytes: Vec<u8>,
    pub mode: u32,
}

/// The files of a package, and what is known beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    pub files: Vec<ContentFile>,
    pub beside: Beside,
}

/// Of all files of one [`Share`], so that padding of one kind keeps no other from being looked at.
const SHARE_BYTES: [usize; 3] = [16 << 20, 16 << 20, 64 << 20];
/// Kept of every file, so that it is known what it is.
const HEAD_BYTES: usize = 64;
/// Among these first bytes of data there is a zero.
const PROBE_BYTES: usize = 8000;

/// Reads the files of a package, large ones and data in part.
///
/// # Errors
/// When it is no good package.
pub fn contents(path: &Path) -> Result<Contents, PackageError> {
    let file = File::open(path).map_err(|cause| PackageError::Read { path: path.to_owned(), cause })?;
    let mut reader = Reader::default();
    archive::read(file, None, &Limits::default(), &mut reader)
        .map_err(|cause| PackageError::Bad { path: path.to_owned(), cause })?;
    Ok(reader.contents)
}

/// What a file is counted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    /// The MODULE.yaml, and what it names.
    Named,
    /// Scripts, units, compose files.
    Commands,
    /// Other texts: code, and what may turn out to be run.
    Texts,
    Data,
}

#[derive(Default)]
struct Reader {
    contents: Contents,
    /// By [`Share`].
    kept: [usize; 3],
    /// Words of the MODULE.yaml.
    named: BTreeSet<String>,
    /// Of the file that is read, once its first bytes are there.
    share: Option<Share>,
}

impl Reader {
    fn share(&self, path: &str, begin: &[u8]) -> Share {
        if path == MANIFEST || self.named.contains(path) {
            Share::Named
        } else if has_commands(path, begin) {
            Share::Commands
        } else if begin[..begin.len().min(PROBE_BYTES)].contains(&0) {
            Share::Data
        } else {
            Share::Texts
        }
    }

    fn room(&self, share: Share, length: usize) -> usize {
        let head = HEAD_BYTES.saturating_sub(length);
        let left = SHARE_BYTES.get(share as usize).map_or(0, |most| most - self.kept[share as usize]);
        (MAX_BYTES - length).min(left).max(head)
    }
}

impl Sink for Reader {
    fn folder(&mut self, _path: &str) -> Result<(), UnpackError> {
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> Result<(), UnpackError> {
        self.contents.beside.links.insert(path.to_owned(), target.to_owned());
        Ok(())
    }

    fn begin(&mut self, path: &str, is_executable: bool, _size: u64) -> Result<(), UnpackError> {
        let mode = if is_executable { 0o755 } else { 0o644 };
        self.share = None;
        self.contents.files.push(ContentFile { path: path.to_owned(), bytes: Vec::new(), mode });
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), UnpackError> {
        let file = self.contents.files.last().expect("begun");
        let share = self.share.unwrap_or_else(|| self.share(&file.path, bytes));
        let room = self.room(share, file.bytes.len());
        self.share = Some(share);
        let kept = &bytes[..bytes.len().min(room)];
        let file = self.contents.files.last_mut().expect("begun");
        file.bytes.extend_from_slice(kept);
        if let Some(sum) = self.kept.get_mut(share as usize) {
            *sum = (*sum + kept.len()).min(SHARE_BYTES[share as usize]);
        }
        if kept.len() < bytes.len() && !self.contents.beside.cut.contains(&file.path) {
            self.contents.beside.cut.insert(file.path.clone());
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), UnpackError> {
        if let Some(file) = self.contents.files.last().filter(|file| file.path == MANIFEST) {
            self.named = reached::names_in(&file.bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_keeps_nothing_that_is_run_from_being_read() {
        let mut reader = Reader::default();
        let mut put = |path: &str, bytes: &[u8]| {
            reader.begin(path, false, bytes.len() as u64).expect("begins");
            bytes.chunks(1 << 16).for_each(|chunk| reader.data(chunk).expect("takes"));
            reader.end().expect("ends");
            let is_cut = reader.contents.beside.cut.contains(path);
            (reader.contents.files.last().expect("is there").bytes.len(), is_cut)
        };
        let pad = vec![b'x'; 3 << 19];
        for number in 0..70 {
            put(&format!("AAA/{number}"), &pad);
        }
        assert_eq!(put("AAA/image.png", &[&[0x89, 0][..], &pad].concat()), (64, true));
        assert_eq!(put("MODULE.yaml", b"install: [{run: [sh, ./setup]}]"), (31, false));
        assert_eq!(put("compose.yaml", &[b'a'; 1000]), (1000, false));
        assert_eq!(put("other", &[b'a'; 1000]), (64, true));
        assert_eq!(put("setup", &[b'a'; 1000]), (1000, false));
        assert_eq!(put("long.sh", &pad), (1 << 20, true));
    }
}
