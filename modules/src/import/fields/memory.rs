//! How much memory the text says is needed.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::{Block, Kind, Rich};
use crate::import::facts::Found;
use crate::import::reading::Reading;
use crate::import::words::{self, WordList};

static AMOUNT: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)(\d+(?:[.,]\d+)?)\s*-?\s*(gib|mib|gb|mb|go|mo|g|m|гб|мб)\b";
    Regex::new(pattern).expect("the pattern is well-formed")
});

pub static MEMORY: WordList = WordList::new(&[
    " ram",
    "memory",
    "内存",
    "記憶體",
    "メモリ",
    "arbeitsspeicher",
    "mémoire",
    "memoria",
    "памят",
    "메모리",
]);
static NEED: WordList = WordList::new(&[
    "minimum",
    "min.",
    "at least",
    "require",
    "need",
    "recommend",
    "or more",
    "≥",
    ">=",
    "最低",
    "至少",
    "以上",
    "推荐",
    "建议",
    "必要",
    "推奨",
    "mindestens",
    "minimal",
    "au moins",
    "mínim",
    "al menos",
    "pelo menos",
    "минимум",
    "не менее",
    "최소",
    "or higher",
]);
static TYPICAL: WordList = WordList::new(&[
    "less than",
    "idle",
    "usage is",
    "typically",
    "around",
    "uses only",
    "uses about",
    "footprint",
    "as little",
    "limit",
    "cache",
    "占用",
]);

static LEAST: WordList = WordList::new(&[
    "minimum",
    "min.",
    "at least",
    "最低",
    "至少",
    "最小",
    "mindestens",
    "au moins",
    "minimal",
    "mínim",
    "минимальн",
    "최소",
]);

/// In MiB: what is called the minimum before what is recommended.
pub fn find(reading: &Reading) -> Option<Found<u64>> {
    let found = amounts(reading);
    let least = found.iter().position(|(_, is_least)| *is_least).unwrap_or(0);
    found.into_iter().nth(least).map(|(amount, _)| amount)
}

/// The amounts that are stated, and whether each is called the least.
fn amounts(reading: &Reading) -> Vec<(Found<u64>, bool)> {
    let mut found = Vec::new();
    let mut introduction = "";
    let mut section = 0;
    for block in reading.prose() {
        if section != block.section {
            // What one section says is enough.
            if !found.is_empty() {
                break;
            }
            (section, introduction) = (block.section, reading.section(block).lower.as_str());
        }
        if matches!(block.kind, Kind::Paragraph) {
            introduction = block.rich.lower();
        }
        let is_least = |text: &str| {
            let lower = text.to_lowercase();
            LEAST.is_in(&lower) || !lower.contains("recommend") && LEAST.is_in(introduction)
        };
        let is_table = matches!(block.kind, Kind::Table(_));
        if !is_table && !block.rich.has(&MEMORY) && !block.rich.lower().starts_with("ram") {
            continue;
        }
        if let Kind::Table(table) = &block.kind {
            for row in &table.rows {
                let is_about = |cell: &Rich| cell.lower().contains("ram") || cell.has(&MEMORY);
                if !row.cells.iter().any(is_about) {
                    continue;
                }
                let text = row.cells.iter().map(|cell| cell.text.as_str()).collect::<Vec<_>>().join(" ");
                let heads = table.header.iter().any(|cell| cell.has(&LEAST));
                if let Some(amount) = stated(reading, block, &text) {
                    found.push((Found::read(amount, reading.origin(row.line)), heads || is_least(&text)));
                }
            }
            continue;
        }
        for sentence in super::description::sentences(&block.rich.text) {
            if let Some(amount) = stated(reading, block, sentence) {
                let at = super::description::place(&block.rich.text, sentence);
                let amount = Found::read(amount, reading.origin(block.line_at(at)));
                found.push((amount, is_least(sentence)));
            }
        }
    }
    found
}

fn stated(reading: &Reading, block: &Block, text: &str) -> Option<u64> {
    let lower = format!(" {}", text.to_lowercase().replace('\n', " "));
    let is_required = || {
        let titles = reading.document.path(block.section);
        NEED.is_in(&lower)
            || titles.take(2).any(|section| {
                words::any(
                    &section.lower,
                    &[
                        "requirement",
                        "prerequisite",
                        "hardware",
                        "要求",
                        "要件",
                        "必要",
                        "配置",
                        "voraussetzung",
                        "prérequis",
                        "requisitos",
                        "требован",
                        "요구",
                        "사양",
                    ],
                )
            })
    };
    if !MEMORY.is_in(&lower) || TYPICAL.is_in(&lower) || !is_required() {
        return None;
    }
    // The amount that stands nearest to the word.
    let word = MEMORY.find(&lower)?;
    let nearest = AMOUNT
        .captures_iter(&lower)
        .min_by_key(|found| found.get(0).map_or(usize::MAX, |amount| amount.start().abs_diff(word)))?;
    if nearest.get(0)?.start().abs_diff(word) > 60 {
        return None;
    }
    let number: f64 = nearest[1].replace(',', ".").parse().ok()?;
    let is_giga = nearest[2].starts_with(['g', 'г']);
    let mebibytes = if is_giga { number * 1024.0 } else { number };
    (8.0..=1_048_576.0).contains(&mebibytes).then_some(mebibytes as u64)
}
