//! How well a sentence says what the project is.

use crate::import::document::{Block, Kind};
use crate::import::names::squeeze;
use crate::import::reading::Reading;
use crate::import::words;

use super::phrases::{INSTRUCTS, IS, NOT, NOUNS};

/// How likely a sentence says what the project is; none or less is out of the question.
pub fn score(reading: &Reading, block: &Block, sentence: &str) -> i32 {
    let lower = sentence.to_lowercase();
    let count = sentence.chars().count();
    let is_wide = sentence.chars().any(|c| c as u32 > 0x2e80);
    // "My other projects:" leads to a list.
    let is_lead = sentence.ends_with(':') && count < 30;
    if is_lead || count < if is_wide { 8 } else { 18 } {
        return 0;
    }
    let names = std::iter::once(&reading.identity.repository).chain(&reading.identity.aliases);
    let squeezed = squeeze(sentence);
    let names: Vec<String> =
        names.map(|name| squeeze(without_role(name))).filter(|name| name.len() > 2).collect();
    let named = names.iter().any(|name| squeezed.contains(name.as_str()));
    // "Lantern is a …" says it in so many words.
    let begins_named = names.iter().any(|name| squeezed.starts_with(name.as_str()));
    let opens = IS.is_in(&lower) && begins_named;
    // What goes on in small letters tells more of what was said before.
    let goes_on = sentence.starts_with(|c: char| c.is_ascii_lowercase()) && !begins_named;
    // Of several headings of the highest level, one is the title.
    let level = match reading.section(block).level {
        1 if !is_title(reading, block.section) => 2,
        level => level,
    };
    let title = reading.section(block).lower.as_str();
    let mut score = 8;
    score += if named { 4 } else { 0 } + if opens { 2 } else { 0 };
    score -= if sentence.ends_with('!') && !IS.is_in(&lower) && !begins_named { 5 } else { 0 };
    score -= if sentence.ends_with(['?', '？']) { 5 } else { 0 };
    score -= if goes_on { 3 } else { 0 };
    score -= if lower.starts_with("this repository ")
        || lower.starts_with("this repo ")
        || lower.starts_with("update ")
    {
        6
    } else {
        0
    };
    // What it comes from, and how it is called.
    score -= if lower.starts_with("the original ") || sentence.contains(" --") { 12 } else { 0 };
    // How to set it up is no place to say what it is.
    score -= if level > 1 && reading.topic_of(block) == words::Topic::Install { 4 } else { 0 };
    let is_about_settings =
        words::any(title, &["configur", "environment", "option", "parameter", "配置", "設定"]);
    score -= if level > 1 && is_about_settings { 6 } else { 0 };
    let begins = ["a ", "an ", "the "].iter().any(|article| lower.starts_with(article));
    score += if IS.is_in(&lower) || begins { 4 } else { 0 };
    score -= if words::any(
        &lower,
        &["similar to", "while ", "based on", "if you", "recommend", "for quick", "however"],
    ) {
        4
    } else {
        0
    };
    score += i32::try_from(NOUNS.iter().filter(|noun| lower.contains(*noun)).count().min(3)).unwrap_or(0);
    score += if level <= 1 { 3 } else { 0 };
    score -= if INSTRUCTS.iter().any(|start| lower.starts_with(start)) { 5 } else { 0 };
    score -= if begins_with_another(reading, block, sentence) { 8 } else { 0 };
    // "You get it at", and an address in a block of its own.
    score -= if sentence.ends_with(char::is_alphanumeric) && leads_to_code(reading, block, sentence) {
        8
    } else {
        0
    };
    score += if words::any(
        title,
        &[
            "what is",
            "about",
            "introduction",
            "overview",
            "简介",
            "介绍",
            "什么",
            "概要",
            "what it does",
            "关于",
            "はじめに",
            "wofür",
            "was ist",
            "über ",
            "à propos",
            "présentation",
            "qué es",
            "o que é",
            "sobre",
            "что это",
            "описание",
            "소개",
        ],
    ) {
        3
    } else {
        0
    };
    // By whom it is made is not what it is.
    let is_of_makers = words::any(&lower, &[" created by", " maintained by"])
        && !words::any(&lower, &[" is a ", " is an ", " is the "]);
    score -= if is_of_makers { 12 } else { 0 };
    score -= if NOT.is_in(&lower) { 7 } else { 0 };
    // Under which terms it may be had is not what it is.
    score -= if !IS.is_in(&lower) && words::any(&lower, &["licen", "lizenz", "gpl"]) { 7 } else { 0 };
    score -= if matches!(block.kind, Kind::Quote) && !is_motto(reading, block) { 4 } else { 0 };
    score -= if sentence.ends_with(":-")
        || sentence.ends_with(':')
        || sentence.ends_with('：')
        || sentence.ends_with('?')
    {
        8
    } else {
        0
    };
    let is_mail = |word: &str| word.contains('@') && word.contains('.');
    // In brackets, an address is of what was named before it.
    let addresses = lower.matches("http").count() - lower.matches("(http").count();
    score -= if addresses > 0 && lower.contains("://") { 4 } else { 0 };
    score -= if lower.split_whitespace().any(is_mail) { 6 } else { 0 };
    score -= if lower.starts_with(['⚠', '!', '*', '[', '-']) { 5 } else { 0 };
    score
}

/// "lantern" of "lantern-server": what the text calls it where the name also says which part it is.
pub fn without_role(name: &str) -> &str {
    let roles = ["-server", "-client", "-cli", "-app", "-docker", "-web", "-ui"];
    roles.iter().find_map(|role| name.strip_suffix(role)).filter(|rest| rest.len() > 4).unwrap_or(name)
}

/// Whether a section is the one of the title: its heading is the first of all, or has the project's name.
fn is_title(reading: &Reading, section: usize) -> bool {
    let sections = &reading.document.sections;
    sections.iter().position(|other| other.level > 0) == Some(section)
        || sections.get(section).is_some_and(|section| reading.identity.owns(&section.title))
}

/// Whether a sentence begins with a link to another project.
fn begins_with_another(reading: &Reading, block: &Block, sentence: &str) -> bool {
    let mut links = block.rich.links().filter(|(words, _)| sentence.starts_with(words) && words.len() > 2);
    links.next().is_some_and(|(words, url)| {
        url.contains("://") && !reading.identity.owns_url(url) && !reading.identity.owns(words)
    })
}

/// Whether a sentence is the last before a block of code.
fn leads_to_code(reading: &Reading, block: &Block, sentence: &str) -> bool {
    let blocks = &reading.document.blocks;
    let next = blocks.partition_point(|other| other.line <= block.line);
    block.rich.text.trim_end().ends_with(sentence) && blocks.get(next).is_some_and(Block::is_code)
}

/// A short quote right below the title, which says what the project is rather than what to mind.
pub fn is_motto(reading: &Reading, block: &Block) -> bool {
    let before = reading.document.blocks.iter().take_while(|other| other.line < block.line);
    let section = block.section;
    block.rich.text.len() < 200
        && (section == 0 || is_title(reading, section))
        && !before.into_iter().any(|other| matches!(other.kind, Kind::Quote) || is_told(other))
}

/// A paragraph of words, not only of badges.
fn is_told(block: &Block) -> bool {
    matches!(block.kind, Kind::Paragraph) && block.rich.text.split_whitespace().count() > 4
}
