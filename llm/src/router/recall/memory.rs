//! Earlier requests held in memory and searched one by one: fast enough for thousands, and what a store is tested against.

use std::collections::{BTreeMap, BTreeSet};

use crate::router::recall::{Earlier, Similar, fuse};

#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// By plan.
    earlier: BTreeMap<String, Earlier>,
}

impl Memory {
    /// Remembers a plan that was approved and did what was asked; a newer one of the same id takes its place.
    pub fn remember(&mut self, earlier: Earlier) {
        self.earlier.insert(earlier.plan.clone(), earlier);
    }

    pub fn forget(&mut self, plan: &str) {
        self.earlier.remove(plan);
    }

    /// The `most` plans whose requests are most like this one, by words and by vector. `world` is the digest of what
    /// fleet and modules are now.
    pub fn similar(&self, request: &str, vector: &[f32], world: &str, most: usize) -> Vec<Similar> {
        let words = words(request);
        let shared = |earlier: &Earlier| self::words(&earlier.request).intersection(&words).count();
        let by_words = self.ranked(|earlier| shared(earlier) as f32);
        let by_vector = self.ranked(|earlier| cosine(vector, &earlier.vector));
        let fused = fuse(&by_words, &by_vector);
        let found = fused.iter().take(most).filter_map(|plan| self.earlier.get(plan));
        found
            .map(|earlier| Similar {
                plan: earlier.plan.clone(),
                request: earlier.request.clone(),
                cosine: cosine(vector, &earlier.vector),
                is_current: earlier.world == world,
            })
            .collect()
    }

    fn ranked(&self, score: impl Fn(&Earlier) -> f32) -> Vec<String> {
        let mut scored: Vec<(f32, &String)> =
            self.earlier.values().map(|earlier| (score(earlier), &earlier.plan)).collect();
        scored.retain(|(score, _)| *score > 0.0);
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        scored.into_iter().map(|(_, plan)| plan.clone()).collect()
    }
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Zero for vectors of different embedders, which have different lengths.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let length = |v: &[f32]| v.iter().map(|value| value * value).sum::<f32>().sqrt();
    let product: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let lengths = length(a) * length(b);
    if a.len() != b.len() || lengths == 0.0 { 0.0 } else { product / lengths }
}
