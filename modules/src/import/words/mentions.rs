//! What a block of text speaks of: the lists that nearly every block is asked for, found in one pass.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::{ENVIRONMENT, OPTIONAL, WordList};
use crate::import::{fields, routes};

/// Those lists; a bit of [`Mentions`] is the place in here.
static LISTS: [&WordList; 13] = [
    &ENVIRONMENT,
    &OPTIONAL,
    &fields::arch::STEMS,
    &fields::danger::INITIAL,
    &fields::danger::LOGIN,
    &fields::env_default::DEFAULT_WORDS,
    &fields::env_required::DEMANDS,
    &fields::env_text::GIVEN,
    &fields::env_text::LOOKUPS,
    &fields::health::CHECKS,
    &fields::license::WORDS,
    &fields::memory::MEMORY,
    &routes::images::HUB,
];

/// Which of the lists have a word in a text.
#[derive(Debug, Clone, Copy)]
pub struct Mentions(u16);

struct Finder {
    words: AhoCorasick,
    /// The bit of each word's list.
    bits: Vec<u16>,
}

static FINDER: LazyLock<Finder> = LazyLock::new(|| {
    let words = LISTS.iter().flat_map(|list| list.words);
    let words = AhoCorasick::builder().kind(Some(AhoCorasickKind::DFA)).build(words);
    let bits = LISTS.iter().zip(0..).flat_map(|(list, place)| list.words.iter().map(move |_| 1 << place));
    Finder { words: words.expect("the lists are short"), bits: bits.collect() }
});

impl Mentions {
    /// Those in a text of lower case.
    pub fn of(text: &str) -> Self {
        let found = FINDER.words.find_overlapping_iter(text);
        Self(found.fold(0, |bits, word| bits | FINDER.bits[word.pattern().as_usize()]))
    }

    /// Where a list is among those of one pass, if it is.
    pub fn place(list: &WordList) -> Option<usize> {
        LISTS.iter().position(|known| std::ptr::eq(*known, list))
    }

    pub fn has(self, place: usize) -> bool {
        self.0 & 1 << place != 0
    }
}
