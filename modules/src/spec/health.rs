//! How to tell that an instance is well.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{DurationText, Scalar};
use super::units;
use crate::item_name::ItemName;

/// A health check and its pace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Health {
    #[serde(flatten)]
    pub check: Check,
    /// The pause between two checks.
    #[serde(default = "interval", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub interval: Duration,
    /// How long one check may take.
    #[serde(default = "timeout", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub timeout: Duration,
    /// Failures in a row that make an instance unhealthy.
    #[serde(default = "retries")]
    #[schemars(range(min = 1, max = 1000))]
    pub retries: u32,
    /// Failures do not count for this long after the start.
    #[serde(default = "start_period", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub start_period: Duration,
}

/// What is checked; exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// A GET that answers 2xx or 3xx.
    Http(Http),
    /// A port that accepts a connection.
    Tcp(Tcp),
    /// A command that exits with 0.
    Exec(Exec),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The path, beginning with `/`.
    #[serde(default = "root_path")]
    pub path: String,
    /// The name of one of the module's ports.
    pub port: ItemName,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// The name of one of the module's ports.
    pub port: ItemName,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Program and arguments; no shell.
    #[schemars(with = "Vec<Scalar>", length(min = 1))]
    pub command: Vec<String>,
}

pub const INTERVAL: Duration = Duration::from_secs(5);
pub const TIMEOUT: Duration = Duration::from_secs(2);
pub const RETRIES: u32 = 3;
pub const START_PERIOD: Duration = Duration::from_secs(10);

fn interval() -> Duration {
    INTERVAL
}

fn timeout() -> Duration {
    TIMEOUT
}

fn retries() -> u32 {
    RETRIES
}

fn start_period() -> Duration {
    START_PERIOD
}

fn root_path() -> String {
    "/".to_owned()
}
