//! What a module requires of its node, and of other modules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::ByteSize;
use crate::arch::Arch;
use crate::capability::Capability;
use crate::name::ModuleName;
use crate::version::Requirement;

/// What a node must offer to run the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Requires {
    /// Architectures the module runs on; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arch: Vec<Arch>,
    /// Memory that an instance needs.
    #[serde(default)]
    pub memory: ByteSize,
    /// Disk space that the release and its data need.
    #[serde(default)]
    pub disk: ByteSize,
    /// Processor cores that an instance needs, such as 0.1.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 1024.0))]
    pub cpu: f64,
    /// What else the node must offer: `apt`, `docker`, `gpio`, `label:room=attic`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
}

impl Requires {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Another module that must run for this one to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The module's name.
    pub module: ModuleName,
    /// Versions that are good enough, such as `>=7`.
    #[serde(default = "any_version")]
    pub version: Requirement,
}

fn any_version() -> Requirement {
    Requirement::ANY
}
