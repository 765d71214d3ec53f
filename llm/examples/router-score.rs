//! Scores the router on recorded outcomes: `cargo run -p llm --example router-score -- FOLDER`, where FOLDER holds
//! gsm8k.jsonl and mmlu.jsonl (one object a line: `prompt`, `low_ok`, `high_ok`). Exits with 1 where the prompt alone
//! does not give an APGR above .60 on each, or the guard lets a cascade pass that is dearer than HIGH alone.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use llm::money::Money;
use llm::rates::{PassRate, guard};
use llm::router::difficulty::Difficulty;
use llm::router::score::{Outcome, Verifier, apgr, cascade};
use llm::tier::Tier;
use serde::Deserialize;

const GOAL: f64 = 0.60;
const HALVES: u32 = 200;
const HIGH: Money = Money::micros(10_000);

#[derive(Deserialize)]
struct Line {
    prompt: String,
    low_ok: bool,
    high_ok: bool,
}

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: router-score FOLDER");
        return ExitCode::from(2);
    };
    println!(
        "No weight is fitted, but the five features were picked on such outcomes: expect a little less on others.\n"
    );
    let mut is_good = true;
    for set in ["gsm8k", "mmlu"] {
        match read(&Path::new(&folder).join(format!("{set}.jsonl"))) {
            Ok(lines) => is_good &= report(set, &lines),
            Err(error) => {
                eprintln!("{set}.jsonl: {error}");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::from(u8::from(!is_good))
}

fn read(path: &Path) -> Result<Vec<Line>, std::io::Error> {
    fs::read_to_string(path)?.lines().map(|line| serde_json::from_str(line).map_err(Into::into)).collect()
}

fn report(set: &str, lines: &[Line]) -> bool {
    let routed = scored(lines, |prompt| Difficulty::of(prompt).low_suffices());
    let shares = |pick: fn(&Outcome) -> bool| {
        routed.iter().filter(|outcome| pick(outcome)).count() as f64 / routed.len() as f64
    };
    println!(
        "{set}: {} prompts, LOW right {:.4}, HIGH right {:.4}",
        lines.len(),
        shares(|o| o.low_ok),
        shares(|o| o.high_ok)
    );
    let got = apgr_line("router (the same five features and weights for all)", &routed);
    apgr_line("prompt length", &scored(lines, |prompt| -(prompt.chars().count() as f64)));
    let mut random = Random(1);
    apgr_line("random", &scored(lines, |_| random.next()));
    for (name, verifier) in [
        ("perfect verifier", Verifier::default()),
        ("noisy verifier (misses 20 %, false alarms 10 %)", Verifier { misses: 0.2, false_alarms: 0.1 }),
    ] {
        let all = cascade(&routed, verifier);
        println!(
            "  cascade, {name}: accuracy {:.4} at {:.1} % HIGH calls",
            all.accuracy,
            all.high_calls * 100.0
        );
    }
    let is_guarded = guarded(&routed);
    println!();
    got > GOAL && is_guarded
}

/// The rate is measured on the first half of the prompts, and what it decides is paid for on the second.
fn guarded(outcomes: &[Outcome]) -> bool {
    let (seen, unseen) = outcomes.split_at(outcomes.len() / 2);
    let mut rate = PassRate::default();
    seen.iter().for_each(|outcome| rate.record(outcome.low_ok));
    let high_calls = cascade(unseen, Verifier::default()).high_calls;
    let mut is_never_dearer = true;
    let mut refused = 0;
    for share in [5, 25, 50, 60, 70, 80, 100] {
        let low = Money::micros(HIGH.as_micros() * share / 100);
        let decided = guard(low, HIGH, &rate);
        let cost = share as f64 / 100.0 + high_calls;
        println!(
            "  guard, LOW at {share:>3} % of HIGH: a cascade costs {cost:.3} of HIGH alone; {}",
            decided.reason
        );
        match decided.first {
            Tier::Low => is_never_dearer &= cost <= 1.0,
            Tier::High => refused += 1,
        }
    }
    is_never_dearer && refused > 0
}

fn apgr_line(name: &str, outcomes: &[Outcome]) -> f64 {
    let all = apgr(outcomes).unwrap_or(0.0);
    let mut random = Random(7);
    let mut halves = Vec::new();
    for _ in 0..HALVES {
        let mut shuffled: Vec<(f64, Outcome)> =
            outcomes.iter().map(|outcome| (random.next(), *outcome)).collect();
        shuffled.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half: Vec<Outcome> =
            shuffled.into_iter().take(outcomes.len() / 2).map(|(_, outcome)| outcome).collect();
        halves.extend(apgr(&half));
    }
    let count = halves.len().max(1) as f64;
    let mean = halves.iter().sum::<f64>() / count;
    let spread = (halves.iter().map(|half| (half - mean).powi(2)).sum::<f64>() / count).sqrt();
    println!("  APGR {all:.4}  {name}; {HALVES} random halves: {mean:.4} ± {spread:.4}");
    all
}

fn scored(lines: &[Line], mut score: impl FnMut(&str) -> f64) -> Vec<Outcome> {
    let outcome =
        |line: &Line| Outcome { score: score(&line.prompt), low_ok: line.low_ok, high_ok: line.high_ok };
    lines.iter().map(outcome).collect()
}

/// SplitMix64 by a fixed seed: the report is the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
