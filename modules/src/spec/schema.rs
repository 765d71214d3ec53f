//! The JSON Schema of MODULE.yaml, generated from the types, for editors.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::ModuleSpec;
use super::network::PortNumber;
use crate::arch::Arch;
use crate::capability::Capability;
use crate::item_name::ItemName;
use crate::name::ModuleName;
use crate::units::ByteSize;
use crate::version::{Requirement, Version};

/// The JSON Schema of MODULE.yaml.
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(ModuleSpec);
    schema.insert("title".to_owned(), "MODULE.yaml".into());
    schema.to_value()
}

/// Stands for a duration, `10s`.
pub struct DurationText;

/// Stands for a text that may be written as a number or a truth value without quotes.
pub struct Scalar;

/// Stands for one text or several.
pub struct TextOrList;

macro_rules! text_schema {
    ($type:ty, $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

text_schema!(
    Arch,
    json_schema!({ "anyOf": [
        { "enum": Arch::ALL.map(Arch::as_str) },
        { "enum": ["amd64", "x64", "arm64", "armhf", "armv7l", "armv6l", "i386"] },
    ] })
);
text_schema!(ModuleName, json_schema!({ "type": "string", "pattern": ModuleName::PATTERN }));
text_schema!(ItemName, json_schema!({ "type": "string", "pattern": ItemName::PATTERN }));
text_schema!(Capability, json_schema!({ "type": "string", "pattern": Capability::PATTERN }));
text_schema!(Requirement, json_schema!({ "type": "string", "examples": [">=7", "^1.2"] }));
text_schema!(
    Version,
    json_schema!({ "type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$" })
);
text_schema!(
    PortNumber,
    json_schema!({ "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": 65535 },
        { "type": "string", "pattern": r"^([0-9]{1,5}|auto|\$\{config\.[a-z][a-z0-9_-]*\})$" },
    ] })
);
text_schema!(
    ByteSize,
    json_schema!({ "anyOf": [
        { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *([KMGTkmgt][Ii]?)?[Bb]$" },
        { "const": 0 },
    ], "examples": ["64MiB"] })
);
text_schema!(
    DurationText,
    json_schema!({ "type": "string", "pattern": r"^([0-9]+(\.[0-9]+)? *(ms|s|m|h|d))+$", "examples": ["10s"] })
);
text_schema!(Scalar, json_schema!({ "type": ["string", "number", "boolean"] }));
text_schema!(
    TextOrList,
    json_schema!({ "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": ["string", "number", "boolean"] }, "minItems": 1 },
    ] })
);
