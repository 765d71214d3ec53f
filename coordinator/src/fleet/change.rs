//! From one deployment's new wish to the transaction that records it: its record and the specs of the nodes
//! it touches, all or nothing, and only if nothing of it has changed since the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{DeploymentName, NodeName};
use proto::v1;

use super::record::{put_spec, still};
use super::snapshot::Snapshot;
use super::{FleetError, keys};
use crate::domain::deployment::DeploymentRecord;
use crate::store::json::put_json;
use crate::store::{Op, Txn};

/// What is to be wanted of a deployment from now on.
pub struct Next<'a> {
    pub name: &'a DeploymentName,
    /// `None`: the deployment goes away.
    pub record: Option<&'a DeploymentRecord>,
    /// The instances of `record`, by node.
    pub instances: &'a BTreeMap<NodeName, Vec<v1::InstanceSpec>>,
    /// Delete the volumes where no instance is left.
    pub purge: bool,
}

pub struct Change {
    pub txn: Txn,
    /// Nodes that get a new spec.
    pub touched: BTreeSet<NodeName>,
}

/// Computes the transaction that turns the wish of `snapshot` into `next`.
pub fn change(snapshot: &Snapshot, next: &Next<'_>) -> Result<Change, FleetError> {
    let key = keys::deployment(next.name);
    let mut txn = Txn::default();
    txn.preconditions.push(still(key.clone(), snapshot.deployments.get(next.name)));
    txn.ops.push(match next.record {
        Some(record) => put_json(key, record)?,
        None => Op::Delete { key },
    });
    let mut touched = BTreeSet::new();
    for (node, kept) in &snapshot.nodes {
        let before = snapshot.desired.get(node);
        let Some(spec) = next_spec(snapshot, next, node) else { continue };
        txn.preconditions.push(kept.unchanged());
        txn.preconditions.push(still(keys::desired(node), before));
        txn.ops.push(put_spec(node, &spec));
        touched.insert(node.clone());
    }
    Ok(Change { txn, touched })
}

/// The node's spec with `next` in it, one generation on; `None` where nothing changes.
fn next_spec(snapshot: &Snapshot, next: &Next<'_>, node: &NodeName) -> Option<v1::NodeSpec> {
    let before = snapshot.desired.get(node).map(|kept| kept.value.clone()).unwrap_or_default();
    let others =
        before.instances.iter().filter(|instance| instance.deployment != next.name.as_str()).cloned();
    let ours = next.instances.get(node).into_iter().flatten().cloned();
    let mut instances: Vec<_> = others.chain(ours).collect();
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    let spec = v1::NodeSpec {
        node: node.to_string(),
        generation: before.generation,
        retain: retained(snapshot, next, node),
        purge_volumes: purged(&before, next, &instances),
        instances,
    };
    let is_same = spec == v1::NodeSpec { node: node.to_string(), ..before };
    (!is_same).then(|| v1::NodeSpec { generation: spec.generation + 1, ..spec })
}

/// Releases the node keeps for going back: the previous one of each deployment that is or was there.
fn retained(snapshot: &Snapshot, next: &Next<'_>, node: &NodeName) -> Vec<String> {
    let others =
        snapshot.deployments.iter().filter(|(name, _)| *name != next.name).map(|(_, kept)| &kept.value);
    let digests = others.chain(next.record).filter_map(|record| {
        let previous = record.previous.as_ref()?;
        let mut places = record.current.placements.values().chain(previous.placements.values());
        places.any(|place| place == node).then(|| previous.wish.release.digest.clone())
    });
    digests.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Stays wanted until the deployment is back on the node, so that an offline node purges late but surely.
fn purged(before: &v1::NodeSpec, next: &Next<'_>, instances: &[v1::InstanceSpec]) -> Vec<String> {
    let name = next.name.as_str();
    let had = before.instances.iter().any(|instance| instance.deployment == name);
    let new = (next.purge && had).then(|| name.to_owned());
    let wanted = before.purge_volumes.iter().cloned().chain(new);
    let is_gone = |deployment: &String| !instances.iter().any(|instance| &instance.deployment == deployment);
    wanted.filter(is_gone).collect::<BTreeSet<_>>().into_iter().collect()
}
