//! The architectures that the text says are supported.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::{Block, Kind, Table};
use crate::import::facts::{Confidence, Found};
use crate::import::reading::Reading;
use crate::import::words::{self, WordList};

static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)(?:^|[^a-z0-9])(x86[-_ ]64|amd[-_ ]?64|x64|amd 64-bit|intel 64|aarch64|arm64(?:/?v8|v8)?|arm64|arm/v8|armv8|arm32v7|arm32v6|arm32v5|arm[-/]?v?7l?|arm[-/]?v?6l?|arm[-/]?v?5|armv7hf|armhf|armel|i[3-6]86|linux/386|386|x86|riscv64|ppc64le|s390x|loong64|loongarch64|mips64le)(?:[^a-z0-9]|$)";
    Regex::new(pattern).expect("the pattern is well-formed")
});

/// What each of the names has in it; most texts have none of these.
pub static STEMS: WordList = WordList::new(&[
    "x86", "amd", "x64", "intel 64", "aarch64", "arm", "386", "486", "586", "686", "riscv", "ppc64", "s390x",
    "loong", "mips64",
]);

fn normal(name: &str) -> &'static str {
    let name: String = name.to_ascii_lowercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    match name.as_str() {
        "x8664" | "amd64" | "x64" | "amd64bit" | "intel64" => "amd64",
        "aarch64" | "arm64" | "arm64v8" | "armv8" | "armv8l" => "arm64",
        "arm32v7" | "armv7" | "armv7l" | "arm7" | "armv7hf" => "armv7",
        "arm32v6" | "armv6" | "armv6l" | "arm6" => "armv6",
        "arm32v5" | "armv5" | "arm5" | "armel" => "armv5",
        "armhf" => "armhf",
        "riscv64" => "riscv64",
        "ppc64le" => "ppc64le",
        "s390x" => "s390x",
        "loong64" | "loongarch64" => "loong64",
        "mips64le" => "mips64le",
        "x86" => "x86",
        _ => "386",
    }
}

static SPEAKS: WordList = WordList::new(&[
    "architectur",
    "arch:",
    "arch：",
    "platform",
    "multi-arch",
    "multiarch",
    "multi arch",
    "supports",
    "supported",
    "available for",
    "available on",
    "images for",
    "image for",
    "built for",
    "builds for",
    "架构",
    "架構",
    "平台",
    "支持",
    "アーキテクチャ",
    "対応",
    "architektur",
    "arquitectura",
    "arquitetura",
    "архитектур",
    "아키텍처",
    "runs on",
    "runs fine",
    "runs well",
    "run on",
    "works on",
    "provided for",
    "compatible with",
    "binaries",
    "binary for",
    "linux/amd64",
    "linux/arm64",
]);
/// The words of a line that a list of architectures follows.
static INTRODUCES: WordList = WordList::new(&[
    "architectur",
    "platform",
    "multi-arch",
    "multiarch",
    "multi arch",
    "supports",
    "available for",
    "binaries",
]);
/// What a section is headed whose names of architectures need no further words.
static TITLES: WordList = WordList::new(&[
    "architect",
    "platform",
    "架构",
    "平台",
    "アーキテクチャ",
    "requirement",
    "要求",
    "動作環境",
    "requisitos",
]);
static DENIES: WordList = WordList::new(&[
    "alternativ",
    "not supported",
    "unsupported",
    "no longer",
    "deprecated",
    "不支持",
    "非対応",
    "nicht unterstützt",
    "dropped",
    "end of life",
    "additional",
    "not available",
    "won't",
    "does not",
    "doesn't",
]);

pub fn find(reading: &Reading) -> Vec<Found<String>> {
    let mut found: Vec<Found<String>> = Vec::new();
    for (index, block) in reading.document.blocks.iter().enumerate() {
        if block.is_code() || !is_about_running(reading, block) {
            continue;
        }
        match &block.kind {
            Kind::Table(table) => from_table(reading, block, table, &mut found),
            Kind::Heading(_) => {}
            Kind::Paragraph | Kind::Item | Kind::Quote | Kind::Code(_) => {
                from_text(reading, index, block, &mut found)
            }
        }
    }
    without_families(&mut found);
    found
}

/// Whether what a section says holds for running the project: below "Updating" there may well be a heading on machines.
fn is_about_running(reading: &Reading, block: &Block) -> bool {
    match reading.topic_of(block) {
        words::Topic::Development | words::Topic::Elsewhere => false,
        words::Topic::Upkeep => words::topic(&reading.section(block).title) != words::Topic::Upkeep,
        words::Topic::Install | words::Topic::Kubernetes | words::Topic::Other => true,
    }
}

/// Whether a word stands for a family of architectures: "x86", "ARM".
pub fn is_family(name: &str) -> bool {
    matches!(name, "x86" | "arm")
}

/// A family beside a member of it tells nothing more.
fn without_families(found: &mut Vec<Found<String>>) {
    let has = |test: &dyn Fn(&str) -> bool| found.iter().any(|known| test(&known.value));
    let (x86, arm) =
        (has(&|name| matches!(name, "amd64" | "386")), has(&|name| name.starts_with("arm") && name != "arm"));
    found.retain(|known| !(x86 && known.value == "x86" || arm && known.value == "arm"));
}

fn push(
    found: &mut Vec<Found<String>>,
    reading: &Reading,
    text: &str,
    line: impl Fn() -> u32,
    confidence: Confidence,
) {
    // Overlapping delimiters: search on from the end of each name.
    let mut at = 0;
    while let Some(whole) = NAMES.find_at(text, at) {
        let name = whole.as_str().trim_matches(|c: char| !c.is_ascii_alphanumeric());
        at = whole.start() + whole.as_str().find(name).unwrap_or(0) + name.len();
        let value = normal(name);
        if !found.iter().any(|known| known.value == value) {
            found.push(Found { value: value.to_owned(), origin: reading.origin(line()), confidence });
        }
    }
    // "ARM" counts beside another architecture alone.
    let is_arm = at > 0 && (words::has_word(text, "ARM") || words::has_word(text, "arm"));
    if is_arm && !found.iter().any(|known| known.value == "arm") {
        found.push(Found { value: "arm".to_owned(), origin: reading.origin(line()), confidence });
    }
}

const OTHER_SYSTEMS: [&str; 4] = ["freebsd", "macos", "darwin", "windows"];

/// "- Windows (x86_64)", beside an item on Linux.
fn is_of_another_system(block: &Block) -> bool {
    let text = block.rich.lower().trim_start();
    matches!(block.kind, Kind::Item) && OTHER_SYSTEMS.iter().any(|system| text.starts_with(system))
}

fn from_text(reading: &Reading, index: usize, block: &Block, found: &mut Vec<Found<String>>) {
    let badges = block.rich.images().filter(|(alt, url)| {
        let has = |word: &str| alt.contains(word) || url.contains(word);
        let is_about = has("rch") || has("latform") || has("RCH") || has("LATFORM");
        let both = if is_about { format!("{alt} {url}").to_lowercase() } else { String::new() };
        both.contains("arch") && !both.contains("archlinux") || both.contains("platform")
    });
    for (alt, url) in badges {
        push(
            found,
            reading,
            &format!("{alt} {}", url.replace("%20", " ").replace("%7C", " ").replace("--", "-")),
            || block.line,
            Confidence::Read,
        );
    }
    if !block.rich.has(&STEMS) || !NAMES.is_match(&block.rich.text) || is_of_another_system(block) {
        return;
    }
    let title = reading.section(block).lower.as_str();
    let before = index.checked_sub(1).map(|before| reading.block(before));
    let before_speaks = matches!(block.kind, Kind::Item)
        && before.is_some_and(|before| {
            let text = &before.rich.text;
            before.rich.has(&INTRODUCES) || !text.contains("://") && NAMES.is_match(text)
        });
    let in_section = || TITLES.is_in(title);
    let sentences = super::description::sentences(&block.rich.text);
    for sentence in sentences.into_iter().filter(|sentence| NAMES.is_match(sentence)) {
        let lower = sentence.to_lowercase().replace('\n', " ");
        if DENIES.is_in(&lower) {
            continue;
        }
        let speaks = SPEAKS.is_in(&lower) || lower.contains("docker image") || lower.contains("镜像");
        if speaks || in_section() || before_speaks {
            let at = super::description::place(&block.rich.text, sentence);
            push(found, reading, sentence, || block.line_at(at), Confidence::Read);
        }
    }
}

/// A table with a column of architectures; where a column is for images, only what it ticks counts.
fn from_table(reading: &Reading, block: &Block, table: &Table, found: &mut Vec<Found<String>>) {
    let is_arch = |text: &str| {
        words::any(text, &["arch", "platform", "架构", "アーキテクチャ", "cpu"]) && !text.contains("search")
    };
    let column = table.header.iter().position(|cell| is_arch(cell.lower()));
    let section = reading.section(block).lower.as_str();
    if column.is_none() && !is_arch(section) {
        return;
    }
    let docker = table
        .header
        .iter()
        .position(|cell| words::any(cell.lower(), &["docker", "image", "container", "available"]));
    for row in &table.rows {
        let cell = |at: usize| row.cells.get(at).map_or("", |cell| cell.text.trim());
        let ticked = docker.map(|at| cell(at).to_lowercase());
        let is_off = |text: &str| {
            text.is_empty()
                || text.contains('❌')
                || text.contains('✗')
                || text.contains(":x:")
                || matches!(text, "no" | "-")
                || text.contains("only")
                || text.contains("wip")
        };
        if ticked.as_deref().is_some_and(is_off) {
            continue;
        }
        let names = cell(column.unwrap_or(0));
        // "ARM32" beside `linux/arm/v7`.
        let is_short = !NAMES.is_match(names) && STEMS.is_in(&names.to_lowercase());
        let further = row.cells.iter().map(|cell| cell.text.trim()).find(|text| NAMES.is_match(text));
        let names = further.filter(|_| is_short).unwrap_or(names);
        let is_other_system = words::any(&names.to_lowercase(), &OTHER_SYSTEMS);
        if !is_other_system {
            push(found, reading, names, || row.line, Confidence::Read);
        }
    }
    if let Some(names) = table
        .header
        .iter()
        .map(|cell| cell.text.as_str())
        .find(|text| NAMES.find_iter(text).count() > 0 && table.header.len() > 2 && column.is_some())
    {
        push(found, reading, names, || block.line, Confidence::Inferred);
    }
}
