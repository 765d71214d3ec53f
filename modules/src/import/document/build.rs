//! Puts a document together from the events of a reader.

use super::{Block, Document, Kind, Rich, Row, Section, Span, Style, Table};

/// More blocks than that nobody reads; what follows is left out.
const MAX_BLOCKS: usize = 200_000;

/// Room for the text of a paragraph, in bytes.
const PARAGRAPH: usize = 120;

#[derive(Default)]
pub struct Builder {
    document: Document,
    section: usize,
    open: Option<(Kind, u32)>,
    rich: Rich,
    styles: Vec<(usize, Style)>,
    table: Option<OpenTable>,
    pub quote: u8,
}

#[derive(Default)]
struct OpenTable {
    table: Table,
    line: u32,
    row: Vec<Rich>,
    row_line: u32,
    is_header: bool,
    in_cell: bool,
}

impl Builder {
    pub fn new() -> Self {
        let document = Document { blocks: Vec::new(), sections: vec![Section::default()] };
        Self { document, ..Self::default() }
    }

    /// Begins a block; one that is open ends.
    pub fn open(&mut self, kind: Kind, line: u32) {
        if self.table.as_ref().is_some_and(|table| table.in_cell) {
            self.text(" ");
            return;
        }
        self.close();
        self.open = Some((kind, line));
    }

    /// A paragraph, which in a list or a quote is more than that.
    pub fn open_paragraph(&mut self, line: u32) {
        if matches!(&self.open, Some((Kind::Item, _))) && self.rich.text.trim().is_empty() {
            return;
        }
        let kind = if self.quote > 0 { Kind::Quote } else { Kind::Paragraph };
        self.open(kind, line);
    }

    pub fn ensure_open(&mut self, line: u32) {
        if self.open.is_none() && self.table.is_none() {
            self.open_paragraph(line);
        }
    }

    pub fn text(&mut self, text: &str) {
        let all = &mut self.rich.text;
        // A paragraph comes in pieces.
        if all.is_empty() {
            all.reserve(if self.table.is_none() { text.len().max(PARAGRAPH) } else { text.len() });
        }
        all.push_str(text);
    }

    pub fn code(&mut self, text: &str) {
        let start = self.rich.text.len();
        self.text(text);
        self.rich.spans.push(Span { range: start..self.rich.text.len(), style: Style::Code });
    }

    pub fn image(&mut self, alt: &str, url: &str) {
        let at = self.rich.text.len();
        let style = Style::Image { alt: alt.to_owned(), url: url.to_owned() };
        self.rich.spans.push(Span { range: at..at, style });
    }

    pub fn start(&mut self, style: Style) {
        if self.styles.len() < 64 {
            self.styles.push((self.rich.text.len(), style));
        }
    }

    /// Ends the innermost style that `matches`.
    pub fn end(&mut self, matches: fn(&Style) -> bool) {
        let Some(index) = self.styles.iter().rposition(|(_, style)| matches(style)) else { return };
        let (start, style) = self.styles.remove(index);
        let end = self.rich.text.len();
        if start <= end {
            self.rich.spans.push(Span { range: start..end, style });
        }
    }

    /// Ends the open block.
    pub fn close(&mut self) {
        if self.table.as_ref().is_some_and(|table| table.in_cell) {
            return;
        }
        let rich = std::mem::take(&mut self.rich);
        self.styles.clear();
        let Some((kind, line)) = self.open.take() else { return };
        let is_empty = rich.text.trim().is_empty() && rich.spans.is_empty();
        if is_empty || self.document.blocks.len() >= MAX_BLOCKS {
            return;
        }
        if let Kind::Heading(level) = kind {
            self.enter(level, &rich, line);
        }
        self.document.blocks.push(Block { kind, rich, line, section: self.section });
    }

    fn enter(&mut self, level: u8, rich: &Rich, line: u32) {
        let mut parent = Some(self.section);
        while let Some(index) = parent {
            if self.document.sections[index].level < level {
                break;
            }
            parent = self.document.sections[index].parent;
        }
        let title = rich.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let lower = title.to_lowercase();
        self.document.sections.push(Section { title, lower, level, parent, line });
        self.section = self.document.sections.len() - 1;
    }

    /// A whole block of code; in a cell of a table it becomes part of the cell.
    pub fn code_block(&mut self, language: &str, text: &str, line: u32) {
        if self.table.as_ref().is_some_and(|table| table.in_cell) {
            return self.code(text);
        }
        self.open(Kind::Code(language.to_owned()), line);
        self.text(text);
        self.close();
    }

    pub fn open_table(&mut self, line: u32) {
        if self.table.is_none() {
            self.close();
            self.table = Some(OpenTable { line, ..OpenTable::default() });
        }
    }

    pub fn open_row(&mut self, line: u32) {
        self.close_row();
        if let Some(table) = &mut self.table {
            table.row_line = line;
            table.is_header = false;
        }
    }

    pub fn open_cell(&mut self, is_header: bool) {
        self.close_cell();
        if let Some(table) = &mut self.table {
            table.in_cell = true;
            table.is_header |= is_header;
            self.rich = Rich::default();
        }
    }

    pub fn close_cell(&mut self) {
        if let Some(table) = &mut self.table
            && table.in_cell
        {
            table.in_cell = false;
            table.row.push(std::mem::take(&mut self.rich));
            self.styles.clear();
        }
    }

    pub fn close_row(&mut self) {
        self.close_cell();
        let Some(table) = &mut self.table else { return };
        let cells = std::mem::take(&mut table.row);
        if cells.is_empty() {
            return;
        }
        if table.is_header && table.table.header.is_empty() && table.table.rows.is_empty() {
            table.table.header = cells;
        } else {
            table.table.rows.push(Row { line: table.row_line, cells });
        }
    }

    /// Ends the row that is the header.
    pub fn close_head(&mut self) {
        self.close_cell();
        if let Some(table) = &mut self.table {
            table.is_header = true;
        }
        self.close_row();
    }

    /// A block of HTML ended: what it left open besides a table ends.
    pub fn end_html_block(&mut self) {
        if self.table.is_none() && !matches!(&self.open, Some((Kind::Code(_), _))) {
            self.close();
        }
    }

    pub fn close_table(&mut self) {
        self.close_row();
        let Some(open) = self.table.take() else { return };
        let is_empty = open.table.header.is_empty() && open.table.rows.is_empty();
        if !is_empty && self.document.blocks.len() < MAX_BLOCKS {
            self.document.blocks.push(Block {
                kind: Kind::Table(open.table),
                rich: Rich::default(),
                line: open.line,
                section: self.section,
            });
        }
    }

    pub fn finish(mut self) -> Document {
        self.close_table();
        self.close();
        self.document
    }
}

/// Tells the line of a byte; asked with growing offsets.
pub struct Lines<'t> {
    bytes: &'t [u8],
    at: usize,
    line: u32,
}

impl<'t> Lines<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, line: 1 }
    }

    pub fn of(&mut self, offset: usize) -> u32 {
        if offset > self.at {
            let passed = self.bytes.get(self.at..offset).unwrap_or_default();
            let breaks = passed.iter().filter(|byte| **byte == b'\n').count();
            self.line += u32::try_from(breaks).unwrap_or(0);
            self.at = offset;
        }
        self.line
    }
}
