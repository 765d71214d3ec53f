//! `file.list`: the largest files below a folder, within bounds of time and memory. Follows no links, and stays out of
//! what belongs to the agent.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use plan::glob;
use plan::policy::path::Access;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use serde_json::{Value, json};

use super::Trouble;
use crate::clock;
use crate::runs::execute::Errand;
use crate::runs::execute::safe_path::Place;

const MOST: u64 = 100;
const MAX_DEPTH: usize = 40;
/// Entries that are looked at.
const MAX_ENTRIES: u64 = 1_000_000;

/// What is looked for, and what was found.
struct Search<'e> {
    errand: &'e Errand,
    pattern: Option<&'e str>,
    /// Modified before this, in seconds since 1970.
    before: Option<i64>,
    larger_than: u64,
    most: usize,
    largest: BinaryHeap<Reverse<(u64, String)>>,
    count: u64,
    size_bytes: u64,
    entries: u64,
    is_cut: bool,
}

pub fn run(errand: &Errand) -> Result<Value, Trouble> {
    let place = Place::find(errand, errand.text("path").unwrap_or_default(), Access::Read)?;
    let folder = place.open_folder()?;
    let days = errand.number("older_than_days").and_then(|days| i64::try_from(days).ok());
    let most = errand.number("most").unwrap_or(MOST);
    let mut search = Search {
        errand,
        pattern: errand.text("pattern"),
        before: days.map(|days| clock::unix_ms() / 1000 - days * 86_400),
        larger_than: errand.number("larger_than_bytes").unwrap_or(0),
        most: usize::try_from(most).unwrap_or(usize::MAX),
        largest: BinaryHeap::new(),
        count: 0,
        size_bytes: 0,
        entries: 0,
        is_cut: false,
    };
    search.look_into(folder, &plain(&place.path), 0);
    if errand.stop.is_over() {
        return Err(Trouble::Partly("it took longer than its timeout, or was cancelled".to_owned()));
    }
    Ok(search.out())
}

/// It has other widths on 32-bit machines.
fn seconds(time: impl TryInto<i64>) -> i64 {
    time.try_into().unwrap_or(i64::MAX)
}

/// The root folder is reached as `/.`.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

impl Search<'_> {
    fn look_into(&mut self, folder: OwnedFd, path: &Path, depth: usize) {
        let is_own = |own: &String| path.starts_with(own);
        if self.errand.own.iter().any(is_own) {
            return;
        }
        let Ok(entries) = Dir::read_from(&folder) else {
            self.is_cut = true;
            return;
        };
        for entry in entries.flatten() {
            self.entries += 1;
            if self.entries > MAX_ENTRIES || self.errand.stop.is_over() {
                self.is_cut = true;
                return;
            }
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            // A name that is no text cannot be written down in a way that leads back to it.
            let Ok(text) = name.to_str() else {
                self.is_cut = true;
                continue;
            };
            let Ok(stat) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => {
                    let size = u64::try_from(stat.st_size).unwrap_or(0);
                    self.meet(&path.join(text), text, size, seconds(stat.st_mtime));
                }
                FileType::Directory if depth < MAX_DEPTH => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    match rustix::fs::openat(&folder, name, flags, Mode::empty()) {
                        Ok(inner) => self.look_into(inner, &path.join(text), depth + 1),
                        Err(_) => self.is_cut = true,
                    }
                }
                FileType::Directory => self.is_cut = true,
                _ => {}
            }
        }
    }

    fn meet(&mut self, path: &Path, name: &str, size: u64, modified: i64) {
        let fits = self.pattern.is_none_or(|pattern| glob::matches(pattern, name))
            && self.before.is_none_or(|before| modified < before)
            && (self.larger_than == 0 || size > self.larger_than);
        if !fits {
            return;
        }
        self.count += 1;
        self.size_bytes = self.size_bytes.saturating_add(size);
        self.largest.push(Reverse((size, path.to_string_lossy().into_owned())));
        if self.largest.len() > self.most {
            self.largest.pop();
            self.is_cut = true;
        }
    }

    fn out(self) -> Value {
        let mut room = self.errand.step.output_cap as usize;
        let mut is_cut = self.is_cut;
        let mut files = Vec::new();
        for Reverse((_, path)) in self.largest.into_sorted_vec() {
            if path.len() + 3 > room {
                is_cut = true;
                break;
            }
            room -= path.len() + 3;
            files.push(path);
        }
        json!({"files": files, "count": self.count, "size_bytes": self.size_bytes, "truncated": is_cut})
    }
}
