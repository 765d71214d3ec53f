//! What a person can set on a module, and the types of such values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::Scalar;
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
