//! How good each node is for one wish, kept so that the best is found without looking at all of them again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::chunk::{Chunk, LANES, best, larger, scan};
use super::index::NodeSet;
use super::score::{INELIGIBLE, Need};

/// The best score of each chunk. The scores of its nodes are kept only where they differ from what the chunk says:
/// to score a chunk once more costs less than to write down all scores of the fleet.
pub(super) struct Board<'a> {
    question: Question<'a>,
    maxima: Vec<f32>,
    changed: BTreeMap<usize, Box<[f32; LANES]>>,
}

/// What the nodes are scored for.
pub(super) struct Question<'a> {
    pub chunks: &'a [Chunk],
    pub need: Need,
    pub eligible: NodeSet,
    pub package: Cow<'a, NodeSet>,
}

impl Question<'_> {
    fn scores(&self, chunk: usize) -> [f32; LANES] {
        let mut scores = [INELIGIBLE; LANES];
        let (eligible, package) = (self.eligible.words()[chunk], self.package.words()[chunk]);
        self.chunks[chunk].score(&self.need, eligible, package, &mut scores);
        scores
    }
}

impl<'a> Board<'a> {
    pub fn scan(question: Question<'a>) -> Self {
        let Question { chunks, need, eligible, package } = &question;
        let maxima = scan(chunks, need, eligible.words(), package.words());
        Self { maxima, changed: BTreeMap::new(), question }
    }

    pub fn set(&mut self, number: usize, score: f32) {
        let (chunk, lane) = (number / LANES, number % LANES);
        let scores = self.changed.entry(chunk).or_insert_with(|| Box::new(self.question.scores(chunk)));
        scores[lane] = if self.question.eligible.contains(number) { score } else { INELIGIBLE };
        self.maxima[chunk] = best(scores);
    }

    /// The first of the best.
    pub fn best(&self) -> Option<usize> {
        let most = self.maxima.iter().fold(INELIGIBLE, |most, maximum| larger(*maximum, most));
        if most <= INELIGIBLE {
            return None;
        }
        let chunk = self.maxima.iter().position(|maximum| *maximum == most)?;
        let changed = self.changed.get(&chunk);
        let scores = changed.map_or_else(|| self.question.scores(chunk), |scores| **scores);
        let lane = scores.iter().position(|score| *score == most)?;
        Some(chunk * LANES + lane)
    }
}
