//! Markup within a line of reStructuredText.

use super::super::Style;
use super::super::build::Builder;
use super::{Names, Substitution};

/// Whether a literal or a link that begins in the text does not end in it.
pub fn is_open(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'`').count() % 2 == 1
}

pub fn feed(builder: &mut Builder, text: &str, names: &Names) {
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '|']) {
        words(builder, &rest[..at], names);
        rest = &rest[at..];
        rest = &rest[taken(builder, rest, names)..];
    }
    words(builder, rest, names);
}

/// Text without marks, but for `Name_`, which links what the text defines elsewhere.
fn words(builder: &mut Builder, text: &str, names: &Names) {
    let mut from = 0;
    for (at, _) in text.match_indices('_') {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '+' | '_');
        let before = &text[from..at];
        let start = before
            .rfind(|c| !is_part(c))
            .map_or(0, |space| space + before[space..].chars().next().map_or(1, char::len_utf8));
        let name = &before[start..];
        let is_over = !text[at + 1..].starts_with(is_part) || text[at + 1..].starts_with('.');
        let Some(target) = names.targets.get(&name.to_lowercase()).filter(|_| is_over && !name.is_empty())
        else {
            continue;
        };
        builder.text(&before[..start]);
        builder.start(Style::Link(target.clone()));
        builder.text(name);
        builder.end(|style| matches!(style, Style::Link(_)));
        from = at + 1;
    }
    builder.text(&text[from..]);
}

/// Handles the markup that the text begins with; tells its length.
fn taken(builder: &mut Builder, text: &str, names: &Names) -> usize {
    if let Some(inner) = text.strip_prefix("``")
        && let Some(end) = inner.find("``")
    {
        builder.code(&inner[..end]);
        return end + 4;
    }
    if let Some(inner) = text.strip_prefix("**")
        && let Some(end) = inner.find("**")
    {
        builder.start(Style::Strong);
        feed(builder, &inner[..end], names);
        builder.end(|style| *style == Style::Strong);
        return end + 4;
    }
    if let Some(inner) = text.strip_prefix('|')
        && let Some(end) = inner.find('|')
        && let Some(substitution) = names.substitutions.get(&inner[..end])
    {
        substitute(builder, substitution);
        let after = &inner[end + 1..];
        return end + 2 + after.len() - after.trim_start_matches('_').len();
    }
    if let Some(inner) = text.strip_prefix('`')
        && let Some(end) = inner.find('`')
    {
        let after = &inner[end + 1..];
        let marks = after.len() - after.trim_start_matches('_').len();
        reference(builder, &inner[..end], marks > 0, names);
        return end + 2 + marks;
    }
    let mark = text.chars().next().map_or(1, char::len_utf8);
    if !text.starts_with('*') {
        builder.text(&text[..mark]);
    }
    mark
}

fn substitute(builder: &mut Builder, substitution: &Substitution) {
    match substitution {
        Substitution::Text(text) => builder.text(text),
        Substitution::Image { alt, url, target } => image(builder, alt, url, target.clone()),
    }
}

pub fn image(builder: &mut Builder, alt: &str, url: &str, target: Option<String>) {
    let is_link = target.is_some();
    if let Some(target) = target {
        builder.start(Style::Link(target));
    }
    builder.image(alt, url);
    if is_link {
        builder.end(|style| matches!(style, Style::Link(_)));
    }
}

fn reference(builder: &mut Builder, inner: &str, is_link: bool, names: &Names) {
    let (words, target) = match inner.rsplit_once('<') {
        Some((words, target)) if inner.ends_with('>') => (words.trim(), Some(target.trim_end_matches('>'))),
        Some(_) | None => (inner, None),
    };
    if !is_link {
        // An interpreted text, such as a role's: `:ref:` and the like.
        builder.code(words);
        return;
    }
    let target = target.map(str::to_owned);
    let target = target.or_else(|| names.targets.get(&words.to_lowercase()).cloned()).unwrap_or_default();
    let target = target.strip_suffix('_').map_or(target.clone(), |name| {
        names.targets.get(&name.to_lowercase()).cloned().unwrap_or_else(|| target.clone())
    });
    builder.start(Style::Link(target));
    builder.text(words);
    builder.end(|style| matches!(style, Style::Link(_)));
}
