//! Records one deployment's new wish: its record and the specs of the nodes it touches, all or nothing, and only if
//! nothing it rests on has changed since the snapshot.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{DeploymentName, NodeName};
use proto::v1;

use super::record::{put_spec, still};
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, keys};
use crate::domain::deployment::DeploymentRecord;
use crate::fault;
use crate::store::json::{get_json, put_json};
use crate::store::{Op, Precondition, StoreError, Txn};

/// What is to be wanted of a deployment from now on.
pub struct Next<'a> {
    pub name: &'a DeploymentName,
    /// `None`: the deployment goes away.
    pub record: Option<&'a DeploymentRecord>,
    /// The instances of `record`, by node.
    pub instances: &'a BTreeMap<NodeName, Vec<v1::InstanceSpec>>,
    /// Nodes that are to delete its volumes, as no instance is left there.
    pub purge: &'a BTreeSet<NodeName>,
}

/// Where nothing is to be deleted.
pub const NO_PURGE: &BTreeSet<NodeName> = &BTreeSet::new();

/// What one node is to get.
struct NodeChange {
    node: NodeName,
    preconditions: [Precondition; 2],
    put: Op,
}

/// Nodes whose specs one transaction writes; each takes two preconditions and one operation.
const NODES_AT_ONCE: usize = 50;

impl Fleet {
    /// Records `next` and whatever else belongs to it, only if nothing it rests on has changed since the snapshot;
    /// `None` where something has. A fleet that is too large for one transaction gets the specs of its further
    /// nodes right after; should we die between, `complete` does the rest.
    pub(super) async fn write(
        &self,
        snapshot: &Snapshot,
        next: &Next<'_>,
        more: Vec<Op>,
    ) -> Result<Option<BTreeSet<NodeName>>, FleetError> {
        let key = keys::deployment(next.name);
        let mut head =
            Txn { preconditions: vec![still(key.clone(), snapshot.deployments.get(next.name))], ops: more };
        head.ops.push(match next.record {
            Some(record) => put_json(key.clone(), record)?,
            None => Op::Delete { key: key.clone() },
        });
        let mut changes = node_changes(snapshot, next);
        let touched = changes.iter().map(|change| change.node.clone()).collect();
        let further = changes.split_off(changes.len().min(fault::batch(NODES_AT_ONCE)));
        let leaves_purge = !next.purge.is_empty() && !further.is_empty();
        if next.record.is_none() {
            // Whoever completes this removal must know; what an earlier one left must not count.
            let key = keys::purge(next.name);
            head.ops.push(match leaves_purge {
                true => put_json(key, next.purge)?,
                false => Op::Delete { key },
            });
        }
        fault::point("record.before");
        let recorded = match self.store.commit(with(head, changes)).await {
            Ok(revision) => revision,
            Err(StoreError::Conflict { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mine = match next.record {
            Some(_) => Precondition::Unchanged { key, revision: recorded },
            None => Precondition::Absent { key },
        };
        fault::point("record.after");
        self.write_further(next, &mine, further).await?;
        if leaves_purge {
            self.have_purged(next.name).await?;
        }
        Ok(Some(touched))
    }

    /// Writes the specs that are still missing of a change that somebody recorded and did not live to finish.
    pub(super) async fn complete(&self, snapshot: &Snapshot, next: &Next<'_>) -> Result<(), FleetError> {
        let Some(kept) = snapshot.deployments.get(next.name) else { return Ok(()) };
        self.write_further(next, &kept.unchanged(), node_changes(snapshot, next)).await
    }

    /// Takes instances off the nodes whose deployment was removed by somebody who did not live to finish it.
    pub(super) async fn complete_removal(
        &self,
        snapshot: &Snapshot,
        name: &DeploymentName,
    ) -> Result<(), FleetError> {
        let purge = get_json::<BTreeSet<NodeName>>(self.store.as_ref(), &keys::purge(name)).await?;
        let purge = purge.map(|kept| kept.value).unwrap_or_default();
        let next = Next { name, record: None, instances: &BTreeMap::new(), purge: &purge };
        let mine = Precondition::Absent { key: keys::deployment(name) };
        self.write_further(&next, &mine, node_changes(snapshot, &next)).await?;
        if !purge.is_empty() {
            self.have_purged(name).await?;
        }
        Ok(())
    }

    async fn have_purged(&self, name: &DeploymentName) -> Result<(), FleetError> {
        fault::point("further.purged");
        let ops = vec![Op::Delete { key: keys::purge(name) }];
        self.store.commit(Txn { preconditions: Vec::new(), ops }).await?;
        Ok(())
    }

    /// As long as `mine` holds, the wish is ours to spread; what others do to the same nodes is taken in.
    async fn write_further(
        &self,
        next: &Next<'_>,
        mine: &Precondition,
        mut missing: Vec<NodeChange>,
    ) -> Result<(), FleetError> {
        while !missing.is_empty() {
            let later = missing.split_off(missing.len().min(fault::batch(NODES_AT_ONCE)));
            let nodes: BTreeSet<NodeName> = missing.iter().map(|change| change.node.clone()).collect();
            let head = Txn { preconditions: vec![mine.clone()], ops: Vec::new() };
            fault::point("further.before");
            match self.store.commit(with(head, missing)).await {
                Ok(_) => missing = later,
                Err(StoreError::Conflict { key }) if key == keys::deployment(next.name) => return Ok(()),
                Err(StoreError::Conflict { .. }) => {
                    let snapshot = self.recall().await?;
                    missing = node_changes(&snapshot, next);
                    missing.retain(|change| nodes.contains(&change.node));
                    missing.extend(later);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn with(mut txn: Txn, changes: Vec<NodeChange>) -> Txn {
    for change in changes {
        txn.preconditions.extend(change.preconditions);
        txn.ops.push(change.put);
    }
    txn
}

/// The nodes that `next` gives another spec.
fn node_changes(snapshot: &Snapshot, next: &Next<'_>) -> Vec<NodeChange> {
    let changes = snapshot.nodes.iter().filter_map(|(node, kept)| {
        let spec = next_spec(snapshot, next, node)?;
        let before = still(keys::desired(node), snapshot.desired.get(node));
        let preconditions = [kept.unchanged(), before];
        Some(NodeChange { node: node.clone(), preconditions, put: put_spec(node, &spec) })
    });
    changes.collect()
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
        purge_volumes: purged(&before, next, node, &instances),
        instances,
    };
    let is_same = spec == v1::NodeSpec { node: node.to_string(), ..before };
    (!is_same).then(|| v1::NodeSpec { generation: spec.generation + 1, ..spec })
}

/// Releases the node keeps for going back once `next` is the wish.
fn retained(snapshot: &Snapshot, next: &Next<'_>, node: &NodeName) -> Vec<String> {
    let others =
        snapshot.deployments.iter().filter(|(name, _)| *name != next.name).map(|(_, kept)| &kept.value);
    previous_releases(others.chain(next.record), node)
}

/// The previous release of each deployment that is or was on the node.
pub(super) fn previous_releases<'a>(
    records: impl Iterator<Item = &'a DeploymentRecord>,
    node: &NodeName,
) -> Vec<String> {
    let digests = records.filter_map(|record| {
        let previous = record.previous.as_ref()?;
        let mut places = record.current.placements.values().chain(previous.placements.values());
        places.any(|place| place == node).then(|| previous.wish.release.digest.clone())
    });
    digests.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Stays wanted until the deployment is back on the node, so that an offline node purges late but surely.
fn purged(
    before: &v1::NodeSpec,
    next: &Next<'_>,
    node: &NodeName,
    instances: &[v1::InstanceSpec],
) -> Vec<String> {
    let new = next.purge.contains(node).then(|| next.name.to_string());
    let wanted = before.purge_volumes.iter().cloned().chain(new);
    let is_gone = |deployment: &String| !instances.iter().any(|instance| &instance.deployment == deployment);
    wanted.filter(is_gone).collect::<BTreeSet<_>>().into_iter().collect()
}
