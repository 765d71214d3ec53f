//! Whether a project is a program for the screen of one person, a desktop or a telephone, or for a device of its own,
//! and nothing that serves.

use std::sync::LazyLock;

use regex::Regex;

use crate::import::document::Kind;
use crate::import::fields::{description, ports};
use crate::import::reading::Reading;
use crate::import::routes::{Method, Route};

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is well-formed")
}

/// "a GTK viewer", "desktop application", "for the GNOME desktop": in the sentence that says what the project is.
static OF_DESKTOP: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:gtk[+\d.]*|qt[\d.]*|gui|graphical|desktop|gnome|kde|electron|tauri)[- ](?:based )?(?:(?:[a-z0-9_-]+ ){0,3})(?:app(?:lication)?s?|program|client|tool|viewer|reader|editor|player|front-?end|manager|launcher)\b|\bfor (?:the )?(?:gnome|kde|linux) desktop\b",
    )
});
/// "an Android app", "a player for the Android operating system".
static OF_TELEPHONE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:android|ios|iphone) (?:[a-z0-9_-]+ ){0,2}(?:app(?:lication)?|client|player|launcher|keyboard|game)\b|\b(?:app(?:lication)?|client|player|launcher|keyboard|reader|game)\b[^.]{0,20}? for (?:the )?(?:android|ios|iphone)\b",
    )
});
/// "a custom firmware for switches": what is written onto a device.
static OF_DEVICE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)(?:\bis|^)(?: an?| the)?(?P<kind>(?: ?[a-z0-9_./-]+){0,5}) ?\bfirmware (?:for|that|which|based|running)\b",
    )
});
/// What has a side for others to reach, whatever else it is.
static SERVES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)\b(?:self[- ]?host[a-z]*|servers?|daemon|headless|docker|container|web[ -]?(?:interface|ui|app[a-z]*|based)|browser|remote desktop|vnc|command[- ]line|cli|api|service)\b",
    )
});

/// Only where the first sentences say so outright, none speaks of a server and no way of the text starts one.
pub fn is_personal(reading: &Reading, description: &str, routes: &[&Route]) -> bool {
    let is_plain = |route: &&Route| {
        matches!(route.method, Method::BinaryDownload | Method::Apt | Method::Package | Method::Brew)
    };
    let is_text = |kind: &Kind| matches!(kind, Kind::Paragraph | Kind::Heading(1) | Kind::Quote);
    let blocks = reading.document.blocks.iter().filter(|block| is_text(&block.kind)).take(4);
    let head: Vec<&str> =
        blocks.flat_map(|block| description::sentences(&block.rich.text).into_iter().take(2)).collect();
    let says = OF_DESKTOP.is_match(description) || OF_TELEPHONE.is_match(description);
    says && !SERVES.is_match(description)
        && !head.iter().any(|sentence| SERVES.is_match(sentence))
        && routes.iter().all(is_plain)
        && ports::find(reading).is_empty()
}

/// Whether the project is a firmware: nothing that a node runs, whatever its releases offer.
pub fn is_firmware(description: &str, routes: &[&Route]) -> bool {
    let is_other =
        |word: &str| matches!(word, "to" | "of" | "with" | "server" | "tool" | "updates" | "update");
    let says = description::sentences(description).into_iter().any(|sentence| {
        OF_DEVICE
            .captures(sentence)
            .is_some_and(|found| !found["kind"].split_whitespace().any(|word| is_other(&word.to_lowercase())))
    });
    says && routes.iter().all(|route| route.container.is_none())
}
