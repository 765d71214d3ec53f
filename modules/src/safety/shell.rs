//! A small POSIX shell parser, with what bash and its kin add: enough to know which commands a script runs.
//!
//! It never fails: what it cannot read it leaves out and counts, so that the rest is still looked at.

mod compound;
mod redirects;
mod words;

/// Commands joined by `|`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    pub commands: Vec<Command>,
    pub is_background: bool,
}

/// A simple command, or a compound one with what is inside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    pub line: usize,
    pub assignments: Vec<(String, Word)>,
    pub words: Vec<Word>,
    pub redirects: Vec<Redirect>,
    /// Of a subshell, group, loop, condition or function.
    pub body: Vec<Pipeline>,
    /// The name of the function that this defines.
    pub function: Option<String>,
    /// The variable of a `for` loop, with its words in `words`.
    pub variable: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Such as `>`, `>>`, `<`, `<<`, `<<<`, `>&`, `&>`.
    pub operator: String,
    /// The file; for a here-document its text.
    pub target: Word,
}

/// One word before it is expanded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    pub parts: Vec<Part>,
    /// The line in which the text begins, where all its line ends are those of the script.
    pub line: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text {
        text: String,
        is_quoted: bool,
    },
    /// With what stands for it when it is not set.
    Variable {
        name: String,
        default: Option<Word>,
        is_quoted: bool,
    },
    /// `$(…)` or backticks.
    Substitution {
        body: Vec<Pipeline>,
        is_quoted: bool,
    },
    /// `<(…)` or `>(…)`.
    Process {
        body: Vec<Pipeline>,
    },
}

/// A parsed script.
#[derive(Debug, Default)]
pub struct Script {
    pub pipelines: Vec<Pipeline>,
    /// The first line that could not be read, if there is one.
    pub unread: Option<usize>,
    /// It is longer or nested deeper than is followed.
    pub is_too_much: bool,
}

const MAX_CHARACTERS: usize = 1 << 20;
const MAX_DEPTH: usize = 48;

/// Parses a script whose first line has the number `line`.
pub fn parse(text: &str, line: usize) -> Script {
    parse_at_depth(text, line, 0)
}

fn parse_at_depth(text: &str, line: usize, depth: usize) -> Script {
    let characters: Vec<char> = text.chars().take(MAX_CHARACTERS).collect();
    let mut parser = Parser {
        line,
        at: 0,
        counted: 0,
        resume: None,
        depth,
        unread: (depth > MAX_DEPTH).then_some(line),
        is_too_much: depth > MAX_DEPTH || text.chars().nth(MAX_CHARACTERS).is_some(),
        characters,
    };
    let mut pipelines = Vec::new();
    while depth <= MAX_DEPTH && parser.at < parser.characters.len() {
        pipelines.extend(parser.list(&[]));
        // A terminator without a beginning: step over it and go on.
        if parser.at < parser.characters.len() {
            parser.broken();
            parser.at += 1;
        }
    }
    Script { pipelines, unread: parser.unread, is_too_much: parser.is_too_much }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    /// The line of `counted`, which is moved forward by [`Parser::line`].
    line: usize,
    counted: usize,
    /// Where reading goes on after this line, past the here-documents that begin in it.
    resume: Option<usize>,
    depth: usize,
    unread: Option<usize>,
    is_too_much: bool,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn peek_at(&self, offset: usize) -> Option<char> {
        self.characters.get(self.at + offset).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(offset, c)| self.peek_at(offset) == Some(c))
    }

    fn take(&mut self, text: &str) -> bool {
        let is_there = self.starts_with(text);
        if is_there {
            self.at += text.chars().count();
        }
        is_there
    }

    fn line(&mut self) -> usize {
        if self.at < self.counted {
            return self.line;
        }
        let between = &self.characters[self.counted..self.at.min(self.characters.len())];
        self.line += between.iter().filter(|c| **c == '\n').count();
        self.counted = self.at.min(self.characters.len());
        self.line
    }

    fn broken(&mut self) {
        let line = self.line();
        self.unread.get_or_insert(line);
    }

    fn newline(&mut self) {
        let next = self.at + 1;
        self.at = self.resume.take().unwrap_or(next);
        if self.at < next {
            // A word went on beyond the line of a here-document's beginning: what its text is, is not clear.
            self.broken();
            self.at = next;
        }
    }

    /// Skips blanks, escaped line ends and comments.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.peek_at(1) == Some('\n') => self.at += 2,
                Some('\\') if self.starts_with("\\\r\n") => self.at += 3,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn blanks_and_lines(&mut self) {
        loop {
            self.blanks();
            match self.peek() {
                Some('\n') => self.newline(),
                _ => return,
            }
        }
    }

    /// The bare word that begins here, if it ends in a blank or an operator.
    fn keyword(&self) -> String {
        let rest = self.characters.get(self.at..).unwrap_or_default();
        let end = rest.iter().take(12).position(|c| c.is_whitespace() || ";&|<>()".contains(*c));
        match end {
            Some(end) => rest[..end].iter().collect(),
            None if rest.len() <= 12 => rest.iter().collect(),
            None => String::new(),
        }
    }

    /// Commands up to one of the words, `)`, `;;` or the end; the terminator is not taken.
    fn list(&mut self, ends: &[&str]) -> Vec<Pipeline> {
        let mut pipelines = Vec::new();
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.is_too_much = true;
            self.broken();
            self.at = self.characters.len();
        }
        loop {
            self.blanks_and_lines();
            if matches!(self.peek(), None | Some(')')) || self.starts_with(";;") {
                break;
            }
            let keyword = self.keyword();
            if ends.contains(&keyword.as_str()) {
                break;
            }
            let before = self.at;
            pipelines.extend(self.pipeline());
            self.blanks();
            match self.peek() {
                Some('&') if self.peek_at(1) != Some('&') => {
                    self.at += 1;
                    if let Some(last) = pipelines.last_mut() {
                        last.is_background = true;
                    }
                }
                Some(';') if !self.starts_with(";;") => self.at += 1,
                Some('&' | '|') => self.at += if self.peek_at(1) == self.peek() { 2 } else { 1 },
                _ => {}
            }
            if self.at == before {
                // Nothing could be made of this character.
                if self.peek() == Some(')') || self.starts_with(";;") {
                    break;
                }
                self.broken();
                self.at += 1;
            }
        }
        self.depth -= 1;
        pipelines
    }

    fn pipeline(&mut self) -> Option<Pipeline> {
        let mut commands = Vec::new();
        loop {
            self.blanks();
            if self.keyword() == "!" {
                self.at += 1;
                continue;
            }
            commands.extend(self.command());
            self.blanks();
            if self.peek() != Some('|') || self.peek_at(1) == Some('|') {
                break;
            }
            self.at += if self.peek_at(1) == Some('&') { 2 } else { 1 };
            self.blanks_and_lines();
        }
        (!commands.is_empty()).then_some(Pipeline { commands, is_background: false })
    }

    fn command(&mut self) -> Option<Command> {
        let line = self.line();
        let mut command = Command { line, ..Command::default() };
        if self.starts_with("((") {
            self.arithmetic();
            return Some(command);
        }
        if self.take("(") {
            command.body = self.list(&[]);
            self.close(")");
            self.redirects(&mut command);
            return Some(command);
        }
        match self.keyword().as_str() {
            "{" => {
                self.at += 1;
                command.body = self.list(&["}"]);
                self.close("}");
            }
            "if" => self.sections(&mut command, "if", &["then", "elif", "else"], "fi"),
            "while" => self.sections(&mut command, "while", &["do"], "done"),
            "until" => self.sections(&mut command, "until", &["do"], "done"),
            "for" => self.for_loop(&mut command, "for"),
            "select" => self.for_loop(&mut command, "select"),
            "case" => self.case(&mut command),
            "function" => {
                self.at += "function".len();
                self.blanks();
                let name = self.keyword();
                self.at += name.chars().count();
                self.function(&mut command, name);
            }
            _ => return self.simple(command),
        }
        self.redirects(&mut command);
        Some(command)
    }

    fn simple(&mut self, mut command: Command) -> Option<Command> {
        loop {
            self.blanks();
            if self.redirect(&mut command) {
                continue;
            }
            if command.words.is_empty()
                && let Some(name) = self.assignment()
            {
                let value = if self.take("(") { self.array() } else { self.word().unwrap_or_default() };
                command.assignments.push((name, value));
                continue;
            }
            if command.words.len() == 1 && self.peek() == Some('(') {
                let name = command.words[0].plain().unwrap_or_default();
                command.words.clear();
                self.function(&mut command, name);
                return Some(command);
            }
            match self.word() {
                Some(word) => command.words.push(word),
                None => break,
            }
        }
        let is_empty =
            command.words.is_empty() && command.assignments.is_empty() && command.redirects.is_empty();
        (!is_empty).then_some(command)
    }

    /// Takes `name=` or `name+=`, and gives the name.
    fn assignment(&mut self) -> Option<String> {
        let rest = self.characters.get(self.at..)?;
        let length = rest.iter().position(|c| !(c.is_ascii_alphanumeric() || *c == '_'))?;
        let is_name = length > 0 && !rest[0].is_ascii_digit();
        let operator = match (rest.get(length), rest.get(length + 1)) {
            (Some('='), _) => 1,
            (Some('+'), Some('=')) => 2,
            _ => return None,
        };
        let name: String = rest[..length].iter().collect();
        is_name.then(|| self.at += length + operator)?;
        Some(name)
    }

    /// The items of an array, as one word with spaces between.
    fn array(&mut self) -> Word {
        let mut array = Word::default();
        loop {
            self.blanks_and_lines();
            match self.word() {
                Some(word) => {
                    array.parts.extend(word.parts);
                    array.parts.push(Part::Text { text: " ".to_owned(), is_quoted: false });
                }
                None => break,
            }
        }
        self.close(")");
        array
    }

    /// Steps over `((…))`.
    fn arithmetic(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek() {
            self.at += 1;
            match c {
                '(' => depth += 1,
                ')' if depth <= 1 => return,
                ')' => depth -= 1,
                _ => {}
            }
        }
        self.broken();
    }
}
