//! The licence, as an SPDX identifier.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use crate::import::document::{Block, Kind};
use crate::import::facts::Found;
use crate::import::reading::Reading;
use crate::import::words::{self, WordList};
use crate::import::{Files, Origin};

/// Patterns and what they mean; the first that matches counts, so the narrow ones come first.
const NAMES: [(&str, &str); 35] = [
    (r"agpl[\s_-]*v?\.?3(?:\.0)?[\s_-]*(?:\+|or[\s-]later)", "AGPL-3.0-or-later"),
    (r"agpl[\s_-]*v?\.?3(?:\.0)?[\s_-]*only", "AGPL-3.0-only"),
    (r"\bagpl|affero", "AGPL-3.0"),
    (r"lgpl[\s_-]*v?\.?2\.1|lesser general public licen[sc]e[,\s]*(?:version|v)?\s*2\.1", "LGPL-2.1"),
    (r"\blgpl|lesser general public", "LGPL-3.0"),
    (r"\bgpl[\s_-]*(?:license\s*)?v?\.?2(?:\.0)?[\s_-]*(?:\+|or[\s-]later)", "GPL-2.0-or-later"),
    (
        r"general public licen[sc]e as published by the free software foundation[;,] (?:either )?version 2",
        "GPL-2.0",
    ),
    (r"\bgpl[\s_-]*v?\.?2(?:\.0)?[\s_-]*only", "GPL-2.0-only"),
    (r"\bgpl[\s_-]*(?:license\s*)?v?\.?\s*3(?:\.0)?[\s_-]*(?:\+|or[\s-]later)", "GPL-3.0-or-later"),
    (r"\bgpl[\s_-]*v?\.?3(?:\.0)?[\s_-]*only", "GPL-3.0-only"),
    (
        r"\bgpl[\s_-]*(?:license\s*)?[\s,]*(?:version\s*)?v?\.?\s*2\b|general public licen[sc]e,?[\s(]*(?:version|v)?\.?\s*2",
        "GPL-2.0",
    ),
    (
        r"\bgpl[\s_-]*(?:license\s*)?[\s,]*(?:version\s*)?v?\.?\s*3\b|general public licen[sc]e,?[\s(]*(?:version|v)?\.?\s*3|gplv3",
        "GPL-3.0",
    ),
    (
        r"apache[\s_-]*(?:software\s*|public\s*)?(?:licen[sc]e)?,?[\s_-]*(?:version|v)?[\s_-]*\.?2(?:\.0)?|apache[\s_-]*2|apache licen[sc]e|licen[sc]e[\s:_-]+apache\b",
        "Apache-2.0",
    ),
    (
        r"bsd[\s_-]*\(?(?:3|three)[\s_-]*-?clause|3[\s_-]clause[\s_-]bsd|new bsd|modified bsd|bsd[\s_-]3\b",
        "BSD-3-Clause",
    ),
    (
        r"bsd[\s_-]*\(?(?:2|two)[\s_-]*-?clause|2[\s_-]clause[\s_-]bsd|simplified bsd|bsd[\s_-]2\b",
        "BSD-2-Clause",
    ),
    (r"\b0bsd\b", "0BSD"),
    (r"\bmpl[\s_-]*v?2(?:\.0)?|mozilla public licen[sc]e", "MPL-2.0"),
    (r"\bepl[\s_-]*v?2(?:\.0)?|eclipse public licen[sc]e", "EPL-2.0"),
    (r"\beupl", "EUPL-1.2"),
    (r"\bisc\b", "ISC"),
    (r"\bunlicense\b", "Unlicense"),
    (r"\bwtfpl\b", "WTFPL"),
    (r"\bzlib\b", "Zlib"),
    (r"\bsspl", "SSPL-1.0"),
    (r"business source|\bbsl[\s_-]1\.1|\bbusl", "BUSL-1.1"),
    (r"elastic licen[sc]e(?: v?2)?|\belv2", "Elastic-2.0"),
    (r"\bcc0", "CC0-1.0"),
    (r"cc[\s_-]by[\s_-]nc[\s_-]sa[\s_-]4", "CC-BY-NC-SA-4.0"),
    (r"cc[\s_-]by[\s_-]nc[\s_-]4", "CC-BY-NC-4.0"),
    (r"cc[\s_-]by[\s_-]sa[\s_-]4", "CC-BY-SA-4.0"),
    (r"cc[\s_-]by[\s_-]4", "CC-BY-4.0"),
    (r"artistic[\s_-]licen[sc]e[\s_-]?2|artistic[\s_-]2", "Artistic-2.0"),
    (r"boost software licen[sc]e|\bbsl-1\.0", "BSL-1.0"),
    (r"\bmit\b", "MIT"),
    (r"mulan", "MulanPSL-2.0"),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    // "使用MIT协议": signs of other scripts are no letters of these names.
    let compile = |pattern: &str| {
        RegexBuilder::new(pattern).unicode(false).build().expect("the patterns above are well-formed")
    };
    NAMES.iter().map(|(pattern, name)| (compile(pattern), *name)).collect()
});

pub static WORDS: WordList = WordList::new(&[
    "licen",
    "lizenz",
    "许可",
    "許可",
    "协议",
    "协議",
    "授权",
    "ライセンス",
    "лиценз",
    "라이선스",
    "licença",
    "under the mit",
    "copyright",
    "gpl",
]);
pub static TITLES: WordList = WordList::new(&[
    "licen",
    "lizenz",
    "许可",
    "許可",
    "协议",
    "协議",
    "授权",
    "ライセンス",
    "лиценз",
    "라이선스",
    "licença",
]);

/// The identifier of a licence that a text names; the first named counts.
pub fn spdx(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let found = PATTERNS
        .iter()
        .enumerate()
        .filter_map(|(rank, (pattern, name))| pattern.find(&text).map(|found| (found.start(), rank, *name)));
    let named = found.min_by_key(|(at, rank, _)| (*at, *rank)).map(|(_, _, name)| name);
    // "GPL" with its version elsewhere, or without any.
    named
        .or_else(|| {
            (text.contains("general public licen") || words::has_word(&text, "gpl")).then_some("GPL-3.0")
        })
        .filter(|_| !text.contains("proprietary") || text.contains("no proprietary"))
}

static CHOICE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)\beither\b|\bat your (?:option|choice)\b|\bdual(?:ly)?[ -]licen|\b(?:mit|apache)[\w .,-]{0,24}\bor\b|\bchoose between\b|任选|二选一";
    Regex::new(pattern).expect("the pattern is well-formed")
});

/// What a text of a licence says: one, or two of which one may choose.
fn expression(text: &str) -> Option<String> {
    let first = spdx(text)?;
    if !CHOICE.is_match(text) || text.len() > 1000 {
        return Some(first.to_owned());
    }
    let lower = text.to_lowercase();
    let mut others: Vec<(usize, &str)> = PATTERNS
        .iter()
        .filter(|(_, name)| name.split('-').next() != first.split('-').next())
        .filter_map(|(pattern, name)| pattern.find(&lower).map(|found| (found.start(), *name)))
        .collect();
    others.sort_by_key(|(at, _)| *at);
    match others.first() {
        Some((_, other)) => Some(format!("{first} OR {other}")),
        None => Some(first.to_owned()),
    }
}

pub fn find(reading: &Reading, files: &Files) -> Option<Found<String>> {
    let found = section(reading).or_else(|| badge(reading)).or_else(|| sentence(reading));
    let found = found.map(|(name, line)| Found::read(name, reading.origin(line)));
    found.or_else(|| manifest(files)).or_else(|| file(files))
}

/// A heading of its own.
fn section(reading: &Reading) -> Option<(String, u32)> {
    let sections: BTreeSet<usize> = reading
        .document
        .sections
        .iter()
        .enumerate()
        .filter(|(_, section)| {
            section.level > 0 && TITLES.is_in(&section.lower) && section.title.chars().count() < 50
        })
        .map(|(at, _)| at)
        .collect();
    let mut choice = String::new();
    for block in reading.document.blocks.iter().filter(|block| sections.contains(&block.section)) {
        if let Kind::Table(_) = block.kind {
            continue;
        }
        let text = &block.rich.text;
        // "Either of", and each of them in an item of its own.
        if spdx(text).is_none() && CHOICE.is_match(text) && text.len() < 400 {
            choice = listed(reading, block);
        }
        let is_listed = !choice.is_empty() && matches!(block.kind, Kind::Item);
        if let Some(name) = expression(if is_listed { &choice } else { text }) {
            return Some((name, block.line));
        }
        if let Some(name) = wording(&head_of(text)) {
            return Some((name.to_owned(), block.line));
        }
        if let Some(name) = block.rich.links().find_map(|(_, url)| address(url)) {
            return Some((name, block.line));
        }
        // What it is made of has licences of its own.
        if words::any(block.rich.lower(), &["third party", "third-party"]) {
            return None;
        }
        let named = |(alt, url)| static_badge(alt, url).or_else(|| spdx(alt));
        if let Some(name) = block.rich.images().find_map(named) {
            return Some((name.to_owned(), block.line));
        }
    }
    None
}

/// The licence that an address leads to.
fn address(url: &str) -> Option<String> {
    if let Some((_, path)) = url.split_once("creativecommons.org/licenses/") {
        let (kind, rest) = path.split_once('/')?;
        let version =
            rest.split('/').next().filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))?;
        return Some(format!("CC-{}-{version}", kind.to_uppercase()));
    }
    let file = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let is_free = file.to_ascii_lowercase().starts_with("unlicense") || url.contains("//unlicense.org");
    is_free.then(|| "Unlicense".to_owned())
}

/// The words of a block and of the items that follow it.
fn listed(reading: &Reading, block: &Block) -> String {
    let blocks = &reading.document.blocks;
    let first = blocks.partition_point(|other| other.line <= block.line);
    let items = blocks[first..].iter().take_while(|item| matches!(item.kind, Kind::Item)).take(6);
    let items: Vec<&str> = items.map(|item| item.rich.text.as_str()).collect();
    format!("{}\n{}", block.rich.text, items.join("\n"))
}

fn badge(reading: &Reading) -> Option<(String, u32)> {
    reading.document.blocks.iter().take(300).find_map(|block| {
        let name = block.rich.images().find_map(|(alt, url)| static_badge(alt, url))?;
        Some((name.to_owned(), block.line))
    })
}

/// A badge that has the value in its words or its address; one that asks a server has none.
fn static_badge(alt: &str, url: &str) -> Option<&'static str> {
    let url = url.to_lowercase().replace("%20", " ").replace("%28", "(").replace("%29", ")");
    let is_static = url.contains("/badge/")
        || url.contains("/static/")
        || url.contains("badgen.net/badge")
        || url.contains("shields.io/:");
    let path = url.split("/badge/").nth(1).or_else(|| url.split("/:").nth(1)).unwrap_or(&url);
    if is_static && (path.contains("licen") || path.contains("gpl") || path.contains("许可")) {
        return spdx(path.split("?").next().unwrap_or_default()).or_else(|| spdx(path));
    }
    let alt = alt.to_lowercase();
    let says = alt.contains("licen") || alt.contains("gpl");
    if says { spdx(&alt.replace("license", "").replace("licence", "")) } else { None }
}

/// A sentence that says it.
fn sentence(reading: &Reading) -> Option<(String, u32)> {
    let blocks = reading
        .document
        .blocks
        .iter()
        .filter(|block| !block.is_code() && !matches!(block.kind, Kind::Heading(_) | Kind::Table(_)));
    for block in blocks {
        let is_of_others = || {
            words::any(&reading.section(block).lower, &["attribution", "third part"])
                || reading.topic_of(block) == words::Topic::Elsewhere && !is_of_itself(block)
        };
        if !block.rich.has(&WORDS) || is_of_others() || tells_of_another(reading, block) {
            continue;
        }
        for sentence in super::description::sentences(&block.rich.text) {
            let lower = sentence.to_lowercase();
            if WORDS.is_in(&lower)
                && !words::any(
                    &lower,
                    &[
                        "dependenc",
                        "third-party",
                        "third party",
                        "font",
                        "icons",
                        "includes parts",
                        "includes code",
                        "uses libraries",
                        "uses code",
                        "libraries from",
                    ],
                )
                && let Some(name) = expression(changed_to(sentence))
            {
                let at = super::description::place(&block.rich.text, sentence);
                return Some((name, block.line_at(at)));
            }
        }
    }
    None
}

/// "Licensed under …": nobody else is named.
fn is_of_itself(block: &Block) -> bool {
    let sentences = super::description::sentences(&block.rich.text);
    let begins = |sentence: &str| sentence.to_lowercase().starts_with("licen");
    sentences.into_iter().any(begins) || block.rich.lower().contains("this project")
}

/// An item that begins with a link to another project, "a part of [Wick], which is licensed under …".
fn tells_of_another(reading: &Reading, block: &Block) -> bool {
    let is_foreign = |url: &str| url.contains("://") && !reading.identity.owns_url(url);
    let text = block.rich.text.as_str();
    let first = block.rich.links().next();
    let begins = matches!(block.kind, Kind::Item)
        && first.is_some_and(|(words, url)| is_foreign(url) && text.trim_start().starts_with(words));
    let names = || block.rich.links().any(|(_, url)| is_foreign(url));
    begins
        || words::any(block.rich.lower(), &["which is ", "which are "])
            && is_clause(block.rich.lower())
            && names()
}

/// "…, which is dual-licensed".
fn is_clause(lower: &str) -> bool {
    lower.match_indices("which ").any(|(at, _)| {
        let mut words = lower[at..].split_whitespace().skip(2).take(3);
        words.any(|word| word.contains("licen"))
    })
}

/// "The licence was changed from X to Y" is about Y.
fn changed_to(sentence: &str) -> &str {
    let from = sentence.find(" from ");
    let to = from.and_then(|from| sentence[from..].find(" to ").map(|at| from + at));
    to.filter(|to| spdx(&sentence[*to..]).is_some()).map_or(sentence, |to| &sentence[to..])
}

fn manifest(files: &Files) -> Option<Found<String>> {
    for name in ["package.json", "Cargo.toml", "pyproject.toml"] {
        let Some(text) = files.text(name) else { continue };
        let line = text.lines().position(|line| {
            let line = line.trim_start().trim_start_matches('"');
            line.starts_with("license") && (line.contains('=') || line.contains(':'))
        });
        let Some(index) = line else { continue };
        if let Some(license) = text.lines().nth(index).and_then(spdx) {
            let line = u32::try_from(index + 1).unwrap_or(0);
            return Some(Found::read(license.to_owned(), Origin { file: name.to_owned(), line }));
        }
    }
    None
}

/// The text of a licence.
fn file(files: &Files) -> Option<Found<String>> {
    let path = files
        .paths()
        .find(|path| {
            let upper = path.to_ascii_uppercase();
            !path.contains('/')
                && ["LICENSE", "LICENCE", "COPYING", "UNLICENSE"].iter().any(|name| upper.starts_with(name))
        })?
        .to_owned();
    let head = head_of(&files.text(&path)?);
    let name = wording(&head).or_else(|| spdx(&head[..floor(&head, 1500)]))?;
    Some(Found::inferred(name.to_owned(), Origin { file: path, line: 1 }))
}

/// The beginning of a text in lower case, on one line.
fn head_of(text: &str) -> String {
    let head = &text[..floor(text, 3000)];
    head.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The licence whose own words these are.
fn wording(head: &str) -> Option<&'static str> {
    match () {
        () if head.contains("permission is hereby granted, free of charge") => Some("MIT"),
        () if head.contains("permission to use, copy, modify, and/or distribute") => Some("ISC"),
        () if head.contains("redistributions in binary form") || head.contains("redistribution and use") => {
            Some(if head.contains("neither the name") { "BSD-3-Clause" } else { "BSD-2-Clause" })
        }
        () if head.contains("this is free and unencumbered software") => Some("Unlicense"),
        () => None,
    }
}
