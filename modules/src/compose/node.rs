//! The nodes of a compose file's tree: each knows its file and place.

use saphyr_parser::ScalarStyle;

use super::log::At;

/// A node of the tree.
#[derive(Debug, Clone)]
pub struct Node {
    pub at: At,
    pub value: Value,
    pub mark: Mark,
}

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    /// Without quotes.
    Plain(String),
    /// With quotes, or a block.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// What a tag of the compose format says about merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    None,
    /// `!reset`: takes away what was inherited.
    Reset,
    /// `!override`: stands in place of what was inherited.
    Override,
}

/// A key of a map with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    pub at: At,
    pub value: Node,
}

impl Node {
    pub fn null(at: At) -> Self {
        Self { at, value: Value::Null, mark: Mark::None }
    }

    /// What a person reads in an error about this node.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Plain(text) if matches!(text.as_str(), "true" | "false") => text.clone(),
            Value::Plain(text) if text.parse::<f64>().is_ok() => format!("the number {}", shortened(text)),
            Value::Plain(text) | Value::Quoted(text) => format!("{:?}", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::List(_) => None,
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// How many nodes there are, itself included.
    pub(super) fn count(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Plain(_) | Value::Quoted(_) => 0,
            Value::List(items) => items.iter().map(Node::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.value.count()).sum(),
        }
    }
}

/// The first characters of a text, for errors.
pub fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

/// How many levels of lists and maps there are.
pub(super) fn depth(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Plain(_) | Value::Quoted(_) => 0,
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(entries) => 1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0),
    }
}

/// The value of a scalar; a tag may say whether it is a text.
pub(super) fn scalar(text: String, style: ScalarStyle, as_text: Option<bool>) -> Value {
    match (style, as_text) {
        (_, Some(true)) => Value::Quoted(text),
        (_, Some(false)) => Value::Plain(text),
        (ScalarStyle::Plain, None) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => {
            Value::Null
        }
        (ScalarStyle::Plain, None) => Value::Plain(text),
        (
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded,
            None,
        ) => Value::Quoted(text),
    }
}
