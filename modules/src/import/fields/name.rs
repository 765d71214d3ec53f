//! The name that the project goes by.

use crate::import::Source;
use crate::import::document::{Document, Kind};
use crate::import::facts::{Found, Origin};
use crate::import::names::squeeze;

/// Names of repositories that tell nothing.
const PLAIN: [&str; 16] = [
    "docker",
    "server",
    "app",
    "core",
    "main",
    "web",
    "api",
    "backend",
    "frontend",
    "container",
    "image",
    "repo",
    "project",
    "home",
    "cli",
    "compose",
];

/// What sections are called, and no project.
const TITLES: [&str; 11] = [
    "about",
    "overview",
    "introduction",
    "usage",
    "installation",
    "features",
    "getting started",
    "documentation",
    "readme",
    "quick start",
    "table of contents",
];

/// The name, as written, with where.
pub fn find(document: &Document, path: &str, source: &Source) -> Found<String> {
    let wanted = squeeze(&source.name);
    let bare = bare(&source.name);
    let is_plain =
        wanted.is_empty() || [&wanted, &squeeze(bare)].iter().any(|name| PLAIN.contains(&name.as_str()));
    let origin = |line| Origin { file: path.to_owned(), line };
    // A title that is the repository's name to the letter is what the project calls itself.
    // All words of the repository's name, and at most one more.
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect()
    };
    let own = words(&source.name);
    let is_longer = |title: &str| {
        let said = words(title);
        own.len() > 2 && said.len() <= own.len() + 1 && own.iter().all(|word| said.contains(word))
    };
    let title = title(document);
    let is_exact = |title: &str| !is_plain && squeeze(title) == wanted;
    if let Some((title, line)) = title.clone().filter(|(title, _)| is_exact(title) || is_longer(title)) {
        return Found::read(title, origin(line));
    }
    for name in [bare, source.name.as_str()] {
        if !is_plain && let Some((name, line)) = spelled(document, name) {
            return Found::read(name, origin(line));
        }
    }
    if let Some((title, line)) = title {
        let is_own = squeeze(&title).contains(&wanted) || wanted.contains(&squeeze(&title));
        if is_plain || is_own && title.split_whitespace().count() < 4 {
            return Found::read(title, origin(line));
        }
    }
    if is_plain && let Some(owner) = source.owner.clone().filter(|owner| !owner.is_empty()) {
        return Found::inferred(owner, Origin::default());
    }
    Found::inferred(source.name.clone(), Origin::default())
}

/// The name without what only says that it is packed as an image.
pub fn bare(name: &str) -> &str {
    let lower = name.to_ascii_lowercase();
    let starts =
        ["docker-", "docker_"].iter().find(|start| lower.starts_with(*start)).map_or(0, |start| start.len());
    let ends = ["-docker", "_docker", "-docker-image", "-container"]
        .iter()
        .find(|end| lower.ends_with(*end))
        .map_or(0, |end| end.len());
    let bare = name.get(starts..name.len() - ends).unwrap_or(name);
    if bare.len() < 3 { name } else { bare }
}

/// The repository's name as the text spells it.
fn spelled(document: &Document, name: &str) -> Option<(String, u32)> {
    let wanted = squeeze(name);
    let blocks = || document.blocks.iter().take(80);
    let headings = blocks().filter(|block| matches!(block.kind, Kind::Heading(_)));
    for block in headings.chain(blocks().filter(|block| matches!(block.kind, Kind::Paragraph))) {
        let text = block.rich.text.as_str();
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || ",;:!?()[]\"“”".contains(c))
            .filter(|word| !word.is_empty())
            .take(200)
            .collect();
        for width in 1..=3 {
            for window in words.windows(width) {
                let joined = window.join(" ");
                if squeeze(&joined) == wanted {
                    return Some((
                        joined.trim_matches(|c: char| !c.is_alphanumeric()).to_owned(),
                        block.line,
                    ));
                }
            }
        }
    }
    None
}

/// The first heading, without what is said about it.
pub fn title(document: &Document) -> Option<(String, u32)> {
    let block = document
        .blocks
        .iter()
        .take(60)
        .find(|block| matches!(block.kind, Kind::Heading(1 | 2)) && !block.rich.text.trim().is_empty())?;
    let words = block.rich.text.split_whitespace().filter(|word| !word.starts_with("http"));
    let text = words.collect::<Vec<_>>().join(" ");
    // What stands for an image in reStructuredText is no word of it.
    let text = match text.find(" |") {
        Some(at) if text.trim_end().ends_with('|') => text[..at].to_owned(),
        _ => text,
    };
    let lower = text.to_lowercase();
    let text = ["what is ", "welcome to ", "about "]
        .iter()
        .find_map(|start| lower.starts_with(start).then(|| text[start.len()..].to_owned()))
        .unwrap_or(text);
    let cut = [" - ", " – ", " — ", ": ", " | ", "：", " ("].iter().filter_map(|mark| text.find(mark)).min();
    let text = text[..cut.unwrap_or(text.len())]
        .trim()
        .trim_end_matches('?')
        .trim_matches(|c: char| !c.is_alphanumeric());
    let is_name = !TITLES.contains(&text.to_lowercase().as_str());
    (is_name && !text.is_empty() && text.chars().count() <= 60).then(|| (text.to_owned(), block.line))
}
