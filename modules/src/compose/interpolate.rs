//! `$V ${V} ${V:-d} ${V-d} ${V:?e} ${V?e} ${V:+a} ${V+a} $$`: what a compose file's texts stand for.
//!
//! What comes out is in the language of our own templates: a value may bring references such as `${port.web}`, which
//! the node resolves, so a literal `${` is written `$${`.

use std::collections::BTreeMap;

use super::log::{At, Log};
use super::node::{Node, Value, shortened};
use super::{Use, Variable};
use crate::spec::yaml::join;
use crate::suggest::closest;
use crate::template;

const MAX_DEPTH: usize = 8;
/// The most that the texts of one file become.
const MAX_BYTES: usize = 4 << 20;

/// What variables stand for. Values are templates: literal `${` in them is `$${`.
pub type Values = BTreeMap<String, String>;

/// Interpolates every scalar of the tree in place.
pub fn interpolate(node: &mut Node, field: &str, values: &Values, log: &mut Log) {
    let mut budget = MAX_BYTES;
    Walk { values, log, budget: &mut budget }.node(node, field);
}

struct Walk<'w> {
    values: &'w Values,
    log: &'w mut Log,
    budget: &'w mut usize,
}

impl Walk<'_> {
    fn node(&mut self, node: &mut Node, field: &str) {
        match &mut node.value {
            Value::Null => {}
            Value::Plain(text) => {
                if text.contains('$') {
                    *text = self.text(text, node.at, field);
                }
            }
            Value::Quoted(text) => {
                if text.contains('$') {
                    *text = self.text(text, node.at, field);
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{field}[{index}]"));
                }
            }
            Value::Map(entries) => {
                for entry in entries.iter_mut() {
                    self.node(&mut entry.value, &join(field, &entry.key));
                }
            }
        }
    }

    fn text(&mut self, text: &str, at: At, field: &str) -> String {
        let mut scan = Scan { walk: self, at, field, depth: 0 };
        let rendered = scan.render(text);
        if rendered.len() > *self.budget {
            let expected = format!("at most {MAX_BYTES} bytes in the whole file");
            self.log.wrong(at, field, "a text that grows too large", expected, None);
            return String::new();
        }
        *self.budget -= rendered.len();
        rendered
    }
}

/// One text.
struct Scan<'s, 'w> {
    walk: &'s mut Walk<'w>,
    at: At,
    field: &'s str,
    depth: usize,
}

impl Scan<'_, '_> {
    fn render(&mut self, text: &str) -> String {
        let mut rendered = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            rendered.push_str(&rest[..dollar]);
            rest = &rest[dollar..];
            let (part, length) = self.part(rest);
            if rendered.ends_with('$') && part.starts_with('{') {
                // Two literals that would look like a reference together.
                rendered.push('$');
            } else if rendered.ends_with('$') && part.starts_with("${") {
                // A literal `$` before a reference would make a literal of the reference.
                let hint = Some("put the \"$\" into the value instead".to_owned());
                self.wrong(
                    "\"$\" right before a reference that the node resolves",
                    "other text between",
                    hint,
                );
            }
            rendered.push_str(&part);
            rest = &rest[length..];
        }
        rendered.push_str(rest);
        rendered
    }

    /// What the text, which begins with `$`, stands for, and how many bytes of it that takes.
    fn part(&mut self, rest: &str) -> (String, usize) {
        if let Some(after) = rest.strip_prefix("$$") {
            // Ours: `$${` is a literal `${`.
            return if after.starts_with('{') { ("$${".to_owned(), 3) } else { ("$".to_owned(), 2) };
        }
        let Some(inside) = rest.strip_prefix("${") else {
            let name = name_of(&rest[1..]);
            if name.is_empty() {
                return (self.invalid("$"), 1);
            }
            return (self.value(name, Alternative::None), 1 + name.len());
        };
        let Some(end) = closing(inside) else {
            return (self.invalid(rest), rest.len());
        };
        let expression = &inside[..end];
        let length = end + 3;
        let name = name_of(expression);
        let operator = &expression[name.len()..];
        if is_reference(expression) {
            return (format!("${{{expression}}}"), length);
        }
        match (name.is_empty(), alternative(operator)) {
            (false, Some(alternative)) => (self.value(name, alternative), length),
            (true, _) | (false, None) => (self.invalid(&rest[..length]), length),
        }
    }

    fn value(&mut self, name: &str, alternative: Alternative<'_>) -> String {
        self.depth += 1;
        let value = if self.depth > MAX_DEPTH {
            self.wrong("defaults in defaults in defaults", &format!("at most {MAX_DEPTH} levels"), None);
            String::new()
        } else {
            self.chosen(name, alternative)
        };
        self.depth -= 1;
        value
    }

    fn chosen(&mut self, name: &str, alternative: Alternative<'_>) -> String {
        self.remember(name, &alternative);
        let value = self.walk.values.get(name);
        let filled = value.filter(|value| !value.is_empty());
        match alternative {
            Alternative::None => value.cloned().unwrap_or_else(|| self.unset(name)),
            Alternative::IfEmpty(default) => filled.cloned().unwrap_or_else(|| self.render(default)),
            Alternative::IfUnset(default) => value.cloned().unwrap_or_else(|| self.render(default)),
            Alternative::Required { message, may_be_empty } => {
                let value = if may_be_empty { value } else { filled };
                value.cloned().unwrap_or_else(|| self.required(name, message))
            }
            Alternative::IfFilled(other) => filled.map(|_| self.render(other)).unwrap_or_default(),
            Alternative::IfSet(other) => value.map(|_| self.render(other)).unwrap_or_default(),
        }
    }

    fn remember(&mut self, name: &str, alternative: &Alternative<'_>) {
        let (default, is_required) = match alternative {
            Alternative::IfEmpty(default) | Alternative::IfUnset(default) => {
                (Some((*default).to_owned()), false)
            }
            Alternative::Required { .. } => (None, true),
            Alternative::None | Alternative::IfFilled(_) | Alternative::IfSet(_) => (None, false),
        };
        let origin = self.walk.log.origin(self.at);
        let used = Use { field: self.field.to_owned(), origin };
        let variables = &mut self.walk.log.variables;
        match variables.iter_mut().find(|variable| variable.name == name) {
            Some(variable) => {
                variable.default = variable.default.take().or(default);
                variable.is_required |= is_required;
                if !variable.uses.contains(&used) {
                    variable.uses.push(used);
                }
            }
            None => {
                let name = name.to_owned();
                variables.push(Variable { name, default, is_required, uses: vec![used] });
            }
        }
    }

    fn unset(&mut self, name: &str) -> String {
        let known = self.walk.values.keys().map(String::as_str);
        let hint = match closest(name, known) {
            Some(known) => format!("did you mean ${{{known}}}?"),
            None => format!("give it a value, or write ${{{name}:-}} if it may be empty"),
        };
        let found = format!("${{{}}}, which has no value", shortened(name));
        self.wrong(&found, "a variable that is set", Some(hint));
        String::new()
    }

    fn required(&mut self, name: &str, message: &str) -> String {
        let message = self.render(message);
        let hint = match message.trim() {
            "" => format!("give {name} a value"),
            message => shortened(message),
        };
        let found = format!("${{{}}}, which has no value", shortened(name));
        self.wrong(&found, "a variable that the file requires", Some(hint));
        String::new()
    }

    /// Reports what is no variable; it stands for itself.
    fn invalid(&mut self, text: &str) -> String {
        let hint = Some("write $$ for a literal $".to_owned());
        self.wrong(&format!("{:?}", shortened(text)), "a variable such as $NAME or ${NAME:-default}", hint);
        text.replace("${", "$${")
    }

    fn wrong(&mut self, found: &str, expected: &str, hint: Option<String>) {
        self.walk.log.wrong(self.at, self.field, found, expected, hint);
    }
}

/// What is taken in place of a variable.
enum Alternative<'a> {
    None,
    /// `:-`
    IfEmpty(&'a str),
    /// `-`
    IfUnset(&'a str),
    /// `:?` and `?`
    Required {
        message: &'a str,
        may_be_empty: bool,
    },
    /// `:+`
    IfFilled(&'a str),
    /// `+`
    IfSet(&'a str),
}

fn alternative(operator: &str) -> Option<Alternative<'_>> {
    if operator.is_empty() {
        return Some(Alternative::None);
    }
    let (colon, rest) = match operator.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, operator),
    };
    let mut characters = rest.chars();
    let kind = characters.next()?;
    let word = characters.as_str();
    match (kind, colon) {
        ('-', true) => Some(Alternative::IfEmpty(word)),
        ('-', false) => Some(Alternative::IfUnset(word)),
        ('?', _) => Some(Alternative::Required { message: word, may_be_empty: !colon }),
        ('+', true) => Some(Alternative::IfFilled(word)),
        ('+', false) => Some(Alternative::IfSet(word)),
        (_, _) => None,
    }
}

/// The variable's name that a text begins with.
pub fn name_of(text: &str) -> &str {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if begins { &text[..end] } else { "" }
}

/// Where the `}` is that closes what begins here, past those of variables inside.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'$' if bytes.get(at + 1) == Some(&b'$') => at += 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => {
                depth += 1;
                at += 1;
            }
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether it is one of the module's own references, such as `port.web`.
fn is_reference(name: &str) -> bool {
    let root = name.split_once('.').map_or("", |(root, _)| root);
    matches!(root, "config" | "port" | "volume" | "instance" | "release" | "depends")
        && template::references(&format!("${{{name}}}")).is_ok()
}

/// A text in which nothing is a reference.
pub fn literal(text: &str) -> String {
    text.replace("${", "$${")
}
