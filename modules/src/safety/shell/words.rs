//! Words of the shell: quotes, variables, substitutions.

use super::{MAX_DEPTH, Parser, Part, Word, parse_at_depth};

impl Word {
    /// The text of a word in which nothing is expanded.
    pub fn plain(&self) -> Option<String> {
        let mut plain = String::new();
        for part in &self.parts {
            match part {
                Part::Text { text, .. } => plain.push_str(text),
                Part::Variable { .. } | Part::Substitution { .. } | Part::Process { .. } => return None,
            }
        }
        Some(plain)
    }

    /// A word that stands for itself.
    pub fn literal(text: &str) -> Self {
        Self { parts: vec![Part::Text { text: text.to_owned(), is_quoted: true }], line: None }
    }

    fn push(&mut self, c: char, quoted: bool) {
        match self.parts.last_mut() {
            Some(Part::Text { text, is_quoted }) if *is_quoted == quoted => text.push(c),
            _ => self.parts.push(Part::Text { text: c.to_string(), is_quoted: quoted }),
        }
    }

    /// The line ends in what is not expanded.
    fn line_ends(&self) -> usize {
        let of = |part: &Part| match part {
            Part::Text { text, .. } => text.matches('\n').count(),
            Part::Variable { .. } | Part::Substitution { .. } | Part::Process { .. } => 0,
        };
        self.parts.iter().map(of).sum()
    }

    fn mark_quoted(&mut self) {
        self.parts.push(Part::Text { text: String::new(), is_quoted: true });
    }
}

impl Parser {
    /// The word that begins here, if one does.
    pub(super) fn word(&mut self) -> Option<Word> {
        let (line, start) = (self.line(), self.at);
        let mut word = Word::default();
        while let Some(c) = self.peek() {
            match c {
                '<' | '>' if self.peek_at(1) == Some('(') => {
                    self.at += 2;
                    let body = self.list(&[]);
                    self.close(")");
                    word.parts.push(Part::Process { body });
                }
                ' ' | '\t' | '\n' | '\r' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => break,
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => self.at += 1,
                        Some(c) => {
                            word.push(c, true);
                            self.at += 1;
                        }
                        None => {}
                    }
                }
                '\'' => {
                    self.at += 1;
                    self.single(&mut word);
                }
                '"' => {
                    self.at += 1;
                    self.double(&mut word);
                }
                '$' => self.dollar(&mut word, false),
                '`' => self.backticks(&mut word, false),
                c => {
                    word.push(c, false);
                    self.at += 1;
                }
            }
        }
        let span = self.characters.get(start..self.at).unwrap_or_default();
        let is_as_it_stands = word.line_ends() == span.iter().filter(|c| **c == '\n').count();
        word.line = is_as_it_stands.then_some(line);
        (!word.parts.is_empty()).then_some(word)
    }

    fn single(&mut self, word: &mut Word) {
        word.mark_quoted();
        while let Some(c) = self.peek() {
            self.at += 1;
            if c == '\'' {
                return;
            }
            word.push(c, true);
        }
        self.broken();
    }

    fn double(&mut self, word: &mut Word) {
        word.mark_quoted();
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.at += 1;
                    return;
                }
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => {}
                        Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c, true),
                        Some(c) => {
                            word.push('\\', true);
                            word.push(c, true);
                        }
                        None => break,
                    }
                    self.at += 1;
                }
                '$' => self.dollar(word, true),
                '`' => self.backticks(word, true),
                c => {
                    word.push(c, true);
                    self.at += 1;
                }
            }
        }
        self.broken();
    }

    fn dollar(&mut self, word: &mut Word, is_quoted: bool) {
        self.at += 1;
        match self.peek() {
            Some('\'') if !is_quoted => {
                self.at += 1;
                self.escaped(word);
            }
            Some('"') if !is_quoted => {}
            Some('(') if self.peek_at(1) == Some('(') && self.is_arithmetic() => self.arithmetic(),
            Some('(') => {
                self.at += 1;
                let body = self.list(&[]);
                self.close(")");
                word.parts.push(Part::Substitution { body, is_quoted });
            }
            Some('{') => self.braces(word, is_quoted),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let mut name = String::new();
                while let Some(c) = self.peek().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                    self.at += 1;
                }
                word.parts.push(Part::Variable { name, default: None, is_quoted });
            }
            Some(c) if c.is_ascii_digit() || "@*#?$!-".contains(c) => {
                self.at += 1;
                word.parts.push(Part::Variable { name: c.to_string(), default: None, is_quoted });
            }
            _ => word.push('$', is_quoted),
        }
    }

    /// Whether the `((` here ends in `))`; otherwise it is a subshell in a substitution.
    fn is_arithmetic(&self) -> bool {
        let mut depth = 0_usize;
        for (offset, c) in self.characters[self.at..].iter().take(2000).enumerate() {
            match c {
                '(' => depth += 1,
                ')' if depth == 2 => return self.peek_at(offset + 1) == Some(')'),
                ')' => depth = depth.saturating_sub(1),
                '\n' | '|' | '"' | '\'' => return false,
                _ => {}
            }
        }
        false
    }

    /// `$'…'`, in which escapes are letters.
    fn escaped(&mut self, word: &mut Word) {
        word.mark_quoted();
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '\'' => return,
                '\\' => {
                    let c = self.escape();
                    word.push(c, true);
                }
                c => word.push(c, true),
            }
        }
        self.broken();
    }

    fn escape(&mut self) -> char {
        let Some(c) = self.peek() else { return '\\' };
        self.at += 1;
        let (radix, most) = match c {
            'x' => (16, 2),
            'u' => (16, 4),
            'U' => (16, 8),
            '0'..='7' => (8, 3),
            'n' => return '\n',
            't' => return '\t',
            'r' => return '\r',
            'e' => return '\u{1b}',
            c => return c,
        };
        if radix == 8 {
            self.at -= 1;
        }
        let mut code = 0;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(radix)) else { break };
            code = code * radix + digit;
            self.at += 1;
        }
        char::from_u32(code).unwrap_or('\u{fffd}')
    }

    fn backticks(&mut self, word: &mut Word, is_quoted: bool) {
        let line = self.line();
        self.at += 1;
        let mut inside = String::new();
        loop {
            match self.peek() {
                Some('`') => break,
                Some('\\') if matches!(self.peek_at(1), Some('`' | '\\' | '$')) => {
                    inside.extend(self.peek_at(1));
                    self.at += 2;
                }
                Some(c) => {
                    inside.push(c);
                    self.at += 1;
                }
                None => {
                    self.broken();
                    break;
                }
            }
        }
        self.at += 1;
        let script = parse_at_depth(&inside, line, self.depth + 1);
        self.is_too_much |= script.is_too_much;
        if script.unread.is_some() {
            self.broken();
        }
        word.parts.push(Part::Substitution { body: script.pipelines, is_quoted });
    }

    /// `${name}`, `${name:-default}` and the rest of them.
    fn braces(&mut self, word: &mut Word, is_quoted: bool) {
        let line = self.line();
        self.at += 1;
        let Some(length) = self.brace_length() else {
            self.broken();
            self.at = self.characters.len();
            return;
        };
        let inside: String = self.characters[self.at..self.at + length].iter().collect();
        self.at += length + 1;
        let inside = inside.trim_start_matches(['!', '#']);
        let end = inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len());
        let (name, operator) = inside.split_at(end);
        let operand = operator.trim_start_matches(':');
        let default = operand.strip_prefix(['-', '=', '+']).map(|text| self.inner(text, line));
        word.parts.push(Part::Variable { name: name.to_owned(), default, is_quoted });
    }

    fn brace_length(&self) -> Option<usize> {
        let mut depth = 0_usize;
        let mut quote = None;
        let mut characters = self.characters[self.at..].iter().enumerate();
        while let Some((offset, c)) = characters.next() {
            match (c, quote) {
                ('\\', _) => drop(characters.next()),
                (c, Some(open)) if *c == open => quote = None,
                (_, Some(_)) => {}
                ('\'' | '"', None) => quote = Some(*c),
                ('{', None) => depth += 1,
                ('}', None) if depth == 0 => return Some(offset),
                ('}', None) => depth -= 1,
                (_, None) => {}
            }
        }
        None
    }

    /// A text in which variables and substitutions count, and blanks do not.
    pub(super) fn inner(&mut self, text: &str, line: usize) -> Word {
        let mut word = Word::default();
        if self.depth >= MAX_DEPTH {
            self.is_too_much = true;
            self.broken();
            return word;
        }
        let mut parser = Parser {
            characters: text.chars().collect(),
            at: 0,
            line,
            counted: 0,
            resume: None,
            depth: self.depth + 1,
            unread: None,
            is_too_much: false,
        };
        while let Some(c) = parser.peek() {
            match c {
                '$' => parser.dollar(&mut word, true),
                '`' => parser.backticks(&mut word, true),
                '\\' if matches!(parser.peek_at(1), Some('$' | '`' | '\\')) => {
                    word.parts
                        .push(Part::Text { text: parser.peek_at(1).into_iter().collect(), is_quoted: true });
                    parser.at += 2;
                }
                c => {
                    word.push(c, true);
                    parser.at += 1;
                }
            }
        }
        self.is_too_much |= parser.is_too_much;
        if parser.unread.is_some() {
            self.broken();
        }
        word
    }
}
