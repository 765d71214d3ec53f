//! The sentence that says what the project is.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::{Block, Kind, Section, Style};
use crate::import::facts::Found;
use crate::import::names::squeeze;
use crate::import::reading::Reading;
use crate::import::words;

pub use super::sentences::{place, sentences};
use phrases::{IS, NOT, NOTICES};
pub use score::without_role;
use score::{is_motto, score};

mod phrases;
mod score;

/// How many blocks of the beginning may hold it.
const HEAD: usize = 120;
const MAX: usize = 300;
/// A sentence with no more points than that may be about anything.
const WEAK: i32 = 6;
/// A sentence of fewer signs takes the next one along.
const SHORT: usize = 26;
/// With no more than that, what the title says of the name comes first.
const POOR: i32 = 11;

pub fn find(reading: &Reading) -> Option<Found<String>> {
    let mut best: Option<(i32, String, u32)> = None;
    let mut tagline: Option<String> = None;
    let mut paragraphs = 0;
    let sections = &reading.document.sections;
    let is_title = |section: &&Section| section.level == 1 && reading.identity.owns(&section.title);
    let title_line = sections.iter().find(is_title).map(|section| section.line);
    for (index, block) in reading.document.blocks.iter().take(HEAD).enumerate() {
        let bold = is_tagline(reading, block, index, title_line);
        let is_bold = bold.is_some();
        tagline = match (tagline, bold) {
            (Some(known), Some(bold))
                if says_what_it_is(reading, &bold) && !says_what_it_is(reading, &known) =>
            {
                Some(bold)
            }
            (known, bold) => known.or(bold),
        };
        // What comes before the title is a notice.
        if title_line == Some(block.line) {
            paragraphs = 0;
        }
        if is_bold || !is_candidate(reading, block) {
            continue;
        }
        if !matches!(block.kind, Kind::Quote) {
            paragraphs += 1;
        }
        let sentences = sentences(&block.rich.text);
        for (place, sentence) in sentences.iter().copied().take(4).enumerate() {
            let first = match block.kind {
                Kind::Quote if is_below_heading(reading, index) && is_motto(reading, block) => 8,
                Kind::Quote => 0,
                _ if paragraphs == 1 && place == 0 => 5,
                _ => 0,
            };
            let score =
                score(reading, block, sentence) + first - i32::try_from(index / 4 + place).unwrap_or(0);
            let is_better = |(known, text, _): &(i32, String, u32)| {
                let is_plainer = || says_what_it_is(reading, sentence) && !begins_with_name(reading, text);
                score > *known || score == *known && is_plainer()
            };
            if score > 0 && best.as_ref().is_none_or(is_better) {
                // "A friend of lamps!" leaves it to the next sentence to say what that is.
                let more = sentences.get(place + 1).filter(|_| sentence.chars().count() < SHORT);
                let text =
                    more.map_or_else(|| joined(sentence), |more| joined(&format!("{sentence} {more}")));
                best = Some((score, without_notes(&text), block.line));
            }
        }
    }
    let tagline = tagline
        .filter(|tagline: &String| best.as_ref().is_none_or(|(_, text, _)| !text.contains(tagline.as_str())));
    let tagline =
        tagline.or_else(|| title(reading).filter(|_| best.as_ref().is_none_or(|best| best.0 <= POOR)));
    // Beside a line that says it, a weak sentence adds nothing.
    let best = best.filter(|(score, _, _)| tagline.is_none() || *score > WEAK);
    match (best, tagline) {
        (Some((_, text, _)), Some(tagline))
            if text.chars().count() >= 160 && says_what_it_is(reading, &tagline) =>
        {
            Some(Found::inferred(cut(&tagline), reading.origin(1)))
        }
        (Some((_, text, line)), Some(tagline)) if text.chars().count() < 160 => {
            let end = if tagline.ends_with(['.', '!', '?', '。']) { "" } else { "." };
            Some(Found::inferred(cut(&format!("{tagline}{end} {text}")), reading.origin(line)))
        }
        (Some((_, text, line)), _) => Some(Found::inferred(cut(&text), reading.origin(line))),
        (None, Some(tagline)) => Some(Found::inferred(cut(&tagline), reading.origin(1))),
        (None, None) => None,
    }
}

/// "Lantern is a …".
fn says_what_it_is(reading: &Reading, text: &str) -> bool {
    IS.is_in(&text.to_lowercase()) && begins_with_name(reading, text)
}

fn begins_with_name(reading: &Reading, text: &str) -> bool {
    let names = std::iter::once(&reading.identity.repository).chain(&reading.identity.aliases);
    let squeezed = squeeze(text);
    let mut names = names.map(|name| squeeze(name)).filter(|name| name.len() > 2);
    names.any(|name| squeezed.starts_with(name.as_str()))
}

/// A short line by itself at the top: bold, centred or a lower heading.
fn is_tagline(reading: &Reading, block: &Block, index: usize, title_line: Option<u32>) -> Option<String> {
    let text = joined(&block.rich.text);
    let length = text.chars().count();
    let level = match block.kind {
        Kind::Heading(level) => level,
        Kind::Paragraph | Kind::Quote
            if block.rich.spans.iter().any(|span| {
                matches!(span.style, Style::Strong | Style::Emphasis)
                    && span.range.len() + 4 > block.rich.text.trim().len()
            }) =>
        {
            3
        }
        _ => return None,
    };
    if index < 25
        && let Some(said) = said_of_name(reading, &text).filter(|_| level >= 3)
    {
        return Some(said);
    }
    let lower = text.to_lowercase();
    // Where no heading is the title, the first one may be the sentence.
    let sections = &reading.document.sections;
    let has_title = sections.iter().any(|section| section.level == 1);
    let first = sections.iter().find(|section| section.level > 0).filter(|_| !has_title);
    let is_first = first.is_some_and(|section| section.line == block.line);
    let is_of_first = |section: &Section| first.is_some_and(|first| first.line == section.line);
    let is_notice =
        !matches!(block.kind, Kind::Heading(_)) && title_line.is_some_and(|line| block.line < line);
    let fits = index < 25
        && !is_notice
        && (level >= 3 || level == 2 && (is_first || is_below_title(reading, index, &text)))
        && (12..if is_first { MAX } else { 120 }).contains(&length)
        && (text.split_whitespace().count() > 2 || text.chars().all(|c| c as u32 > 0x2e80))
        && !block.rich.links().any(|(words, _)| words.len() * 2 > block.rich.text.len())
        && !NOT.is_in(&lower)
        && !sections
            .iter()
            .any(|section| section.line < block.line && section.level == 2 && !is_of_first(section))
        && !(matches!(block.kind, Kind::Heading(_)) && follows_told_section(reading, index))
        && (words::topic(&text) == words::Topic::Other || is_of_project(&lower));
    fits.then_some(text)
}

fn is_below_heading(reading: &Reading, index: usize) -> bool {
    index.checked_sub(1).is_some_and(|before| matches!(reading.block(before).kind, Kind::Heading(_)))
}

/// A heading of many words with the project's name, right below the title.
fn is_below_title(reading: &Reading, index: usize, text: &str) -> bool {
    let before = index.checked_sub(1).map(|before| reading.block(before));
    before.is_some_and(|before| matches!(before.kind, Kind::Heading(1)))
        && text.split_whitespace().count() > 4
        && begins_with_name(reading, text)
}

/// "A small, self-hosted server for lamps": no heading of a section on installing, though it has its words.
fn is_of_project(lower: &str) -> bool {
    const TELLS: [&str; 4] = ["self-host", "self host", "server", "deploy"];
    let is_of = lower.starts_with("a ") || lower.starts_with("an ") || lower.starts_with("the ");
    is_of && lower.split_whitespace().count() > 4 && words::any(lower, &TELLS)
}

/// Whether a section with words of its own, below the title, comes before a block.
fn follows_told_section(reading: &Reading, index: usize) -> bool {
    reading.document.blocks[..index].iter().any(|block| {
        reading.document.sections[block.section].level > 1 && !matches!(block.kind, Kind::Heading(_))
    })
}

/// What the title says beside the name.
fn title(reading: &Reading) -> Option<String> {
    let section = reading.document.sections.iter().find(|section| section.level == 1)?;
    let title = joined(&section.title);
    // "Lamp server that runs in a container": it is the sentence itself.
    let is_sentence = title.split_whitespace().count() > 2
        && phrases::NOUNS.iter().any(|noun| section.lower.contains(noun))
        && !reading.identity.aliases.contains(&title);
    said_of_name(reading, &title).or_else(|| is_sentence.then_some(title))
}

/// "Lantern - a server for lamps": what a heading says of the name it begins with.
fn said_of_name(reading: &Reading, text: &str) -> Option<String> {
    let marks = [" - ", " – ", " — ", ": "];
    let (at, mark) = marks.iter().filter_map(|mark| Some((text.find(mark)?, mark))).min()?;
    let (name, said) = (&text[..at], &text[at + mark.len()..]);
    let said = said.trim();
    let fits = reading.identity.owns(name)
        && name.split_whitespace().count() < 4
        && (12..160).contains(&said.chars().count())
        && said.split_whitespace().count() > 2;
    fits.then(|| said.to_owned())
}

fn is_candidate(reading: &Reading, block: &Block) -> bool {
    let text = block.rich.text.trim();
    let linked: usize = block.rich.links().map(|(words, _)| words.len()).sum();
    let is_text =
        matches!(block.kind, Kind::Paragraph) || matches!(block.kind, Kind::Quote) && !text.starts_with("[!");
    let topic = reading.topic_of(block);
    let title = reading.section(block).lower.as_str();
    // An image whose address the text does not have.
    let is_badge = text.starts_with("![") && text.contains("][");
    let is_notice = NOTICES.contains(&title.trim_matches(|c: char| !c.is_alphanumeric()));
    let is_legal = super::license::TITLES.is_in(title)
        || words::any(title, &["haftung", "disclaimer", "avertissement", "免责", "免責", "legal"]);
    let is_address = text.starts_with("http") && !text.contains(char::is_whitespace);
    is_text
        && !is_address
        && !is_badge
        && !is_legal
        && !is_notice
        && text.chars().count() > 7
        && linked * 3 < text.len() * 2
        && text.matches('|').count() < 3
        && !matches!(topic, words::Topic::Development | words::Topic::Upkeep | words::Topic::Elsewhere)
}

fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text without marks of footnotes: "[1]", "[^note]", "[disclaimer]", "[^1]:", "|badge|".
fn without_notes(text: &str) -> String {
    static NOTES: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"\s*\[(?:\^[\w-]+|\d{1,2}|disclaimer|citation needed|note|\*)\]|\|[\w -]+\|\s*";
        Regex::new(pattern).expect("the pattern is well-formed")
    });
    let text = NOTES.replace_all(text, "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX {
        return text.to_owned();
    }
    let text: String = text.chars().take(MAX).collect();
    let end = text.rfind(' ').unwrap_or(text.len());
    format!("{}…", text[..end].trim_end_matches([',', ';', ' ']))
}
