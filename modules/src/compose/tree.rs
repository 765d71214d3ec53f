//! A compose file as a tree in which every node knows its file and place.
//!
//! Unlike a MODULE.yaml it may have anchors, aliases, merge keys and tags. Aliases are copied out, and every copy
//! counts towards the number of values a file may have, so that no bomb can be built with them.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScanError, Span, Tag};

use super::log::{At, Log};
use super::node::{Entry, Mark, Node, Value, depth, scalar, shortened};
use crate::spec::error::Place;
use crate::spec::yaml::{join, place_of};

pub const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 50_000;

/// Why the text of a file is no tree.
enum Stop {
    /// Reported, and nothing can be done about it.
    Limit,
    /// The line is broken; a lenient reader may go on without it.
    Line(usize),
}

/// Reads a file. What is wrong goes to the log; nothing comes back when there is no tree.
pub fn parse(file: u16, text: &str, log: &mut Log) -> Option<Node> {
    let mut text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
    if !is_fit(file, &text, log) {
        return None;
    }
    // A lenient reader leaves out a broken line at a time; each costs one reading of the file.
    let mut attempts = if log.is_lenient() { 12 } else { 1 };
    loop {
        let mut tree = Tree { file, log, stack: Vec::new(), root: None, nodes: 0, anchors: BTreeMap::new() };
        match tree.read(&text) {
            Ok(()) => {
                let root = tree.root;
                if root.is_none() {
                    let start = At { file, place: crate::spec::error::START };
                    log.wrong(start, "", "an empty file", "a compose file with services", None);
                }
                return root;
            }
            Err(Stop::Limit) => return None,
            Err(Stop::Line(line)) => {
                attempts -= 1;
                if attempts == 0 || !blank(&mut text, line) {
                    return None;
                }
            }
        }
    }
}

fn is_fit(file: u16, text: &str, log: &mut Log) -> bool {
    let start = At { file, place: crate::spec::error::START };
    if text.len() > MAX_BYTES {
        let found = format!("a file of {} bytes", text.len());
        log.wrong(start, "", found, format!("at most {MAX_BYTES} bytes"), None);
        return false;
    }
    if let Some(at) = text.find(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}')) {
        let found = format!("the control character {:?}", text[at..].chars().next().unwrap_or_default());
        log.wrong(At { file, place: place_of(text, at) }, "", found, "text", None);
        return false;
    }
    true
}

/// Empties a line, so that those after it keep their numbers. False when it is empty already.
fn blank(text: &mut String, line: usize) -> bool {
    let mut lines: Vec<&str> = text.split('\n').collect();
    match lines.get_mut(line.saturating_sub(1)) {
        Some(content) if !content.trim().is_empty() => *content = "",
        Some(_) | None => return false,
    }
    *text = lines.join("\n");
    true
}

enum Frame {
    List {
        at: At,
        items: Vec<Node>,
        anchor: usize,
        mark: Mark,
    },
    Map {
        at: At,
        entries: Vec<Entry>,
        key: Option<(String, At, bool)>,
        merges: Vec<Node>,
        anchor: usize,
        mark: Mark,
    },
}

struct Tree<'l> {
    file: u16,
    log: &'l mut Log,
    stack: Vec<Frame>,
    root: Option<Node>,
    nodes: usize,
    anchors: BTreeMap<usize, (Node, usize)>,
}

impl Tree<'_> {
    fn read(&mut self, text: &str) -> Result<(), Stop> {
        for event in Parser::new_from_str(text) {
            match event {
                Ok((Event::DocumentStart(_), span)) if self.root.is_some() => {
                    let hint = Some("what follows \"---\" is another file".to_owned());
                    self.log.wrong(self.at(span), "", "a second document", "one document in the file", hint);
                    return if self.log.is_lenient() { Ok(()) } else { Err(Stop::Limit) };
                }
                Ok((event, span)) => self.take(event, span)?,
                Err(error) => return Err(self.broken(text, &error)),
            }
        }
        Ok(())
    }

    fn at(&self, span: Span) -> At {
        let place = Place { line: span.start.line(), column: span.start.col() + 1 };
        At { file: self.file, place }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = self.at(span);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(id) => self.alias(id, at),
            Event::Scalar(text, style, anchor, tag) => {
                let (mark, as_text) = self.tag(tag.as_deref(), at);
                let value = scalar(text.into_owned(), style, as_text);
                self.add(Node { at, value, mark }, anchor, false)
            }
            Event::SequenceStart(anchor, tag) => {
                let (mark, _) = self.tag(tag.as_deref(), at);
                self.open(Frame::List { at, items: Vec::new(), anchor, mark }, at)
            }
            Event::MappingStart(anchor, tag) => {
                let (mark, _) = self.tag(tag.as_deref(), at);
                let (entries, merges) = (Vec::new(), Vec::new());
                self.open(Frame::Map { at, entries, key: None, merges, anchor, mark }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
        }
    }

    /// What a tag means; the second is whether it makes a text of a scalar, or none.
    fn tag(&mut self, tag: Option<&Tag>, at: At) -> (Mark, Option<bool>) {
        let Some(tag) = tag else { return (Mark::None, None) };
        match (tag.is_yaml_core_schema(), tag.suffix.as_str()) {
            (true, "str" | "binary") => (Mark::None, Some(true)),
            (true, "int" | "float" | "bool" | "null") => (Mark::None, Some(false)),
            (true, "map" | "seq" | "merge") => (Mark::None, None),
            (false, "reset") => (Mark::Reset, None),
            (false, "override") => (Mark::Override, None),
            (_, suffix) => {
                let found = format!("the tag {:?}", shortened(suffix));
                let field = self.field();
                self.log.wrong(at, &field, found, "no tag, or one of !reset, !override, !!str", None);
                (Mark::None, None)
            }
        }
    }

    fn alias(&mut self, id: usize, at: At) -> Result<(), Stop> {
        let field = self.field();
        let Some((node, count)) = self.anchors.get(&id) else {
            self.log.wrong(at, &field, "an alias inside what it stands for", "a value", None);
            return self.add(Node::null(at), 0, false);
        };
        if self.nodes + count > MAX_NODES {
            let found = format!("an alias that makes more than {MAX_NODES} values of the file");
            self.log.wrong(at, &field, found, "a smaller file", None);
            return Err(Stop::Limit);
        }
        let depth = self.stack.len() + depth(node);
        if depth > MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        let (node, count) = (node.clone(), *count);
        self.nodes += count - 1;
        self.add(node, 0, true)
    }

    fn too_deep(&mut self, at: At) -> Stop {
        let field = self.field();
        self.log.wrong(at, &field, "deeper nesting", format!("at most {MAX_DEPTH} levels"), None);
        Stop::Limit
    }

    fn open(&mut self, frame: Frame, at: At) -> Result<(), Stop> {
        if self.stack.len() == MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        match self.stack.pop() {
            Some(Frame::List { at, items, anchor, mark }) => {
                self.add(Node { at, value: Value::List(items), mark }, anchor, false)
            }
            Some(Frame::Map { at, mut entries, merges, anchor, mark, .. }) => {
                for merge in merges {
                    self.merge(&mut entries, merge)?;
                }
                self.add(Node { at, value: Value::Map(entries), mark }, anchor, false)
            }
            None => Ok(()),
        }
    }

    /// Adds what a merge key brings and the map itself does not say.
    fn merge(&mut self, entries: &mut Vec<Entry>, merge: Node) -> Result<(), Stop> {
        match merge.value {
            Value::Map(inherited) => {
                for entry in inherited {
                    if !entries.iter().any(|own| own.key == entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    match item.value {
                        Value::Map(_) => self.merge(entries, item)?,
                        Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                            let field = join(&self.field(), "<<");
                            self.log.wrong(item.at, &field, item.describe(), "an alias of a map", None);
                        }
                    }
                }
            }
            Value::Null => {}
            Value::Plain(_) | Value::Quoted(_) => {
                let field = join(&self.field(), "<<");
                let expected = "a map, or a list of maps, such as *name";
                self.log.wrong(merge.at, &field, merge.describe(), expected, None);
            }
        }
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, is_alias: bool) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.log.wrong(node.at, "", "more values", format!("at most {MAX_NODES}"), None);
            return Err(Stop::Limit);
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), node.count()));
        }
        let field = self.field();
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, merges, .. }) => match key.take() {
                None => {
                    let is_plain = matches!(node.value, Value::Plain(_)) && !is_alias;
                    let text = key_text(&node).unwrap_or_else(|| {
                        let found = format!("{} as a key", node.describe());
                        self.log.wrong(node.at, &field, found, "a name", None);
                        String::new()
                    });
                    *key = Some((text, node.at, is_plain));
                }
                Some((key, _, true)) if key == "<<" => merges.push(node),
                Some((key, at, _)) => put(entries, Entry { key, at, value: node }, &field, self.log),
            },
        }
        Ok(())
    }

    /// The path of the node that is being read.
    fn field(&self) -> String {
        let mut field = String::new();
        for frame in &self.stack {
            match frame {
                Frame::List { items, .. } => field = format!("{field}[{}]", items.len()),
                Frame::Map { key: Some((key, ..)), .. } => field = join(&field, key),
                Frame::Map { key: None, .. } => {}
            }
        }
        field
    }

    fn broken(&mut self, text: &str, error: &ScanError) -> Stop {
        let line = error.marker().line().max(1);
        let place = Place { line, column: error.marker().col() + 1 };
        let (place, found, hint) = match tab_before(text, line) {
            Some(tab) => (tab, "a tab that indents".to_owned(), Some("indent with spaces".to_owned())),
            None => (place, format!("broken YAML ({})", error.info()), None),
        };
        let field = self.field();
        self.log.wrong(At { file: self.file, place }, &field, found, "YAML", hint);
        Stop::Line(place.line)
    }
}

fn key_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Plain(text) | Value::Quoted(text) => Some(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

/// Adds an entry; of two with the same key the later one counts, and the log has it.
fn put(entries: &mut Vec<Entry>, entry: Entry, field: &str, log: &mut Log) {
    let Some(first) = entries.iter_mut().find(|first| first.key == entry.key) else {
        entries.push(entry);
        return;
    };
    let found = format!("{:?} a second time", shortened(&entry.key));
    let expected = format!("it once; the first is in line {}", first.at.place.line);
    log.wrong(entry.at, field, found, expected, None);
    *first = entry;
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
