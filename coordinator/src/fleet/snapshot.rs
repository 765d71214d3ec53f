//! Everything a decision looks at, read at one moment: the wish from the store, the truth from the agents.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;
use sha2::{Digest as _, Sha256};

use super::observe::Observed;
use super::record::decode_spec;
use super::{Fleet, FleetError, keys};
use crate::clock::UnixMillis;
use crate::domain::deployment::DeploymentRecord;
use crate::domain::node::NodeRecord;
use crate::store::json::{Stored, list_json};

pub struct Snapshot {
    pub nodes: BTreeMap<NodeName, Stored<NodeRecord>>,
    pub deployments: BTreeMap<DeploymentName, Stored<DeploymentRecord>>,
    pub desired: BTreeMap<NodeName, Stored<v1::NodeSpec>>,
    pub observed: BTreeMap<NodeName, Observed>,
    /// Nodes that have not answered for longer than the lease; only `serve` watches long enough to know.
    pub lost: BTreeSet<NodeName>,
    pub at: UnixMillis,
    /// The keys of coordinator processes that carry something out.
    pub carriers: BTreeSet<String>,
}

impl Snapshot {
    /// Names this state of the wish; another text means that somebody changed something.
    pub fn token(&self) -> String {
        let mut hash = Sha256::new();
        let nodes = self.nodes.iter().map(|(name, kept)| (keys::node(name), kept.revision));
        let deployments = self.deployments.iter().map(|(name, kept)| (keys::deployment(name), kept.revision));
        let desired = self.desired.iter().map(|(name, kept)| (keys::desired(name), kept.revision));
        for (key, revision) in nodes.chain(deployments).chain(desired) {
            hash.update(format!("{key}@{revision}\n"));
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn report(&self, node: &NodeName) -> Option<&v1::Report> {
        self.observed.get(node).and_then(Observed::report)
    }

    /// All instances, as their nodes are to run them.
    pub fn wanted(&self) -> impl Iterator<Item = &v1::InstanceSpec> {
        self.desired.values().flat_map(|kept| &kept.value.instances)
    }

    /// Whether the node has taken its last spec and reports the instance no more.
    pub fn has_left(&self, id: &InstanceId, node: &NodeName) -> bool {
        let wanted = self.desired.get(node).map_or(0, |kept| kept.value.generation);
        let is_gone = |report: &v1::Report| {
            report.generation == wanted
                && !report.instances.iter().any(|instance| instance.id == id.to_string())
        };
        !self.nodes.contains_key(node) || self.report(node).is_some_and(is_gone)
    }

    /// Deployments that nodes are still to run and that nobody wants any more.
    pub fn orphaned(&self) -> BTreeSet<DeploymentName> {
        let names = self.wanted().filter_map(|instance| DeploymentName::parse(&instance.deployment).ok());
        names.filter(|name| !self.deployments.contains_key(name)).collect()
    }

    /// Nodes that were asked and not reached, and why.
    pub fn away(&self) -> BTreeMap<NodeName, String> {
        let unreached = self.observed.iter().filter_map(|(node, observed)| match observed {
            Observed::Unreachable(error) => Some((node.clone(), error.to_string())),
            Observed::Report { .. } => None,
        });
        unreached.collect()
    }

    /// Nodes whose agent has not yet taken what is wanted of it, or lacks a package for it.
    pub fn behind(&self) -> BTreeSet<NodeName> {
        let is_behind = |node: &NodeName| match (self.desired.get(node), self.report(node)) {
            (Some(_), None) => true,
            (Some(wanted), Some(report)) => {
                report.generation != wanted.value.generation || lacks_package(report, Some(&wanted.value))
            }
            (None, Some(report)) => self.is_back(node, report),
            (None, None) => false,
        };
        self.nodes.keys().filter(|node| is_behind(node)).cloned().collect()
    }

    /// Whether a node without a spec is remembered from an earlier life in the fleet: by its agent, which goes on with
    /// what it was told then, or by a deployment that nobody has placed anew.
    pub fn is_back(&self, node: &NodeName, report: &v1::Report) -> bool {
        let is_told = report.generation > 0 || !report.instances.is_empty();
        !self.desired.contains_key(node) && (is_told || self.placed_on(node).next().is_some())
    }

    /// Deployments that have instances on the node.
    pub fn placed_on(&self, node: &NodeName) -> impl Iterator<Item = &Stored<DeploymentRecord>> {
        self.deployments
            .values()
            .filter(move |kept| kept.value.current.placements.values().any(|place| place == node))
    }
}

/// Whether an instance cannot start for want of its release: the one that it is told of, or, while that runs, the one
/// that it is to run instead.
pub(super) fn lacks_package(report: &v1::Report, wanted: Option<&v1::NodeSpec>) -> bool {
    let is_here = |release: &v1::Release| report.releases.contains(&release.digest);
    report.instances.iter().filter(|instance| instance.phase() == v1::Phase::Waiting).any(|instance| {
        let mut specs = wanted.iter().flat_map(|spec| &spec.instances);
        let next = specs.find(|spec| spec.id == instance.id).and_then(|spec| spec.release.as_ref());
        [instance.release.as_ref(), next].into_iter().flatten().any(|release| !is_here(release))
    })
}

impl Fleet {
    /// The wish alone, without asking any node. What each node is to run is read first: who wrote something in between
    /// changed that, and a change that rests on the older one is refused.
    pub(super) async fn recall(&self) -> Result<Snapshot, FleetError> {
        let desired = self.store.list(keys::DESIRED).await?.entries;
        let nodes = list_json::<NodeRecord>(self.store.as_ref(), keys::NODES).await?.entries;
        let deployments =
            list_json::<DeploymentRecord>(self.store.as_ref(), keys::DEPLOYMENTS).await?.entries;
        let carriers = self.store.list(keys::CARRIERS).await?.entries;
        Ok(Snapshot {
            nodes: nodes.into_iter().map(|node| (node.value.name.clone(), node)).collect(),
            deployments: deployments.into_iter().map(|kept| (kept.value.name.clone(), kept)).collect(),
            desired: desired
                .into_iter()
                .map(|(key, found)| decode_spec(&key, found))
                .collect::<Result<_, _>>()?,
            observed: BTreeMap::new(),
            lost: BTreeSet::new(),
            at: self.clock.now(),
            carriers: carriers.into_iter().map(|(key, _)| key).collect(),
        })
    }

    /// The wish, and what every node says of itself.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, FleetError> {
        let mut snapshot = self.recall().await?;
        snapshot.observed = self.observe_all(snapshot.nodes.values().map(|kept| &kept.value)).await;
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests;
