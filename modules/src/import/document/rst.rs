//! reStructuredText as far as READMEs use it: sections, lists, literal blocks, directives, tables, substitutions.

use std::collections::BTreeMap;

use super::build::Builder;
use super::{Document, Kind};

mod inline;
mod table;

/// Substitutions and targets, which the text uses before it defines them.
#[derive(Default)]
pub struct Names {
    /// `|name|`: words or an image.
    pub substitutions: BTreeMap<String, Substitution>,
    /// `.. _name: url`.
    pub targets: BTreeMap<String, String>,
}

pub enum Substitution {
    Text(String),
    Image { alt: String, url: String, target: Option<String> },
}

pub fn read(text: &str) -> Document {
    let lines: Vec<&str> = text.lines().collect();
    let names = names(&lines);
    let mut reader = Reader { lines: &lines, at: 0, builder: Builder::new(), names, adornments: Vec::new() };
    while reader.at < lines.len() {
        reader.step();
    }
    reader.builder.finish()
}

struct Reader<'t> {
    lines: &'t [&'t str],
    at: usize,
    builder: Builder,
    names: Names,
    /// The adornments of headings, the highest first.
    adornments: Vec<(char, bool)>,
}

pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

impl<'t> Reader<'t> {
    fn line(&self, offset: usize) -> &'t str {
        self.lines.get(self.at + offset).copied().unwrap_or_default()
    }

    fn number(&self) -> u32 {
        u32::try_from(self.at + 1).unwrap_or(u32::MAX)
    }

    fn step(&mut self) {
        let line = self.line(0);
        let trimmed = line.trim();
        if trimmed.is_empty() {
            self.builder.close();
            self.at += 1;
        } else if self.heading() {
        } else if trimmed.starts_with(".. ") || trimmed == ".." {
            self.directive();
        } else if trimmed == "::" {
            self.at += 1;
            self.literal("", indent(line));
        } else if table::is_border(trimmed) {
            self.table();
        } else if let Some(marker) = bullet(trimmed) {
            self.item(marker);
        } else {
            self.paragraph();
        }
    }

    fn heading(&mut self) -> bool {
        let over = adornment(self.line(0).trim_end());
        let (title, mark, overline, taken) = match over {
            Some(mark)
                if adornment(self.line(2).trim_end()) == Some(mark) && !self.line(1).trim().is_empty() =>
            {
                (self.line(1), mark, true, 3)
            }
            Some(_) => return false,
            None => match adornment(self.line(1).trim_end()) {
                Some(mark) if indent(self.line(0)) == 0 && self.is_underline() => {
                    (self.line(0), mark, false, 2)
                }
                Some(_) | None => return false,
            },
        };
        let title = title.trim().to_owned();
        if !self.adornments.contains(&(mark, overline)) {
            self.adornments.push((mark, overline));
        }
        let level = self.adornments.iter().position(|known| *known == (mark, overline)).unwrap_or(0) + 1;
        let line = self.number();
        self.builder.open(Kind::Heading(u8::try_from(level.min(6)).unwrap_or(6)), line);
        inline::feed(&mut self.builder, &title, &self.names);
        self.builder.close();
        self.at += taken;
        true
    }

    /// Short lines of dashes under a long line are no heading.
    fn is_underline(&self) -> bool {
        let width = self.line(0).trim_end().chars().count();
        let under = self.line(1).trim_end().chars().count();
        under >= 3 && under + 4 >= width.min(40) && bullet(self.line(0).trim()).is_none()
    }

    fn paragraph(&mut self) {
        let (line, number) = (self.line(0).to_owned(), self.number());
        let deeper = self.line(1);
        let is_term = !deeper.trim().is_empty() && indent(deeper) > indent(&line);
        if let Some((name, value)) = field(line.trim()) {
            self.builder.open(Kind::Item, number);
            inline::feed(&mut self.builder, &format!("{name}: {value}"), &self.names);
            self.at += 1;
            return;
        }
        self.builder.ensure_open(number);
        self.words(&line);
        if is_term && !line.trim_end().ends_with("::") {
            self.builder.text(":");
        }
    }

    /// Adds one line of words; `::` at its end begins a literal block.
    fn words(&mut self, line: &str) {
        let text = line.trim();
        self.at += 1;
        let (text, is_literal) = match text.strip_suffix("::") {
            Some(text) => (format!("{text}:"), true),
            None => (text.to_owned(), false),
        };
        // Markup may go over the end of a line.
        let mut whole = text;
        while inline::is_open(&whole) && !self.line(0).trim().is_empty() && whole.len() < 4096 && !is_literal
        {
            whole = format!("{whole}\n{}", self.line(0).trim());
            self.at += 1;
        }
        inline::feed(&mut self.builder, &whole, &self.names);
        self.builder.text("\n");
        if is_literal {
            self.literal("", indent(line));
        }
    }

    fn item(&mut self, marker: usize) {
        let (line, number) = (self.line(0).to_owned(), self.number());
        let base = indent(&line);
        self.builder.open(Kind::Item, number);
        let text = line.trim_start().get(marker..).unwrap_or_default().to_owned();
        self.words(&format!("{}{text}", " ".repeat(base)));
    }

    /// What is deeper than `base` is code.
    fn literal(&mut self, language: &str, base: usize) {
        self.builder.close();
        while self.at < self.lines.len() && self.line(0).trim().is_empty() {
            self.at += 1;
        }
        let number = self.number();
        let body = self.indented(base);
        self.builder.code_block(language, &body, number);
    }

    /// Takes the lines that are deeper than `base`, without their common indent.
    fn indented(&mut self, base: usize) -> String {
        let first = self.at;
        while self.at < self.lines.len() {
            let line = self.line(0);
            if !line.trim().is_empty() && indent(line) <= base {
                break;
            }
            self.at += 1;
        }
        let body = &self.lines[first..self.at];
        let common = body.iter().filter(|line| !line.trim().is_empty()).map(|line| indent(line)).min();
        let cut = |line: &&str| line.get(common.unwrap_or(0)..).unwrap_or_default().to_owned();
        body.iter().map(cut).collect::<Vec<_>>().join("\n")
    }

    fn table(&mut self) {
        let (first, number) = (self.at, self.number());
        self.at += table::height(&self.lines[first..]);
        let rows = table::read(&self.lines[first..self.at], number);
        self.put_table(rows, number);
    }

    fn put_table(&mut self, rows: Vec<table::Row>, number: u32) {
        self.builder.open_table(number);
        for row in rows {
            self.builder.open_row(row.line);
            for cell in row.cells {
                self.builder.open_cell(row.is_header);
                inline::feed(&mut self.builder, cell.trim(), &self.names);
            }
        }
        self.builder.close_table();
    }

    fn directive(&mut self) {
        let line = self.line(0).to_owned();
        let (base, number) = (indent(&line), self.number());
        let text = line.trim().trim_start_matches("..").trim();
        let Some((name, argument)) = text.split_once("::") else {
            self.at += 1;
            if !text.starts_with('_') && !text.starts_with('[') {
                self.indented(base);
            }
            return;
        };
        let (name, argument) = (name.trim().to_ascii_lowercase(), argument.trim().to_owned());
        self.at += 1;
        match name.as_str() {
            "code-block" | "code" | "sourcecode" | "parsed-literal" | "highlight" | "console" => {
                self.code(&argument, base);
            }
            "image" | "figure" => self.image(&argument, base, number),
            "list-table" | "csv-table" => {
                let body = self.indented(base);
                let rows =
                    if name == "csv-table" { table::csv(&body, number) } else { table::list(&body, number) };
                self.put_table(rows, number);
            }
            "raw" | "contents" | "include" | "toctree" => {
                self.indented(base);
            }
            // The body of a note is text like any other.
            _ if name.starts_with('|') => {
                self.indented(base);
            }
            _ if !argument.is_empty() => {
                self.builder.open(Kind::Quote, number);
                inline::feed(&mut self.builder, &argument, &self.names);
                self.builder.close();
            }
            _ => {}
        }
    }

    fn code(&mut self, language: &str, base: usize) {
        while self.line(0).trim_start().starts_with(':') && indent(self.line(0)) > base {
            self.at += 1;
        }
        self.literal(&language.to_ascii_lowercase(), base);
    }

    fn image(&mut self, url: &str, base: usize, number: u32) {
        let body = self.indented(base);
        let options = options(&body);
        self.builder.open(Kind::Paragraph, number);
        let target = options.get("target").cloned();
        inline::image(&mut self.builder, options.get("alt").map_or("", String::as_str), url, target);
        self.builder.close();
        self.caption(&body, number);
    }

    /// The words below a figure.
    fn caption(&mut self, body: &str, number: u32) {
        let words = body
            .lines()
            .enumerate()
            .skip_while(|(_, line)| line.trim().is_empty() || field(line.trim()).is_some());
        let words: Vec<(usize, &str)> = words.take_while(|(_, line)| !line.trim().is_empty()).collect();
        let Some((offset, _)) = words.first() else { return };
        let line = number + 1 + u32::try_from(*offset).unwrap_or(0);
        let text = words.iter().map(|(_, line)| line.trim()).collect::<Vec<_>>().join("\n");
        self.builder.open(Kind::Paragraph, line);
        inline::feed(&mut self.builder, &text, &self.names);
        self.builder.close();
    }
}

/// The options of a directive: `:alt: words`.
fn options(body: &str) -> BTreeMap<String, String> {
    let fields = body.lines().filter_map(|line| field(line.trim()));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A field: `:name: value`.
fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix(':')?.split_once(':')?;
    let fits = !name.is_empty()
        && !name.contains('`')
        && !value.starts_with('`')
        && (value.is_empty() || value.starts_with(' '));
    fits.then(|| (name, value.trim()))
}

/// The length of the marker of an item.
pub fn bullet(line: &str) -> Option<usize> {
    if ["* ", "- ", "+ ", "• "].iter().any(|marker| line.starts_with(marker)) {
        return line.find(' ').map(|at| at + 1);
    }
    let end = line.find(['.', ')'])?;
    let number = line[..end].trim_start_matches('(');
    let fits = number == "#"
        || (!number.is_empty() && number.len() < 4 && number.bytes().all(|b| b.is_ascii_digit()));
    (fits && line[end + 1..].starts_with(' ')).then_some(end + 2)
}

/// The character of a line that is nothing but one mark.
fn adornment(line: &str) -> Option<char> {
    let mark = line.chars().next().filter(|c| "=-`:.'\"~^_*+#<>".contains(*c))?;
    (line.len() >= 3 && line.chars().all(|c| c == mark)).then_some(mark)
}

/// Collects what is defined anywhere in the text.
fn names(lines: &[&str]) -> Names {
    let mut names = Names::default();
    for (index, line) in lines.iter().enumerate() {
        let Some(text) = line.trim().strip_prefix(".. ") else { continue };
        if let Some((name, target)) = text.strip_prefix('_').and_then(|text| text.split_once(": ")) {
            names.targets.insert(name.trim_matches('`').to_lowercase(), target.trim().to_owned());
        }
        let Some((name, rest)) = text.strip_prefix('|').and_then(|text| text.split_once('|')) else {
            continue;
        };
        let Some((kind, argument)) = rest.split_once("::") else { continue };
        let argument = argument.trim().to_owned();
        let value = if kind.trim() == "image" {
            let body = lines[index + 1..].iter().take_while(|line| line.trim_start().starts_with(':'));
            let options = options(&body.copied().collect::<Vec<_>>().join("\n"));
            let alt = options.get("alt").cloned().unwrap_or_else(|| name.to_owned());
            Substitution::Image { alt, url: argument, target: options.get("target").cloned() }
        } else {
            Substitution::Text(argument)
        };
        names.substitutions.insert(name.to_owned(), value);
    }
    names
}
