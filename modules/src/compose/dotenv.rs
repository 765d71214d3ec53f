//! `.env` and `env_file` files: `KEY=value` lines with quotes, comments and variables.

use std::collections::BTreeMap;

use super::interpolate::{literal, name_of};

/// A line that is no assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    pub line: usize,
    pub text: String,
}

/// Reads an env file. Variables in values come from the lines before, then from `outer`.
///
/// Values are templates: a literal `${` in them is written `$${`.
pub fn parse(text: &str, outer: &BTreeMap<String, String>) -> (Vec<(String, Option<String>)>, Vec<BadLine>) {
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 0 };
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let mut bad = Vec::new();
    while let Some((line, assignment)) = reader.next() {
        let assignment = assignment.trim();
        if assignment.is_empty() || assignment.starts_with('#') {
            continue;
        }
        let plain = assignment.strip_prefix("export ").unwrap_or(assignment).trim_start();
        let (key, value) = match plain.split_once('=') {
            Some((key, value)) => (key.trim_end(), Some(value.trim_start())),
            None => (plain, None),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if key.is_empty() || !key.chars().all(fits) {
            bad.push(BadLine { line, text: assignment.chars().take(60).collect() });
            continue;
        }
        let value = value.map(|value| value_of(value, &found, outer));
        found.retain(|(known, _)| known != key);
        found.push((key.to_owned(), value));
    }
    (found, bad)
}

/// Reads an env file of the format "raw": each line as it is, quotes and dollars too.
///
/// Values are templates: a literal `${` in them is written `$${`.
pub fn parse_raw(text: &str) -> (Vec<(String, Option<String>)>, Vec<BadLine>) {
    let mut found: Vec<(String, Option<String>)> = Vec::new();
    let mut bad = Vec::new();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, Some(literal(value))),
            None => (line.trim_end(), None),
        };
        if key.is_empty() || key.contains(char::is_whitespace) {
            bad.push(BadLine { line: index + 1, text: line.chars().take(60).collect() });
            continue;
        }
        found.retain(|(known, _)| known != key);
        found.push((key.to_owned(), value));
    }
    (found, bad)
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
}

impl<'t> Reader<'t> {
    /// The next assignment; one with an open quote goes over several lines.
    fn next(&mut self) -> Option<(usize, &'t str)> {
        if self.rest.is_empty() {
            return None;
        }
        let first = self.line + 1;
        let mut end = self.rest.find('\n').unwrap_or(self.rest.len());
        let start = self.rest[..end].find('=').map_or(end, |equals| equals + 1);
        let value = self.rest[start..].trim_start_matches([' ', '\t']);
        let begin = self.rest.len() - value.len();
        if let Some(quote @ ('"' | '\'')) = value.chars().next().filter(|_| start < end || begin < end)
            && let Some(close) = closing_quote(&value[1..], quote)
        {
            let after = begin + 1 + close;
            end = self.rest[after..].find('\n').map_or(self.rest.len(), |newline| after + newline);
        }
        let taken = &self.rest[..end];
        self.line += taken.matches('\n').count() + 1;
        self.rest = self.rest.get(end + 1..).unwrap_or_default();
        Some((first, taken))
    }
}

fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn value_of(value: &str, found: &[(String, Option<String>)], outer: &BTreeMap<String, String>) -> String {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let quoted = quote.and_then(|quote| Some((quote, &value[1..1 + closing_quote(&value[1..], quote)?])));
    match quoted {
        Some(('"', text)) => expand(&unescaped(text), found, outer),
        Some((_, text)) => literal(text),
        None => {
            let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
            let end = if value.starts_with('#') { 0 } else { end };
            expand(value[..end].trim_end(), found, outer)
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, if c == '\\' { characters.next() } else { None }) {
            ('\\', Some('n')) => plain.push('\n'),
            ('\\', Some('r')) => plain.push('\r'),
            ('\\', Some('t')) => plain.push('\t'),
            ('\\', Some('$')) => plain.push_str("$$"),
            ('\\', Some(next)) => plain.push(next),
            (c, _) => plain.push(c),
        }
    }
    plain
}

/// Replaces `$NAME`, `${NAME}` and `${NAME:-default}`; what is no variable stays.
fn expand(text: &str, found: &[(String, Option<String>)], outer: &BTreeMap<String, String>) -> String {
    let value = |name: &str| {
        let own = found.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.clone());
        own.or_else(|| outer.get(name).cloned())
    };
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        plain.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (part, length) = match rest.strip_prefix('{') {
            Some(inside) => match inside.find('}') {
                Some(end) => {
                    let name = name_of(&inside[..end]);
                    let operator = &inside[name.len()..end];
                    let default = operator.strip_prefix(":-").or_else(|| operator.strip_prefix('-'));
                    let value = value(name).filter(|value| !value.is_empty() || default.is_none());
                    (value.unwrap_or_else(|| literal(default.unwrap_or_default())), end + 2)
                }
                None => ("$".to_owned(), 0),
            },
            None if rest.starts_with('$') => {
                (if rest[1..].starts_with('{') { "$$" } else { "$" }.to_owned(), 1)
            }
            None => match name_of(rest) {
                "" => ("$".to_owned(), 0),
                name => (value(name).unwrap_or_default(), name.len()),
            },
        };
        plain.push_str(&part);
        rest = &rest[length..];
    }
    plain.push_str(rest);
    plain
}
