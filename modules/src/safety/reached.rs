//! Which files of a package are run, whatever they are called: what an interpreter is given, what is sourced, and
//! what is started by its path. Names are compared generously, because folders are seldom known.

use std::collections::{BTreeMap, BTreeSet};

use super::flow::UNKNOWN;
use super::programs::base_name;
use super::{paths, programs};

/// A file that something runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    /// As it is named where it is run.
    pub path: String,
    /// The interpreter that is given it; none where it is started itself.
    pub by: Option<String>,
}

/// The files of a package, by the last part of their names.
pub(crate) struct Files<'f> {
    by_name: BTreeMap<&'f str, Vec<&'f str>>,
}

impl<'f> Files<'f> {
    pub fn new(paths: impl Iterator<Item = &'f str>) -> Self {
        let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for path in paths {
            by_name.entry(base_name(path)).or_default().push(path);
        }
        Self { by_name }
    }

    /// Those that a name may stand for.
    pub fn named(&self, name: &str) -> Vec<&'f str> {
        let Some((path, is_relative)) = known_part(name) else { return Vec::new() };
        let (folder, last) = path.rsplit_once('/').unwrap_or(("", &path));
        let all: Vec<&str> = match last.find(['*', '?', '[']) {
            None => self.by_name.get(last).into_iter().flatten().copied().collect(),
            // `/etc/x/*` is the node's.
            Some(_) if !is_relative => Vec::new(),
            Some(at) => {
                let (begin, end) = (&last[..at], last.rsplit(['*', '?', ']']).next().unwrap_or_default());
                let fits = |name: &str| name.starts_with(begin) && name.ends_with(end);
                let fitting = self.by_name.iter().filter(|(name, _)| fits(name));
                fitting.flat_map(|(_, paths)| paths.iter().copied()).collect()
            }
        };
        let is_in = |file: &&str| folder.is_empty() || is_folder(file, folder, last.contains('*'));
        let inside: Vec<&str> = all.iter().copied().filter(is_in).collect();
        // Where the folder is not one of the package, nobody knows what was put there: the name alone counts.
        if inside.is_empty() && !last.contains(['*', '?', '[']) { all } else { inside }
    }

    /// What a name stands for, also where it is the name of a copy.
    pub fn run(&self, name: &str, copies: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'f str> {
        let (mut found, mut seen, mut next) = (BTreeSet::new(), BTreeSet::new(), vec![name]);
        while let Some(name) = next.pop() {
            found.extend(self.named(name));
            let originals = copies.get(base_name(name)).into_iter().flatten();
            next.extend(originals.map(String::as_str).filter(|original| seen.insert(*original)));
        }
        found
    }
}

fn is_folder(file: &str, folder: &str, is_deep: bool) -> bool {
    let Some((is, _)) = file.rsplit_once('/') else { return false };
    let ends = is == folder || is.strip_suffix(folder).is_some_and(|rest| rest.ends_with('/'));
    ends || is_deep && is.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// What is known of a path behind its last unknown part, and whether that may be in the package's own folder.
fn known_part(name: &str) -> Option<(String, bool)> {
    let known = name.rsplit([UNKNOWN, '}']).next().unwrap_or(name);
    let is_relative = known.len() < name.len() || !known.starts_with('/');
    let path = paths::clean(&format!("/{known}")).trim_start_matches('/').to_owned();
    (!path.is_empty()).then_some((path, is_relative))
}

/// Words of a text that could be names of files, whatever the text is: a hint at what to read first.
pub fn names_in(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(text);
    let is_part = |c: char| c.is_alphanumeric() || "._-/+@".contains(c);
    let words = text.split(|c: char| !is_part(c)).map(|word| word.trim_start_matches("./").trim_matches('/'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// How a file that is run is read.
pub(super) fn language(bytes: &[u8], by: Option<&str>) -> Option<Language> {
    let own = programs::shebang(&String::from_utf8_lossy(&bytes[..bytes.len().min(512)]));
    let interpreter = match by {
        Some(by) => by.to_owned(),
        // The kernel runs it; what it does cannot be read.
        None if bytes.starts_with(b"\x7fELF") => return None,
        // What has no first line for the kernel is the shell's.
        None => own.unwrap_or_else(|| "sh".to_owned()),
    };
    if programs::is_shell(&interpreter) {
        return Some(Language::Shell);
    }
    super::code::language(Some(&interpreter), "").map(Language::Code)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    Shell,
    Code(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_every_file_it_may_mean() {
        let files = Files::new(["setup", "bin/run", "hooks/a.sh", "hooks/deep/b", "other/setup"].into_iter());
        let check = |name: &str, expected: &[&str]| assert_eq!(files.named(name), expected, "{name}");
        check("./setup", &["setup", "other/setup"]);
        check("other/setup", &["other/setup"]);
        check("${instance.dir}/bin/run", &["bin/run"]);
        check(&format!("{UNKNOWN}/bin/../bin/run"), &["bin/run"]);
        check("/opt/app/run", &["bin/run"]);
        check("/opt/app/*", &[]);
        check("hooks/*", &["hooks/a.sh", "hooks/deep/b"]);
        check("hooks/*.sh", &["hooks/a.sh"]);
        check(&UNKNOWN.to_string(), &[]);
        check("..", &[]);
        let copies = BTreeMap::from([("x".to_owned(), BTreeSet::from(["bin/run".to_owned()]))]);
        assert_eq!(files.run("/tmp/x", &copies), BTreeSet::from(["bin/run"]));
        assert_eq!(files.run("./x", &copies), BTreeSet::from(["bin/run"]));
    }
}
