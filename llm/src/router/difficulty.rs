//! How hard a prompt looks, from the prompt alone: whether LOW is likely to do as well as HIGH.
//!
//! No weights are fitted. Five features that a reader would name add up, each with weight one (an improper linear
//! model): regressions on thirty features did worse on unseen prompts of one set, and no better on those of the other. The five were picked from
//! some thirty that were looked at on one half of RouteLLM's published outcomes; `make router-score` judges them. Each
//! is divided by a round figure near its usual spread, so that none outweighs the others by its unit:
//!
//! 1. reading load: the more there is to read and hold, the more a small model loses (logarithm of the words);
//! 2. clauses: enumerations and conditions to keep apart (logarithm of the commas, semicolons and colons);
//! 3. relations: quantities given by way of others (half of, twice, 30 %), which take a step each;
//! 4. choices that are alike: telling near-equal wordings apart takes exact reading;
//! 5. choices that are figures: less. An answer that must be computed at once, with no room to work, is missed by the
//!    strong model as well, and a HIGH call for it is wasted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Words that give a quantity by way of another.
const RELATIONS: &[&str] = &[
    "twice", "half", "halves", "third", "thirds", "quarter", "quarters", "fifth", "fifths", "tenth",
    "tenths", "double", "doubled", "doubles", "triple", "tripled", "triples", "times", "percent", "ratio",
    "fraction",
];

/// The features of a prompt, each in units of its usual spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difficulty {
    pub reading: f64,
    pub clauses: f64,
    pub relations: f64,
    pub alike_choices: f64,
    pub figure_choices: f64,
}

/// A coarse class, for pass rates that are measured by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Band {
    Easy,
    Medium,
    Hard,
}

impl Difficulty {
    pub fn of(prompt: &str) -> Difficulty {
        let words = words(prompt);
        let pauses =
            prompt.chars().filter(|c| matches!(c, ',' | ';' | ':' | '，' | '；' | '：' | '、')).count();
        let choices = choices(prompt);
        Difficulty {
            reading: ln_1p(length(prompt)) / 0.6,
            clauses: ln_1p(pauses) / 0.8,
            relations: ln_1p(relations(prompt, &words)) / 0.5,
            alike_choices: alike(&choices) / 0.25,
            figure_choices: share_with_digits(&choices) / 0.25,
        }
    }

    /// All in one; grows with the difficulty. Means something beside another prompt's only.
    pub fn sum(&self) -> f64 {
        self.reading + self.clauses + self.relations + self.alike_choices - self.figure_choices
    }

    /// How likely LOW suffices, between 0 and 1. The order is what was tested; the value is no measured probability,
    /// for that there are pass rates by band.
    pub fn low_suffices(&self) -> f64 {
        1.0 / (1.0 + (self.sum() - MIDDLE).exp())
    }

    pub fn band(&self) -> Band {
        match self.sum() - MIDDLE {
            over if over < -1.5 => Band::Easy,
            over if over < 1.5 => Band::Medium,
            _ => Band::Hard,
        }
    }
}

/// The sum of a request of some fifty words with two commas.
const MIDDLE: f64 = 8.0;

fn ln_1p(count: usize) -> f64 {
    (count as f64).ln_1p()
}

/// Lower-case words of letters and digits, with their apostrophes.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The number of words; of writing without spaces, two signs count as one.
fn length(text: &str) -> usize {
    let is_sign =
        |c: char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}');
    let signs = text.chars().filter(|c| is_sign(*c)).count();
    let runs =
        text.split(|c: char| (!c.is_alphabetic() && c != '\'') || is_sign(c)).filter(|run| !run.is_empty());
    runs.count() + signs.div_ceil(2)
}

fn relations(text: &str, words: &[String]) -> usize {
    let named = words.iter().filter(|word| RELATIONS.contains(&word.as_str())).count();
    let as_many = words
        .windows(2)
        .filter(|pair| pair[0] == "as" && matches!(pair[1].as_str(), "many" | "much"))
        .count();
    let signs = text.chars().filter(|c| matches!(c, '%' | '½' | '¼' | '¾' | '倍' | '半')).count();
    let bytes = text.as_bytes();
    let fractions =
        bytes.windows(3).filter(|w| w[0].is_ascii_digit() && w[1] == b'/' && w[2].is_ascii_digit()).count();
    named + as_many + signs + fractions
}

/// The answers to choose from: lines that begin with A, B, C … in order, as `A.`, `A)` or `(A)`.
fn choices(prompt: &str) -> Vec<String> {
    let mut choices: Vec<String> = Vec::new();
    for line in prompt.lines().skip(1) {
        let expected = char::from(b'A' + choices.len().min(25) as u8);
        let unbraced = line.trim_start().trim_start_matches('(');
        let rest = unbraced.strip_prefix(expected).and_then(|rest| rest.strip_prefix(['.', ')']));
        match (rest, choices.last_mut()) {
            (Some(rest), _) => choices.push(rest.trim().to_owned()),
            (None, Some(_)) if line.starts_with("Answer") => break,
            (None, Some(last)) => last.push_str(line),
            (None, None) => {}
        }
    }
    if choices.len() < 2 { Vec::new() } else { choices }
}

/// The mean share of words that two choices have in common.
fn alike(choices: &[String]) -> f64 {
    let sets: Vec<BTreeSet<String>> =
        choices.iter().map(|choice| words(choice).into_iter().collect()).collect();
    let mut total = 0.0;
    let mut pairs = 0;
    for (index, one) in sets.iter().enumerate() {
        for other in &sets[..index] {
            let union = one.union(other).count().max(1);
            total += one.intersection(other).count() as f64 / union as f64;
            pairs += 1;
        }
    }
    if pairs == 0 { 0.0 } else { total / f64::from(pairs) }
}

fn share_with_digits(choices: &[String]) -> f64 {
    let with = choices.iter().filter(|choice| choice.chars().any(|c| c.is_ascii_digit())).count();
    if choices.is_empty() { 0.0 } else { with as f64 / choices.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_more_steps_or_closer_reading_looks_harder() {
        let pairs = [
            (
                "restart nginx",
                "restart nginx on every node that has more than 85 % disk used, unless it is cordoned, and tell me which failed",
            ),
            (
                "Ann has 3 apples and buys 2. How many has she?",
                "Ann has 3 times as many apples as Bo, who has half of what Cy has. How many has she?",
            ),
            (
                "Pick.\nA. red\nB. square\nC. loud",
                "Pick.\nA. not red, not blue\nB. not red, blue\nC. red, not blue",
            ),
            ("Choose.\nA. 12\nB. 14\nC. 19", "Choose.\nA. x\nB. y\nC. z"),
            ("重启", "在每个磁盘使用率超过一半的节点上清理日志，然后重启服务，失败的要列出来"),
        ];
        for (easy, hard) in pairs {
            let (easy, hard) = (Difficulty::of(easy), Difficulty::of(hard));
            assert!(
                easy.sum() < hard.sum() && easy.low_suffices() > hard.low_suffices(),
                "{easy:?} {hard:?}"
            );
        }
    }

    #[test]
    fn choices_are_found_in_all_forms_and_only_in_order() {
        assert_eq!(choices("Q?\nA. one\nB. two\nAnswer:"), ["one", "two"]);
        assert_eq!(choices("Q?\n(A) one\n (B) two\nmore\n(C) three"), ["one", "twomore", "three"]);
        assert_eq!(choices("A. Smith wrote it.\nB. Jones did not."), Vec::<String>::new());
        assert_eq!(choices("Plan:\nA. only one"), Vec::<String>::new());
    }

    #[test]
    fn any_prompt_has_a_finite_score() {
        for prompt in ["", "\n\n", "%%%", "\u{0}", &"a,".repeat(100_000), &"A. \n".repeat(1_000)] {
            let score = Difficulty::of(prompt).low_suffices();
            assert!((0.0..=1.0).contains(&score), "{score}");
        }
    }
}
