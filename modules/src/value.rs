//! The types of what people set on a module and give to its actions.

use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, parse_duration};

/// The type of a config value or of an action's argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "spec", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    #[default]
    String,
    Int,
    Float,
    Bool,
    /// 1 to 65535, or `auto`: the node picks a free one.
    Port,
    /// One of `values`.
    Enum,
    /// A path without `..`.
    Path,
    /// `scheme://…`.
    Url,
    /// `10s`.
    Duration,
    /// `64MiB`.
    Size,
}

impl ValueType {
    pub const ALL: [ValueType; 10] = [
        ValueType::String,
        ValueType::Int,
        ValueType::Float,
        ValueType::Bool,
        ValueType::Port,
        ValueType::Enum,
        ValueType::Path,
        ValueType::Url,
        ValueType::Duration,
        ValueType::Size,
    ];

    /// How each is written, for readers.
    pub const NAMED: [(&'static str, ValueType); 10] = [
        ("string", ValueType::String),
        ("int", ValueType::Int),
        ("float", ValueType::Float),
        ("bool", ValueType::Bool),
        ("port", ValueType::Port),
        ("enum", ValueType::Enum),
        ("path", ValueType::Path),
        ("url", ValueType::Url),
        ("duration", ValueType::Duration),
        ("size", ValueType::Size),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::Int => "int",
            ValueType::Float => "float",
            ValueType::Bool => "bool",
            ValueType::Port => "port",
            ValueType::Enum => "enum",
            ValueType::Path => "path",
            ValueType::Url => "url",
            ValueType::Duration => "duration",
            ValueType::Size => "size",
        }
    }

    /// What this text means, where it is one of [`ValueType::NAMED`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind)
    }

    /// # Errors
    /// Says what is expected, when `text` is not of this type.
    pub fn check(self, text: &str, values: &[String]) -> Result<(), String> {
        let (fits, expected) = match self {
            ValueType::String => (!text.contains('\0'), "a text".to_owned()),
            ValueType::Int => (text.parse::<i64>().is_ok(), "a whole number".to_owned()),
            ValueType::Float => (text.parse::<f64>().is_ok_and(f64::is_finite), "a number".to_owned()),
            ValueType::Bool => (matches!(text, "true" | "false"), "true or false".to_owned()),
            ValueType::Port => {
                (text == "auto" || parse_port(text).is_some(), "a port from 1 to 65535, or auto".to_owned())
            }
            ValueType::Enum => {
                (values.iter().any(|value| value == text), format!("one of {}", values.join(", ")))
            }
            ValueType::Path => (is_path(text), "a path without \"..\"".to_owned()),
            ValueType::Url => (is_url(text), "a URL such as https://example.org/".to_owned()),
            ValueType::Duration => (parse_duration(text).is_ok(), "a duration such as 10s".to_owned()),
            ValueType::Size => (ByteSize::parse(text).is_ok(), "a size such as 64MiB".to_owned()),
        };
        if fits { Ok(()) } else { Err(expected) }
    }
}

/// A port number from 1 to 65535, written plainly.
pub fn parse_port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port: &u16| *port != 0 && port.to_string() == text)
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0') && !text.split('/').any(|part| part == "..")
}

pub(crate) fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    is_scheme && !rest.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
