//! Plain tables that fit the terminal: columns are cut or wrapped, and where that is not enough,
//! each row becomes a block of lines.

use unicode_width::UnicodeWidthStr;

use super::console::{Look, Style, printable};

/// What a column does where the table is too wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Is always shown whole: names, addresses.
    Keep,
    /// Ends with an ellipsis.
    Cut,
    /// Goes on in the next line. For the last column only.
    Wrap,
}

#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: printable(text.as_ref()), style }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::styled(text, Style::Plain)
    }
}

#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Fit)>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

const GAP: usize = 2;
/// No column is cut to less than this.
const LEAST: usize = 12;
/// What was wrapped is not cut as well: a word too long for its line stays whole.
const WHOLE: usize = usize::MAX;

impl Table {
    pub fn new(columns: &[(&'static str, Fit)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), indent: 0 }
    }

    pub fn indented(mut self, indent: usize) -> Self {
        self.indent = indent;
        self
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let row: Vec<Cell> = cells.into_iter().collect();
        debug_assert_eq!(row.len(), self.columns.len(), "a row has one cell for each column");
        self.rows.push(row);
    }

    /// For lists of facts: what is not known needs no line.
    pub fn row_unless_empty(&mut self, name: &str, value: Cell) {
        if !value.text.is_empty() {
            self.row([Cell::styled(name, Style::Dim), value]);
        }
    }

    /// The table as text, each line with its end. Columns that are empty in every row are left out.
    pub fn render(&self, look: &Look) -> String {
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|&column| self.rows.iter().any(|row| !row[column].text.is_empty()))
            .collect();
        let widths: Vec<usize> = shown.iter().map(|&column| self.natural_width(column)).collect();
        match look.width {
            None => self.render_rows(look, &shown, &widths),
            Some(width) => match self.fit(&shown, widths, width.saturating_sub(self.indent)) {
                Some(widths) => self.render_rows(look, &shown, &widths),
                None => self.render_blocks(look, &shown),
            },
        }
    }

    fn natural_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].text.width());
        cells.chain([self.columns[column].0.width()]).max().unwrap_or(0)
    }

    /// Takes from the widest column that may be cut until the line fits.
    fn fit(&self, shown: &[usize], mut widths: Vec<usize>, width: usize) -> Option<Vec<usize>> {
        loop {
            let total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
            if total <= width {
                return Some(widths);
            }
            let may_shrink = |at: &usize| self.columns[shown[*at]].1 != Fit::Keep && widths[*at] > LEAST;
            let widest = (0..widths.len()).filter(may_shrink).max_by_key(|&at| widths[at])?;
            widths[widest] = widths[widest].saturating_sub(total - width).max(LEAST);
        }
    }

    fn render_rows(&self, look: &Look, shown: &[usize], widths: &[usize]) -> String {
        let header: Vec<Cell> =
            shown.iter().map(|&column| Cell::styled(self.columns[column].0, Style::Dim)).collect();
        let mut text = String::new();
        if header.iter().any(|cell| !cell.text.is_empty()) {
            self.push_line(&mut text, look, &header, widths);
        }
        let wraps = shown.last().is_some_and(|&column| self.columns[column].1 == Fit::Wrap);
        for row in &self.rows {
            let cells: Vec<Cell> = shown.iter().map(|&column| row[column].clone()).collect();
            match (wraps, cells.split_last(), widths.split_last()) {
                (true, Some((last, first)), Some((&width, before))) => {
                    let widths = [before, &[WHOLE]].concat();
                    for (at, part) in wrap(&last.text, width).into_iter().enumerate() {
                        let mut line =
                            if at == 0 { first.to_vec() } else { vec![Cell::default(); first.len()] };
                        line.push(Cell { text: part, style: last.style });
                        self.push_line(&mut text, look, &line, &widths);
                    }
                }
                _ => self.push_line(&mut text, look, &cells, widths),
            }
        }
        text
    }

    fn push_line(&self, text: &mut String, look: &Look, cells: &[Cell], widths: &[usize]) {
        let mut line = " ".repeat(self.indent);
        let mut owed = 0;
        for (cell, &width) in cells.iter().zip(widths) {
            let shown = cut(&cell.text, width, look);
            if !shown.is_empty() {
                line.push_str(&" ".repeat(owed));
                line.push_str(&look.paint(cell.style, &shown));
                owed = 0;
            }
            owed = width.saturating_sub(shown.width()).saturating_add(owed).saturating_add(GAP);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }

    fn render_blocks(&self, look: &Look, shown: &[usize]) -> String {
        let label = shown.iter().map(|&column| self.columns[column].0.width()).max().unwrap_or(0);
        let room = look.width.map_or(usize::MAX, |width| width.saturating_sub(self.indent + label + GAP));
        let mut text = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            if at > 0 {
                text.push('\n');
            }
            for &column in shown.iter().filter(|&&column| !row[column].text.is_empty()) {
                for (part_at, part) in wrap(&row[column].text, room.max(LEAST)).into_iter().enumerate() {
                    let name = if part_at == 0 { self.columns[column].0 } else { "" };
                    let name = Cell::styled(name, Style::Dim);
                    let value = Cell { text: part, style: row[column].style };
                    self.push_line(&mut text, look, &[name, value], &[label, WHOLE]);
                }
            }
        }
        text
    }
}

fn cut(text: &str, width: usize, look: &Look) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(look.ellipsis().width());
    let mut kept = String::new();
    for c in text.chars() {
        if format!("{kept}{c}").width() > room {
            break;
        }
        kept.push(c);
    }
    kept + look.ellipsis()
}

/// Breaks at spaces; a longer word stays whole, since half an address helps nobody.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(&[("NAME", Fit::Keep), ("TEXT", Fit::Cut), ("EMPTY", Fit::Cut), ("WHY", Fit::Wrap)]);
        table.row(["attic".into(), "短い text".into(), "".into(), "one two three four five six".into()]);
        table.row([
            "pi".into(),
            "something rather long".into(),
            "".into(),
            Cell::styled("no\x1b[31m\n", Style::Bad),
        ]);
        table
    }

    #[test]
    fn a_pipe_gets_whole_lines_and_no_empty_columns() {
        assert_snapshot!(table().render(&Look::default()), @r"
        NAME   TEXT                   WHY
        attic  短い text              one two three four five six
        pi     something rather long  no [31m
        ");
    }

    #[test]
    fn a_terminal_gets_what_fits() {
        let look = Look { width: Some(40), has_unicode: true, ..Look::default() };
        assert_snapshot!(table().render(&look), @r"
        NAME   TEXT                 WHY
        attic  短い text            one two
                                    three four
                                    five six
        pi     something rather l…  no [31m
        ");
    }

    #[test]
    fn a_narrow_terminal_gets_blocks() {
        assert_snapshot!(table().render(&Look { width: Some(24), ..Look::default() }), @r"
        NAME  attic
        TEXT  短い text
        WHY   one two three four
              five six

        NAME  pi
        TEXT  something rather
              long
        WHY   no [31m
        ");
    }

    #[test]
    fn colour_does_not_shift_columns() {
        let mut table = Table::new(&[("A", Fit::Keep), ("B", Fit::Keep)]);
        table.row([Cell::styled("x", Style::Good), "y".into()]);
        let look = Look { has_color: true, ..Look::default() };
        assert_eq!(table.render(&look), "\x1b[2mA\x1b[0m  \x1b[2mB\x1b[0m\n\x1b[32mx\x1b[0m  y\n");
    }
}
