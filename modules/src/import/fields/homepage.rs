//! The project's own site.

use super::description;
use crate::import::document::{Kind, Rich};
use crate::import::facts::Found;
use crate::import::names::squeeze;
use crate::import::reading::Reading;
use crate::import::words::WordList;

static SITE: WordList = WordList::new(&[
    "website",
    "homepage",
    "home page",
    "official site",
    "web site",
    "官网",
    "官方网站",
    "主页",
    "公式サイト",
    "ウェブサイト",
    "webseite",
    "site web",
    "site officiel",
    "sitio web",
    "сайт",
    "홈페이지",
]);

/// Hosts that serve many projects.
static SHARED: WordList = WordList::new(&[
    "github.com",
    "githubusercontent.com",
    "gitlab.com",
    "docker.com",
    "quay.io",
    "ghcr.io",
    "shields.io",
    "badge",
    "statuspage.io",
    "healthchecks.io",
    "uptimerobot.com",
    "discord",
    "discourse",
    "reddit.com",
    "twitter.com",
    "youtube.com",
    "youtu.be",
    "telegram",
    "slack.com",
    "matrix.to",
    "patreon",
    "substack",
    "mastodon",
    "bsky.app",
    "opencollective",
    "paypal",
    "ko-fi",
    "buymeacoffee",
    "codecov",
    "travis-ci",
    "wikipedia",
    "npmjs",
    "pypi",
    "localhost",
    "gitter",
    "weblate",
    "crowdin",
    "transifex",
    "readthedocs",
    "medium.com",
]);

/// Short ones of these: as a piece they are in many other names.
fn is_shared(host: &str) -> bool {
    let is_of = |short: &str| host == short || host.strip_suffix(short).is_some_and(|sub| sub.ends_with('.'));
    SHARED.is_in(host) || ["x.com", "t.me"].iter().any(|short| is_of(short))
}

pub fn find(reading: &Reading) -> Option<Found<String>> {
    let mut candidates: Vec<(i32, String, u32)> = Vec::new();
    for (index, block) in reading.document.blocks.iter().enumerate().take(600) {
        if block.is_code() {
            continue;
        }
        if let Kind::Table(table) = &block.kind {
            for row in &table.rows {
                for (words, url) in row.cells.iter().flat_map(|cell| cell.links()) {
                    candidates.extend(candidate(reading, words, url, index, row.line));
                }
            }
        }
        // "Website: https://…", "Visit the Lantern website for more: <https://…>"
        let label = block.rich.text.split_once("http").map_or("", |(label, _)| label.trim());
        let is_labelled = label.ends_with([':', '：'])
            && (label.len() < 40 || label.len() < 120 && SITE.is_in(&label.to_lowercase()));
        if (index < 30 || is_labelled) && !matches!(block.kind, Kind::Heading(_)) {
            let bare = block.rich.text.split_whitespace().filter(|word| word.starts_with("http"));
            let label = if is_labelled { label } else { "" };
            for url in bare.map(|word| word.trim_end_matches(['.', ',', ')', ';'])) {
                candidates.extend(candidate(reading, label, url, index, block.line));
            }
        }
        for (words, url) in block.rich.links().filter(|(words, _)| !is_pointed_at(&block.rich, words)) {
            candidates.extend(candidate(reading, words, url, index, block.line));
        }
    }
    let best = candidates.into_iter().rev().max_by_key(|(score, _, _)| *score)?;
    (best.0 > 0).then(|| Found::inferred(best.1, reading.origin(best.2)))
}

/// "If you do not know them, see this [website]": one of others.
fn is_pointed_at(rich: &Rich, words: &str) -> bool {
    let before = &rich.text[..description::place(&rich.text, words)];
    before.len() > 40 && (before.ends_with("this ") || before.ends_with("This "))
}

fn candidate(
    reading: &Reading,
    text: &str,
    url: &str,
    index: usize,
    line: u32,
) -> Option<(i32, String, u32)> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    // An address in a sentence ends where other signs begin.
    let rest = rest.split(|c: char| !c.is_ascii() || "\"'`<>)]".contains(c)).next()?;
    let url = &url[..url.len() - url.split_once("://")?.1.len() + rest.len()];
    let host = rest.split(['/', '?', '#', ':']).next()?.trim_end_matches('.').to_ascii_lowercase();
    let is_plain = host.contains('.')
        && !host.contains(|c: char| c.is_whitespace() || "<>{}$[]".contains(c))
        && !host.starts_with(|c: char| c.is_ascii_digit());
    let is_sample = matches!(host.trim_start_matches("www."), "example.com" | "example.org" | "example.net");
    if !is_plain || is_sample || is_shared(&host) {
        return None;
    }
    let path = rest[host.len()..].split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let depth = path.split('/').filter(|part| !part.is_empty()).count();
    let names = std::iter::once(&reading.identity.repository).chain(&reading.identity.aliases);
    let squeezed = squeeze(&host);
    let is_in_host = |name: &String| squeeze(name).len() > 2 && squeezed.contains(&squeeze(name));
    let first = host.trim_start_matches("www.").split('.').next().unwrap_or_default();
    let bare = description::without_role(&reading.identity.repository);
    let is_own = names.into_iter().any(is_in_host) || squeeze(bare) == squeeze(first) && bare.len() > 4;
    // "[somebody.org/lantern](https://somebody.org/lantern/)": a page that is called by its address.
    let is_page = squeeze(text) == squeeze(rest)
        && path.strip_prefix('/').is_some_and(|page| page.eq_ignore_ascii_case(&reading.identity.repository));
    // The owner may have many projects.
    let is_of_owner = !is_own && is_in_host(&reading.identity.owner);
    let is_site = SITE.is_in(&text.to_lowercase());
    let sub = host.split('.').next().unwrap_or_default();
    let is_side = [
        "demo",
        "docs",
        "doc",
        "forum",
        "community",
        "blog",
        "status",
        "chat",
        "api",
        "wiki",
        "discuss",
        "discourse",
        "support",
        "help",
        "developers",
        "developer",
        "cloud",
        "shop",
        "store",
        "news",
        "lists",
        "git",
        "translate",
        "pub",
        "my",
        "play",
        "try",
        "app",
        "bbs",
        "hub",
        "cdn",
        "get",
        "download",
        "nightly",
        "latest",
        "stable",
        "ci",
        "build",
        "builds",
        "jenkins",
    ]
    .contains(&sub)
        || sub.ends_with("-demo")
        || sub.starts_with("demo-");
    let mut score = 0;
    score += if is_own { 10 } else { 0 };
    score += if is_of_owner { 6 } else { 0 };
    score += if is_site { 9 } else { 0 };
    score += if is_page { 7 } else { 0 };
    // Where there is no other page, the documentation on the project's own domain stands for it.
    score -= match (is_side, matches!(sub, "docs" | "doc")) {
        (true, true) => 5,
        (true, false) => 6,
        (false, _) => 0,
    };
    score -= i32::try_from(depth.min(4)).unwrap_or(4);
    score -= if index > 60 { 2 } else { 0 };
    if score < 5 {
        return None;
    }
    let url = url.split(['?', '#']).next().unwrap_or(url);
    // A page within the site stands for the site.
    let address = if depth > 1 {
        format!("{}//{host}", url.split("//").next().unwrap_or("https:"))
    } else {
        url.to_owned()
    };
    Some((score, address, line))
}
