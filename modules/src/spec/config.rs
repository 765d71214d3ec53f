//! What a person can set on a module, and the types of such values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::network::parse_port;
use super::read::{Fields, Spot};
use super::schema::Scalar;
use super::units::{ByteSize, parse_duration};
use crate::item_name::ItemName;

/// Something a person can set with `--set name=value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigItem {
    /// The name, for `--set`, `${config.<name>}` and the variable `CONFIG_<NAME>`.
    pub name: ItemName,
    #[serde(rename = "type", default)]
    pub kind: ValueType,
    /// The values to choose from, for type enum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Scalar>")]
    pub values: Vec<String>,
    /// What holds when nothing is set; for a port also `auto`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<String>,
    /// Whether something must be set; where it is not said: when there is no default.
    #[serde(default)]
    pub required: bool,
    /// Never shown, never in arguments or logs; given with `--secret`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// The type of a config value or of an action's argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
}

const KINDS: [(&str, ValueType); 10] = [
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

impl ConfigItem {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a config item, such as {name: port, type: port}")?;
        let name = fields.required(report, "name").and_then(|spot| report.item_name(&spot));
        let value = Value::read(report, &mut fields);
        let secret = fields.get(report, "secret").and_then(|spot| report.flag(&spot)).unwrap_or_default();
        let description = fields.get(report, "description").and_then(|spot| report.text(&spot));
        fields.finish(report);
        let Value { kind, values, default, required } = value;
        if secret && default.is_some() {
            let field = format!("{}.default", spot.path);
            report.at(
                &field,
                "a default for a secret",
                "none: every reader of the package could see it",
                None,
            );
        }
        Some(Self {
            name: name?,
            kind,
            values,
            default,
            required,
            secret,
            description: description.unwrap_or_default(),
        })
    }
}

/// What config items and arguments of actions have in common.
pub(super) struct Value {
    pub kind: ValueType,
    pub values: Vec<String>,
    pub default: Option<String>,
    pub required: bool,
}

impl Value {
    pub(super) fn read(report: &mut Report, fields: &mut Fields<'_>) -> Self {
        let kind = fields.get(report, "type").map(|spot| report.choice(&spot, &KINDS));
        let values = fields.get(report, "values");
        let listed = values.as_ref().and_then(|spot| report.words(spot)).unwrap_or_default();
        let default = fields.get(report, "default");
        let required = fields.get(report, "required").and_then(|spot| report.flag(&spot));
        let mut is_known = kind != Some(None);
        let kind = kind.flatten().unwrap_or_default();
        if let (Some(spot), true) = (&values, is_known && kind != ValueType::Enum) {
            report.at(&spot.path, format!("values for type {}", kind.as_str()), "none, or type enum", None);
        }
        if kind == ValueType::Enum && listed.is_empty() {
            fields.missing(report, "values", "the values to choose from");
            is_known = false;
        }
        let default = default.and_then(|spot| {
            let text = report.text(&spot)?;
            if let (Err(expected), true) = (kind.check(&text, &listed), is_known) {
                report.not(&spot, expected, None);
                return None;
            }
            Some(text)
        });
        let required = required.unwrap_or(default.is_none());
        Self { kind, values: listed, default, required }
    }
}

impl ValueType {
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

pub(super) fn read_url(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse =
        |text: &str| is_url(text).then(|| text.to_owned()).ok_or("it begins with https:// or the like");
    report.parsed(spot, "a URL", parse)
}

fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.contains('\0') && !text.split('/').any(|part| part == "..")
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain);
    is_scheme && !rest.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}
