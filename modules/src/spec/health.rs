//! How to tell that an instance is well.

use std::ops::RangeInclusive;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::{Fields, Spot};
use super::schema::{DurationText, Scalar};
use crate::item_name::ItemName;
use crate::units;

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<ItemName>,
    /// Instead of a name: a port inside the container, which need not be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub target: Option<u16>,
    /// Whose port `target` is, where a compose file has several services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// The name of one of the module's ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<ItemName>,
    /// Instead of a name: a port inside the container, which need not be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub target: Option<u16>,
    /// Whose port `target` is, where a compose file has several services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
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

const PACE: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(24 * 3600);
const START_PERIODS: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(24 * 3600);

impl Health {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a health check, such as {tcp: {port: web}}")?;
        let check = Check::read(report, spot, &mut fields);
        let interval = fields.get(report, "interval").and_then(|spot| report.duration(&spot, PACE));
        let timeout = fields.get(report, "timeout").and_then(|spot| report.duration(&spot, PACE));
        let retries = fields.get(report, "retries").and_then(|spot| report.number(&spot, 1..=1000));
        let start_period =
            fields.get(report, "start_period").and_then(|spot| report.duration(&spot, START_PERIODS));
        fields.finish(report);
        Some(Self {
            check: check?,
            interval: interval.unwrap_or(INTERVAL),
            timeout: timeout.unwrap_or(TIMEOUT),
            retries: retries.unwrap_or(RETRIES),
            start_period: start_period.unwrap_or(START_PERIOD),
        })
    }
}

impl Check {
    fn read(report: &mut Report, spot: &Spot<'_>, fields: &mut Fields<'_>) -> Option<Self> {
        let http = fields.get(report, "http");
        let tcp = fields.get(report, "tcp");
        let exec = fields.get(report, "exec");
        let written = [&http, &tcp, &exec].into_iter().flatten().count();
        if written != 1 {
            let found =
                if written == 0 { "no check".to_owned() } else { format!("{written} checks at once") };
            report.at(&spot.path, found, "one of http, tcp, exec", None);
        }
        let http = http.and_then(|spot| Http::read(report, &spot).map(Check::Http));
        let tcp = tcp.and_then(|spot| Tcp::read(report, &spot).map(Check::Tcp));
        let exec = exec.and_then(|spot| Exec::read(report, &spot).map(Check::Exec));
        http.or(tcp).or(exec)
    }
}

impl Http {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a request, such as {path: /, port: web}")?;
        let starts =
            |text: &str| text.starts_with('/').then(|| text.to_owned()).ok_or("write / for the front page");
        let path = fields.get(report, "path");
        let path = path.and_then(|spot| report.parsed(&spot, "a path that begins with /", starts));
        let (port, target, service) = port(report, spot, &mut fields);
        fields.finish(report);
        Some(Self { path: path.unwrap_or_else(root_path), port, target, service })
    }
}

impl Tcp {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a port to connect to, such as {port: web}")?;
        let (port, target, service) = port(report, spot, &mut fields);
        fields.finish(report);
        Some(Self { port, target, service })
    }
}

/// Which port is asked: by its name, or by its number in the container.
fn port(
    report: &mut Report,
    spot: &Spot<'_>,
    fields: &mut Fields<'_>,
) -> (Option<ItemName>, Option<u16>, Option<String>) {
    let (named, inside) = (fields.get(report, "port"), fields.get(report, "target"));
    let service = fields.get(report, "service");
    match (&named, &inside, &service) {
        (None, None, _) => {
            let expected = "\"port\" with the name of a port, or \"target\" with a number in the container";
            report.at(&spot.path, "neither port nor target", expected, None);
        }
        (Some(_), Some(_), _) => report.at(&spot.path, "both port and target", "one of them", None),
        (Some(_), None, Some(service)) => {
            report.at(&service.path, "a service beside port", "target, or port alone", None);
        }
        (_, _, _) => {}
    }
    let named = named.and_then(|spot| report.item_name(&spot));
    let inside = inside.and_then(|spot| report.number(&spot, 1..=u16::MAX.into()));
    let service = service.and_then(|spot| report.short_text(&spot, 100));
    (named, inside.and_then(|number| u16::try_from(number).ok()), service)
}

impl Exec {
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a command, such as {command: [./check.sh]}")?;
        let command = fields.required(report, "command").and_then(|spot| report.command(&spot));
        fields.finish(report);
        Some(Self { command: command? })
    }
}

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
