//! What happens on the node before the first start of a release.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::Spot;
use super::schema::TextOrList;
use super::yaml::Value;

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

const STEPS: &str = "one of apt, pip, npm, run";

impl InstallStep {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a step, such as {apt: [mosquitto]}")?;
        let apt = fields.get(report, "apt");
        let pip = fields.get(report, "pip");
        let npm = fields.get(report, "npm");
        let run = fields.get(report, "run");
        fields.finish(report);
        let written = [&apt, &pip, &npm, &run].into_iter().flatten().count();
        if written != 1 && !report.is_broken(&spot.path) {
            let found =
                if written == 0 { "an empty step".to_owned() } else { format!("{written} steps in one") };
            report.at(
                &spot.path,
                found,
                STEPS,
                (written > 1).then(|| "write each as its own item".to_owned()),
            );
        }
        let apt = apt.and_then(|spot| read_packages(report, &spot).map(InstallStep::Apt));
        let pip = pip.and_then(|spot| read_packages(report, &spot).map(InstallStep::Pip));
        let npm = npm.and_then(|spot| read_packages(report, &spot).map(InstallStep::Npm));
        let run = run.and_then(|spot| read_run(report, &spot).map(InstallStep::Run));
        apt.or(pip).or(npm).or(run)
    }
}

fn read_packages(report: &mut Report, spot: &Spot<'_>) -> Option<Vec<String>> {
    let packages =
        report.list(spot, |report, spot| report.parsed(spot, "a package's name", parse_package))?;
    if packages.is_empty() && !report.is_broken(&spot.path) {
        report.at(&spot.path, "an empty list", "names of packages", None);
    }
    Some(packages)
}

/// A package with an optional version. It must never be taken for an option of the installer.
fn parse_package(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@/+.,:~^=<>!*[]_-".contains(c);
    let fits = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@') && text.chars().all(plain);
    fits.then(|| text.to_owned()).ok_or("a name and perhaps a version, without spaces and options")
}

/// A list is a command; a text is for the shell.
fn read_run(report: &mut Report, spot: &Spot<'_>) -> Option<Vec<String>> {
    match &spot.node.value {
        Value::Plain(_) | Value::Quoted(_) => {
            let script = report.short_text(spot, 16_384)?;
            Some(vec!["/bin/sh".to_owned(), "-c".to_owned(), script])
        }
        Value::Null | Value::List(_) | Value::Map(_) => report.command(spot),
    }
}
