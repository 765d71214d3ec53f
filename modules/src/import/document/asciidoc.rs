//! AsciiDoc as far as READMEs use it: sections, lists, listings, tables, links.

use std::collections::BTreeMap;

use super::build::Builder;
use super::{Document, Kind, Style};

pub fn read(text: &str) -> Document {
    let mut reader = Reader { builder: Builder::new(), language: None, attributes: BTreeMap::new() };
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        at = reader.step(&lines, at);
    }
    reader.builder.finish()
}

struct Reader {
    builder: Builder,
    /// Of the listing that `[source,…]` announces.
    language: Option<String>,
    attributes: BTreeMap<String, String>,
}

/// A longer value of an attribute is not put in its place, so that no text grows without bound.
const MAX_VALUE: usize = 400;
const MAX_NAME: usize = 80;
const MAX_GROWTH: usize = 16_384;
/// Marks of blocks whose lines are read as any other.
const FENCES: [&str; 5] = ["****", "====", "____", "--", "+"];

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

impl Reader {
    /// Handles the line and perhaps those that belong to it; tells the next one.
    fn step(&mut self, lines: &[&str], at: usize) -> usize {
        let line = lines[at].trim_end();
        let text = line.trim_start();
        let marks = text.len() - text.trim_start_matches('=').len();
        let is_after_blank = at == 0 || lines[at - 1].trim().is_empty();
        if let Some((name, value)) = attribute(text) {
            self.define(name, value);
        } else if ["----", "....", "```"].iter().any(|fence| text.starts_with(fence)) {
            return self.listing(lines, at);
        } else if text.starts_with("////") {
            let comment = lines[at + 1..].iter().take_while(|line| line.trim_end() != text);
            return at + comment.count() + 2;
        } else if text.starts_with("|===") {
            return self.table(lines, at);
        } else if text.is_empty() || FENCES.contains(&text) || text.starts_with("====") {
            self.builder.close();
        } else if text.starts_with("//") || is_directive(text) {
        } else if let Some(attributes) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            let language = attributes.strip_prefix("source").map(|rest| rest.trim_start_matches(','));
            self.language =
                language.map(|rest| rest.split(',').next().unwrap_or_default().to_ascii_lowercase());
            self.builder.close();
        } else if self.language.is_some() || line.starts_with(' ') && is_after_blank && !is_item(text) {
            return self.literal(lines, at);
        } else if (1..=6).contains(&marks) && text[marks..].starts_with(' ') {
            self.builder.open(Kind::Heading(u8::try_from(marks).unwrap_or(6)), number(at));
            self.inline(text[marks..].trim());
            self.builder.close();
            let has_authors = marks == 1 && lines.get(at + 1).is_some_and(|next| next.contains(['<', '@']));
            return at + 1 + usize::from(has_authors);
        } else {
            self.prose(text, at);
        }
        at + 1
    }

    fn prose(&mut self, text: &str, at: usize) {
        if is_item(text) {
            let depth = text.len() - text.trim_start_matches(['*', '-', '.']).len();
            self.builder.open(Kind::Item, number(at));
            self.inline(text[depth..].trim());
        } else if let Some(title) = text.strip_prefix('.') {
            // The title of the block that follows.
            self.builder.open(Kind::Paragraph, number(at));
            self.inline(title);
            return self.builder.close();
        } else {
            self.builder.ensure_open(number(at));
            self.inline(text);
        }
        self.builder.text("\n");
    }

    /// An indented paragraph, or one behind `[source]`: code.
    fn literal(&mut self, lines: &[&str], at: usize) -> usize {
        let language = self.language.take();
        let is_body = |line: &&&str| !line.trim().is_empty() && (language.is_some() || line.starts_with(' '));
        let body: Vec<&str> = lines[at..].iter().take_while(is_body).map(|line| line.trim_end()).collect();
        self.builder.code_block(language.as_deref().unwrap_or_default(), &body.join("\n"), number(at));
        at + body.len().max(1)
    }

    fn define(&mut self, name: &str, value: &str) {
        let value = self.filled(value);
        if value.len() <= MAX_VALUE && self.attributes.len() < 1000 {
            self.attributes.insert(name.to_owned(), value);
        }
    }

    /// The text with `{name}` as what was said before of it.
    fn filled(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, tail) = rest.split_at(at);
            filled.push_str(before);
            let end = tail.bytes().take(MAX_NAME).position(|byte| byte == b'}');
            let value = end.and_then(|end| self.attributes.get(&tail[1..end]).map(|value| (end, value)));
            let is_short = filled.len() < text.len() + MAX_GROWTH;
            let (end, value) = value.filter(|_| is_short).map_or((0, "{"), |(end, value)| (end, value));
            filled.push_str(value);
            rest = &tail[end + 1..];
        }
        filled.push_str(rest);
        filled
    }

    fn listing(&mut self, lines: &[&str], at: usize) -> usize {
        let fence = lines[at].trim();
        let announced = self.language.take();
        let marks: String = fence.chars().take_while(|c| "-.`".contains(*c)).collect();
        let language = match fence.strip_prefix("```") {
            Some(language) if !language.is_empty() => language.to_owned(),
            Some(_) | None => announced.unwrap_or_default(),
        };
        let body = lines[at + 1..].iter().take_while(|line| line.trim() != marks);
        let body: Vec<&str> = body.copied().collect();
        self.builder.code_block(&language, &body.join("\n"), number(at + 1));
        at + body.len() + 2
    }

    fn table(&mut self, lines: &[&str], at: usize) -> usize {
        let body: Vec<&str> =
            lines[at + 1..].iter().take_while(|line| !line.starts_with("|===")).copied().collect();
        let first = body.iter().find(|line| line.starts_with('|'));
        let width = first.map_or(1, |line| line.matches('|').count()).max(1);
        self.builder.open_table(number(at));
        let mut count = 0;
        for (index, line) in body.iter().enumerate() {
            for cell in line.split('|').skip(1) {
                if count % width == 0 {
                    self.builder.open_row(number(at + 1 + index));
                }
                self.builder.open_cell(count < width);
                self.inline(cell.trim());
                count += 1;
            }
        }
        self.builder.close_table();
        at + body.len() + 2
    }

    fn inline(&mut self, text: &str) {
        let text = self.filled(text);
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['`', '*', '[']) {
            let (before, tail) = rest.split_at(at);
            let end = tail[1..].find(match tail.as_bytes()[0] {
                b'[' => ']',
                b'*' => '*',
                _ => '`',
            });
            let Some(end) = end else { break };
            let inner = &tail[1..=end];
            match tail.as_bytes()[0] {
                b'`' => {
                    self.builder.text(before);
                    self.builder.code(inner.trim_matches('+'));
                }
                b'*' => {
                    self.builder.text(before);
                    self.builder.start(Style::Strong);
                    self.builder.text(inner);
                    self.builder.end(|style| *style == Style::Strong);
                }
                _ => self.macro_(before, inner),
            }
            rest = &tail[end + 2..];
        }
        self.builder.text(rest);
    }

    /// `image:url[alt]`, `link:url[words]`, `https://…[words]`.
    fn macro_(&mut self, before: &str, inner: &str) {
        let (words, target) =
            before.rsplit_once([' ', '(']).map_or(("", before), |(words, target)| (words, target));
        self.builder.text(words);
        self.builder.text(" ");
        let words = inner.split(',').next().unwrap_or_default();
        if let Some(url) = target.strip_prefix("image:") {
            return self.builder.image(words, url.trim_start_matches(':'));
        }
        if !target.contains("://") && !target.starts_with("link:") {
            self.builder.text(&format!("{target}[{inner}]"));
            return;
        }
        self.builder.start(Style::Link(target.trim_start_matches("link:").to_owned()));
        self.builder.text(words);
        self.builder.end(|style| matches!(style, Style::Link(_)));
    }
}

/// An attribute of the document: `:name: value`.
fn attribute(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix(':')?.split_once(':')?;
    (!name.contains(' ') && !name.is_empty()).then(|| (name, value.trim()))
}

fn is_item(text: &str) -> bool {
    let rest = text.trim_start_matches(['*', '-', '.']);
    rest.len() < text.len() && rest.starts_with(' ')
}

/// What is for the processor: `ifdef::…[]`, `include::…[]`.
fn is_directive(line: &str) -> bool {
    ["ifdef::", "ifndef::", "ifeval::", "endif::", "include::", "toc::"]
        .iter()
        .any(|name| line.starts_with(name))
}
