//! Routes by words alone: "download it from the releases page".

use super::{Method, Route};
use crate::import::document::Kind;
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
    "다운로드",
    "get the latest release",
]);

/// Files of a release that are not the program.
pub const PARTS: [&str; 8] =
    ["thirdparty", "third-party", "third_party", "dependenc", "sample", "dataset", "/models", "-model."];

pub fn find(reading: &Reading) -> Option<Route> {
    for (index, block) in reading.document.blocks.iter().enumerate() {
        let topic = reading.topic_of(block);
        if block.is_code()
            || matches!(block.kind, Kind::Table(_))
            || matches!(topic, Topic::Development | Topic::Upkeep | Topic::Elsewhere)
        {
            continue;
        }
        let is_release = |url: &str| {
            let own = url.contains("/releases") && (reading.identity.owns_url(url) || !url.contains("://"));
            let is_part = || words::any(&url.to_lowercase(), &PARTS);
            own && !url.ends_with(".md") && !url.contains("/tag/") && !is_part()
        };
        if !block.rich.links().any(|(text, url)| !text.trim().is_empty() && is_release(url)) {
            continue;
        }
        // A link right to a file of a release needs no words.
        let is_file = |url: &str| url.contains("/releases/") && url.contains("/download/") && is_release(url);
        let files = block.rich.links().filter(|(text, url)| !text.trim().is_empty() && is_file(url));
        if files.count() > 0 {
            let placed = Placed {
                value: (),
                origin: reading.origin(block.line),
                topic,
                block: Some(index),
                is_inline: true,
            };
            return Some(Route::new(Method::BinaryDownload, &placed, ""));
        }
        let text = block.rich.lower();
        let offers = OFFERS.is_in(text)
            && !words::any(text, &["source code", "源代码", "changelog", "release notes"])
            // "Use releases, not the main branch" says which, not how.
            && !(text.contains("branch") && words::any(text, &["instead of", "unstable", "rather than"]));
        if offers && (topic == Topic::Install || text.len() > 25) {
            let origin = reading.origin(block.line);
            let placed = Placed { value: (), origin, topic, block: Some(index), is_inline: true };
            return Some(Route::new(Method::BinaryDownload, &placed, ""));
        }
    }
    None
}
