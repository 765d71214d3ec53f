//! What is known of programs that run other programs, read programs, or hide what they do. No rule lifts these.

use super::rule::base;

mod table;
mod wrap;

use table::{Hazard, Letters, TABLE};

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    Forbid(String),
    Ask(String),
    /// It sets this variable for what it runs.
    Variable(String, String),
    /// It runs this.
    Runs(Vec<String>),
}

/// What is known of a program with these words after it.
pub(super) fn find(name: &str, words: &[String]) -> Vec<Finding> {
    let name = unversioned(name);
    let mut findings = Vec::new();
    for hazard in TABLE.iter().filter(|hazard| hazard.names().contains(&name)) {
        findings.extend(judge(hazard, words));
    }
    if name.starts_with("ld-linux")
        || name.starts_with("ld-musl")
        || name.starts_with("ld.so")
        || name.starts_with("ld-2")
    {
        findings.push(Finding::Forbid("runs any program past all checks".to_owned()));
    }
    findings
}

/// `python3.11` is `python`, `mkfs.ext4` is `mkfs`, `php8.2` is `php`.
fn unversioned(name: &str) -> &str {
    let name = base(name);
    if name.starts_with("mkfs.") {
        return "mkfs";
    }
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    let is_language =
        ["python", "perl", "ruby", "php", "lua", "node", "tclsh", "wish", "guile", "gcc", "clang"]
            .contains(&bare);
    if is_language { bare } else { name }
}

fn judge(hazard: &Hazard, words: &[String]) -> Vec<Finding> {
    match hazard {
        Hazard::Never { why, .. } => vec![Finding::Forbid((*why).to_owned())],
        Hazard::OnlyVersion { why, .. } => match words {
            [word] if matches!(word.as_str(), "--version" | "-V") => Vec::new(),
            _ => vec![Finding::Forbid((*why).to_owned())],
        },
        Hazard::Only { first, why, .. } => match words.first() {
            Some(word) if first.contains(&word.as_str()) => Vec::new(),
            Some(_) | None => vec![Finding::Forbid((*why).to_owned())],
        },
        Hazard::Options { long, letters, words: bad, why, .. } => {
            let found = words.iter().enumerate().find(|(index, word)| {
                has_long(word, long)
                    || has_letter(*index, word, letters)
                    || bad.iter().any(|bad| has_word(word, bad))
            });
            found.map(|(_, word)| Finding::Forbid(format!("{word:?} {why}"))).into_iter().collect()
        }
        Hazard::Needs { option, why, .. } => {
            let has = words.iter().take_while(|word| *word != "--").any(|word| word == option);
            if has { Vec::new() } else { vec![Finding::Forbid((*why).to_owned())] }
        }
        Hazard::Wrapper { with_value, alone, positional, .. } => {
            wrap::unwrap(words, with_value, alone, *positional)
        }
        Hazard::Env { .. } => wrap::env(words),
        Hazard::Find { .. } => wrap::find(words),
        Hazard::Applets { .. } => match words.first() {
            Some(applet) if !applet.starts_with('-') => {
                vec![Finding::Ask("runs one of many programs".to_owned()), Finding::Runs(words.to_vec())]
            }
            Some(_) | None => vec![Finding::Forbid("runs one of many programs".to_owned())],
        },
        Hazard::Ruin { .. } => ruin(words),
    }
}

/// A plain word is the whole word; one with a mark in it may be any part.
fn has_word(word: &str, bad: &str) -> bool {
    let is_plain = bad.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain { word == bad } else { word.contains(bad) }
}

/// Long options may be shortened to what is still unique: any beginning of three letters and more counts.
fn has_long(word: &str, long: &[&str]) -> bool {
    let Some(name) = word.strip_prefix("--").map(|rest| rest.split('=').next().unwrap_or(rest)) else {
        return false;
    };
    long.iter().any(|long| *long == name || (name.len() >= 3 && long.starts_with(name)))
}

/// Letters may stand together, `-xIf`; some programs take the first word without the dash, `tar xIf`.
fn has_letter(index: usize, word: &str, letters: &Letters) -> bool {
    let group = match (word.strip_prefix('-'), letters.without_dash && index == 0) {
        (Some(group), _) if !group.starts_with('-') => group,
        (None, true) => word,
        _ => return false,
    };
    match letters.alone {
        true => letters.letters.iter().any(|letter| group.starts_with(*letter)),
        false => group.chars().take_while(char::is_ascii_alphanumeric).any(|c| letters.letters.contains(&c)),
    }
}

/// Folders whose loss a machine does not survive, as a whole.
fn ruin(words: &[String]) -> Vec<Finding> {
    const VITAL: [&str; 12] = [
        "boot",
        "lib",
        "usr",
        "etc",
        "var",
        "home",
        "root",
        "opt",
        "usr/lib",
        "usr/bin",
        "var/lib",
        "boot/firmware",
    ];
    let lost = words.iter().filter(|word| !word.starts_with('-')).find(|word| {
        let path = super::path::plain(word.trim_end_matches('*'), "/");
        let path = path.trim_start_matches('/');
        word.starts_with('/') && (!path.contains('/') || VITAL.contains(&path))
            || matches!(word.as_str(), "." | ".." | "*" | "~")
    });
    lost.map(|word| Finding::Forbid(format!("{word} is more than a step may touch at once")))
        .into_iter()
        .collect()
}
