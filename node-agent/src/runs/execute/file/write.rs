//! `file.write`: puts a whole file in place in one step, and keeps what was there before for the undo.
//!
//! `saved` in the output names what was kept. An undo that writes exactly this name as its text puts the kept file back,
//! byte for byte and with its mode and owner, or deletes the file where there was none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::PathBuf;

use plan::policy::path::Access;
use plan::run::event::Work;
use rustix::fs::{AtFlags, Mode, OFlags};
use serde_json::{Value, json};

use super::Trouble;
use crate::disk;
use crate::runs::execute::Errand;
use crate::runs::execute::safe_path::{PathError, Place};

const MODE: u32 = 0o644;
/// Of a file that is kept for the undo.
const MOST_KEPT: u64 = 64 << 20;
const NONE: &str = ".none";

pub fn run(errand: &Errand) -> Result<Value, Trouble> {
    let place = Place::find(errand, errand.text("path").unwrap_or_default(), Access::Write)?;
    let text = errand.text("text").unwrap_or_default();
    let before = match place.open_file() {
        Ok(file) => Some(file),
        Err(PathError::NotThere { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if errand.work == Work::Undo
        && let Some(kept) = kept_by_name(errand, text)
    {
        return put_back(&place, &kept).map_err(Into::into);
    }
    let mode = mode(errand)?;
    let wanted = New { content: text.as_bytes(), mode, like: before.as_ref() };
    let is_same = before.as_ref().is_some_and(|file| is_same(file, text, mode));
    let saved = keep(errand, &place, before.as_ref())?;
    if !is_same {
        wanted.put(&place, &errand.key)?;
    }
    Ok(json!({"changed": !is_same, "saved": saved.to_string_lossy()}))
}

/// The mode in the arguments, such as `0644`. None that lets a program gain rights.
fn mode(errand: &Errand) -> Result<Option<u32>, PathError> {
    let Some(text) = errand.text("mode") else { return Ok(None) };
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
    mode.map(Some).ok_or_else(|| PathError::Forbidden(format!("{text} is no mode from 0000 to 0777")))
}

fn is_same(mut file: &File, text: &str, mode: Option<u32>) -> bool {
    let Ok(meta) = file.metadata() else { return false };
    if meta.len() != text.len() as u64 || mode.is_some_and(|mode| mode != meta.permissions().mode() & 0o7777)
    {
        return false;
    }
    let mut present = Vec::new();
    io::Read::read_to_end(&mut file, &mut present).is_ok() && present == text.as_bytes()
}

/// Copies what is there to the run's folder; synced, for it is wanted when things went wrong.
fn keep(errand: &Errand, place: &Place, before: Option<&File>) -> Result<PathBuf, PathError> {
    let folder = errand.live.folder.saved();
    let keep = || -> io::Result<PathBuf> {
        disk::make_dir(&folder, 0o700).map_err(|error| error.cause)?;
        let name = format!("{}-{}-{}", errand.step.id, errand.attempt, errand.key);
        let path = folder.join(if before.is_some() { name } else { format!("{name}{NONE}") });
        let mut copy =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        if let Some(before) = before {
            let meta = before.metadata()?;
            if meta.len() > MOST_KEPT {
                return Err(io::Error::other("the file is too large to be kept for an undo"));
            }
            rewind(before)?;
            io::copy(&mut &*before, &mut copy)?;
            fchown(&copy, Some(meta.uid()), Some(meta.gid()))?;
            copy.set_permissions(fs::Permissions::from_mode(meta.permissions().mode() & 0o777))?;
        }
        copy.sync_all()?;
        disk::sync_dir(&folder).map_err(|error| error.cause)?;
        Ok(path)
    };
    keep().map_err(|cause| place.system(cause))
}

fn rewind(mut file: &File) -> io::Result<()> {
    io::Seek::rewind(&mut file)
}

/// The kept file that a text names, if it is one of this run.
fn kept_by_name(errand: &Errand, text: &str) -> Option<PathBuf> {
    let folder = errand.live.folder.saved();
    let name = text.strip_prefix(folder.to_str()?)?.strip_prefix('/')?;
    let path = folder.join(name);
    (!name.contains('/') && path.symlink_metadata().is_ok_and(|meta| meta.is_file())).then_some(path)
}

fn put_back(place: &Place, kept: &PathBuf) -> Result<Value, PathError> {
    let saved = kept.to_string_lossy();
    if saved.ends_with(NONE) {
        return match rustix::fs::unlinkat(&place.dir, &place.name, AtFlags::empty()) {
            Ok(()) => Ok(json!({"changed": true, "saved": saved})),
            Err(rustix::io::Errno::NOENT) => Ok(json!({"changed": false, "saved": saved})),
            Err(cause) => Err(place.system(cause)),
        };
    }
    let file = File::open(kept).map_err(|cause| place.system(cause))?;
    let content = fs::read(kept).map_err(|cause| place.system(cause))?;
    New { content: &content, mode: None, like: Some(&file) }.put(place, "undo")?;
    Ok(json!({"changed": true, "saved": saved}))
}

/// A file to be put in place.
struct New<'n> {
    content: &'n [u8],
    mode: Option<u32>,
    /// Whose owner and mode it takes.
    like: Option<&'n File>,
}

impl New<'_> {
    /// Written beside and renamed: whoever reads finds the old file or the new one.
    fn put(&self, place: &Place, key: &str) -> Result<(), PathError> {
        let mut temp = std::ffi::OsString::from(".orchestrator-");
        temp.push(key);
        temp.push(".tmp");
        // One that a killed agent left.
        let _ = rustix::fs::unlinkat(&place.dir, &temp, AtFlags::empty());
        let put = self.write(place, &temp).and_then(|()| {
            rustix::fs::renameat(&place.dir, &temp, &place.dir, &place.name)?;
            let dir = rustix::fs::openat(&place.dir, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
            Ok(rustix::fs::fsync(&dir)?)
        });
        if put.is_err() {
            let _ = rustix::fs::unlinkat(&place.dir, &temp, AtFlags::empty());
        }
        put.map_err(|cause| place.system(cause))
    }

    fn write(&self, place: &Place, temp: &std::ffi::OsStr) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&place.dir, temp, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(self.content)?;
        let meta = self.like.map(File::metadata).transpose()?;
        if let Some(meta) = &meta {
            fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
        }
        let mode = self.mode.or(meta.map(|meta| meta.permissions().mode() & 0o777)).unwrap_or(MODE);
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    }
}
