//! The paths to keep, where a text lists them and no example mounts them.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::{Kind, Rich};
use crate::import::facts::{Found, VolumeFact};
use crate::import::reading::Reading;
use crate::import::words::{Topic, WordList};

use super::env::short;

static TITLES: WordList = WordList::new(&["volume", "persist", "数据卷", "挂载", "ボリューム", "volúmen"]);

/// What a section on volumes lists: each item or row begins with a path.
pub fn listed(reading: &Reading) -> Vec<Found<VolumeFact>> {
    let mut found: Vec<Found<VolumeFact>> = Vec::new();
    let mut add = |rich: &Rich, description: &str, line: u32| {
        let Some(path) = path(rich) else { return };
        if !found.iter().any(|known| known.value.path == path) {
            let fact =
                VolumeFact { path, source: None, is_read_only: false, description: short(description) };
            found.push(Found::inferred(fact, reading.origin(line)));
        }
    };
    for block in &reading.document.blocks {
        if !matches!(reading.topic_of(block), Topic::Install | Topic::Other)
            || !TITLES.is_in(&reading.section(block).lower)
        {
            continue;
        }
        match &block.kind {
            Kind::Item => add(&block.rich, after_path(&block.rich.text), block.line),
            Kind::Table(table) => {
                for row in &table.rows {
                    let description = row.cells.get(1).map_or("", |cell| cell.text.as_str());
                    row.cells.iter().take(1).for_each(|cell| add(cell, description, row.line));
                }
            }
            Kind::Heading(_) | Kind::Paragraph | Kind::Quote | Kind::Code(_) => {}
        }
    }
    if found.is_empty() {
        found.extend(said(reading));
    }
    found
}

/// "You should mount a volume at `/data`", "the path `/data` can be mounted".
fn said(reading: &Reading) -> Option<Found<VolumeFact>> {
    static SAID: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r#"(?i)\bmount(?:ing|ed)? (?:an? |the |your )?(?:[\w-]+ )?(?:volume|folder|directory|data) (?:at|to|on|into|under) ["']?(/[\w./-]*\w)|\bpath (/[\w./-]*\w)/? (?:can|should|may|must) be mounted\b"#;
        Regex::new(pattern).expect("the pattern is well-formed")
    });
    reading.prose().filter(|block| block.rich.lower().contains("mount")).find_map(|block| {
        let found = SAID.captures(&block.rich.text)?;
        let path = found.get(1).or_else(|| found.get(2))?;
        let path = path.as_str().to_owned();
        let fact = VolumeFact { path, source: None, is_read_only: false, description: String::new() };
        Some(Found::inferred(fact, reading.origin(block.line)))
    })
}

/// The path that a text begins with.
fn path(rich: &Rich) -> Option<String> {
    let word = rich.text.split_whitespace().next()?.trim_end_matches([':', ',', '/']);
    let fits = word.len() > 1
        && word.starts_with('/')
        && word[1..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    fits.then(|| word.to_owned())
}

fn after_path(text: &str) -> &str {
    text.trim_start().split_once(char::is_whitespace).map_or("", |(_, rest)| rest)
}
