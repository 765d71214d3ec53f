//! Vectors from the letters alone: what there is without a model. Finds the same words in another order, other endings
//! and typing errors, not other words for the same thing.

use async_trait::async_trait;

use crate::router::recall::{EmbedError, Embedder};

const SIZE: usize = 512;

/// The built-in embedder: hashed words and groups of three letters, weighted by the square root of their counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lexical;

impl Lexical {
    /// A vector of length one; all zero for a text without letters or digits.
    pub fn vector(text: &str) -> Vec<f32> {
        let mut vector = vec![0.0f32; SIZE];
        for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
        {
            // Words that every request has say little.
            let weight = if STOP.contains(&word) { 0.2 } else { 1.0 };
            vector[place(word.as_bytes())] += weight;
            let padded: Vec<char> = format!("^{word}$").chars().collect();
            for group in padded.windows(3) {
                let group: String = group.iter().collect();
                vector[place(group.as_bytes())] += weight / 2.0;
            }
        }
        vector.iter_mut().for_each(|value| *value = value.sqrt());
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        }
        vector
    }
}

const STOP: &[&str] = &[
    "a", "an", "the", "of", "to", "in", "on", "at", "is", "are", "be", "that", "which", "and", "or", "for",
    "with", "it", "its", "this", "me", "my", "please", "can", "you",
];

#[async_trait]
impl Embedder for Lexical {
    fn name(&self) -> &str {
        "lexical-1"
    }

    async fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        Ok(Lexical::vector(text))
    }
}

/// FNV-1a: vectors are stored, so the hash must never change.
fn place(bytes: &[u8]) -> usize {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash % SIZE as u64) as usize
}
