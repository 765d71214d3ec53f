//! The HTML that people write into READMEs: a scanner for tags, not a browser.

use super::build::Builder;
use super::{Kind, Style};

/// A longer tag is taken for text, which keeps the scan of hostile text short.
const MAX_TAG: usize = 2048;

/// Feeds a piece of HTML; tags may be left open for the next piece.
pub fn feed(builder: &mut Builder, html: &str, first_line: u32) {
    let mut rest = html;
    let mut line = first_line;
    while let Some(at) = rest.find('<') {
        let (text, tail) = rest.split_at(at);
        put(builder, text, line);
        line += breaks(text);
        let length = tag_length(tail);
        if length == 0 {
            put(builder, "<", line);
            rest = &tail[1..];
            continue;
        }
        let (tag, after) = tail.split_at(length);
        if !tag.starts_with("<!") {
            apply(builder, tag, line);
        }
        line += breaks(tag);
        rest = after;
    }
    put(builder, rest, line);
}

fn breaks(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|byte| *byte == b'\n').count()).unwrap_or(0)
}

fn put(builder: &mut Builder, text: &str, line: u32) {
    if text.is_empty() {
        return;
    }
    if text.trim().is_empty() {
        builder.text(if text.contains('\n') { "\n" } else { " " });
        return;
    }
    builder.ensure_open(line);
    builder.text(&decode(text));
}

/// The length of the tag or comment that a text begins with; 0 when it is none.
fn tag_length(text: &str) -> usize {
    if text.starts_with("<!--") {
        return text.find("-->").map_or(text.len(), |end| end + 3);
    }
    let second = text.as_bytes().get(1).copied().unwrap_or(b' ');
    if !(second.is_ascii_alphabetic() || second == b'/' || second == b'!') {
        return 0;
    }
    let mut quote = None;
    for (index, byte) in text.bytes().enumerate().take(MAX_TAG).skip(1) {
        match (quote, byte) {
            (None, b'>') => return index + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (_, _) => {}
        }
    }
    text.bytes().take(MAX_TAG).position(|byte| byte == b'>').map_or(0, |end| end + 1)
}

fn apply(builder: &mut Builder, tag: &str, line: u32) {
    let inner = tag.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/');
    let is_end = inner.starts_with('/');
    let inner = inner.trim_start_matches('/');
    let name_end = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    let name = inner[..name_end].to_ascii_lowercase();
    if is_end { end(builder, &name) } else { start(builder, &name, &inner[name_end..], line) }
}

fn start(builder: &mut Builder, name: &str, attributes: &str, line: u32) {
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
            builder.open(Kind::Heading(name.as_bytes()[1] - b'0'), line);
        }
        "p" | "div" | "center" | "section" | "blockquote" | "dd" | "details" | "article" => {
            builder.open_paragraph(line);
        }
        "summary" | "dt" => builder.open_paragraph(line),
        "li" => builder.open(Kind::Item, line),
        "table" => builder.open_table(line),
        "tr" => builder.open_row(line),
        "td" => builder.open_cell(false),
        "th" => builder.open_cell(true),
        "br" | "hr" => builder.text("\n"),
        "pre" => builder.open(Kind::Code(attribute(attributes, "lang").unwrap_or_default()), line),
        "code" | "tt" | "kbd" | "samp" => builder.start(Style::Code),
        "b" | "strong" => {
            builder.ensure_open(line);
            builder.start(Style::Strong);
        }
        "a" => {
            builder.ensure_open(line);
            builder.start(Style::Link(attribute(attributes, "href").unwrap_or_default()));
        }
        "img" => {
            builder.ensure_open(line);
            let alt = attribute(attributes, "alt").unwrap_or_default();
            builder.image(&alt, &attribute(attributes, "src").unwrap_or_default());
        }
        _ => {}
    }
}

fn end(builder: &mut Builder, name: &str) {
    match name {
        "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "p" | "div" | "center" | "section" | "blockquote"
        | "dd" | "dt" | "summary" | "li" | "pre" | "details" | "article" => builder.close(),
        "table" => builder.close_table(),
        "tr" => builder.close_row(),
        "td" | "th" => builder.close_cell(),
        "code" | "tt" | "kbd" | "samp" => builder.end(|style| *style == Style::Code),
        "b" | "strong" => builder.end(|style| *style == Style::Strong),
        "a" => builder.end(|style| matches!(style, Style::Link(_))),
        _ => {}
    }
}

/// The value of an attribute.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut from = 0;
    while let Some(at) = attributes[from..].find(name) {
        let start = from + at;
        from = start + name.len();
        let before = attributes[..start].chars().next_back();
        if before.is_some_and(|c| !c.is_whitespace() && !matches!(c, '"' | '\'')) {
            continue;
        }
        let Some(value) = attributes[from..].trim_start().strip_prefix('=') else { continue };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = match quote {
            Some(quote) => value[1..].split(quote).next().unwrap_or_default(),
            None => value.split_whitespace().next().unwrap_or_default(),
        };
        return Some(decode(value.trim()));
    }
    None
}

const ENTITIES: [(&str, &str); 8] = [
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("&nbsp;", " "),
    ("&#45;", "-"),
    ("&mdash;", "—"),
];

pub fn decode(text: &str) -> String {
    let (mut decoded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        let (before, tail) = rest.split_at(at);
        decoded.push_str(before);
        let entity = ENTITIES.iter().find_map(|(from, to)| Some((*to, tail.strip_prefix(from)?)));
        let (sign, after) = entity.unwrap_or_else(|| tail.split_at(1));
        decoded.push_str(sign);
        rest = after;
    }
    decoded.push_str(rest);
    decoded
}
