//! What may be done on a node: rules that people write, over limits that no rule can lift.
//!
//! The strictest of all that applies wins. What no rule speaks of is asked for. See `policy/default.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use modules::effect::Effect;
use serde::{Deserialize, Serialize};

pub mod address;
pub mod command;
mod hazard;
pub mod judge;
pub mod look;
pub mod path;
#[cfg(feature = "yaml")]
pub mod read;
pub mod remember;
pub mod rule;
#[cfg(all(test, feature = "yaml"))]
mod tests;
pub mod unit;
pub mod verdict;
pub mod web;

use rule::Rule;
use verdict::Decision;

use crate::tool::Tool;

/// Rules for one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What no rule speaks of.
    pub otherwise: Decision,
    /// Folders that programs may come from.
    pub programs: BTreeSet<String>,
    /// Variables that a step may set.
    pub environment: BTreeSet<String>,
    /// Of whole tools; what is not here is allowed as far as its arguments are.
    pub tools: BTreeMap<Tool, Decision>,
    pub paths: Vec<PathRule>,
    /// Systemd units that are not simply started, stopped or restarted; names with `*`.
    pub services: BTreeMap<String, Decision>,
    /// Hosts and networks in private ranges that may be spoken to all the same: `10.0.0.5`, `192.168.1.0/24`.
    pub private: BTreeSet<String>,
    pub rules: Vec<Rule>,
    /// What people agreed to before; see [`remember`].
    pub remembered: Vec<Rule>,
}

/// What may be done with a path, and with all below it when it ends with `/`; may have `*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathRule {
    pub path: String,
    pub read: Decision,
    pub write: Decision,
}

impl Policy {
    /// Forbids everything: what a node goes by until it has a policy.
    pub fn closed() -> Self {
        Self {
            otherwise: Decision::Forbid,
            programs: BTreeSet::new(),
            environment: BTreeSet::new(),
            tools: Tool::all().map(|signature| (signature.tool, Decision::Forbid)).collect(),
            paths: Vec::new(),
            services: BTreeMap::new(),
            private: BTreeSet::new(),
            rules: Vec::new(),
            remembered: Vec::new(),
        }
    }
}

/// What a call is known to change at least when nothing more is known: everything.
const UNKNOWN_EFFECT: Effect = Effect::Destructive;
