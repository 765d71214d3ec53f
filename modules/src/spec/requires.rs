//! What a module requires of its node, and of other modules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::Spot;
use crate::arch::Arch;
use crate::capability::Capability;
use crate::name::ModuleName;
use crate::units::ByteSize;
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

const ARCHES: &str = "one of x86_64, aarch64, armv7, armv6, riscv64, i686";

impl Requires {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "what the node must offer")?;
        let arch = fields.get(report, "arch").and_then(|spot| report.list(&spot, read_arch));
        let memory = fields.get(report, "memory").and_then(|spot| read_size(report, &spot));
        let disk = fields.get(report, "disk").and_then(|spot| read_size(report, &spot));
        let cpu = fields.get(report, "cpu").and_then(|spot| read_cores(report, &spot));
        let capabilities = fields.get(report, "capabilities").and_then(|spot| {
            report.list(&spot, |report, spot| report.parsed(spot, "a capability", Capability::parse))
        });
        fields.finish(report);
        Some(Self {
            arch: arch.unwrap_or_default(),
            memory: memory.unwrap_or_default(),
            disk: disk.unwrap_or_default(),
            cpu: cpu.unwrap_or_default(),
            capabilities: capabilities.unwrap_or_default(),
        })
    }
}

fn read_arch(report: &mut Report, spot: &Spot<'_>) -> Option<Arch> {
    report.parsed(spot, "an architecture", |text| Arch::parse(text).ok_or(ARCHES))
}

pub(super) fn read_size(report: &mut Report, spot: &Spot<'_>) -> Option<ByteSize> {
    report.parsed(spot, "a size such as 64MiB", ByteSize::parse)
}

fn read_cores(report: &mut Report, spot: &Spot<'_>) -> Option<f64> {
    let parse = |text: &str| text.parse().ok().filter(|cores| (0.0..=MAX_CORES).contains(cores)).ok_or(CORES);
    report.parsed(spot, "a number of cores such as 0.1", parse)
}

/// At least a hundredth of a core, the least that can be given.
pub(super) fn read_some_cores(report: &mut Report, spot: &Spot<'_>) -> Option<f64> {
    let parse = |text: &str| {
        let fits = |cores: &f64| (0.01..=MAX_CORES).contains(cores);
        text.parse().ok().filter(fits).ok_or("cores are a number from 0.01 to 1024, without unit")
    };
    report.parsed(spot, "a number of cores such as 1.5", parse)
}

const MAX_CORES: f64 = 1024.0;
const CORES: &str = "cores are a number from 0 to 1024, without unit";

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

impl Dependency {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a dependency, such as {module: redis, version: \">=7\"}")?;
        let module = fields.required(report, "module");
        let module = module.and_then(|spot| report.parsed(&spot, "a module's name", ModuleName::parse));
        let version = fields.get(report, "version");
        let version =
            version.and_then(|spot| report.parsed(&spot, "a version requirement", Requirement::parse));
        fields.finish(report);
        Some(Self { module: module?, version: version.unwrap_or(Requirement::ANY) })
    }
}
