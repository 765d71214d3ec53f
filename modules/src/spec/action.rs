//! Named commands that people and plans can run on an instance.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::ValueType;
use super::schema::{DurationText, Scalar};
use super::units;
use crate::item_name::ItemName;

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

/// What an action may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Changes nothing.
    Read,
    /// Twice is the same as once.
    Idempotent,
    /// Can be undone.
    Reversible,
    /// Cannot be undone.
    Destructive,
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

fn timeout() -> Duration {
    TIMEOUT
}
