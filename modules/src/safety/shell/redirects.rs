//! Redirects of the shell, and here-documents.

use super::{Command, Parser, Part, Redirect, Word};

impl Parser {
    pub(super) fn redirects(&mut self, command: &mut Command) {
        loop {
            self.blanks();
            if !self.redirect(command) {
                return;
            }
        }
    }

    /// Takes one redirect, if there is one here.
    pub(super) fn redirect(&mut self, command: &mut Command) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        if self.starts_with("<(") || self.starts_with(">(") {
            self.at = start;
            return false;
        }
        let operators = ["&>>", "&>", "<<<", "<<-", "<<", "<>", "<&", ">>", ">&", ">|", ">", "<"];
        let Some(operator) = operators.into_iter().find(|operator| self.take(operator)) else {
            self.at = start;
            return false;
        };
        self.blanks();
        let target = match operator {
            "<<" | "<<-" => self.here_document(operator == "<<-"),
            _ => self.word().unwrap_or_default(),
        };
        command.redirects.push(Redirect { operator: operator.trim_end_matches('-').to_owned(), target });
        true
    }

    /// Takes the delimiter, and the text that begins in the next line.
    fn here_document(&mut self, strips_tabs: bool) -> Word {
        let Some(word) = self.word() else { return Word::default() };
        let is_quoted = word.parts.iter().any(|part| matches!(part, Part::Text { is_quoted: true, .. }));
        let delimiter = word.plain().unwrap_or_default();
        let length = self.characters.len();
        let mut at = self.resume.unwrap_or_else(|| {
            // The word may have stepped over the end: a backslash with nothing behind it.
            let rest = self.characters.get(self.at..).unwrap_or_default();
            let newline = rest.iter().position(|c| *c == '\n');
            newline.map_or(length, |newline| self.at + newline + 1)
        });
        let mut text = String::new();
        let first = at;
        while at < length {
            let end = self.characters[at..].iter().position(|c| *c == '\n').map_or(length, |end| at + end);
            let line: String = self.characters[at..end].iter().collect();
            at = (end + 1).min(length);
            let line = if strips_tabs { line.trim_start_matches('\t') } else { &line };
            if line.trim_end_matches('\r') == delimiter {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        self.resume = Some(at);
        let between = self.characters.get(self.counted..first).unwrap_or_default();
        let line = self.line + between.iter().filter(|c| **c == '\n').count();
        if is_quoted {
            return Word { parts: vec![Part::Text { text, is_quoted: true }], line: Some(line) };
        }
        Word { line: Some(line), ..self.inner(&text, line) }
    }
}
