//! What must be set, as the words say.

use std::collections::BTreeMap;

use super::{description, env_text};
use crate::import::document::{Block, Kind};
use crate::import::facts::{EnvFact, Found};
use crate::import::reading::Reading;
use crate::import::words::{self, Topic, WordList};

pub static DEMANDS: WordList = WordList::new(&[
    "make sure to",
    "you must",
    "must set",
    "must be set",
    "need to set",
    "have to set",
    "必须设置",
    "be sure to set",
    "optional except",
    "otherwise you will",
    "otherwise it will",
    "otherwise it won't",
]);

/// What a section is headed whose items must be there before.
static NEEDED_BEFORE: WordList = WordList::new(&[
    "requirement",
    "prerequisite",
    "requisito",
    "voraussetzung",
    "prérequis",
    "前提条件",
    "前置条件",
    "требовани",
]);

/// "It should at least contain the following:", before a listing.
static LEADS: WordList = WordList::new(&[
    "at least contain",
    "contain at least",
    "must contain the following",
    "must have the following",
    "at a minimum",
    "至少需要",
]);

/// "Make sure to pass `NAME`."
pub fn demanded(reading: &Reading, found: &mut [Found<EnvFact>]) {
    let says =
        |block: &&Block| !matches!(block.kind, Kind::Table(_) | Kind::Heading(_)) && block.rich.has(&DEMANDS);
    let places: BTreeMap<String, usize> =
        found.iter().enumerate().map(|(place, known)| (known.value.name.clone(), place)).collect();
    let mut demand = |block: &Block, text: &str| {
        let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in names.filter(|name| env_text::is_upper_name(name)) {
            let is_code = || block.is_code() || block.rich.code().any(|(_, code)| code == name);
            let Some(place) = places.get(name).filter(|_| name.contains('_') || is_code()) else { continue };
            let required = &mut found[*place].value.required;
            *required = required.or(Some(true));
        }
    };
    let is_needed = |block: &&Block| {
        matches!(block.kind, Kind::Item) && NEEDED_BEFORE.is_in(&reading.section(block).lower)
    };
    for block in reading.prose().filter(is_needed) {
        if !block.rich.has(&words::OPTIONAL) {
            demand(block, &block.rich.text);
        }
    }
    for pair in reading.document.blocks.windows(2) {
        let [before, block] = pair else { continue };
        let is_short = before.rich.text.len() < 400 && !before.is_code();
        let leads = || before.rich.text.trim_end().ends_with([':', '：']) && LEADS.is_in(before.rich.lower());
        let is_for_use = !matches!(reading.topic_of(block), Topic::Development | Topic::Elsewhere);
        if block.is_code() && is_for_use && is_short && leads() {
            demand(block, &block.rich.text);
        }
    }
    for block in reading.prose().filter(says) {
        for sentence in description::sentences(&block.rich.text) {
            let lower = sentence.to_lowercase().replace('\n', " ");
            if sentence.len() <= 400 && DEMANDS.is_in(&lower) && !lower.contains(" if ") {
                demand(block, sentence);
            }
        }
    }
}

/// "Unless a parameter is flagged as 'optional', it is mandatory."
pub fn says_all_are_required(reading: &Reading) -> bool {
    reading.document.blocks.iter().any(|block| {
        let text = &block.rich.text;
        text.len() < 600
            && block.rich.has(&words::OPTIONAL)
            && text.contains("mandatory")
            && text.contains("optional")
            && text.to_lowercase().contains("unless")
    })
}

static NOT_REQUIRED: WordList = WordList::new(&[
    "required if",
    "required when",
    "only required",
    "not necessary",
    "no value",
    "can be left empty",
    "may be left empty",
    "leave empty",
    "leave blank",
    "can be empty",
    "if not set",
    "if unset",
    "if required",
]);
static MARKED_REQUIRED: WordList = WordList::new(&[
    "(required",
    "[required",
    "**required",
    "required.",
    "required:",
    "(mandatory",
    "(必",
    "（必",
    "[必",
    "【必",
    "必须设置",
    "必填",
    "erforderlich",
    "(필수",
    "필수)",
    "(requis",
    "(obligat",
    "obligatorio",
    "обязательн",
    "mandatory",
    "*required*",
    "must be set",
    "will not start",
    "won't start",
    "refuses to start",
    "- required",
    "required,",
    "required)",
]);

/// What words beside a name say about its being required.
pub fn requirement(text: &str) -> Option<bool> {
    let lower = text.to_lowercase();
    let at_start = lower
        .split_whitespace()
        .take(3)
        .any(|word| word.trim_matches(|c: char| !c.is_alphanumeric()) == "required");
    // "Required: the host and an optional port".
    let is_labelled = at_start && lower.split_whitespace().take(3).any(|word| word.starts_with("required:"));
    if !is_labelled && words::OPTIONAL.is_in(&lower) || NOT_REQUIRED.is_in(&lower) {
        return Some(false);
    }
    let end = lower.trim_end_matches(|c: char| !c.is_alphanumeric());
    let at_end =
        [". required", ": required", "; required", "- required"].iter().any(|word| end.ends_with(word));
    (MARKED_REQUIRED.is_in(&lower) || at_start || at_end).then_some(true)
}
