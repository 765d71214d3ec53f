//! AsciiDoc as far as READMEs use it: sections, lists, listings, tables, links.

use super::build::Builder;
use super::{Document, Kind, Style};

pub fn read(text: &str) -> Document {
    let mut reader = Reader { builder: Builder::new(), language: String::new() };
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        at = reader.step(&lines, at);
    }
    reader.builder.finish()
}

struct Reader {
    builder: Builder,
    language: String,
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

impl Reader {
    /// Handles the line and perhaps those that belong to it; tells the next one.
    fn step(&mut self, lines: &[&str], at: usize) -> usize {
        let line = lines[at].trim_end();
        let text = line.trim_start();
        let marks = text.len() - text.trim_start_matches('=').len();
        if (1..=6).contains(&marks) && text[marks..].starts_with(' ') {
            self.builder.open(Kind::Heading(u8::try_from(marks).unwrap_or(6)), number(at));
            self.inline(text[marks..].trim());
            self.builder.close();
        } else if let Some(attributes) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            self.language = attributes
                .strip_prefix("source,")
                .unwrap_or_default()
                .split(',')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase();
            self.builder.close();
        } else if ["----", "....", "```"].iter().any(|fence| text.starts_with(fence)) {
            return self.listing(lines, at);
        } else if text.starts_with("|===") {
            return self.table(lines, at);
        } else if text.is_empty() {
            self.builder.close();
        } else if text.starts_with("//") || is_attribute(text) {
        } else {
            let depth = text.len() - text.trim_start_matches(['*', '-', '.']).len();
            if depth > 0 && text[depth..].starts_with(' ') {
                self.builder.open(Kind::Item, number(at));
                self.inline(text[depth..].trim());
            } else {
                self.builder.ensure_open(number(at));
                self.inline(text);
            }
            self.builder.text("\n");
        }
        at + 1
    }

    fn listing(&mut self, lines: &[&str], at: usize) -> usize {
        let fence = lines[at].trim();
        let marks: String = fence.chars().take_while(|c| "-.`".contains(*c)).collect();
        let language = match fence.strip_prefix("```") {
            Some(language) if !language.is_empty() => language.to_owned(),
            Some(_) | None => std::mem::take(&mut self.language),
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
        let mut rest = text;
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
fn is_attribute(line: &str) -> bool {
    line.strip_prefix(':').is_some_and(|rest| {
        rest.split_once(':').is_some_and(|(name, _)| !name.contains(' ') && !name.is_empty())
    })
}
