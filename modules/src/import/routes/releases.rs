//! Routes by words alone: "download it from the releases page".

use std::sync::LazyLock;

use regex::Regex;

use super::{Method, Route};
use crate::import::document::{Block, Kind};
use crate::import::fields::description;
use crate::import::reading::{Placed, Reading};
use crate::import::words::{self, Topic, WordList};

static OFFERS: WordList = WordList::new(&[
    "download",
    "obtain",
    "grab",
    "prebuilt",
    "pre-built",
    "precompiled",
    "pre-compiled",
    "binary",
    "binaries",
    "executable",
    "installer",
    "下载",
    "下載",
    "二进制",
    "执行文件",
    "ダウンロード",
    "バイナリ",
    "herunterladen",
    "télécharg",
    "descarg",
    "baixar",
    "baixe",
    "скачать",
    "скачайте",
    "загрузить",
    "загрузите",
    "распак",
    "다운로드",
    "get the latest release",
]);

/// Files of a release that are not the program.
pub const PARTS: [&str; 8] =
    ["thirdparty", "third-party", "third_party", "dependenc", "sample", "dataset", "/models", "-model."];

/// "Download the latest release for your platform", "go to the releases page and download the version for your system":
/// told to do, without a link.
static TOLD: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)^(?:\d+[.)] )?(?:please |just |simply |first,? |then )?(?:(?:download|grab|fetch|obtain|get)\b[^.:]{0,50}\breleases?\b|(?:go|head(?: over)?|navigate) to (?:the |our )?releases?\b[^.:]{0,30}\bdownload)";
    Regex::new(pattern).expect("the pattern is well-formed")
});
/// What is downloaded is a program.
static PROGRAM: WordList = WordList::new(&[
    "platform",
    "binary",
    "binaries",
    "executable",
    "archive",
    "operating system",
    "your os",
    "your system",
    "architecture",
]);

/// What serves, as the beginning of the text says it.
static SERVES: WordList = WordList::new(&[
    "server",
    "daemon",
    "web ui",
    "web interface",
    "webapp",
    "web app",
    "proxy",
    "self-host",
    "selfhost",
    "exporter",
    "service",
    "dashboard",
    "gateway",
]);
const SHOWN: [&str; 17] = [
    "workshop",
    "tutorial",
    "course",
    "template",
    "starter",
    "boilerplate",
    " sdk",
    "desktop",
    "font",
    "theme",
    "plugin",
    "library",
    "extension",
    "integration",
    "client for",
    "mobile",
    "browser add",
];

/// Without a link the text must show that what is downloaded runs: by its own command or by what it says it is.
fn runs(reading: &Reading) -> bool {
    let is_own = |word: &str| {
        let name = word.strip_prefix("./").unwrap_or(word);
        reading.identity.owns(name.trim_end_matches(".exe"))
    };
    let has_command = reading
        .commands
        .iter()
        .any(|command| command.value.words.first().is_some_and(|word| is_own(&word.text)));
    let own = format!("./{}", reading.identity.repository);
    let is_listed =
        reading.document.blocks.iter().any(|block| block.is_code() && block.rich.text.contains(&own));
    has_command || is_listed || serves(reading)
}

/// Whether the beginning of the text shows a server, and nothing that only goes with one.
pub fn serves(reading: &Reading) -> bool {
    let mut head = reading.document.blocks.iter().filter(|block| !block.is_code()).take(12);
    let is_shown = head.clone().any(|block| words::any(block.rich.lower(), &SHOWN));
    !is_shown && head.any(|block| block.rich.has(&SERVES))
}

fn is_told(block: &Block) -> bool {
    if !matches!(block.kind, Kind::Paragraph | Kind::Item) || block.rich.text.len() > 1000 {
        return false;
    }
    description::sentences(&block.rich.text).into_iter().take(4).any(|sentence| {
        let lower = sentence.to_lowercase().replace('\n', " ");
        TOLD.is_match(&lower)
            && PROGRAM.is_in(&lower)
            && !words::any(&lower, &["source", "release notes", "librar", "plugin", "driver"])
    })
}

pub fn find(reading: &Reading) -> Option<Route> {
    linked(reading).or_else(|| {
        let told = |(_, block): &(usize, &Block)| reading.topic_of(block) == Topic::Install && is_told(block);
        let (index, block) =
            reading.document.blocks.iter().enumerate().find(told).filter(|_| runs(reading))?;
        Some(route(reading, index, block))
    })
}

fn route(reading: &Reading, index: usize, block: &Block) -> Route {
    let (origin, topic) = (reading.origin(block.line), reading.topic_of(block));
    let placed = Placed { value: (), origin, topic, block: Some(index), is_inline: true };
    Route::new(Method::BinaryDownload, &placed, "")
}

fn linked(reading: &Reading) -> Option<Route> {
    for (index, block) in reading.document.blocks.iter().enumerate() {
        let topic = reading.topic_of(block);
        if block.is_code() || matches!(topic, Topic::Development | Topic::Upkeep | Topic::Elsewhere) {
            continue;
        }
        let is_release = |url: &str| {
            let own = url.contains("/releases") && (reading.identity.owns_url(url) || !url.contains("://"));
            let is_part = || words::any(&url.to_lowercase(), &PARTS);
            let is_text = [".md", ".yaml", ".yml", ".json", ".txt"].iter().any(|end| url.ends_with(end));
            own && !is_text && !url.contains("/tag/") && !is_part()
        };
        // A link right to a file of a release needs no words.
        let is_file = |url: &str| url.contains("/releases/") && url.contains("/download/") && is_release(url);
        let own = |url: &str| is_own_archive(reading, url);
        if block.rich.links().any(|(text, url)| !text.trim().is_empty() && own(url)) {
            return Some(route(reading, index, block));
        }
        if let Kind::Table(table) = &block.kind {
            let cells = table.header.iter().chain(table.rows.iter().flat_map(|row| row.cells.iter()));
            let mut links = cells.flat_map(|cell| cell.links());
            if topic == Topic::Install
                && links.any(|(text, url)| !text.trim().is_empty() && is_file(url) && is_for_linux(url))
            {
                return Some(route(reading, index, block));
            }
            continue;
        }
        let is_linked = block.rich.links().any(|(text, url)| !text.trim().is_empty() && is_release(url));
        let is_shown = || addresses(&block.rich.text).any(is_release) && runs(reading);
        if !is_linked && !is_shown() {
            continue;
        }
        let mut files = block.rich.links().filter(|(text, url)| !text.trim().is_empty() && is_file(url));
        if files.next().is_some() {
            return Some(route(reading, index, block));
        }
        let text = block.rich.lower();
        let offers = OFFERS.is_in(text)
            && !words::any(
                text,
                &["source code", "源代码", "changelog", "release notes", "list of releases", "git clone ", "clone this repo"],
            )
            // "Use releases, not the main branch" says which, not how.
            && !(text.contains("branch") && words::any(text, &["instead of", "unstable", "rather than", "stable branch", "default branch"]));
        if offers && (topic == Topic::Install || text.len() > 25) {
            return Some(route(reading, index, block));
        }
    }
    None
}

/// An archive for the system of nodes that is named like the project, wherever it lies.
fn is_own_archive(reading: &Reading, url: &str) -> bool {
    let name = url.rsplit('/').next().unwrap_or_default().to_lowercase();
    let Some(stem) =
        [".tar.gz", ".tgz", ".tar.xz", ".zip", ".deb"].iter().find_map(|end| name.strip_suffix(end))
    else {
        return false;
    };
    let program = stem.split(['-', '_']).next().unwrap_or_default();
    url.contains("://")
        && name.contains("linux")
        && words::any(&name, &["amd64", "x86_64", "x64", "64bit", "arm"])
        && program.len() > 2
        && reading.identity.owns(program)
}

/// Addresses that stand in a text as they are.
pub fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let is_end = |c: char| c.is_whitespace() || c as u32 > 0x2e80 || "()<>[]\"'`,;".contains(c);
    // Most texts have none; this is how to see it fast.
    let text = if text.contains("https://") { text } else { "" };
    text.match_indices("https://").map(move |(at, _)| {
        let address = text[at..].split(is_end).next().unwrap_or_default();
        address.trim_end_matches(['.', ':', '*'])
    })
}

/// Whether a file is for the system of a node, as far as its name tells.
fn is_for_linux(url: &str) -> bool {
    let name = url.rsplit('/').next().unwrap_or(url).to_lowercase();
    name.contains("linux") || name.contains("amd64") && !words::any(&name, &["win", "mac", "osx", "darwin"])
}
