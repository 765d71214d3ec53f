//! The scores of all nodes for one wish, kept so that the best is found without looking at each again.

use super::chunk::{LANES, best};
use super::index::NodeSet;
use super::score::{INELIGIBLE, Need};
use super::snapshot::Snapshot;

/// The score of every node, and the best one of each chunk.
pub(super) struct Board {
    eligible: NodeSet,
    scores: Vec<[f32; LANES]>,
    maxima: Vec<f32>,
}

impl Board {
    pub fn scan(snapshot: &Snapshot, need: &Need, eligible: NodeSet, package: &NodeSet) -> Self {
        let chunks = snapshot.chunks();
        let mut scores = vec![[INELIGIBLE; LANES]; chunks.len()];
        let mut maxima = vec![INELIGIBLE; chunks.len()];
        for (number, chunk) in chunks.iter().enumerate() {
            let (eligible, package) = (eligible.words()[number], package.words()[number]);
            if eligible != 0 {
                maxima[number] = chunk.score(need, eligible, package, &mut scores[number]);
            }
        }
        Self { eligible, scores, maxima }
    }

    pub fn set(&mut self, number: usize, score: f32) {
        let (chunk, lane) = (number / LANES, number % LANES);
        self.scores[chunk][lane] = if self.eligible.contains(number) { score } else { INELIGIBLE };
        self.maxima[chunk] = best(&self.scores[chunk]);
    }

    /// The first of the best.
    pub fn best(&self) -> Option<usize> {
        let mut most = INELIGIBLE;
        let mut chunk = 0;
        for (number, maximum) in self.maxima.iter().enumerate() {
            if *maximum > most {
                (most, chunk) = (*maximum, number);
            }
        }
        let lane = self.scores.get(chunk)?.iter().position(|score| *score == most)?;
        (most > INELIGIBLE).then_some(chunk * LANES + lane)
    }
}
