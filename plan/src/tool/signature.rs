//! What a tool takes and gives, and the check of arguments against it.

use modules::effect::Effect;
use serde_json::Value;

use super::Tool;
use crate::fault::Faults;
use crate::reference::{self, whole_reference};
use crate::step::Args;

/// What a tool takes and gives.
#[derive(Debug)]
pub struct Signature {
    pub tool: Tool,
    pub name: &'static str,
    /// What it does, in one sentence for a person or a model.
    pub about: &'static str,
    pub args: &'static [Arg],
    /// The fields of its output.
    pub out: &'static [(&'static str, Type)],
    pub effect: Effect,
    pub timeout_s: u32,
    pub output_cap: u32,
}

/// An argument.
#[derive(Debug)]
pub struct Arg {
    pub name: &'static str,
    pub kind: Type,
    pub is_required: bool,
    pub about: &'static str,
}

/// The type of an argument or an output field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    /// A text of a plain name: letters, digits and `. _ @ : -`, not beginning with `-`.
    Name,
    /// An absolute path without `..`.
    Path,
    Url,
    Integer {
        least: i64,
        most: i64,
    },
    /// Only ever in outputs: with decimals.
    Number,
    Flag,
    /// Program and arguments.
    Argv,
    Texts,
    Paths,
    /// Host names.
    Domains,
    /// Texts by name.
    Map,
    /// Names of tools.
    Tools,
    /// Anything: only in outputs.
    Any,
}

/// Bytes of one text.
pub const MAX_TEXT: usize = 16 << 10;
const MAX_ITEMS: usize = 256;

impl Signature {
    pub fn arg(&self, name: &str) -> Option<&'static Arg> {
        self.args.iter().find(|arg| arg.name == name)
    }

    pub fn out_type(&self, field: &str) -> Option<Type> {
        self.out.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind)
    }

    /// Checks names, presence and types of arguments as they are written, references and all; `field` is where they are,
    /// such as `steps[2].args`.
    pub fn check(&self, field: &str, args: &Args, faults: &mut Faults) {
        self.check_all(field, args, Form::Written, faults);
    }

    /// The same of the values that they have when the step begins: what looks like a reference is none any more.
    pub fn check_values(&self, field: &str, args: &Args, faults: &mut Faults) {
        self.check_all(field, args, Form::Values, faults);
    }

    fn check_all(&self, field: &str, args: &Args, form: Form, faults: &mut Faults) {
        for (name, value) in args {
            let place = format!("{field}.{name}");
            match self.arg(name) {
                Some(arg) => check_value(&place, arg.kind, value, form, faults),
                None => {
                    let names = || self.args.iter().map(|arg| arg.name);
                    let expected = match self.args {
                        [] => format!("no argument; {} takes none", self.name),
                        _ => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
                    };
                    faults.guess(&place, format!("the unknown argument {name:?}"), expected, name, names());
                }
            }
        }
        for arg in self.args.iter().filter(|arg| arg.is_required && !args.contains_key(arg.name)) {
            let expected = format!("the required argument {:?}: {}", arg.name, arg.kind.expected());
            faults.add(&format!("{field}.{}", arg.name), "nothing", expected, None);
        }
    }
}

/// Whether references in arguments still stand for what they will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Written,
    Values,
}

fn check_value(place: &str, kind: Type, value: &Value, form: Form, faults: &mut Faults) {
    if form == Form::Written && kind != Type::Argv && value.as_str().and_then(whole_reference).is_some() {
        return; // Its type is compared with that of the output it refers to.
    }
    let fits = match (kind, value) {
        (Type::Argv, Value::Array(words)) => !words.is_empty() && texts(words),
        (Type::Texts | Type::Paths | Type::Domains | Type::Tools, Value::Array(items)) => {
            let item = kind.item();
            for (index, text) in items.iter().enumerate() {
                check_value(&format!("{place}[{index}]"), item, text, form, faults);
            }
            if matches!(kind, Type::Tools) {
                check_tools(place, items, faults);
            }
            items.len() <= MAX_ITEMS
        }
        (Type::Map, Value::Object(fields)) => fields.len() <= MAX_ITEMS && fields.values().all(is_short),
        (Type::Integer { least, most }, Value::Number(number)) => {
            number.as_i64().is_some_and(|number| (least..=most).contains(&number))
        }
        (Type::Flag, Value::Bool(_)) | (Type::Any, _) => true,
        (Type::Text, Value::String(text)) => text.len() <= MAX_TEXT,
        (Type::Name, Value::String(text)) => is_name(&form.plain(text)),
        (Type::Path, Value::String(text)) => is_path(text, form),
        (Type::Url, Value::String(text)) => text.starts_with("https://") || text.starts_with("http://"),
        _ => false,
    };
    if !fits {
        faults.add(place, describe(value), kind.expected(), None);
    }
}

fn texts(items: &[Value]) -> bool {
    items.len() <= MAX_ITEMS && items.iter().all(is_short)
}

fn is_short(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() <= MAX_TEXT)
}

fn check_tools(place: &str, items: &[Value], faults: &mut Faults) {
    for (index, text) in items.iter().enumerate() {
        let Some(text) = text.as_str().filter(|text| Tool::parse(text).is_err()) else { continue };
        let names = Tool::all().map(|signature| signature.name);
        faults.guess(&format!("{place}[{index}]"), format!("{text:?}"), "the name of a tool", text, names);
    }
}

impl Form {
    /// The text with what could stand in the place of its references.
    fn plain(self, text: &str) -> String {
        match self {
            Form::Written => reference::without(text, "x"),
            Form::Values => text.to_owned(),
        }
    }
}

fn is_name(plain: &str) -> bool {
    !plain.is_empty()
        && plain.len() <= 256
        && !plain.starts_with('-')
        && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._@:-".contains(&byte))
}

fn is_path(text: &str, form: Form) -> bool {
    let plain = form.plain(text);
    text.len() <= 4096
        && (plain.starts_with('/') || (form == Form::Written && text.starts_with("${")))
        && !plain.split('/').any(|part| part == "..")
        && !plain.contains('\0')
}

/// What a person reads in an error about a value.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => {
            let start: String = text.chars().take(60).collect();
            let more = if start.len() < text.len() { "…" } else { "" };
            format!("{:?}", format!("{start}{more}"))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

impl Type {
    /// The type of an item of a list.
    fn item(self) -> Type {
        match self {
            Type::Paths => Type::Path,
            Type::Domains | Type::Tools => Type::Name,
            _ => Type::Text,
        }
    }

    /// What to write.
    pub fn expected(self) -> String {
        match self {
            Type::Text => format!("a text of at most {MAX_TEXT} bytes"),
            Type::Name => "a name of letters, digits and . _ @ : -, not beginning with -".to_owned(),
            Type::Path => "an absolute path without \"..\"".to_owned(),
            Type::Url => "a URL that begins with https:// or http://".to_owned(),
            Type::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Type::Number => "a number".to_owned(),
            Type::Flag => "true or false".to_owned(),
            Type::Argv => format!("a list of 1 to {MAX_ITEMS} texts: the program and its arguments"),
            Type::Texts => format!("a list of at most {MAX_ITEMS} texts"),
            Type::Paths => format!("a list of at most {MAX_ITEMS} absolute paths"),
            Type::Domains => format!("a list of at most {MAX_ITEMS} host names"),
            Type::Map => format!("a map of at most {MAX_ITEMS} texts"),
            Type::Tools => "a list of tools".to_owned(),
            Type::Any => "any value".to_owned(),
        }
    }

    /// Whether an output of type `found` can stand where this type is wanted.
    pub fn takes(self, found: Type) -> bool {
        match self {
            Type::Any => true,
            _ if found == Type::Any => true,
            Type::Text | Type::Name | Type::Path | Type::Url => found.is_scalar(),
            Type::Integer { .. } | Type::Number => matches!(found, Type::Integer { .. } | Type::Number),
            Type::Flag => found == Type::Flag,
            Type::Texts | Type::Paths | Type::Domains => {
                matches!(found, Type::Texts | Type::Paths | Type::Domains)
            }
            Type::Map => found == Type::Map,
            // Neither a command nor the choice of tools comes from what a node said.
            Type::Argv | Type::Tools => false,
        }
    }

    /// Whether it can stand inside a text.
    pub fn is_scalar(self) -> bool {
        matches!(
            self,
            Type::Text
                | Type::Name
                | Type::Path
                | Type::Url
                | Type::Integer { .. }
                | Type::Number
                | Type::Flag
                | Type::Any
        )
    }
}
