//! Whether a project is a program with windows, which nobody serves from a node.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::Kind;
use crate::import::fields::{description, ports};
use crate::import::reading::Reading;
use crate::import::routes::{Method, Route};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// "a GTK viewer", "desktop application", "for the GNOME desktop": in the sentences that say what the project is.
static SAYS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:gtk[+\d.]*|qt[\d.]*|gui|graphical|desktop|gnome|kde|electron|tauri)[- ](?:based )?(?:(?:[\w-]+ ){0,3})(?:app(?:lication)?s?|program|client|tool|viewer|reader|editor|player|front-?end|manager|launcher)\b|\bfor (?:the )?(?:gnome|kde|linux) desktop\b",
    )
});
/// What has a side for others to reach, whatever else it is.
static SERVES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:self[- ]?host\w*|servers?|daemon|headless|docker|container|web[ -]?(?:interface|ui|app\w*|based)|browser|remote desktop|vnc|command[- ]line|cli|api|service)\b",
    )
});

/// Only where the first sentences say so outright, none speaks of a server and no way of the text starts one.
pub fn is_desktop(reading: &Reading, description: &str, routes: &[&Route]) -> bool {
    let is_plain = |route: &&Route| {
        matches!(route.method, Method::BinaryDownload | Method::Apt | Method::Package | Method::Brew)
    };
    let is_text = |kind: &Kind| matches!(kind, Kind::Paragraph | Kind::Heading(1) | Kind::Quote);
    let blocks = reading.document.blocks.iter().filter(|block| is_text(&block.kind)).take(4);
    let head: Vec<&str> =
        blocks.flat_map(|block| description::sentences(&block.rich.text).into_iter().take(2)).collect();
    let says = SAYS.is_match(description);
    says && !SERVES.is_match(description)
        && !head.iter().any(|sentence| SERVES.is_match(sentence))
        && routes.iter().all(is_plain)
        && ports::find(reading).is_empty()
}
