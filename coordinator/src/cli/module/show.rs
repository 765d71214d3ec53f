//! `module show`: what a module needs, and what can be set.

use modules::spec::ModuleSpec;
use modules::spec::config::ConfigItem;
use proto::code::Code;
use proto::v1;
use serde::Serialize;

use crate::cli::console::{Look, Style};
use crate::cli::deploy::source::Source;
use crate::cli::problem::{Failure, Problem};
use crate::cli::table::{Cell, Fit, Table};
use crate::cli::units::bytes;
use crate::cli::{Context, package};

/// The module, and what is known of it beyond its MODULE.yaml.
#[derive(Debug, Serialize)]
struct Shown {
    digest: String,
    package_bytes: u64,
    /// Newest first; those of the registry.
    versions: Vec<String>,
    /// A folder, `catalog` or `added`.
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    deprecated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// High findings of the safety check that were accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accepted: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    /// On how its compose file is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    module: ModuleSpec,
}

/// Where an imported module came from.
#[derive(Debug, Serialize)]
struct Origin {
    source: String,
    commit: String,
    /// Of 100.
    confidence: u32,
    draft: bool,
}

impl From<v1::ModuleOrigin> for Origin {
    fn from(origin: v1::ModuleOrigin) -> Self {
        let v1::ModuleOrigin { source, commit, confidence, draft } = origin;
        Self { source, commit, confidence, draft }
    }
}

impl Origin {
    fn in_words(&self) -> String {
        let commit = self.commit.get(..12).map(|commit| format!(" at {commit}")).unwrap_or_default();
        let draft = if self.draft { ", a draft" } else { "" };
        format!("{}{commit}, confidence {} %{draft}", self.source, self.confidence)
    }
}

pub async fn run(context: &Context, module: &str) -> Result<u8, Failure> {
    let shown = match Source::find(module)? {
        Source::Registry(name) => from_registry(context, name).await?,
        Source::Folder(path) => from_package(package::pack(&path)?, path.display().to_string()),
        Source::Package(path) => from_package(package::read(&path)?, path.display().to_string()),
    };
    context.print_or(&shown, |look| text(&shown, look))?;
    Ok(0)
}

fn from_package(packed: package::Packed, source: String) -> Shown {
    Shown {
        digest: packed.digest.to_string(),
        package_bytes: packed.bytes.len() as u64,
        versions: vec![packed.spec.version.to_string()],
        source,
        pinned: None,
        deprecated: None,
        origin: None,
        accepted: Vec::new(),
        signed_by: None,
        notes: packed.notes().to_vec(),
        module: packed.spec,
    }
}

async fn from_registry(context: &Context, module: String) -> Result<Shown, Failure> {
    let request = context.request(v1::ShowModuleRequest { module });
    let detail = context.connect().await?.show_module(request).await?.into_inner();
    let summary = detail.summary.unwrap_or_default();
    let module = serde_json::from_str(&detail.spec_json).map_err(|cause| {
        Failure::from(Problem::new(
            Code::Internal,
            format!("the coordinator describes {} in a way we cannot read: {cause}", summary.name),
        ))
        .with_hint("use the same version of orchestrator on both sides")
    })?;
    Ok(Shown {
        digest: detail.release.unwrap_or_default().digest,
        package_bytes: detail.package_bytes,
        source: super::list::source(&summary),
        versions: summary.versions,
        pinned: Some(summary.pinned).filter(|pinned| !pinned.is_empty()),
        deprecated: Some(summary.deprecated).filter(|reason| !reason.is_empty()),
        origin: detail.origin.map(Origin::from),
        accepted: detail.accepted,
        notes: detail.notes,
        signed_by: Some(detail.signed_by).filter(|key| !key.is_empty()),
        module,
    })
}

fn text(shown: &Shown, look: &Look) -> String {
    let module = &shown.module;
    let mut text = format!("{} {}\n", look.paint(Style::Bold, module.name.as_str()), module.version);
    if !module.description.is_empty() {
        text.push_str(&format!("{}\n", module.description));
    }
    text.push('\n');
    text.push_str(&facts(shown).render(look));
    if !module.config.is_empty() {
        text.push('\n');
        text.push_str(&config(&module.config).render(look));
    }
    if !shown.notes.is_empty() {
        text.push_str("\nnotes on its compose file\n");
        for note in &shown.notes {
            text.push_str(&format!("  {note}\n"));
        }
    }
    text
}

fn facts(shown: &Shown) -> Table {
    let module = &shown.module;
    let mut table = Table::new(&[("", Fit::Keep), ("", Fit::Wrap)]);
    let package = format!("{} {}", bytes(shown.package_bytes), shown.digest);
    for (name, value) in [
        ("source", shown.source.clone()),
        ("imported from", shown.origin.as_ref().map(Origin::in_words).unwrap_or_default()),
        ("signed by", shown.signed_by.clone().unwrap_or_default()),
        ("accepted", shown.accepted.join(", ")),
        ("deprecated", shown.deprecated.clone().unwrap_or_default()),
        ("versions", shown.versions.join(", ")),
        ("pinned", shown.pinned.clone().unwrap_or_default()),
        ("package", package),
        ("license", module.license.clone().unwrap_or_default()),
        ("homepage", module.homepage.clone().unwrap_or_default()),
        ("tags", module.tags.join(", ")),
        ("needs", needs(module)),
        ("depends on", join(module.depends.iter().map(|d| format!("{} {}", d.module, d.version)))),
        (
            "ports",
            join(module.ports.iter().map(|p| format!("{} {}/{}", p.name, p.port, p.protocol.as_str()))),
        ),
        ("volumes", join(module.volumes.iter().map(|volume| volume.name.to_string()))),
        ("actions", join(module.actions.keys().map(ToString::to_string))),
        ("exclusive", if module.exclusive { "one at most in the fleet".into() } else { String::new() }),
    ] {
        table.row_unless_empty(name, value.into());
    }
    table
}

fn needs(module: &ModuleSpec) -> String {
    let requires = &module.requires;
    let mut needs = Vec::new();
    if !requires.arch.is_empty() {
        let names: Vec<String> = requires.arch.iter().map(ToString::to_string).collect();
        needs.push(names.join(" or "));
    }
    if requires.cpu > 0.0 {
        needs.push(format!("{} cores", requires.cpu));
    }
    for (size, what) in [(requires.memory, "memory"), (requires.disk, "disk")] {
        if size.0 > 0 {
            needs.push(format!("{size} {what}"));
        }
    }
    needs.extend(requires.capabilities.iter().map(ToString::to_string));
    needs.join(", ")
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn config(items: &[ConfigItem]) -> Table {
    let mut table = Table::new(&[
        ("CONFIG", Fit::Keep),
        ("TYPE", Fit::Keep),
        ("DEFAULT", Fit::Cut),
        ("DESCRIPTION", Fit::Wrap),
    ]);
    for item in items {
        let default = match (&item.default, item.required) {
            (Some(default), _) => Cell::from(default),
            (None, true) => Cell::styled("required", Style::Warn),
            (None, false) => "".into(),
        };
        let kind = if item.secret { "secret" } else { item.kind.as_str() };
        table.row([Cell::from(item.name.as_str()), kind.into(), default, (&item.description).into()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_shows_what_it_needs_and_what_can_be_set() {
        let yaml = "
name: mosquitto
version: 2.0.11
description: MQTT broker
license: EPL-2.0
requires: {arch: [x86_64, aarch64], memory: 64MiB, cpu: 0.1, capabilities: [apt]}
depends: [{module: redis, version: '>=7'}]
config:
  - {name: port, type: port, default: 1883, description: MQTT listener}
  - {name: password, type: string, secret: true, required: false}
  - {name: site, type: string, required: true}
ports: [{name: mqtt, port: '${config.port}', protocol: tcp}]
volumes: [{name: data, path: data}]
runtime: {process: {command: [/usr/sbin/mosquitto]}}
";
        let shown = Shown {
            digest: format!("sha256:{}", "ab".repeat(32)),
            package_bytes: 2_345,
            versions: vec!["2.0.18".into(), "2.0.11".into()],
            source: "catalog".into(),
            pinned: None,
            deprecated: None,
            origin: None,
            accepted: Vec::new(),
            signed_by: None,
            notes: Vec::new(),
            module: ModuleSpec::parse("MODULE.yaml", yaml).expect("a valid module"),
        };
        insta::assert_snapshot!(text(&shown, &Look::default()), @r"
        mosquitto 2.0.11
        MQTT broker

        source      catalog
        versions    2.0.18, 2.0.11
        package     2.3 KiB sha256:abababababababababababababababababababababababababababababababab
        license     EPL-2.0
        needs       x86_64 or aarch64, 0.1 cores, 64MiB memory, apt
        depends on  redis >=7
        ports       mqtt ${config.port}/tcp
        volumes     data

        CONFIG    TYPE    DEFAULT   DESCRIPTION
        port      port    1883      MQTT listener
        password  secret
        site      string  required
        ");
    }
}
