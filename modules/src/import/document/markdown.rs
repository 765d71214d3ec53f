//! Markdown as on GitHub, with the raw HTML in it.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::build::{Builder, Lines};
use super::html;
use super::{Document, Kind, Style};

pub fn read(text: &str) -> Document {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_GFM;
    let mut reader = Reader { builder: Builder::new(), code: None, image: None, html: None };
    let mut lines = Lines::new(text);
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        let line = lines.of(range.start);
        reader.event(event, line);
    }
    reader.builder.finish()
}

struct Reader {
    builder: Builder,
    /// The code block that is open: language, text, line.
    code: Option<(String, String, u32)>,
    /// The image that is open: address, words.
    image: Option<(String, String)>,
    /// The block of HTML that is open, and its line.
    html: Option<(String, u32)>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, line: u32) {
        match event {
            Event::Start(tag) => self.start(tag, line),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text, line),
            Event::Code(text) => match &mut self.image {
                Some((_, alt)) => alt.push_str(&text),
                None => {
                    self.builder.ensure_open(line);
                    self.builder.code(&text);
                }
            },
            Event::Html(text) => match &mut self.html {
                Some((html, _)) => html.push_str(&text),
                None => html::feed(&mut self.builder, &text, line),
            },
            Event::InlineHtml(text) => html::feed(&mut self.builder, &text, line),
            Event::SoftBreak | Event::HardBreak => self.text("\n", line),
            Event::Rule => self.builder.close(),
            Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => {}
        }
    }

    fn text(&mut self, text: &str, line: u32) {
        if let Some((_, code, first)) = &mut self.code {
            if code.is_empty() {
                *first = line;
            }
            return code.push_str(text);
        }
        if let Some((_, alt)) = &mut self.image {
            return alt.push_str(text);
        }
        self.builder.ensure_open(line);
        self.builder.text(text);
    }

    fn start(&mut self, tag: Tag<'_>, line: u32) {
        let builder = &mut self.builder;
        match tag {
            Tag::Paragraph => builder.open_paragraph(line),
            Tag::Heading { level, .. } => builder.open(Kind::Heading(level as u8), line),
            Tag::BlockQuote(_) => builder.quote = builder.quote.saturating_add(1),
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.to_ascii_lowercase(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new(), line));
            }
            Tag::Item => builder.open(Kind::Item, line),
            Tag::Table(_) => builder.open_table(line),
            Tag::TableHead | Tag::TableRow => builder.open_row(line),
            Tag::TableCell => builder.open_cell(false),
            Tag::Strong => builder.start(Style::Strong),
            Tag::Emphasis => builder.start(Style::Emphasis),
            Tag::Link { dest_url, .. } => {
                builder.ensure_open(line);
                builder.start(Style::Link(dest_url.into_string()));
            }
            Tag::Image { dest_url, .. } => self.image = Some((dest_url.into_string(), String::new())),
            Tag::HtmlBlock => self.html = Some((String::new(), line)),
            Tag::List(_)
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::MetadataBlock(_) => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        let builder = &mut self.builder;
        match tag {
            TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item => builder.close(),
            TagEnd::BlockQuote(_) => builder.quote = builder.quote.saturating_sub(1),
            TagEnd::CodeBlock => {
                if let Some((language, text, line)) = self.code.take() {
                    builder.code_block(&language, &text, line);
                }
            }
            TagEnd::Table => builder.close_table(),
            TagEnd::TableHead => builder.close_head(),
            TagEnd::TableRow => builder.close_row(),
            TagEnd::TableCell => builder.close_cell(),
            TagEnd::Strong => builder.end(|style| *style == Style::Strong),
            TagEnd::Emphasis => builder.end(|style| *style == Style::Emphasis),
            TagEnd::Link => builder.end(|style| matches!(style, Style::Link(_))),
            TagEnd::Image => {
                if let Some((url, alt)) = self.image.take() {
                    builder.ensure_open(0);
                    builder.image(&alt, &url);
                }
            }
            TagEnd::HtmlBlock => {
                if let Some((html, line)) = self.html.take() {
                    html::feed(builder, &html, line);
                    builder.end_html_block();
                }
            }
            TagEnd::List(_)
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::MetadataBlock(_) => {}
        }
    }
}
