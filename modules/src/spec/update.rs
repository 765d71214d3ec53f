//! How a new release replaces the running one, what a module may do, and what it may use.

use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::Spot;
use super::requires::{read_size, read_some_cores};
use super::schema::DurationText;
use crate::units::{self, ByteSize};

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

const DEADLINES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

impl Update {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "how a new release replaces the old one")?;
        let strategies = [("stop-first", Strategy::StopFirst), ("start-first", Strategy::StartFirst)];
        let strategy = fields.get(report, "strategy").and_then(|spot| report.choice(&spot, &strategies));
        let deadline =
            fields.get(report, "health_deadline").and_then(|spot| report.duration(&spot, DEADLINES));
        fields.finish(report);
        Some(Self {
            strategy: strategy.unwrap_or_default(),
            health_deadline: deadline.unwrap_or(HEALTH_DEADLINE),
        })
    }
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

impl Permissions {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "what the module may do")?;
        let uses = [("listen", Network::Listen), ("connect", Network::Connect)];
        let network = fields.get(report, "network");
        let network = network.and_then(|spot| report.list(&spot, |report, spot| report.choice(spot, &uses)));
        let write = fields.get(report, "write").and_then(|spot| report.list(&spot, read_absolute_path));
        let devices = fields.get(report, "devices").and_then(|spot| report.list(&spot, read_absolute_path));
        let privileged = fields.get(report, "privileged").and_then(|spot| report.flag(&spot));
        fields.finish(report);
        Some(Self {
            network: network.unwrap_or_default(),
            write: write.unwrap_or_default(),
            devices: devices.unwrap_or_default(),
            privileged: privileged.unwrap_or_default(),
        })
    }
}

pub(super) fn read_absolute_path(report: &mut Report, spot: &Spot<'_>) -> Option<String> {
    let parse = |text: &str| {
        let fits = text.starts_with('/') && !text.split('/').any(|part| part == "..");
        fits.then(|| text.to_owned()).ok_or("it begins with / and has no ..")
    };
    report.parsed(spot, "an absolute path", parse)
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Processor cores, such as 1.5; for containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01, max = 1024.0))]
    pub cpu: Option<f64>,
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

impl Limits {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "what an instance may use")?;
        let memory = fields.get(report, "memory").and_then(|spot| read_size(report, &spot));
        let cpu = fields.get(report, "cpu").and_then(|spot| read_some_cores(report, &spot));
        let open_files =
            fields.get(report, "open_files").and_then(|spot| report.number(&spot, 16..=1_048_576));
        let processes = fields.get(report, "processes").and_then(|spot| report.number(&spot, 1..=1_048_576));
        fields.finish(report);
        Some(Self { memory, cpu, open_files, processes })
    }
}
