//! How the text says that one can tell whether it is well.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::Block;
use crate::import::facts::Found;
use crate::import::reading::Reading;
use crate::import::words::{self, WordList};

static PATH: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s`'(]|https?://[^/\s]+)(/[a-z0-9_./-]*(?:health|alive|ready|ping|heartbeat|status)[a-z0-9_-]*)(?:$|[\s`'),.\x22])").expect("the pattern is well-formed")
});

pub static CHECKS: WordList = WordList::new(&[
    "health check",
    "healthcheck",
    "health-check",
    "health endpoint",
    "liveness",
    "readiness",
    "健康检查",
    "ヘルスチェック",
    "health status",
    "health of the",
    "gesundheitsprüfung",
    "проверк",
]);

/// The path of a health check that the text states.
pub fn path(reading: &Reading) -> Option<Found<String>> {
    let sections = &reading.document.sections;
    let titled: Vec<bool> = sections.iter().map(|section| CHECKS.is_in(&section.lower)).collect();
    let is_titled = |section: usize| titled[section] || sections[section].parent.is_some_and(|at| titled[at]);
    for (index, block) in reading.document.blocks.iter().enumerate() {
        if matches!(reading.topic_of(block), words::Topic::Development | words::Topic::Elsewhere) {
            continue;
        }
        if block.is_code() {
            let before = index.checked_sub(1).map(|at| &reading.document.blocks[at]);
            let is_said =
                before.is_some_and(|before| before.rich.text.len() < 120 && before.rich.has(&CHECKS));
            // A part of a service: whole files are read elsewhere.
            let checks = block.rich.has(&CHECKS);
            let is_part = checks
                && block.rich.lower().contains("healthcheck:")
                && !block.rich.lower().contains("image:");
            if (is_said || is_part)
                && let Some(found) = PATH.captures(&block.rich.text)
            {
                return Some(Found::read(found[1].to_owned(), reading.origin(block.line)));
            }
            if checks && let Some((path, line)) = commented(block) {
                return Some(Found::read(path, reading.origin(line)));
            }
            continue;
        }
        let text = &block.rich.text;
        if (block.rich.has(&CHECKS) || is_titled(block.section))
            && !words::any(block.rich.lower(), &["notification", "healthchecks.io", "hc-ping"])
            && let Some(found) = PATH.captures(text)
        {
            let path = found[1].trim_end_matches('.').to_owned();
            return Some(Found::read(path, reading.origin(block.line)));
        }
    }
    None
}

/// "# calls the health check", and on the next line what calls it.
fn commented(block: &Block) -> Option<(String, u32)> {
    let lines = block.rich.text.lines().zip(block.rich.text.lines().skip(1));
    for (place, (comment, line)) in (1..).zip(lines) {
        if comment.trim_start().starts_with("# ")
            && CHECKS.is_in(&comment.to_lowercase())
            && let Some(found) = PATH.captures(line)
        {
            return Some((found[1].to_owned(), block.line + place));
        }
    }
    None
}

/// The path that a check by a command asks for: `curl -f http://localhost:80/health`.
pub fn path_of_command(command: &[String]) -> Option<String> {
    let text = command.join(" ");
    let fetches = ["curl", "wget", "http"].iter().any(|tool| text.contains(tool));
    let at = text.find("://").filter(|_| fetches)?;
    let rest: String =
        text[at + 3..].chars().take_while(|c| !c.is_whitespace() && !"\"'|;)".contains(*c)).collect();
    let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
    Some(path.to_owned())
}
