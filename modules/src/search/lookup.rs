//! What the words of a query may stand for: themselves, the beginning of a word, a slip of the pen.

use super::vocabulary::Vocabulary;
use super::words::Word;
use super::{Kind, Match};

/// A word of a query with all that it may stand for.
#[derive(Debug)]
pub struct Lookup {
    word: String,
    /// How much the word says of what is wanted; 0 for what other words say already.
    importance: f32,
    pub candidates: Vec<Candidate>,
}

#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    pub term: usize,
    /// 1 for the word itself, less for what it may stand for.
    pub worth: f32,
    kind: Kind,
}

/// A prefix as short as one letter would stand for too much.
const SHORTEST_PREFIX: usize = 2;
/// More words than these with one beginning say that the beginning says nothing.
const MOST_PREFIXED: usize = 400;

/// Looks up all words, and pairs of them that are one word elsewhere: `pi hole`.
pub fn find(vocabulary: &Vocabulary, asked: &[Word]) -> Vec<Lookup> {
    let single = asked.iter().map(|word| one(vocabulary, word));
    let pairs = asked.windows(2).filter_map(|pair| {
        let joined = format!("{}{}", pair[0].text, pair[1].text);
        let term = vocabulary.exact(&super::words::stem(&joined))?;
        let word = format!("{} {}", pair[0].text, pair[1].text);
        Some(Lookup {
            word,
            importance: 0.0,
            candidates: vec![Candidate { term, worth: 1.0, kind: Kind::Exact }],
        })
    });
    single.chain(pairs).collect()
}

fn one(vocabulary: &Vocabulary, asked: &Word) -> Lookup {
    let exact = vocabulary.exact(&asked.term);
    let mut candidates: Vec<Candidate> =
        exact.map(|term| Candidate { term, worth: 1.0, kind: Kind::Exact }).into_iter().collect();
    candidates.extend(prefixed(vocabulary, &asked.term, exact));
    if exact.is_none() && asked.text.is_ascii() {
        candidates.extend(misspelt(vocabulary, &asked.term));
    }
    // Most pairs of characters are no words, so that one that is nowhere says little.
    let unknown = if asked.text.is_ascii() { 1.0 } else { 0.25 };
    let importance = exact
        .map_or(unknown * vocabulary.rarity(0), |term| vocabulary.rarity(vocabulary.postings(term).len()));
    Lookup { word: asked.text.clone(), importance, candidates }
}

/// The more of the word is written, the likelier it is meant.
fn prefixed(vocabulary: &Vocabulary, prefix: &str, exact: Option<usize>) -> impl Iterator<Item = Candidate> {
    let length = prefix.chars().count();
    let range =
        if length < SHORTEST_PREFIX || !prefix.is_ascii() { 0..0 } else { vocabulary.prefixed(prefix) };
    let most = if exact.is_some() { 0.45 } else { 0.8 };
    range.take(MOST_PREFIXED).filter(move |term| Some(*term) != exact).map(move |term| {
        let share = length as f32 / vocabulary.text(term).chars().count() as f32;
        Candidate { term, worth: most * share, kind: Kind::Prefix }
    })
}

fn misspelt(vocabulary: &Vocabulary, word: &str) -> impl Iterator<Item = Candidate> {
    let edits = match word.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    };
    let near = if edits == 0 { Vec::new() } else { vocabulary.similar(word, edits) };
    near.into_iter().map(|(term, distance)| {
        let worth = if distance == 1 { 0.6 } else { 0.35 };
        Candidate { term, worth, kind: Kind::Typo }
    })
}

/// For each of `documents`, how much of the query it has, and which words, and where.
pub fn matches(vocabulary: &Vocabulary, lookups: &[Lookup], documents: &[usize]) -> Vec<(f32, Vec<Match>)> {
    let total: f32 = lookups.iter().map(|lookup| lookup.importance).sum();
    let mut found: Vec<(f32, Vec<Match>)> = vec![(0.0, Vec::new()); documents.len()];
    let mut place: Vec<(u32, usize)> =
        (0..).zip(documents).map(|(at, document)| (to_u32(*document), at)).collect();
    place.sort_unstable();
    for lookup in lookups {
        let mut best: Vec<Option<(f32, Match)>> = vec![None; documents.len()];
        for candidate in &lookup.candidates {
            for posting in vocabulary.postings(candidate.term) {
                let Ok(known) = place.binary_search_by_key(&posting.document, |(document, _)| *document)
                else {
                    continue;
                };
                let worth = candidate.worth * posting.weight;
                let best = &mut best[place[known].1];
                if best.as_ref().is_none_or(|(known, _)| *known < worth) {
                    *best = Some((
                        worth,
                        Match {
                            word: lookup.word.clone(),
                            found: vocabulary.text(candidate.term).to_owned(),
                            field: posting.field(),
                            kind: candidate.kind,
                        },
                    ));
                }
            }
        }
        for ((coverage, matches), best) in found.iter_mut().zip(best) {
            let Some((_, best)) = best else { continue };
            let share = match best.kind {
                Kind::Exact => 1.0,
                Kind::Prefix => 0.8,
                Kind::Typo => 0.7,
            };
            *coverage += share * lookup.importance / total.max(f32::MIN_POSITIVE);
            matches.push(best);
        }
    }
    found
}

fn to_u32(document: usize) -> u32 {
    u32::try_from(document).expect("fewer modules than memory")
}
