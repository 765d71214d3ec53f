//! MODULE.yaml v1: what a module is, what it needs, how it runs and how to tell that it is well.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::item_name::ItemName;
use crate::name::ModuleName;
use crate::version::Version;

pub mod action;
pub mod config;
pub mod health;
pub mod network;
pub mod requires;
pub mod runtime;
mod schema;
pub mod units;
pub mod update;

pub use schema::json_schema;

use action::Action;
use config::ConfigItem;
use health::Health;
use network::Port;
use requires::{Dependency, Requires};
use runtime::{InstallStep, Runtime, Volume};
use update::{Limits, Permissions, Update};

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
    pub fn port(&self, name: &ItemName) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == *name)
    }

    pub fn config_item(&self, name: &str) -> Option<&ConfigItem> {
        self.config.iter().find(|item| item.name.as_str() == name)
    }
}
