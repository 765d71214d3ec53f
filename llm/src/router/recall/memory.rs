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
        let texts = Texts::of(self.earlier.values().map(|earlier| earlier.request.as_str()));
        let by_words = self.ranked(|earlier| texts.score(&words, &earlier.request));
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

/// What full-text search has to know of all texts: Okapi BM25 with the usual constants.
struct Texts {
    count: f32,
    mean_length: f32,
    /// In how many texts a word is.
    holding: BTreeMap<String, f32>,
}

impl Texts {
    fn of<'t>(texts: impl Iterator<Item = &'t str>) -> Texts {
        let (mut count, mut length, mut holding) = (0.0f32, 0.0f32, BTreeMap::new());
        for text in texts {
            count += 1.0;
            length += split(text).count() as f32;
            words(text).into_iter().for_each(|word| *holding.entry(word).or_insert(0.0f32) += 1.0);
        }
        Texts { count, mean_length: (length / count.max(1.0)).max(1.0), holding }
    }

    /// Rare words that two texts share count more than common ones, and long texts are not found for their length.
    fn score(&self, wanted: &BTreeSet<String>, text: &str) -> f32 {
        const SATURATION: f32 = 1.2;
        const LENGTH: f32 = 0.75;
        let found: Vec<String> = split(text).collect();
        let length = 1.0 - LENGTH + LENGTH * found.len() as f32 / self.mean_length;
        let of_word = |word: &String| {
            let times = found.iter().filter(|found| *found == word).count() as f32;
            let holding = self.holding.get(word).copied().unwrap_or(0.0);
            let rarity = (1.0 + (self.count - holding + 0.5) / (holding + 0.5)).ln();
            rarity * times * (SATURATION + 1.0) / (times + SATURATION * length)
        };
        wanted.iter().map(of_word).sum()
    }
}

fn words(text: &str) -> BTreeSet<String> {
    split(text).collect()
}

fn split(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Zero for vectors of different embedders, which have different lengths.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let length = |v: &[f32]| v.iter().map(|value| value * value).sum::<f32>().sqrt();
    let product: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
    let lengths = length(a) * length(b);
    if a.len() != b.len() || lengths == 0.0 { 0.0 } else { product / lengths }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_word_counts_more_than_common_ones_and_length_wins_nothing() {
        let long = format!("restart the service on all nodes {}", "of the fleet ".repeat(30));
        let texts = ["restart the service on all nodes", "restart nginx", long.as_str(), "show the nodes"];
        let all = Texts::of(texts.into_iter());
        let score = |wanted: &str, text: &str| all.score(&words(wanted), text);
        assert!(score("restart nginx", texts[1]) > score("restart nginx", texts[0]));
        assert!(score("restart the service", texts[0]) > score("restart the service", &long));
        assert_eq!(score("weather", texts[0]), 0.0);
        assert!(score("", texts[0]) == 0.0 && all.score(&words("restart"), "").abs() < f32::EPSILON);
        assert_eq!(Texts::of(std::iter::empty()).score(&words("x"), "y"), 0.0);
    }
}
