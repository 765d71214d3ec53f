//! How a new release replaces the running one, what a module may do, and what it may use.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::DurationText;
use super::units::{self, ByteSize};

/// How a new release replaces the running one. It is always rolled back when it does not become healthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    #[serde(default)]
    pub strategy: Strategy,
    /// A release that is not healthy by then has failed.
    #[serde(default = "health_deadline", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub health_deadline: Duration,
}

/// Which comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The old one stops, then the new one starts.
    #[default]
    StopFirst,
    /// The new one is healthy, then the old one stops. Needs ports that both can have.
    StartFirst,
}

impl Default for Update {
    fn default() -> Self {
        Self { strategy: Strategy::default(), health_deadline: HEALTH_DEADLINE }
    }
}

pub const HEALTH_DEADLINE: Duration = Duration::from_secs(60);

fn health_deadline() -> Duration {
    HEALTH_DEADLINE
}

/// What the module may do on its node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permissions {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<Network>,
    /// Absolute paths it may write to, besides its volumes and its own folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Devices it may use, such as `/dev/gpiomem`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// Runs with all rights of the agent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub privileged: bool,
}

/// A use of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    Listen,
    Connect,
}

impl Permissions {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an instance may use at most; nothing said is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16, max = 1_048_576))]
    pub open_files: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_048_576))]
    pub processes: Option<u32>,
}

impl Limits {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
