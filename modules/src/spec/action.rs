//! Named commands that people and plans can run on an instance.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::Value;
use super::error::Report;
use super::read::Spot;
use super::schema::{DurationText, Scalar};
use crate::effect::Effect;
use crate::item_name::ItemName;
use crate::units;
use crate::value::ValueType;

/// A named command of the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Program and arguments; no shell. `${args.<name>}` refers to an argument.
    #[schemars(with = "Vec<Scalar>", length(min = 1))]
    pub command: Vec<String>,
    /// What it may change.
    pub effect: Effect,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its arguments by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<ItemName, Argument>,
    /// How long it may take.
    #[serde(default = "timeout", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
}

/// A typed argument of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    #[serde(rename = "type", default)]
    pub kind: ValueType,
    /// The values to choose from, for type enum.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Scalar>")]
    pub values: Vec<String>,
    /// What holds when nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<String>,
    /// Whether it must be given; where it is not said: when there is no default.
    #[serde(default)]
    pub required: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

pub const TIMEOUT: Duration = Duration::from_secs(60);

const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

impl Action {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "an action, such as {command: [./list.sh], effect: read}")?;
        let command = fields.required(report, "command").and_then(|spot| report.command(&spot));
        let effect = fields.required(report, "effect").and_then(|spot| report.choice(&spot, &Effect::NAMED));
        let description = fields.get(report, "description").and_then(|spot| report.text(&spot));
        let args = fields.get(report, "args").and_then(|spot| report.map(&spot, item_key, Argument::read));
        let timeout = fields.get(report, "timeout").and_then(|spot| report.duration(&spot, TIMEOUTS));
        fields.finish(report);
        Some(Self {
            command: command?,
            effect: effect?,
            description: description.unwrap_or_default(),
            args: args.unwrap_or_default(),
            timeout: timeout.unwrap_or(TIMEOUT),
        })
    }
}

impl Argument {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "an argument, such as {type: string}")?;
        let value = Value::read(report, &mut fields);
        let description = fields.get(report, "description").and_then(|spot| report.text(&spot));
        fields.finish(report);
        let Value { kind, values, default, required } = value;
        Some(Self { kind, values, default, required, description: description.unwrap_or_default() })
    }
}

/// An item's name as the key of a map.
pub(super) fn item_key(key: &str) -> Result<ItemName, String> {
    ItemName::parse(key).map_err(|_| "a name: a lower-case letter, then a-z, 0-9, '_' and '-'".to_owned())
}

fn timeout() -> Duration {
    TIMEOUT
}
