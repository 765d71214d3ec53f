//! The JSON shapes of `-o json`. Scripts rely on them: fields are added, never renamed.

use std::collections::BTreeMap;

use proto::v1;
use serde::Serialize;

use super::explain;
use super::state;
use super::units::rfc3339;

#[derive(Debug, Serialize)]
pub struct Deployment<'a> {
    deployment: &'a str,
    module: Option<&'a str>,
    version: Option<&'a str>,
    generation: u64,
    state: &'static str,
    message: &'a str,
    instances: Vec<Instance<'a>>,
}

#[derive(Debug, Serialize)]
struct Instance<'a> {
    instance: &'a str,
    /// `null` while it waits for a place.
    node: Option<&'a str>,
    version: Option<&'a str>,
    digest: Option<&'a str>,
    state: &'static str,
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    /// Of all its processes; absent while none runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_cores: Option<f64>,
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl<'a> From<&'a v1::Deployment> for Deployment<'a> {
    fn from(deployment: &'a v1::Deployment) -> Self {
        let release = deployment.release.as_ref();
        Self {
            deployment: &deployment.name,
            module: release.map(|r| r.module.as_str()),
            version: release.map(|r| r.version.as_str()),
            generation: deployment.generation,
            state: state::deployment(deployment.state).0,
            message: &deployment.message,
            instances: deployment.instances.iter().map(Instance::from).collect(),
        }
    }
}

impl<'a> From<&'a v1::deployment::Instance> for Instance<'a> {
    fn from(instance: &'a v1::deployment::Instance) -> Self {
        let release = instance.release.as_ref();
        Self {
            instance: &instance.id,
            node: some(&instance.node),
            version: release.map(|r| r.version.as_str()),
            digest: release.map(|r| r.digest.as_str()),
            state: state::deployment(instance.state).0,
            since: rfc3339(instance.since_unix_ms),
            url: instance.urls.first().map(String::as_str),
            message: some(&instance.message),
            memory_bytes: Some(instance.memory_bytes).filter(|bytes| *bytes > 0),
            cpu_cores: Some(instance.cpu_cores).filter(|_| instance.memory_bytes > 0),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct Node<'a> {
    name: &'a str,
    address: &'a str,
    arch: &'a str,
    state: &'static str,
    labels: &'a BTreeMap<String, String>,
    capabilities: &'a [String],
    /// Cores.
    cpu: Option<f64>,
    memory_bytes: Option<u64>,
    /// This and `load` (the average of one minute) are `null` while the node is not reached.
    disk_free_bytes: Option<u64>,
    load: Option<f64>,
    instances: u32,
    agent_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl<'a> From<&'a v1::Node> for Node<'a> {
    fn from(node: &'a v1::Node) -> Self {
        let (facts, load) = (node.facts.as_ref(), node.load.as_ref());
        Self {
            name: &node.name,
            address: &node.address,
            arch: facts.map_or("", |f| f.arch.as_str()),
            state: state::node(node.state).0,
            labels: &node.labels,
            capabilities: facts.map_or(&[], |f| f.capabilities.as_slice()),
            cpu: facts.map(|f| f.cpu_cores),
            memory_bytes: facts.map(|f| f.memory_bytes),
            disk_free_bytes: load.map(|l| l.disk_free_bytes),
            load: load.map(|l| l.load1),
            instances: node.instances,
            agent_version: facts.map_or("", |f| f.agent_version.as_str()),
            message: some(&node.message),
        }
    }
}

/// What a dry run prints.
#[derive(Debug, Serialize)]
pub struct Plan<'a> {
    deployment: &'a str,
    module: Option<&'a str>,
    version: Option<&'a str>,
    digest: Option<&'a str>,
    changes: Vec<Change<'a>>,
    explanation: Vec<Verdict<'a>>,
    state: &'a str,
}

#[derive(Debug, Serialize)]
struct Change<'a> {
    instance: &'a str,
    node: Option<&'a str>,
    change: &'static str,
    from: Option<Release<'a>>,
    to: Option<Release<'a>>,
}

#[derive(Debug, Serialize)]
pub struct Release<'a> {
    module: &'a str,
    version: &'a str,
    digest: &'a str,
}

impl<'a> From<&'a v1::Release> for Release<'a> {
    fn from(release: &'a v1::Release) -> Self {
        Self { module: &release.module, version: &release.version, digest: &release.digest }
    }
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    node: &'a str,
    /// `null` where a condition fails.
    score: Option<f64>,
    failures: &'a [String],
    parts: BTreeMap<&'a str, Part>,
    instances: &'a [String],
}

#[derive(Debug, Serialize)]
struct Part {
    value: f64,
    weight: f64,
}

impl<'a> From<&'a v1::deploy_event::Plan> for Plan<'a> {
    fn from(plan: &'a v1::deploy_event::Plan) -> Self {
        let release = plan.release.as_ref();
        Self {
            deployment: &plan.deployment,
            module: release.map(|r| r.module.as_str()),
            version: release.map(|r| r.version.as_str()),
            digest: release.map(|r| r.digest.as_str()),
            changes: plan.changes.iter().map(Change::from).collect(),
            explanation: plan.explanation.iter().flat_map(|e| &e.nodes).map(Verdict::from).collect(),
            state: &plan.state,
        }
    }
}

impl<'a> From<&'a v1::Change> for Change<'a> {
    fn from(change: &'a v1::Change) -> Self {
        Self {
            instance: &change.instance,
            node: some(&change.node),
            change: explain::kind(change.kind()).0,
            from: change.from.as_ref().map(Release::from),
            to: change.to.as_ref().map(Release::from),
        }
    }
}

impl<'a> From<&'a v1::explanation::NodeVerdict> for Verdict<'a> {
    fn from(verdict: &'a v1::explanation::NodeVerdict) -> Self {
        let part = |part: &'a v1::explanation::Part| {
            (part.name.as_str(), Part { value: rounded(part.value), weight: rounded(part.weight) })
        };
        Self {
            node: &verdict.node,
            score: verdict.failures.is_empty().then(|| rounded(verdict.score)),
            failures: &verdict.failures,
            parts: verdict.parts.iter().map(part).collect(),
            instances: &verdict.instances,
        }
    }
}

/// Scores are computed in 32 bits; the digits beyond that are noise.
fn rounded(score: f64) -> f64 {
    (score * 1e6).round() / 1e6
}

#[derive(Debug, Serialize)]
pub struct HistoryEntry<'a> {
    generation: u64,
    action: &'a str,
    module: Option<&'a str>,
    version: Option<&'a str>,
    digest: Option<&'a str>,
    outcome: &'a str,
    message: &'a str,
    started: Option<String>,
    /// `null` while it runs.
    finished: Option<String>,
    by: &'a str,
}

impl<'a> From<&'a v1::history_reply::Entry> for HistoryEntry<'a> {
    fn from(entry: &'a v1::history_reply::Entry) -> Self {
        let release = entry.release.as_ref();
        Self {
            generation: entry.generation,
            action: &entry.action,
            module: release.map(|r| r.module.as_str()),
            version: release.map(|r| r.version.as_str()),
            digest: release.map(|r| r.digest.as_str()),
            outcome: &entry.outcome,
            message: &entry.message,
            started: rfc3339(entry.started_unix_ms),
            finished: rfc3339(entry.finished_unix_ms),
            by: &entry.by,
        }
    }
}
