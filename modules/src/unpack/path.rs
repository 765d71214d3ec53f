//! The paths of a package's entries: what a path and a link may look like, and what is there already.

use std::collections::BTreeMap;

use super::{Limits, UnpackError};

const NAME_MAX: usize = 255;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link,
    /// A folder that only shows as part of another entry's path.
    ImpliedFolder,
}

/// Everything the package has brought so far.
pub struct Tree {
    entries: BTreeMap<String, Kind>,
    limits: Limits,
}

impl Tree {
    pub fn new(limits: &Limits) -> Self {
        // The package's top folder is there from the start, whether the archive names it or not.
        Self { entries: BTreeMap::from([(String::new(), Kind::ImpliedFolder)]), limits: *limits }
    }

    pub fn is_file(&self, path: &str) -> bool {
        self.entries.get(path) == Some(&Kind::File)
    }

    /// The entry's path without `.` and empty parts; empty for the package's top folder itself.
    pub fn plain_path(&self, raw: &[u8]) -> Result<String, UnpackError> {
        let text = self.text(raw)?;
        if text.is_empty() {
            return Err(UnpackError::EmptyPath);
        }
        if text.starts_with('/') {
            return Err(UnpackError::Absolute { path: text.to_owned() });
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err(UnpackError::Parent { path: text.to_owned() });
        }
        if parts.len() > self.limits.depth {
            return Err(UnpackError::TooDeep { path: shortened(text), limit: self.limits.depth });
        }
        if let Some(part) = parts.iter().find(|part| part.len() > NAME_MAX) {
            return Err(UnpackError::PathTooLong {
                path: shortened(part),
                found: part.len(),
                limit: NAME_MAX,
            });
        }
        Ok(parts.join("/"))
    }

    /// The target of the link at `path`, if it stays in the package.
    ///
    /// `..` is allowed at the front only: the link's own folder is a real one, so going up from it is exact, and
    /// from there on every step is into a real folder or through a link that obeys the same rule.
    pub fn link_target(&self, path: &str, raw: &[u8]) -> Result<String, UnpackError> {
        let target = self.text(raw)?;
        let leaves = || UnpackError::LinkLeaves { path: path.to_owned(), target: target.to_owned() };
        if target.is_empty() || target.starts_with('/') {
            return Err(leaves());
        }
        let parts: Vec<&str> = target.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let ups = parts.iter().take_while(|part| **part == "..").count();
        if parts[ups..].contains(&"..") || ups > path.matches('/').count() {
            return Err(leaves());
        }
        Ok(target.to_owned())
    }

    fn text<'t>(&self, raw: &'t [u8]) -> Result<&'t str, UnpackError> {
        if raw.len() > self.limits.path_bytes {
            let path = shortened(&String::from_utf8_lossy(raw));
            return Err(UnpackError::PathTooLong { path, found: raw.len(), limit: self.limits.path_bytes });
        }
        let text = std::str::from_utf8(raw)
            .map_err(|_| UnpackError::NotUtf8 { path: String::from_utf8_lossy(raw).into_owned() })?;
        if text.chars().any(char::is_control) {
            return Err(UnpackError::ControlCharacter { path: text.to_owned() });
        }
        Ok(text)
    }

    /// Notes an entry, after checking that every folder above it is one and that its own place is free.
    /// Gives the folders that are new by it, from the top down.
    pub fn add(&mut self, path: &str, kind: Kind) -> Result<Vec<String>, UnpackError> {
        let mut new = Vec::new();
        for (end, _) in path.match_indices('/') {
            let above = &path[..end];
            match self.entries.get(above) {
                Some(Kind::Folder | Kind::ImpliedFolder) => {}
                Some(Kind::File) => return Err(UnpackError::Conflict { path: above.to_owned() }),
                Some(Kind::Link) => {
                    return Err(UnpackError::ThroughLink { path: path.to_owned(), link: above.to_owned() });
                }
                None => {
                    self.note(above, Kind::ImpliedFolder)?;
                    new.push(above.to_owned());
                }
            }
        }
        match (self.entries.get(path), kind) {
            (None, Kind::Folder) => {
                self.note(path, kind)?;
                new.push(path.to_owned());
            }
            (None, _) | (Some(Kind::ImpliedFolder), Kind::Folder) => self.note(path, kind)?,
            (Some(Kind::Folder | Kind::ImpliedFolder), Kind::File | Kind::Link)
            | (Some(Kind::File | Kind::Link), Kind::Folder) => {
                return Err(UnpackError::Conflict { path: path.to_owned() });
            }
            (Some(_), _) => return Err(UnpackError::Duplicate { path: path.to_owned() }),
        }
        Ok(new)
    }

    fn note(&mut self, path: &str, kind: Kind) -> Result<(), UnpackError> {
        self.entries.insert(path.to_owned(), kind);
        if self.entries.len() > self.limits.entries.saturating_add(1) {
            return Err(UnpackError::TooManyEntries { limit: self.limits.entries });
        }
        Ok(())
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
