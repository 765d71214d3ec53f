//! Commands in a block of code: prompts, continuations, quotes and pipes understood, nothing executed.

mod prompt;

use prompt::{is_dollar, unprompted};

/// One simple command.
#[derive(Debug, Clone, Default)]
pub struct Command {
    pub words: Vec<Word>,
    /// `KEY=value` before the program.
    pub assignments: Vec<(String, String)>,
    pub line: u32,
    /// The program that this one's output goes to: `curl … | sh`.
    pub pipes_to: Option<String>,
    /// The whole logical line, runs of blanks joined.
    pub text: String,
    pub is_root: bool,
    /// Where the name of the program begins in the first word.
    program_at: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    pub text: String,
    pub is_operator: bool,
    /// It has `$(…)` or a command in backticks.
    pub is_computed: bool,
}

impl Command {
    /// One that is given word by word, with variables that are set for it.
    pub fn of_words<'w>(
        texts: impl Iterator<Item = &'w str>,
        assignments: impl Iterator<Item = (String, String)>,
    ) -> Option<Self> {
        let words: Vec<Word> = texts.map(|text| Word { text: text.to_owned(), ..Word::default() }).collect();
        let text: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        let text = text.join(" ");
        let mut command = command(words, 0, &text)?;
        command.assignments.extend(assignments);
        Some(command)
    }

    /// The program, without its folder.
    pub fn program(&self) -> &str {
        self.words.first().and_then(|word| word.text.get(self.program_at..)).unwrap_or_default()
    }

    pub fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", |word| word.text.as_str())
    }

    /// The words after the first `count`.
    pub fn rest(&self, count: usize) -> &[Word] {
        self.words.get(count..).unwrap_or_default()
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|known| known.text == word)
    }
}

/// A block with more lines than this is a listing, not commands.
const MAX_LINES: usize = 20_000;

/// All commands of a block; `first` is the line it begins at.
pub fn commands(block: &str, first: u32) -> Vec<Command> {
    let mut commands = Vec::new();
    let has_dollar = block.lines().any(|line| is_dollar(line.trim_start()));
    let mut heredoc: Option<String> = None;
    let mut logical = String::new();
    let mut start = first;
    let count = block.lines().count().min(MAX_LINES);
    let mut lines = block.lines().take(MAX_LINES).enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        if let Some(end) = &heredoc {
            if line.trim() == end {
                heredoc = None;
            }
            continue;
        }
        if logical.is_empty() {
            start = first + u32::try_from(index).unwrap_or(0);
            logical.push_str(unprompted(line, has_dollar));
        } else {
            // A comment between the lines of one command does not end it.
            if line.trim_start().starts_with('#') {
                continue;
            }
            logical.push(' ');
            logical.push_str(line.trim_start().strip_prefix("> ").unwrap_or(line.trim_start()));
        }
        if let Some(cut) = continued(&logical) {
            logical.truncate(cut);
            logical.push(' ');
            continue;
        }
        if lines.peek().is_some_and(|(_, next)| is_cut_short(&logical, next)) {
            continue;
        }
        if has_open_quote(&logical) && logical.len() < 8192 && index + 1 < count {
            logical.push('\n');
            if logical.matches('\n').count() < 40 {
                continue;
            }
        }
        heredoc = heredoc_end(&logical);
        split(&logical, start, &mut commands);
        logical.clear();
    }
    if !logical.trim().is_empty() {
        split(&logical, start, &mut commands);
    }
    commands
}

/// Whether a `docker run` lacks the mark that it goes on with the image, which stands alone on the next line.
fn is_cut_short(line: &str, next: &str) -> bool {
    let command = line.strip_prefix("sudo ").unwrap_or(line);
    let is_run = ["docker run ", "docker create ", "podman run "].iter().any(|run| command.starts_with(run));
    let name = next.trim();
    is_run
        && name.contains('/')
        && !name.contains("://")
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "/:._-".contains(c))
}

/// Where a line is cut that goes on on the next one.
fn continued(line: &str) -> Option<usize> {
    let trimmed = line.trim_end();
    if let Some(rest) = trimmed.strip_suffix('\\') {
        let is_escaped = rest.ends_with('\\');
        return (!is_escaped).then_some(rest.len());
    }
    // A comment behind the mark is a slip: the shell would end the command there.
    if let Some((before, after)) = trimmed.rsplit_once(" \\")
        && after.trim_start().starts_with('#')
    {
        return Some(before.len());
    }
    let rest = trimmed.strip_suffix(['^', '`'])?;
    // A closing backtick has a partner.
    let is_pair = trimmed.ends_with('`') && rest.matches('`').count() % 2 == 1;
    (rest.ends_with(' ') && !is_pair).then_some(rest.len())
}

fn has_open_quote(line: &str) -> bool {
    let mut quote = None;
    let mut escaped = false;
    let mut previous = ' ';
    for c in line.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '#') if previous.is_whitespace() => return false,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (_, _) => {}
        }
        previous = c;
    }
    quote.is_some() && !line.trim_start().starts_with('#') && !is_prose(line)
}

/// An apostrophe in a sentence opens no quote.
fn is_prose(line: &str) -> bool {
    line.contains("n't ") || line.contains("'s ") || line.contains("'re ") || line.contains("'ll ")
}

fn heredoc_end(line: &str) -> Option<String> {
    let at = line.find("<<")?;
    let rest = line[at + 2..].trim_start_matches('-').trim_start();
    if rest.starts_with('<') {
        return None;
    }
    let word: String = rest
        .trim_start_matches(['\'', '"', '\\'])
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty() && word.chars().any(char::is_alphabetic)).then_some(word)
}

/// Splits a logical line at its operators.
fn split(line: &str, number: u32, commands: &mut Vec<Command>) {
    let words = tokens(line);
    if words.is_empty() {
        return;
    }
    let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut part: Vec<Word> = Vec::new();
    let mut found: Vec<(Vec<Word>, String)> = Vec::new();
    let mut skip_target = false;
    for word in words {
        if !word.is_operator {
            // `bash < <(curl …)` reads what it runs.
            if !std::mem::take(&mut skip_target) || word.text.starts_with("<(") {
                part.push(word);
            }
            continue;
        }
        // A redirection and its file are not arguments.
        if word.text.starts_with(['>', '<']) {
            skip_target = true;
            continue;
        }
        found.push((std::mem::take(&mut part), word.text));
    }
    found.push((part, String::new()));
    let first = commands.len();
    let mut operators = Vec::new();
    for (words, operator) in found {
        if let Some(command) = command(words, number, &text) {
            commands.push(command);
            operators.push(operator);
        }
    }
    for (offset, operator) in operators.iter().enumerate() {
        if operator == "|"
            && let Some(next) = commands.get(first + offset + 1).map(|next| next.program().to_owned())
        {
            commands[first + offset].pipes_to = Some(next);
        }
    }
}

fn command(words: Vec<Word>, line: u32, text: &str) -> Option<Command> {
    let mut command = Command { line, text: text.to_owned(), ..Command::default() };
    let count = words.len();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.peek() {
        match word.text.as_str() {
            "sudo" | "doas" => {
                command.is_root = true;
                words.next();
                while words.peek().is_some_and(|word| word.text.starts_with('-')) {
                    let takes = words.next().is_some_and(|word| matches!(word.text.as_str(), "-u" | "-g"));
                    if takes {
                        words.next();
                    }
                }
            }
            "time" | "exec" | "nohup" | "then" | "do" | "env" | "command" | "!" | "(" | "{" | "export"
            | "set"
                if count > 1 =>
            {
                words.next();
            }
            text => {
                let Some((name, value)) = assignment(text) else { break };
                command.assignments.push((name.to_owned(), value.to_owned()));
                words.next();
            }
        }
    }
    command.words = words.collect();
    let folder = command.words.first().and_then(|word| word.text.rfind('/'));
    command.program_at = folder.map_or(0, |slash| slash + 1);
    (!command.words.is_empty() || !command.assignments.is_empty()).then_some(command)
}

/// `NAME=value`.
pub fn assignment(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    fits.then_some((name, value))
}

/// Words and operators of a line, up to its comment.
fn tokens(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut word = Word::default();
    let mut is_word = false;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '#' if !is_word => {
                return words;
            }
            c if c.is_whitespace() => flush(&mut words, &mut word, &mut is_word),
            '|' | '&' | ';' | '>' | '<' => {
                let mut text = c.to_string();
                // `<name>` is a placeholder and `bash <(curl)` an argument.
                if c == '<' && (is_placeholder(&line[at..]) || line[at..].starts_with("<(")) {
                    let close = if line[at..].starts_with("<(") { ')' } else { '>' };
                    for (_, next) in chars.by_ref() {
                        text.push(next);
                        if next == close {
                            break;
                        }
                    }
                    word.text.push_str(&text);
                    word.is_computed |= close == ')';
                    is_word = true;
                    continue;
                }
                if word.text.chars().all(|c| c.is_ascii_digit()) && c == '>' {
                    word = Word::default();
                    is_word = false;
                }
                flush(&mut words, &mut word, &mut is_word);
                while chars.peek().is_some_and(|(_, next)| {
                    matches!(next, '|' | '&' | '>' | '<') && (*next == c || *next == '&')
                }) {
                    text.extend(chars.next().map(|(_, next)| next));
                }
                words.push(Word { text, is_operator: true, is_computed: false });
            }
            c if is_plain(c) => {
                is_word = true;
                let length = line[at..].find(|c| !is_plain(c)).unwrap_or(line.len() - at);
                word.text.push_str(&line[at..at + length]);
                while chars.next_if(|(next, _)| *next < at + length).is_some() {}
            }
            c => {
                is_word = true;
                piece(c, &mut chars, &mut word);
            }
        }
    }
    flush(&mut words, &mut word, &mut is_word);
    words
}

/// Signs that stand for themselves wherever they are.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '=' | ',' | '@')
}

fn is_placeholder(text: &str) -> bool {
    let Some(end) = text.bytes().take(80).position(|byte| byte == b'>') else { return false };
    let inner = &text[1..end];
    (1..60).contains(&inner.len())
        && inner.starts_with(|c: char| c.is_alphanumeric() || "/~._".contains(c))
        && !inner.contains(['|', ';', '&'])
        && inner.split_whitespace().count() <= 5
}

type Chars<'t> = std::iter::Peekable<std::str::CharIndices<'t>>;

/// One character of a word, or a quoted piece.
fn piece(c: char, chars: &mut Chars<'_>, word: &mut Word) {
    match c {
        '\\' => word.text.extend(chars.next().map(|(_, next)| next)),
        '\'' => word.text.extend(chars.by_ref().map(|(_, next)| next).take_while(|next| *next != '\'')),
        '"' => {
            while let Some((_, next)) = chars.next() {
                match next {
                    '"' => break,
                    '\\' => word.text.extend(chars.next().map(|(_, next)| next)),
                    '$' if chars.peek().is_some_and(|(_, next)| *next == '(') => computed(next, chars, word),
                    next => word.text.push(next),
                }
            }
        }
        '$' if chars.peek().is_some_and(|(_, next)| *next == '(') => computed(c, chars, word),
        '`' => {
            word.is_computed = true;
            word.text.push('`');
            for (_, next) in chars.by_ref() {
                word.text.push(next);
                if next == '`' {
                    break;
                }
            }
        }
        c => word.text.push(c),
    }
}

/// `$(…)`, with what is nested in it.
fn computed(first: char, chars: &mut Chars<'_>, word: &mut Word) {
    word.is_computed = true;
    word.text.push(first);
    let mut depth = 0;
    for (_, next) in chars.by_ref() {
        word.text.push(next);
        match next {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
}

fn flush(words: &mut Vec<Word>, word: &mut Word, is_word: &mut bool) {
    if std::mem::take(is_word) {
        words.push(std::mem::take(word));
    }
}
