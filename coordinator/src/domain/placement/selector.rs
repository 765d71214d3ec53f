//! Which nodes a person means: `arch=aarch64,room=attic,gpu,!cordoned`. All terms must hold.

use std::fmt;

use modules::arch::Arch;
use proto::code::Code;
use serde::{Deserialize, Serialize};

/// One thing that must hold for a node. `arch` and `node` are keys of every node, `cordoned` is a state;
/// other keys are labels or capabilities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// The node offers this capability. Not part of the selector's language; modules require it.
    Offers(String),
    Equals(String, String),
    Differs(String, String),
    Has(String),
    Lacks(String),
}

impl Condition {
    /// Reads a capability as MODULE.yaml spells it: `gpu`, `sandbox.t2`, `label:room=attic`, `label:room`, `arch=aarch64`.
    pub fn of_capability(text: &str) -> Self {
        if let Some(label) = text.strip_prefix("label:") {
            return match label.split_once('=') {
                Some((key, value)) => Condition::Equals(key.to_owned(), value.to_owned()),
                None => Condition::Has(label.to_owned()),
            };
        }
        match text.strip_prefix("arch=") {
            Some(arch) => Condition::equals("arch".to_owned(), arch.to_owned()),
            None => Condition::Offers(text.to_owned()),
        }
    }

    fn equals(key: String, value: String) -> Self {
        let value = canonical(&key, value);
        Condition::Equals(key, value)
    }

    fn differs(key: String, value: String) -> Self {
        let value = canonical(&key, value);
        Condition::Differs(key, value)
    }
}

/// People call architectures by many names; nodes by one.
fn canonical(key: &str, value: String) -> String {
    match Arch::parse(&value) {
        Some(arch) if key == "arch" => arch.as_str().to_owned(),
        Some(_) | None => value,
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Offers(key) | Condition::Has(key) => f.write_str(key),
            Condition::Equals(key, value) => write!(f, "{key}={value}"),
            Condition::Differs(key, value) => write!(f, "{key}!={value}"),
            Condition::Lacks(key) => write!(f, "!{key}"),
        }
    }
}

/// Terms `k=v`, `k!=v`, `k`, `!k`, separated by commas. The empty selector means every node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector(Vec<Condition>);

/// Why a text is not a selector, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selector {text:?}, character {position}: expected {expected}, found {found}")]
pub struct SelectorError {
    pub text: String,
    /// Counted in characters, from 1.
    pub position: usize,
    pub expected: &'static str,
    pub found: String,
}

impl SelectorError {
    pub fn code(&self) -> Code {
        Code::InvalidInput
    }

    pub fn hint(&self) -> Option<String> {
        Some("write terms like arch=aarch64, room!=attic, gpu or !gpu, with commas between them".to_owned())
    }
}

impl Selector {
    /// # Errors
    /// When a term is empty or has a character that does not belong there; says where.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut terms = Vec::new();
        let mut start = 0;
        for part in text.split(',') {
            terms.push(Term { text, start, part }.parse()?);
            start += part.len() + 1;
        }
        Ok(Self(terms))
    }

    /// All of these must hold.
    pub fn of(conditions: Vec<Condition>) -> Self {
        Self(conditions)
    }

    pub fn conditions(&self) -> &[Condition] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Term<'a> {
    text: &'a str,
    /// Where `part` begins in `text`, in bytes.
    start: usize,
    part: &'a str,
}

impl Term<'_> {
    fn parse(&self) -> Result<Condition, SelectorError> {
        let (lacks, key_at) = match self.skip_blanks(0) {
            at if self.part[at..].starts_with('!') => (true, self.skip_blanks(at + 1)),
            at => (false, at),
        };
        let key_end = self.word_end(key_at);
        if key_end == key_at {
            return Err(self.error(key_at, "a key"));
        }
        let key = self.part[key_at..key_end].to_owned();
        let after = self.skip_blanks(key_end);
        let rest = &self.part[after..];
        if rest.is_empty() {
            return Ok(if lacks { Condition::Lacks(key) } else { Condition::Has(key) });
        }
        if lacks {
            return Err(self.error(after, "a comma or the end"));
        }
        if rest.starts_with("!=") {
            return Ok(Condition::differs(key, self.value(after + 2)?));
        }
        if rest.starts_with('=') {
            return Ok(Condition::equals(key, self.value(after + 1)?));
        }
        Err(self.error(after, "'=', '!=', a comma or the end"))
    }

    fn value(&self, from: usize) -> Result<String, SelectorError> {
        let at = self.skip_blanks(from);
        let end = self.word_end(at);
        if end == at {
            return Err(self.error(at, "a value"));
        }
        let after = self.skip_blanks(end);
        if after < self.part.len() {
            return Err(self.error(after, "a comma or the end"));
        }
        Ok(self.part[at..end].to_owned())
    }

    fn skip_blanks(&self, from: usize) -> usize {
        from + self.part[from..].len() - self.part[from..].trim_start().len()
    }

    fn word_end(&self, from: usize) -> usize {
        let rest = &self.part[from..];
        from + rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '!')).unwrap_or(rest.len())
    }

    fn error(&self, at: usize, expected: &'static str) -> SelectorError {
        let byte = self.start + at;
        let found = match self.text[byte..].chars().next() {
            Some(found) => format!("{found:?}"),
            None => "the end".to_owned(),
        };
        let position = self.text[..byte].chars().count() + 1;
        SelectorError { text: self.text.to_owned(), position, expected, found }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, condition) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{condition}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;
    fn try_from(text: String) -> Result<Self, SelectorError> {
        Self::parse(&text)
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_reads_as_written() {
        for text in
            ["", "gpu", "!gpu", "arch=aarch64,room!=attic,gpu,!cordoned", "site=eu/west-1", "räum=küche"]
        {
            let parsed = Selector::parse(text).expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        let spaced = Selector::parse(" arch = aarch64 , ! gpu ").expect("blanks are allowed");
        assert_eq!(spaced.to_string(), "arch=aarch64,!gpu");
        assert_eq!(Selector::parse("arch!=arm64").expect("an alias").to_string(), "arch!=aarch64");
    }

    #[test]
    fn a_selector_error_says_where() {
        for (text, position, expected, found) in [
            ("gpu,", 5, "a key", "the end"),
            (",gpu", 1, "a key", "','"),
            ("arch=", 6, "a value", "the end"),
            ("küche=,gpu", 7, "a value", "','"),
            ("arch==x", 6, "a value", "'='"),
            ("a b", 3, "'=', '!=', a comma or the end", "'b'"),
            ("!a=b", 3, "a comma or the end", "'='"),
            ("a=b c", 5, "a comma or the end", "'c'"),
            ("a!b", 2, "'=', '!=', a comma or the end", "'!'"),
        ] {
            let error = Selector::parse(text).expect_err(text);
            assert_eq!(
                (error.position, error.expected, error.found.as_str()),
                (position, expected, found),
                "{text}"
            );
        }
    }
}
