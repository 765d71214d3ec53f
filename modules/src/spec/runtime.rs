//! How an instance is executed: process, container, compose, systemd.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::container::Container;
use super::error::Report;
use super::read::{Fields, Spot};
use super::schema::{DurationText, Scalar};
use super::yaml::{Value, join};
use crate::image::ImageName;
use crate::item_name::ItemName;
use crate::units;

/// How an instance is executed; exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one in a module, and never many modules")]
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

/// A compose project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// The compose file in the package.
    pub file: String,
    /// What the `${…}` of the compose file stand for, besides what a `.env` file beside it says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Scalar>")]
    pub env: BTreeMap<String, String>,
    /// The profiles to start, besides the services that have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// An archive in the package (`docker save`, or OCI) with the images of all services, loaded instead of pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// The secret config item that holds `user:password` for the registry; by registry where the images are of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<PullSecret>,
}

/// Which secret opens a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PullSecret {
    /// That of the one registry which all images are of.
    One(ItemName),
    /// By registry, such as `ghcr.io`; the others are asked without.
    Of(BTreeMap<String, ItemName>),
}

impl PullSecret {
    /// The secret for a registry.
    pub fn of(&self, registry: &str) -> Option<&ItemName> {
        match self {
            PullSecret::One(secret) => Some(secret),
            PullSecret::Of(secrets) => secrets.get(registry),
        }
    }

    /// All secrets, with the field each is written in.
    pub fn fields(&self) -> Vec<(String, &ItemName)> {
        let field = "runtime.compose.pull_secret";
        match self {
            PullSecret::One(secret) => vec![(field.to_owned(), secret)],
            PullSecret::Of(secrets) => {
                secrets.iter().map(|(registry, secret)| (join(field, registry), secret)).collect()
            }
        }
    }
}

/// A unit that systemd runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    /// The unit, such as `mosquitto.service`: in the package, or brought by an install step.
    pub unit: String,
}

pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn stop_timeout() -> Duration {
    STOP_TIMEOUT
}

impl Default for Process {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            env: BTreeMap::new(),
            working_dir: None,
            user: None,
            stop_timeout: STOP_TIMEOUT,
        }
    }
}

const STOP_TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
const KINDS: &str = "one of process, container, compose, systemd";

impl Runtime {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields =
            report.fields(spot, "how the module runs, such as {process: {command: [./run.sh]}}")?;
        let process = fields.get(report, "process");
        let container = fields.get(report, "container");
        let compose = fields.get(report, "compose");
        let systemd = fields.get(report, "systemd");
        fields.finish(report);
        let written = [&process, &container, &compose, &systemd].into_iter().flatten().count();
        if written != 1 && !report.is_broken(&spot.path) {
            let found = if written == 0 {
                "no kind of runtime".to_owned()
            } else {
                format!("{written} kinds at once")
            };
            report.at(&spot.path, found, KINDS, None);
        }
        let process = process.and_then(|spot| Process::read(report, &spot).map(Runtime::Process));
        let container = container.and_then(|spot| Container::read(report, &spot).map(Runtime::Container));
        let compose = compose.and_then(|spot| Compose::read(report, &spot).map(Runtime::Compose));
        let systemd = systemd.and_then(|spot| Systemd::read(report, &spot).map(Runtime::Systemd));
        process.or(container).or(compose).or(systemd)
    }
}

impl Process {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a process, such as {command: [./run.sh]}")?;
        let command = fields.required(report, "command").and_then(|spot| report.command(&spot));
        let env = fields.get(report, "env").and_then(|spot| report.env(&spot));
        let working_dir = fields.get(report, "working_dir").and_then(|spot| report.short_text(&spot, 1024));
        let user = fields.get(report, "user").and_then(|spot| report.short_text(&spot, 64));
        let stop_timeout = read_stop_timeout(report, &mut fields);
        fields.finish(report);
        Some(Self { command: command?, env: env.unwrap_or_default(), working_dir, user, stop_timeout })
    }
}

pub(super) fn read_stop_timeout(report: &mut Report, fields: &mut Fields<'_>) -> Duration {
    let written = fields.get(report, "stop_timeout");
    written.and_then(|spot| report.duration(&spot, STOP_TIMEOUTS)).unwrap_or(STOP_TIMEOUT)
}

impl Compose {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a compose project, such as {file: compose.yaml}")?;
        let file = fields.required(report, "file").and_then(|spot| report.short_text(&spot, 1024));
        let env = fields.get(report, "env").and_then(|spot| report.env(&spot));
        let profiles = fields.get(report, "profiles").and_then(|spot| report.words(&spot));
        let load = fields.get(report, "load").and_then(|spot| report.short_text(&spot, 1024));
        let pull_secret = fields.get(report, "pull_secret");
        let pull_secret = pull_secret.and_then(|spot| PullSecret::read(report, &spot));
        fields.finish(report);
        Some(Self {
            file: plain(file?),
            env: env.unwrap_or_default(),
            profiles: profiles.unwrap_or_default(),
            load: load.map(plain),
            pull_secret,
        })
    }
}

impl PullSecret {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        match spot.node.value {
            Value::Map(_) => report.map(spot, registry, Report::item_name).map(Self::Of),
            _ => report.item_name(spot).map(Self::One),
        }
    }
}

/// A registry as images name it.
fn registry(text: &str) -> Result<String, String> {
    let fits =
        ImageName::parse(&format!("{text}/image")).is_ok_and(|name| name.registry.as_deref() == Some(text));
    if fits { Ok(text.to_owned()) } else { Err("a registry such as ghcr.io or docker.io".to_owned()) }
}

/// A path in the package as the package names it; what leads out of it stays as written, and is refused.
fn plain(path: String) -> String {
    let parts = || path.split('/').filter(|part| !matches!(*part, "" | "."));
    if path.starts_with('/') || parts().any(|part| part == "..") {
        return path;
    }
    parts().collect::<Vec<_>>().join("/")
}

impl Systemd {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a unit, such as {unit: mosquitto.service}")?;
        let unit = fields.required(report, "unit").and_then(|spot| report.short_text(&spot, 256));
        fields.finish(report);
        Some(Self { unit: unit? })
    }
}
