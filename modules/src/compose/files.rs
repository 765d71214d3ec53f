//! The files that a compose file names: found by their path, read once, never outside the folder.

use std::collections::BTreeMap;

use super::Source;
use super::interpolate::{Values, interpolate, literal};
use super::log::{At, Log};
use super::node::Node;
use super::tree;
use super::{dotenv, project, read::outside};

const MAX_FILES: usize = 64;

/// Reads files for one project.
pub struct Files<'s> {
    source: &'s Source<'s>,
    pub values: Values,
    trees: BTreeMap<String, Option<Node>>,
}

impl<'s> Files<'s> {
    /// With the variables of the caller and of the `.env` beside the file.
    pub fn new(source: &'s Source<'s>, log: &mut Log) -> Self {
        let mut files = Self { source, values: source.env.clone(), trees: BTreeMap::new() };
        let file = log.file(source.file);
        let path = resolve(log.folder(file), ".env").unwrap_or_default();
        if let Some(bytes) = (source.files)(&path) {
            let at = At { file: log.file(&path), place: crate::spec::error::START };
            for (key, value) in files.env(&bytes, false, at, log) {
                if let Some(value) = value {
                    files.values.entry(key).or_insert(value);
                }
            }
        }
        files
    }

    /// The tree of the compose file itself.
    pub fn main(&mut self, log: &mut Log) -> Option<Node> {
        let file = log.file(self.source.file);
        self.tree(file, self.source.text, project::whole, log)
    }

    /// The tree of another compose file, which the node at `at` names.
    pub fn compose(&mut self, path: &str, at: At, field: &str, log: &mut Log) -> Option<Node> {
        let bytes = match self.bytes(path, at, field, log) {
            Some((resolved, _)) if self.trees.contains_key(&resolved) => {
                return self.trees[&resolved].clone();
            }
            Some(found) => found,
            None => return None,
        };
        if self.trees.len() == MAX_FILES {
            log.wrong(at, field, "yet another file", format!("at most {MAX_FILES}"), None);
            return None;
        }
        let (resolved, bytes) = bytes;
        let file = log.file(&resolved);
        let tree = self.tree(file, &bytes, |node, _| node, log);
        self.trees.insert(resolved, tree.clone());
        tree
    }

    fn tree(
        &mut self,
        file: u16,
        bytes: &[u8],
        prepare: impl FnOnce(Node, &mut Log) -> Node,
        log: &mut Log,
    ) -> Option<Node> {
        let text = text(file, bytes, log)?;
        let node = tree::parse(file, &text, log)?;
        let mut node = prepare(node, log);
        interpolate(&mut node, "", &self.values, log);
        Some(node)
    }

    /// The variables of an env file; in a raw one each line stands for itself.
    pub fn env_file(
        &mut self,
        path: &str,
        is_raw: bool,
        at: At,
        field: &str,
        log: &mut Log,
    ) -> Vec<(String, Option<String>)> {
        let Some((resolved, bytes)) = self.bytes(path, at, field, log) else { return Vec::new() };
        let at = At { file: log.file(&resolved), place: crate::spec::error::START };
        self.env(&bytes, is_raw, at, log)
    }

    pub fn exists(&self, path: &str, at: At, log: &Log) -> bool {
        resolve(log.folder(at.file), path).is_some_and(|path| (self.source.files)(&path).is_some())
    }

    fn env(&self, bytes: &[u8], is_raw: bool, at: At, log: &mut Log) -> Vec<(String, Option<String>)> {
        let Some(text) = text(at.file, bytes, log) else { return Vec::new() };
        let (found, bad) = match is_raw {
            true => dotenv::parse_raw(&text),
            false => dotenv::parse(&text, &self.values),
        };
        for line in bad {
            let place = crate::spec::error::Place { line: line.line, column: 1 };
            let at = At { file: at.file, place };
            log.wrong(at, "", format!("{:?}", outside(&line.text)), "KEY=value", None);
        }
        found
    }

    fn bytes(&self, path: &str, at: At, field: &str, log: &mut Log) -> Option<(String, Vec<u8>)> {
        let Some(resolved) = resolve(log.folder(at.file), path) else {
            let found = format!("the file {path:?}");
            log.wrong(at, field, found, "a file in the folder of the compose file", None);
            return None;
        };
        let Some(bytes) = (self.source.files)(&resolved) else {
            let expected = "a file that is there".to_owned();
            log.wrong(at, field, format!("the file {:?}, which is missing", literal(path)), expected, None);
            return None;
        };
        Some((resolved, bytes))
    }
}

/// The bytes as text; the lenient take what is no text for question marks.
fn text(file: u16, bytes: &[u8], log: &mut Log) -> Option<String> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Some(text.to_owned()),
        Err(error) => error,
    };
    let (good, bad) = bytes.split_at(error.valid_up_to());
    let good = std::str::from_utf8(good).expect("valid up to there");
    let at = At { file, place: crate::spec::yaml::place_of(good, good.len()) };
    let found = format!("the byte 0x{:02x}", bad.first().copied().unwrap_or_default());
    log.wrong(at, "", found, "UTF-8", Some("save the file as UTF-8".to_owned()));
    log.is_lenient().then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// A path below `folder` as a path among the files; nothing when it leads out of them.
pub fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') || path.starts_with('~') || path.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
