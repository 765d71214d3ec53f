//! A text as blocks with their lines: the one shape that Markdown, HTML, reStructuredText and AsciiDoc become.

use std::ops::Range;
use std::sync::OnceLock;

use crate::import::words::{Mentions, WordList};

mod asciidoc;
mod build;
mod html;
mod markdown;
mod rst;

/// A document: blocks in order, each under a section.
#[derive(Debug, Default)]
pub struct Document {
    pub blocks: Vec<Block>,
    /// Section 0 is what comes before the first heading.
    pub sections: Vec<Section>,
}

/// A heading and where it stands.
#[derive(Debug, Default, Clone)]
pub struct Section {
    pub title: String,
    /// The title in lower case.
    pub lower: String,
    pub level: u8,
    pub parent: Option<usize>,
    pub line: u32,
}

#[derive(Debug)]
pub struct Block {
    pub kind: Kind,
    pub rich: Rich,
    pub line: u32,
    pub section: usize,
}

#[derive(Debug)]
pub enum Kind {
    Heading(u8),
    Paragraph,
    /// An item of a list.
    Item,
    /// Text in a box or behind `>`.
    Quote,
    /// A block of code and what it says about its language.
    Code(String),
    Table(Table),
}

/// Rows of cells; the first row is the header where there is one.
#[derive(Debug, Default)]
pub struct Table {
    pub header: Vec<Rich>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Default)]
pub struct Row {
    pub line: u32,
    pub cells: Vec<Rich>,
}

/// Text without markup, and the markup beside it.
#[derive(Debug, Default, Clone)]
pub struct Rich {
    pub text: String,
    pub spans: Vec<Span>,
    lower: OnceLock<String>,
    mentions: OnceLock<Mentions>,
}

#[derive(Debug, Clone)]
pub struct Span {
    pub range: Range<usize>,
    pub style: Style,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Style {
    Code,
    Strong,
    Emphasis,
    Link(String),
    Image { alt: String, url: String },
}

impl Rich {
    /// The text in lower case with a blank where a line ends, made once: a place in it need not be the same place in
    /// the text.
    pub fn lower(&self) -> &str {
        self.lower.get_or_init(|| {
            let lower = self.text.to_lowercase();
            if lower.contains('\n') { lower.replace('\n', " ") } else { lower }
        })
    }

    /// Whether it has one of the words, whatever the case.
    pub fn has(&self, list: &WordList) -> bool {
        match Mentions::place(list) {
            Some(place) => self.mentions.get_or_init(|| Mentions::of(self.lower())).has(place),
            None => list.is_in(self.lower()),
        }
    }

    /// The code in it, with where it begins.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.spans.iter().filter(|span| span.style == Style::Code);
        code.map(|span| (span.range.start, &self.text[span.range.clone()]))
    }

    /// The strong words in it, with where they begin.
    pub fn strong(&self) -> impl Iterator<Item = (usize, &str)> {
        let strong = self.spans.iter().filter(|span| span.style == Style::Strong);
        strong.map(|span| (span.range.start, &self.text[span.range.clone()]))
    }

    /// The links in it: text and address.
    pub fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().filter_map(|span| match &span.style {
            Style::Link(url) => Some((&self.text[span.range.clone()], url.as_str())),
            Style::Code | Style::Strong | Style::Emphasis | Style::Image { .. } => None,
        })
    }

    /// The images in it: what they show in words, and address.
    pub fn images(&self) -> impl Iterator<Item = (&str, &str)> {
        self.spans.iter().filter_map(|span| match &span.style {
            Style::Image { alt, url } => Some((alt.as_str(), url.as_str())),
            Style::Code | Style::Strong | Style::Emphasis | Style::Link(_) => None,
        })
    }
}

impl Block {
    /// The line of a place in the block's text.
    pub fn line_at(&self, offset: usize) -> u32 {
        let before = self.rich.text.as_bytes().get(..offset).unwrap_or_default();
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        self.line + u32::try_from(breaks).unwrap_or(u32::MAX)
    }

    pub fn is_code(&self) -> bool {
        matches!(self.kind, Kind::Code(_))
    }
}

impl Document {
    /// Reads a text by the format that its file name tells.
    pub fn read(path: &str, text: &str) -> Self {
        let path = path.to_ascii_lowercase();
        if path.ends_with(".rst") {
            return rst::read(text);
        }
        if path.ends_with(".adoc") || path.ends_with(".asciidoc") {
            return asciidoc::read(text);
        }
        markdown::read(text)
    }

    /// A section's heading and those above it, nearest first.
    pub fn path(&self, section: usize) -> impl Iterator<Item = &Section> {
        let mut next = Some(section);
        std::iter::from_fn(move || {
            let section = self.sections.get(next?)?;
            next = section.parent;
            Some(section)
        })
    }
}
