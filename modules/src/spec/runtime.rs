//! How an instance is executed: process, container, compose, systemd; its volumes and its install steps.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::{DurationText, Scalar, TextOrList};
use super::units;
use crate::item_name::ItemName;

/// How an instance is executed; exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Runtime {
    Process(Process),
    Container(Container),
    Compose(Compose),
    Systemd(Systemd),
}

/// A process that the agent starts and supervises, in the release's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Program and arguments; no shell.
    #[schemars(with = "Vec<Scalar>", length(min = 1))]
    pub command: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub env: BTreeMap<String, String>,
    /// Where it runs, if not in the release's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// The user it runs as, if not the agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// How long it has to end by itself before it is killed.
    #[serde(default = "stop_timeout", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub stop_timeout: Duration,
}

/// A container of Docker or Podman.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The image, such as `eclipse-mosquitto:2`.
    pub image: String,
    /// Arguments in place of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub env: BTreeMap<String, String>,
    /// How long it has to end by itself before it is killed.
    #[serde(default = "stop_timeout", with = "units::duration")]
    #[schemars(with = "DurationText")]
    pub stop_timeout: Duration,
}

/// A compose project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The compose file in the package.
    pub file: String,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub env: BTreeMap<String, String>,
}

/// A unit that systemd runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    /// The unit, such as `mosquitto.service`: in the package, or brought by an install step.
    pub unit: String,
}

pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

fn stop_timeout() -> Duration {
    STOP_TIMEOUT
}

/// Data kept over updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// The volume's name, for `${volume.<name>}`.
    pub name: ItemName,
    /// Relative to the instance's volume folder, or an absolute path on the node.
    pub path: String,
    /// Whether it belongs in backups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backup: bool,
}

/// A step on the node before the first start of a release; idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InstallStep {
    /// Packages of the distribution.
    Apt(Vec<String>),
    /// Packages of Python, into the release's own folder.
    Pip(Vec<String>),
    /// Packages of Node.js, into the release's own folder.
    Npm(Vec<String>),
    /// A command in the release's folder; a text is run by the shell.
    Run(#[schemars(with = "TextOrList")] Vec<String>),
}
