//! Reads typed values from the tree. What does not fit goes to the log, and reading goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::interpolate::literal;
use super::log::{At, Log};
use super::node::{Entry, Node, Value, shortened};
use super::{Unresolved, words};
use crate::spec::yaml::join;
use crate::suggest::closest;
use crate::template;

/// A node and the path that leads to it.
#[derive(Clone)]
pub struct Spot<'n> {
    pub node: &'n Node,
    pub path: String,
}

impl<'n> Spot<'n> {
    pub fn below(&self, entry: &'n Entry, log: &mut Log) -> Spot<'n> {
        let path = join(&self.path, &entry.key);
        log.visit(&path, entry.at);
        Spot { node: &entry.value, path }
    }

    pub fn item(&self, index: usize, node: &'n Node, log: &mut Log) -> Spot<'n> {
        let path = format!("{}[{index}]", self.path);
        log.visit(&path, node.at);
        Spot { node, path }
    }

    pub fn get(&self, key: &str, log: &mut Log) -> Option<Spot<'n>> {
        let entry = self.node.entries()?.iter().find(|entry| entry.key == key)?;
        // An empty field is as one that is not there.
        (!matches!(entry.value.value, Value::Null)).then(|| self.below(entry, log))
    }

    pub fn at(&self) -> At {
        self.node.at
    }
}

impl Log {
    pub fn not(&mut self, spot: &Spot<'_>, expected: impl Into<String>, hint: Option<String>) {
        self.wrong(spot.at(), &spot.path, spot.node.describe(), expected, hint);
    }

    /// The entries of a map; `known` are the keys it may have. Empty when it is none.
    pub fn map<'n>(&mut self, spot: &Spot<'n>, known: &[&str]) -> &'n [Entry] {
        let entries = self.any_map(spot);
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            self.unknown(entry, &spot.path, known);
        }
        entries
    }

    /// The entries of a map with keys of the file's own choice.
    pub fn any_map<'n>(&mut self, spot: &Spot<'n>) -> &'n [Entry] {
        match &spot.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                self.not(spot, "a map", None);
                &[]
            }
        }
    }

    /// Reports a key that the format does not have; those that begin with `x-` are everybody's own.
    pub fn unknown(&mut self, entry: &Entry, path: &str, known: &[&str]) {
        if entry.key.starts_with("x-") {
            return;
        }
        let hint = closest(&entry.key, known.iter().copied()).map(|key| format!("did you mean {key:?}?"));
        let expected = match known.len() {
            0..=12 => format!("one of {}", known.join(", ")),
            _ => "a key of the compose format".to_owned(),
        };
        let found = format!("the unknown key {:?}", shortened(&entry.key));
        self.wrong(entry.at, &join(path, &entry.key), found, expected, hint);
    }

    pub fn text(&mut self, spot: &Spot<'_>) -> Option<String> {
        let text = spot.node.text().map(str::to_owned);
        if text.is_none() {
            self.not(spot, "a text", None);
        }
        text
    }

    /// A text that says something.
    pub fn filled(&mut self, spot: &Spot<'_>) -> Option<String> {
        let text = self.text(spot)?;
        if text.trim().is_empty() {
            self.not(spot, "a text that is not empty", None);
            return None;
        }
        Some(text)
    }

    /// A text that `parse` understands; what it says becomes the hint. References are kept for later, empty is nothing.
    pub fn parsed<T>(
        &mut self,
        spot: &Spot<'_>,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(spot)?;
        if text.is_empty() {
            return None;
        }
        if has_reference(&text) {
            let origin = self.origin(spot.at());
            self.unresolved.push(Unresolved { field: spot.path.clone(), text, origin });
            return None;
        }
        match parse(&text) {
            Ok(value) => Some(value),
            Err(hint) => {
                self.not(spot, expected, Some(hint).filter(|hint| !hint.is_empty()));
                None
            }
        }
    }

    /// True or false, also as YAML 1.1 spells them.
    pub fn flag(&mut self, spot: &Spot<'_>) -> Option<bool> {
        let flag = self.parsed(spot, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" => Ok((true, true)),
            "false" => Ok((false, true)),
            "yes" | "on" | "y" => Ok((true, false)),
            "no" | "off" | "n" => Ok((false, false)),
            _ => Err(String::new()),
        });
        let (flag, is_plain) = flag?;
        if !is_plain {
            let found = spot.node.describe();
            self.remark(spot.at(), &spot.path, format!("{found} is read as {flag}; YAML 1.2 says {flag}"));
        }
        Some(flag)
    }

    pub fn number<T: std::str::FromStr>(&mut self, spot: &Spot<'_>, expected: &str) -> Option<T> {
        self.parsed(spot, expected, |text| text.replace('_', "").parse().map_err(|_| String::new()))
    }

    pub fn size(&mut self, spot: &Spot<'_>) -> Option<u64> {
        self.parsed(spot, "a size such as 512m or 1g", parse_size)
    }

    pub fn duration(&mut self, spot: &Spot<'_>) -> Option<Duration> {
        self.parsed(spot, "a duration such as 30s or 1m30s", parse_duration)
    }

    /// A list of texts, or one alone.
    pub fn texts(&mut self, spot: &Spot<'_>) -> Vec<String> {
        match &spot.node.value {
            Value::Plain(text) | Value::Quoted(text) => vec![text.clone()],
            Value::Null => Vec::new(),
            Value::List(_) => self.list(spot).iter().filter_map(|spot| self.text(spot)).collect(),
            Value::Map(_) => {
                self.not(spot, "a list of texts", None);
                Vec::new()
            }
        }
    }

    /// The items of a list; those that are empty are left out.
    pub fn list<'n>(&mut self, spot: &Spot<'n>) -> Vec<Spot<'n>> {
        let Value::List(items) = &spot.node.value else {
            if !matches!(spot.node.value, Value::Null) {
                let hint = spot.node.text().map(|text| format!("write [{}]", shortened(text)));
                self.not(spot, "a list", hint);
            }
            return Vec::new();
        };
        let mut spots = Vec::with_capacity(items.len());
        for (index, node) in items.iter().enumerate() {
            let item = spot.item(index, node, self);
            match node.value {
                Value::Null => self.not(&item, "a value", None),
                Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Map(_) => spots.push(item),
            }
        }
        spots
    }

    /// `KEY=value` items or a map, such as labels. The second of a pair is nothing when only the key is written.
    pub fn pairs<'n>(&mut self, spot: &Spot<'n>) -> Vec<(String, Option<String>, Spot<'n>)> {
        let mut pairs: Vec<(String, Option<String>, Spot<'n>)> = Vec::new();
        match &spot.node.value {
            Value::Map(entries) => {
                for entry in entries {
                    let below = spot.below(entry, self);
                    let value = match entry.value.value {
                        Value::Null => None,
                        Value::Plain(_) | Value::Quoted(_) | Value::List(_) | Value::Map(_) => {
                            match self.text(&below) {
                                Some(text) => Some(text),
                                None => continue,
                            }
                        }
                    };
                    pairs.push((entry.key.clone(), value, below));
                }
            }
            _ => {
                for item in self.list(spot) {
                    let Some(text) = self.text(&item) else { continue };
                    let (key, value) = match text.split_once('=') {
                        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                        None => (text, None),
                    };
                    self.visit(&join(&spot.path, &key), item.at());
                    pairs.push((key, value, item));
                }
            }
        }
        pairs
    }

    pub fn string_map(&mut self, spot: &Spot<'_>) -> BTreeMap<String, String> {
        self.pairs(spot).into_iter().map(|(key, value, _)| (key, value.unwrap_or_default())).collect()
    }

    /// A program with its arguments: a list, or a text that is split as a shell does.
    pub fn command(&mut self, spot: &Spot<'_>) -> Option<Vec<String>> {
        match &spot.node.value {
            Value::Null => None,
            Value::List(_) => Some(self.list(spot).iter().filter_map(|spot| self.text(spot)).collect()),
            Value::Plain(text) | Value::Quoted(text) => match words::split(text) {
                Ok(words) => Some(words),
                Err(error) => {
                    let hint = "write a list to say where each argument ends".to_owned();
                    self.wrong(spot.at(), &spot.path, error.to_string(), "a command line", Some(hint));
                    None
                }
            },
            Value::Map(_) => {
                self.not(spot, "a command line or a list", None);
                None
            }
        }
    }
}

/// Says of each of these keys that is there why it has no effect.
pub fn ignore(spot: &Spot<'_>, keys: &[&str], why: &str, log: &mut Log) {
    for key in keys {
        if let Some(spot) = spot.get(key, log) {
            log.ignored(spot.at(), &spot.path, why);
        }
    }
}

/// Whether a text has a reference that somebody else resolves.
pub fn has_reference(text: &str) -> bool {
    template::references(text).is_ok_and(|found| !found.is_empty())
}

/// A text that comes from outside the compose file, in which nothing is a reference.
pub fn outside(text: &str) -> String {
    literal(text)
}

/// `b`, `k`, `m`, `g`, also `kb`, `kib` …; all of them powers of 1024, as Compose has it. No unit is bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| String::new())?;
    let factor: u64 = match unit.trim() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        unit => return Err(format!("unknown unit {:?}; expected b, k, m or g", shortened(unit))),
    };
    let bytes = number * factor as f64;
    if bytes > (1_u64 << 50) as f64 { Err("too large".to_owned()) } else { Ok(bytes as u64) }
}

/// `1h30m`, `500ms`, `1.5s`, with `us`, `ms`, `s`, `m`, `h` and `d`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(String::new());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| String::new())?;
        rest = &rest[end..];
        let unit = &rest[..rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len())];
        rest = &rest[unit.len()..];
        seconds += number
            * match unit.trim() {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                "w" => 604_800.0,
                "" => return Err(format!("a number without unit; write {number}s")),
                unit => return Err(format!("unknown unit {:?}; expected ms, s, m, h", shortened(unit))),
            };
    }
    if seconds > 31_536_000.0 {
        return Err("longer than a year".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}
