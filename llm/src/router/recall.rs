//! Earlier requests like this one: hybrid search (words and vectors), and when a plan may be used again.
//!
//! A store finds candidates by full text and by vector; `fuse` makes one list of both. Being alike is not enough to use
//! a plan again: numbers, names and negations must be the same, and so must the fleet and the modules it was made for.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use lexical::Lexical;
pub use memory::Memory;

mod lexical;
mod memory;

/// From this cosine on two requests ask for the same kind of thing, if their details are the same.
const ALIKE: f32 = 0.80;

/// Turns texts into vectors whose cosine tells how alike they are.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Part of the key under which vectors are kept: those of different embedders cannot be compared.
    fn name(&self) -> &str;

    async fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError>;
}

/// No vector could be had: search goes by words alone, and nothing is taken from the past.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not embed the text: {reason}")]
pub struct EmbedError {
    pub reason: String,
}

/// A request of the past and the plan that answered it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Earlier {
    pub plan: String,
    pub request: String,
    /// Digest of what the plan was made for: the nodes of its selector, their capabilities, and the modules.
    pub world: String,
    pub vector: Vec<f32>,
}

/// A candidate for use.
#[derive(Debug, Clone, PartialEq)]
pub struct Similar {
    pub plan: String,
    pub request: String,
    pub cosine: f32,
    /// Whether fleet and modules are still what the plan was made for.
    pub is_current: bool,
}

/// Joins two rankings of ids, best first, by their reciprocal ranks: what both find goes above what one finds.
pub fn fuse(by_words: &[String], by_vector: &[String]) -> Vec<String> {
    const DAMPING: f64 = 60.0;
    let mut scores: BTreeMap<&str, f64> = BTreeMap::new();
    for ranking in [by_words, by_vector] {
        for (rank, id) in ranking.iter().enumerate() {
            *scores.entry(id).or_default() += 1.0 / (DAMPING + rank as f64 + 1.0);
        }
    }
    let mut fused: Vec<(&str, f64)> = scores.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    fused.into_iter().map(|(id, _)| id.to_owned()).collect()
}

/// The first candidate whose plan may be used again, or why there is none.
pub fn usable<'a>(request: &str, candidates: &'a [Similar]) -> Result<&'a Similar, String> {
    let mut reason = "nothing like it was asked before".to_owned();
    let mut is_first = true;
    for candidate in candidates {
        match objection(request, candidate) {
            None => return Ok(candidate),
            // The best candidate is the one worth a word.
            Some(why) if is_first => reason = why,
            Some(_) => {}
        }
        is_first = false;
    }
    Err(reason)
}

fn objection(request: &str, candidate: &Similar) -> Option<String> {
    let earlier = &candidate.request;
    if candidate.cosine < ALIKE {
        return Some(format!(
            "the nearest earlier request, \"{earlier}\", is only {:.2} alike",
            candidate.cosine
        ));
    }
    let (mine, its) = (details(request), details(earlier));
    if mine != its {
        let differ: Vec<&str> = mine.symmetric_difference(&its).map(String::as_str).collect();
        return Some(format!("\"{earlier}\" is alike but differs in {}", differ.join(", ")));
    }
    if !candidate.is_current {
        return Some(format!("\"{earlier}\" asked the same, but the fleet or a module has changed since"));
    }
    None
}

const TURNING: &[&str] = &[
    "not",
    "no",
    "never",
    "without",
    "except",
    "don't",
    "do not",
    "above",
    "below",
    "over",
    "under",
    "more",
    "less",
    "before",
    "after",
    "all",
    "every",
    "any",
    "one",
    "only",
    "start",
    "stop",
    "restart",
    "enable",
    "disable",
    "add",
    "remove",
    "delete",
    "install",
    "uninstall",
    "upgrade",
    "downgrade",
    "show",
    "list",
    "on",
    "off",
    "first",
    "last",
    "older",
    "newer",
    "up",
    "down",
    "increase",
    "decrease",
    "reboot",
    "shutdown",
];
const TURNING_SIGNS: &[&str] =
    &["不", "没", "除", "以上", "以下", "启动", "停止", "重启", "删除", "增加", "所有", "只"];

/// What makes two requests differ however alike they are: numbers with their units, names (with a dot, slash, dash or
/// digit in them, or in quotes), negations, and words that turn the meaning round.
fn details(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let trim = |c: char| !c.is_alphanumeric() && !matches!(c, '%' | '/' | '-' | '_' | '~' | '*');
    let words = lower.split_whitespace().map(|word| word.trim_matches(trim)).filter(|word| !word.is_empty());
    let is_name = |word: &str| {
        word.contains(['.', '/', '-', '_', '%', '*', '=', '@']) || word.chars().any(char::is_numeric)
    };
    let mut details: BTreeSet<String> =
        words.filter(|word| is_name(word) || TURNING.contains(word)).map(str::to_owned).collect();
    details.extend(TURNING_SIGNS.iter().filter(|sign| lower.contains(**sign)).map(|sign| (*sign).to_owned()));
    details.extend(lower.split(['"', '`']).skip(1).step_by(2).map(str::to_owned));
    details
}
