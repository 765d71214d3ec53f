//! YAML as a tree in which every node knows its place.
//!
//! Scalars keep the text they were written with: what type that text has is for the field to decide, so that
//! `version: 1.10` stays `1.10`. Anchors, aliases and tags are refused, which leaves no way to build a bomb.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::error::{Place, Report, START};

const MAX_BYTES: usize = 256 << 10;
const MAX_DEPTH: usize = 24;
const MAX_NODES: usize = 20_000;

/// A node of the tree.
#[derive(Debug)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Null,
    /// Without quotes.
    Plain(String),
    /// With quotes, or a block.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

impl Node {
    /// What a person reads in an error about this node.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Plain(text) if matches!(text.as_str(), "true" | "false") => text.clone(),
            Value::Plain(text) if is_number(text) => format!("the number {}", shortened(text)),
            Value::Plain(text) | Value::Quoted(text) => format!("{:?}", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'))
        && text.parse::<f64>().is_ok()
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

/// The bytes as text, if they are UTF-8.
pub fn text<'b>(bytes: &'b [u8], report: &mut Report) -> Option<&'b str> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Some(text),
        Err(error) => error,
    };
    let (good, bad) = bytes.split_at(error.valid_up_to());
    let good = std::str::from_utf8(good).expect("valid up to there");
    let found = format!("the byte 0x{:02x}", bad.first().copied().unwrap_or_default());
    let hint = Some("save the file as UTF-8".to_owned());
    report.wrong(place_of(good, good.len()), "", found, "UTF-8", hint);
    None
}

/// Reads a file of one document. What is wrong goes to the report; nothing comes back when there is no tree.
pub fn parse(text: &str, report: &mut Report) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_BYTES {
        let found = format!("a file of {} bytes", text.len());
        report.wrong(START, "", found, format!("at most {MAX_BYTES} bytes"), None);
        return None;
    }
    if let Some(at) = text.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}')) {
        let found = format!("the control character {:?}", text[at..].chars().next().unwrap_or_default());
        report.wrong(place_of(text, at), "", found, "text", None);
        return None;
    }
    let mut tree = Tree { report, stack: Vec::new(), root: None, nodes: 0 };
    for event in Parser::new_from_str(text) {
        let taken = match event {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => tree.broken(text, &error),
        };
        taken?;
    }
    let root = tree.root;
    if root.is_none() {
        report.wrong(START, "", "an empty file", "a map with name, version and runtime", None);
    }
    root
}

/// The place of a byte of the text.
pub fn place_of(text: &str, at: usize) -> Place {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
}

enum Frame {
    List { place: Place, items: Vec<Node> },
    Map { place: Place, entries: Vec<Entry>, seen: BTreeMap<String, Place>, key: Option<(String, Place)> },
}

struct Tree<'r> {
    report: &'r mut Report,
    stack: Vec<Frame>,
    root: Option<Node>,
    nodes: usize,
}

impl Tree<'_> {
    /// Takes one event; nothing comes back when reading cannot go on.
    fn take(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let place = Place { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Some(()),
            Event::DocumentStart(_) => {
                if self.root.is_some() {
                    self.report.wrong(place, "", "a second document", "one document in the file", None);
                    return None;
                }
                Some(())
            }
            Event::Alias(_) => {
                self.report.wrong(place, &self.field(), "an alias", "the value itself", no_anchors());
                self.add(Node { place, value: Value::Null })
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.decoration(place, anchor, tag.is_some());
                let value = scalar(text.into_owned(), style);
                self.add(Node { place, value })
            }
            Event::SequenceStart(anchor, tag) => {
                self.decoration(place, anchor, tag.is_some());
                self.open(Frame::List { place, items: Vec::new() }, place)
            }
            Event::MappingStart(anchor, tag) => {
                self.decoration(place, anchor, tag.is_some());
                let map = Frame::Map { place, entries: Vec::new(), seen: BTreeMap::new(), key: None };
                self.open(map, place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    /// Reports anchors and tags.
    fn decoration(&mut self, place: Place, anchor: usize, is_tagged: bool) {
        if anchor != 0 {
            self.report.wrong(place, &self.field(), "an anchor", "a plain value", no_anchors());
        }
        if is_tagged {
            let hint = Some("quote the value if it must be a text".to_owned());
            self.report.wrong(place, &self.field(), "a tag", "a plain value", hint);
        }
    }

    fn open(&mut self, frame: Frame, place: Place) -> Option<()> {
        if self.stack.len() == MAX_DEPTH {
            let expected = format!("at most {MAX_DEPTH} levels");
            self.report.wrong(place, &self.field(), "deeper nesting", expected, None);
            return None;
        }
        self.stack.push(frame);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let node = match self.stack.pop()? {
            Frame::List { place, items } => Node { place, value: Value::List(items) },
            Frame::Map { place, entries, .. } => Node { place, value: Value::Map(entries) },
        };
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Option<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.report.wrong(node.place, "", "more values", format!("at most {MAX_NODES}"), None);
            return None;
        }
        let field = self.field();
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, seen, key, .. }) => match key.take() {
                None => match node.value {
                    Value::Plain(text) | Value::Quoted(text) => *key = Some((text, node.place)),
                    Value::Null | Value::List(_) | Value::Map(_) => {
                        self.report.wrong(
                            node.place,
                            &field,
                            format!("{} as a key", node.describe()),
                            "a name",
                            None,
                        );
                        *key = Some((String::new(), node.place));
                    }
                },
                Some((key, place)) => match seen.get(&key) {
                    Some(first) => {
                        let found = format!("{:?} a second time", shortened(&key));
                        let expected = format!("it once; the first is in line {}", first.line);
                        self.report.wrong(place, &field, found, expected, None);
                    }
                    None => {
                        seen.insert(key.clone(), place);
                        entries.push(Entry { key, place, value: node });
                    }
                },
            },
        }
        Some(())
    }

    /// The path of the node that is being read.
    fn field(&self) -> String {
        let mut field = String::new();
        for frame in &self.stack {
            match frame {
                Frame::List { items, .. } => field = format!("{field}[{}]", items.len()),
                Frame::Map { key: Some((key, _)), .. } => field = join(&field, key),
                Frame::Map { key: None, .. } => {}
            }
        }
        field
    }

    fn broken(&mut self, text: &str, error: &ScanError) -> Option<()> {
        let place = Place { line: error.marker().line().max(1), column: error.marker().col() + 1 };
        let (place, found, hint) = match tab_before(text, place.line) {
            Some(tab) => (tab, "a tab that indents".to_owned(), Some("indent with spaces".to_owned())),
            None => (place, format!("broken YAML ({})", error.info()), None),
        };
        self.report.wrong(place, &self.field(), found, "YAML", hint);
        None
    }
}

fn no_anchors() -> Option<String> {
    Some("write the value out; '&' and '*' at the front need quotes if they are meant".to_owned())
}

/// A key below a field.
pub fn join(field: &str, key: &str) -> String {
    let key = shortened(key);
    if field.is_empty() { key } else { format!("{field}.{key}") }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    match style {
        ScalarStyle::Plain if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") => Value::Null,
        ScalarStyle::Plain => Value::Plain(text),
        ScalarStyle::SingleQuoted
        | ScalarStyle::DoubleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => Value::Quoted(text),
    }
}

/// A tab among the spaces that begin this line or the one before it: what people mostly do not see.
fn tab_before(text: &str, line: usize) -> Option<Place> {
    let lines = text.lines().enumerate().skip(line.saturating_sub(2)).take(2);
    for (index, content) in lines {
        let blank = content.len() - content.trim_start().len();
        if let Some(tab) = content[..blank].find('\t') {
            return Some(Place { line: index + 1, column: tab + 1 });
        }
    }
    None
}
