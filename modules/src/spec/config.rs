//! What a person can set on a module, and the types of such values.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::{Fields, Spot};
use super::schema::Scalar;
use crate::item_name::ItemName;
use crate::value::{ValueType, is_url};

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
        let kind = fields.get(report, "type").map(|spot| report.choice(&spot, &ValueType::NAMED));
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

pub(super) fn read_url(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse =
        |text: &str| is_url(text).then(|| text.to_owned()).ok_or("it begins with https:// or the like");
    report.parsed(spot, "a URL", parse)
}
