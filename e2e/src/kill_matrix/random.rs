//! Numbers that follow from a seed alone, on every machine and in every version (SplitMix64).

use std::collections::BTreeSet;

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of one index under a seed.
    pub fn new(seed: u64, index: u64) -> Random {
        let mut mixer = Random(seed);
        Random(mixer.next() ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to just below 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }

    pub fn pick_of(&mut self, from: &BTreeSet<String>) -> String {
        from.iter().nth((self.next() % from.len().max(1) as u64) as usize).cloned().unwrap_or_default()
    }
}
