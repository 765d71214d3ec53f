//! Paths: made plain, found in words, and compared with what is protected.

use super::Policy;
use super::look::Look;
use super::verdict::{Decision, Verdict};
use crate::glob;

mod never;

/// What is done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// Folders that are another one on every Debian.
const ALIASES: [(&str, &str); 5] = [
    ("/var/run", "/run"),
    ("/var/lock", "/run/lock"),
    ("/bin", "/usr/bin"),
    ("/sbin", "/usr/sbin"),
    ("/lib", "/usr/lib"),
];

/// An absolute path without `.`, `..` and doubled slashes; `dir` is where a relative one begins.
pub fn plain(path: &str, dir: &str) -> String {
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{dir}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The paths that a word of a command may stand for: `of=/dev/sda`, `@/etc/shadow`, `file:///x`, `a:/b`, `../x`.
pub fn in_word(word: &str, dir: &str) -> Vec<String> {
    let looks_like_one = |piece: &&str| piece.contains('/') || matches!(*piece, "." | "..");
    all_plain(pieces(word).into_iter().filter(looks_like_one), dir)
}

/// The same where the folder was named: each word may be a file in it.
pub fn in_folder(word: &str, dir: &str) -> Vec<String> {
    let glued = word.strip_prefix('-').and_then(|rest| rest.get(1..));
    all_plain(pieces(word).into_iter().chain(glued).filter(|piece| !piece.is_empty()), dir)
}

fn pieces(word: &str) -> Vec<&str> {
    let pieces = word.split(['=', '@', ',', ':', ';', '"', '\'', '<', '>', '|', ' ', '\n', '\t']);
    let glued = word.strip_prefix('-').and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    std::iter::once(word).chain(pieces).chain(glued).collect()
}

fn all_plain<'w>(pieces: impl Iterator<Item = &'w str>, dir: &str) -> Vec<String> {
    let mut paths: Vec<String> = pieces.map(|piece| plain(piece, dir)).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What the policy says of a path, as it is written and where it leads.
pub fn judge(policy: &Policy, path: &str, access: Access, look: &Look<'_>) -> Verdict {
    let mut verdict = Verdict::allow();
    let real = plain(&(look.real_path)(path), "/");
    let mut names = vec![path.to_owned(), real, aliased(path)];
    names.sort();
    names.dedup();
    for path in &names {
        if look.own.iter().any(|own| is_below(path, own)) {
            verdict.add(Decision::Forbid, format!("{path} belongs to the agent"));
        }
        let written = never::WRITTEN.iter().filter(|_| access == Access::Write);
        if let Some(pattern) = never::TOUCHED.iter().chain(written).find(|pattern| fits(pattern, path)) {
            verdict.add(Decision::Forbid, format!("{path} is protected ({pattern})"));
        }
        for rule in policy.paths.iter().filter(|rule| fits(&rule.path, path)) {
            let decision = if access == Access::Read { rule.read } else { rule.write };
            if decision != Decision::Allow {
                verdict.add(decision, format!("{path} is under the rule for {}", rule.path));
            }
        }
    }
    verdict
}

/// A path by the other name that its folder has.
fn aliased(path: &str) -> String {
    let alias = ALIASES.iter().find(|(folder, _)| is_below(path, folder));
    alias.map_or(path.to_owned(), |(folder, other)| format!("{other}{}", &path[folder.len()..]))
}

/// A pattern that ends with `/` is of all below it, and of the folder itself.
fn fits(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('/') {
        Some(folder) => glob::matches(folder, path) || glob::matches(&format!("{pattern}*"), path),
        None => glob::matches(pattern, path),
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
