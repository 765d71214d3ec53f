//! MODULE.yaml v1: what a module is, what it needs, how it runs and how to tell that it is well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::capability::Capability;
use crate::item_name::ItemName;
use crate::name::ModuleName;
use crate::version::Version;

pub mod action;
mod check;
pub mod config;
pub mod container;
pub mod error;
pub mod health;
pub mod install;
pub mod network;
pub mod read;
pub(crate) mod reference;
pub mod requires;
pub mod resolve;
pub mod runtime;
mod schema;
#[cfg(test)]
mod tests;
pub mod update;
pub mod volume;
pub mod yaml;

/// Durations and sizes, as specs have them.
pub use crate::units;

pub use schema::json_schema;

use action::Action;
use config::ConfigItem;
use error::{Report, SpecErrors};
use health::Health;
use install::InstallStep;
use network::Port;
use read::Spot;
use requires::{Dependency, Requires};
use runtime::{Process, Runtime};
use update::{Limits, Permissions, Update};
use volume::Volume;

/// A module, as its MODULE.yaml describes it. Only `name`, `version` and `runtime` are required.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleSpec {
    /// The module's name, unique in a registry.
    pub name: ModuleName,
    /// The module's version: semver, three numbers.
    pub version: Version,
    /// What the module is, in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The licence of the software, as an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where the software comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// The kind of software, such as `messaging` or `monitoring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Words to find the module by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Words in a person's request that route it to this module, in any language.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<String>,
    /// What a node must offer to run the module.
    #[serde(default, skip_serializing_if = "Requires::is_empty")]
    pub requires: Requires,
    /// Modules that must run for this one to run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<Dependency>,
    /// What a person can set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config: Vec<ConfigItem>,
    /// Ports the module listens on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Data kept over updates and, unless purged, over removal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<Volume>,
    /// Steps on the node before the first start of a release; each must be idempotent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub install: Vec<InstallStep>,
    /// How an instance is executed.
    pub runtime: Runtime,
    /// How to tell that an instance is well. Without it, it is well while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Named commands that people and plans can run on an instance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub actions: BTreeMap<ItemName, Action>,
    /// What the module may do on its node.
    #[serde(default, skip_serializing_if = "Permissions::is_empty")]
    pub permissions: Permissions,
    /// How a new release replaces the running one.
    #[serde(default)]
    pub update: Update,
    /// What an instance may use at most.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Never two running at once in the whole fleet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

impl ModuleSpec {
    /// Reads a MODULE.yaml; `file` is its name in errors.
    ///
    /// # Errors
    /// Everything that is wrong with the file, each with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, SpecErrors> {
        Self::parse_bytes(file, text.as_bytes())
    }

    /// Reads a MODULE.yaml from bytes that may not even be text.
    ///
    /// # Errors
    /// As [`ModuleSpec::parse`].
    pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<Self, SpecErrors> {
        Self::parse_reporting(file, bytes).map(|(spec, _)| spec)
    }

    /// Also gives the report, which knows the places of all fields, for further checks.
    pub(crate) fn parse_reporting(file: &str, bytes: &[u8]) -> Result<(Self, Report), SpecErrors> {
        let mut report = Report::new(file);
        let spec =
            yaml::text(bytes, &mut report).and_then(|text| yaml::parse(text, &mut report)).and_then(|node| {
                let spec = Self::read(&mut report, &Spot { node: &node, path: String::new() })?;
                check::check(&spec, &mut report);
                Some(spec)
            });
        match spec {
            Some(spec) if report.is_empty() => Ok((spec, report)),
            Some(_) | None => Err(report.finish(()).expect_err("what cannot be read was reported")),
        }
    }

    /// Writes the spec as a MODULE.yaml that reads back the same.
    pub fn to_yaml(&self) -> String {
        let mut yaml = Vec::new();
        let mut serializer = serde_yaml::Serializer::new(&mut yaml);
        let written = serde_yaml::with::singleton_map_recursive::serialize(self, &mut serializer);
        written.expect("a spec has only what YAML can hold");
        String::from_utf8(yaml).expect("YAML is written as UTF-8")
    }

    pub fn port(&self, name: &ItemName) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == *name)
    }

    pub fn config_item(&self, name: &str) -> Option<&ConfigItem> {
        self.config.iter().find(|item| item.name.as_str() == name)
    }

    /// What a node must offer to run the module: what it requires, and what its runtime implies.
    pub fn capabilities(&self) -> Vec<Capability> {
        let implied = match &self.runtime {
            Runtime::Process(_) => None,
            Runtime::Container(_) | Runtime::Compose(_) => Some(Capability::CONTAINER),
            Runtime::Systemd(_) => Some(Capability::SYSTEMD),
        };
        let implied = implied.map(|name| Capability::parse(name).expect("a good capability"));
        let mut capabilities = self.requires.capabilities.clone();
        capabilities.extend(implied.filter(|implied| !self.requires.capabilities.contains(implied)));
        capabilities
    }

    /// Reads what can be read; what could not is reported and has a stand-in.
    fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a module: name, version and runtime")?;
        let name = fields.required(report, "name");
        let version = fields.required(report, "version");
        let description = fields.get(report, "description").and_then(|spot| report.short_text(&spot, 4096));
        let license = fields.get(report, "license").and_then(|spot| report.short_text(&spot, 200));
        let homepage = fields.get(report, "homepage").and_then(|spot| config::read_url(report, &spot));
        let category = fields.get(report, "category").and_then(|spot| report.short_text(&spot, 100));
        let tags = fields.get(report, "tags").and_then(|spot| report.words(&spot));
        let triggers = fields.get(report, "triggers").and_then(|spot| report.words(&spot));
        let requires = fields.get(report, "requires").and_then(|spot| Requires::read(report, &spot));
        let depends = fields.get(report, "depends").and_then(|spot| report.list(&spot, Dependency::read));
        let config = fields.get(report, "config").and_then(|spot| report.list(&spot, ConfigItem::read));
        let ports = fields.get(report, "ports").and_then(|spot| report.list(&spot, Port::read));
        let volumes = fields.get(report, "volumes").and_then(|spot| report.list(&spot, Volume::read));
        let install = fields.get(report, "install").and_then(|spot| report.list(&spot, InstallStep::read));
        let runtime = fields.required(report, "runtime").and_then(|spot| Runtime::read(report, &spot));
        let health = fields.get(report, "health").and_then(|spot| Health::read(report, &spot));
        let actions = fields.get(report, "actions");
        let actions = actions.and_then(|spot| report.map(&spot, action::item_key, Action::read));
        let permissions = fields.get(report, "permissions").and_then(|spot| Permissions::read(report, &spot));
        let update = fields.get(report, "update").and_then(|spot| Update::read(report, &spot));
        let limits = fields.get(report, "limits").and_then(|spot| Limits::read(report, &spot));
        let exclusive = fields.get(report, "exclusive").and_then(|spot| report.flag(&spot));
        fields.finish(report);
        Some(Self {
            name: name
                .and_then(|spot| report.parsed(&spot, "a module's name", ModuleName::parse))
                .unwrap_or_else(unnamed),
            version: version
                .and_then(|spot| report.parsed(&spot, "a version", Version::parse))
                .unwrap_or_else(unversioned),
            description: description.unwrap_or_default(),
            license,
            homepage,
            category,
            tags: tags.unwrap_or_default(),
            triggers: triggers.unwrap_or_default(),
            requires: requires.unwrap_or_default(),
            depends: depends.unwrap_or_default(),
            config: config.unwrap_or_default(),
            ports: ports.unwrap_or_default(),
            volumes: volumes.unwrap_or_default(),
            install: install.unwrap_or_default(),
            runtime: runtime.unwrap_or_else(|| Runtime::Process(Process::default())),
            health,
            actions: actions.unwrap_or_default(),
            permissions: permissions.unwrap_or_default(),
            update: update.unwrap_or_default(),
            limits: limits.unwrap_or_default(),
            exclusive: exclusive.unwrap_or_default(),
        })
    }
}

/// Stands for a name that could not be read.
fn unnamed() -> ModuleName {
    ModuleName::parse("unnamed").expect("a good name")
}

/// Stands for a version that could not be read.
fn unversioned() -> Version {
    Version::parse("0.0.0").expect("a good version")
}
