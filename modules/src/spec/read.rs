//! Reads typed values from the tree. What does not fit is reported with its place, and reading goes on.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::{Place, Report};
use super::yaml::{Entry, Node, Value, join};
use crate::item_name::ItemName;
use crate::suggest::closest;
use crate::units::{format_duration, parse_duration};

/// A node and the path that leads to it.
pub struct Spot<'n> {
    pub node: &'n Node,
    pub path: String,
}

/// The fields of a map; those never asked for are unknown.
pub struct Fields<'n> {
    path: String,
    place: Place,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    pub fn get(&mut self, report: &mut Report, name: &'static str) -> Option<Spot<'n>> {
        self.asked.push(name);
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        Some(below(&self.path, entry, report))
    }

    pub fn required(&mut self, report: &mut Report, name: &'static str) -> Option<Spot<'n>> {
        let found = self.get(report, name);
        if found.is_none() {
            let field = join(&self.path, name);
            report.wrong(self.place, &field, "nothing", format!("the required field {name:?}"), None);
        }
        found
    }

    /// Reports that a field is needed here and not written.
    pub fn missing(&self, report: &mut Report, name: &str, expected: &str) {
        let is_written = self.entries.iter().any(|entry| entry.key == name);
        let found = if is_written { "nothing in it" } else { "nothing" };
        report.wrong(self.place, &join(&self.path, name), found, expected, None);
    }

    /// Reports the fields that nobody asked for.
    pub fn finish(self, report: &mut Report) {
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str())) {
            let hint =
                closest(&entry.key, self.asked.iter().copied()).map(|name| format!("did you mean {name:?}?"));
            let expected = format!("one of {}", self.asked.join(", "));
            let found = format!("the unknown field {:?}", entry.key.chars().take(60).collect::<String>());
            report.wrong(entry.place, &join(&self.path, &entry.key), found, expected, hint);
        }
    }
}

fn below<'n>(path: &str, entry: &'n Entry, report: &mut Report) -> Spot<'n> {
    let path = join(path, &entry.key);
    report.visit(&path, entry.value.place);
    Spot { node: &entry.value, path }
}

impl Report {
    /// Reports that the node here is not what is expected.
    pub fn not(&mut self, spot: &Spot<'_>, expected: impl Into<String>, hint: Option<String>) {
        self.wrong(spot.node.place, &spot.path, spot.node.describe(), expected, hint);
    }

    pub fn fields<'n>(&mut self, spot: &Spot<'n>, what: &str) -> Option<Fields<'n>> {
        let Value::Map(entries) = &spot.node.value else {
            self.not(spot, format!("a map that describes {what}"), None);
            return None;
        };
        Some(Fields { path: spot.path.clone(), place: spot.node.place, entries, asked: Vec::new() })
    }

    /// A text, exactly as it is written: also a number or truth value stands for its own letters.
    pub fn text(&mut self, spot: &Spot<'_>) -> Option<String> {
        match &spot.node.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.not(spot, "a text", None);
                None
            }
        }
    }

    /// A text of one to `most` characters.
    pub fn short_text(&mut self, spot: &Spot<'_>, most: usize) -> Option<String> {
        let text = self.text(spot)?;
        let length = text.chars().count();
        if text.trim().is_empty() {
            self.not(spot, "a text that is not empty", None);
            return None;
        }
        if length > most {
            self.wrong(
                spot.node.place,
                &spot.path,
                format!("{length} characters"),
                format!("at most {most}"),
                None,
            );
            return None;
        }
        Some(text)
    }

    pub fn flag(&mut self, spot: &Spot<'_>) -> Option<bool> {
        let hint = match &spot.node.value {
            Value::Plain(text) if text == "true" => return Some(true),
            Value::Plain(text) if text == "false" => return Some(false),
            Value::Plain(text) | Value::Quoted(text) => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => Some("write true".to_owned()),
                "no" | "off" | "n" | "false" => Some("write false".to_owned()),
                _ => None,
            },
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        self.not(spot, "true or false", hint);
        None
    }

    pub fn number(&mut self, spot: &Spot<'_>, range: RangeInclusive<u32>) -> Option<u32> {
        let number = match &spot.node.value {
            Value::Plain(text) => text.parse().ok().filter(|number| range.contains(number)),
            Value::Null | Value::Quoted(_) | Value::List(_) | Value::Map(_) => None,
        };
        if number.is_none() {
            self.not(spot, format!("a whole number from {} to {}", range.start(), range.end()), None);
        }
        number
    }

    pub fn duration(&mut self, spot: &Spot<'_>, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.parsed(spot, "a duration such as 10s", parse_duration)?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let [least, most] = [range.start(), range.end()].map(|bound| format_duration(*bound));
        self.not(spot, format!("a duration from {least} to {most}"), None);
        None
    }

    /// A text that `parse` understands; what `parse` says becomes the hint.
    pub fn parsed<T, E: Display>(
        &mut self,
        spot: &Spot<'_>,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (Value::Plain(text) | Value::Quoted(text)) = &spot.node.value else {
            self.not(spot, expected, None);
            return None;
        };
        match parse(text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.not(spot, expected, Some(error.to_string()));
                None
            }
        }
    }

    pub fn choice<T: Copy>(&mut self, spot: &Spot<'_>, choices: &[(&'static str, T)]) -> Option<T> {
        let (Value::Plain(text) | Value::Quoted(text)) = &spot.node.value else {
            self.not(spot, one_of(choices), None);
            return None;
        };
        let chosen = choices.iter().find(|(name, _)| name == text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let names = choices.iter().map(|(name, _)| *name);
            self.not(
                spot,
                one_of(choices),
                closest(text, names).map(|name| format!("did you mean {name:?}?")),
            );
        }
        chosen
    }

    /// A list; items that do not fit are reported and left out.
    pub fn list<'n, T>(
        &mut self,
        spot: &Spot<'n>,
        mut read: impl FnMut(&mut Report, &Spot<'n>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::List(items) = &spot.node.value else {
            let hint = match &spot.node.value {
                Value::Plain(text) => Some(format!("write [{}]", text.chars().take(60).collect::<String>())),
                Value::Null => Some("write [] or leave the field out".to_owned()),
                Value::Quoted(_) | Value::List(_) | Value::Map(_) => None,
            };
            self.not(spot, "a list", hint);
            return None;
        };
        let mut list = Vec::with_capacity(items.len());
        for (index, node) in items.iter().enumerate() {
            let path = format!("{}[{index}]", spot.path);
            self.visit(&path, node.place);
            list.extend(read(self, &Spot { node, path }));
        }
        Some(list)
    }

    pub fn texts(&mut self, spot: &Spot<'_>) -> Option<Vec<String>> {
        self.list(spot, Report::text)
    }

    /// A list of short words.
    pub fn words(&mut self, spot: &Spot<'_>) -> Option<Vec<String>> {
        self.list(spot, |report, spot| report.short_text(spot, 100))
    }

    /// A map from names that the module chooses.
    pub fn map<'n, K: Ord, T>(
        &mut self,
        spot: &Spot<'n>,
        key: impl Fn(&str) -> Result<K, String>,
        mut read: impl FnMut(&mut Report, &Spot<'n>) -> Option<T>,
    ) -> Option<BTreeMap<K, T>> {
        let Value::Map(entries) = &spot.node.value else {
            self.not(spot, "a map", None);
            return None;
        };
        let mut map = BTreeMap::new();
        for entry in entries {
            let value = below(&spot.path, entry, self);
            match key(&entry.key) {
                Ok(key) => map.extend(read(self, &value).map(|value| (key, value))),
                Err(expected) => {
                    let found = format!("{:?}", entry.key.chars().take(60).collect::<String>());
                    self.wrong(entry.place, &value.path, found, expected, None);
                }
            }
        }
        Some(map)
    }

    pub fn item_name(&mut self, spot: &Spot<'_>) -> Option<ItemName> {
        self.parsed(spot, "a name", ItemName::parse)
    }

    /// Environment variables.
    pub fn env(&mut self, spot: &Spot<'_>) -> Option<BTreeMap<String, String>> {
        let key = |key: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let fits = key.starts_with(|c: char| !c.is_ascii_digit()) && key.chars().all(plain);
            if fits {
                Ok(key.to_owned())
            } else {
                Err("a variable's name: letters, digits and '_'".to_owned())
            }
        };
        self.map(spot, key, Report::text)
    }

    /// A program and its arguments.
    pub fn command(&mut self, spot: &Spot<'_>) -> Option<Vec<String>> {
        if let Value::Plain(text) | Value::Quoted(text) = &spot.node.value {
            let hint = format!("there is no shell; write [/bin/sh, -c, {:?}] if you need one", short(text));
            self.not(spot, "a list: the program and its arguments", Some(hint));
            return None;
        }
        let command = self.texts(spot)?;
        if command.is_empty() && !self.is_broken(&spot.path) {
            self.wrong(spot.node.place, &spot.path, "an empty list", "a program and its arguments", None);
        }
        if command.first().is_some_and(|program| program.trim().is_empty()) {
            self.at(&format!("{}[0]", spot.path), "an empty text", "a program", None);
        }
        Some(command)
    }
}

fn one_of<T>(choices: &[(&'static str, T)]) -> String {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    format!("one of {}", names.join(", "))
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
