//! The fleet and the wish as placement sees them.

use std::collections::BTreeMap;

use modules::suggest;
use proto::ids::{DeploymentName, NodeName};

use super::FleetError;
use super::snapshot::Snapshot;
use super::spec::{self, Resolved};
use crate::domain::deployment::{DeploymentRecord, Wish};
use crate::domain::node::Facts;
use crate::domain::placement::{
    self, Liveness, NodeView, Requirements, Reserved, Selector, Snapshot as Fleet,
};

/// # Errors
/// Where the selector cannot be read or a named node is not in the fleet.
pub fn placement_wish(
    snapshot: &Snapshot,
    name: &DeploymentName,
    wish: &Wish,
    module: &Resolved,
    before: Option<&DeploymentRecord>,
) -> Result<placement::Wish, FleetError> {
    let requires = &module.spec.requires;
    let footprint = spec::footprint(name, module, wish)?;
    if let Some(unknown) = wish.nodes.iter().find(|node| !snapshot.nodes.contains_key(node)) {
        let known = snapshot.nodes.keys().map(NodeName::as_str);
        let similar = suggest::closest(unknown.as_str(), known).map(str::to_owned);
        return Err(FleetError::NoSuchNode { name: unknown.to_string(), similar });
    }
    Ok(placement::Wish {
        deployment: name.clone(),
        digest: wish.release.digest.clone(),
        replicas: wish.replicas,
        requires: Requirements {
            arch: requires.arch.iter().map(ToString::to_string).collect(),
            cpu_cores: requires.cpu,
            memory_bytes: requires.memory.0,
            disk_bytes: requires.disk.0,
            capabilities: module.spec.capabilities().iter().map(ToString::to_string).collect(),
        },
        nodes: wish.nodes.clone(),
        selector: Selector::parse(&wish.selector)
            .map_err(|cause| FleetError::Selector { selector: wish.selector.clone(), cause })?,
        ports: footprint.ports,
        exclusive: module.spec.exclusive,
        keeps_data: footprint.keeps_data,
        current: before.map(|record| record.current.placements.clone()).unwrap_or_default(),
        holds: before.map(|record| Reserved {
            cpu_cores: record.footprint.cpu_cores,
            memory_bytes: record.footprint.memory_bytes,
        }),
    })
}

/// Every node with what it reports and what other deployments have reserved there.
pub fn placement_snapshot(snapshot: &Snapshot) -> Fleet {
    let reserved = reservations(snapshot);
    let views = snapshot.nodes.values().map(|kept| {
        let record = &kept.value;
        let mut view = NodeView::new(record.name.clone());
        view.labels = record.labels.clone();
        view.cordoned = record.cordoned;
        remember(&mut view, &record.facts);
        view.liveness = match snapshot.report(&record.name) {
            Some(report) => {
                view.observe(report);
                Liveness::Ready
            }
            None if snapshot.lost.contains(&record.name) => Liveness::Lost,
            None => Liveness::Unknown,
        };
        if let Some(taken) = reserved.get(&record.name) {
            view.reserved = taken.reserved;
            view.instances = taken.instances;
            view.ports_taken.extend(taken.ports.clone());
        }
        view
    });
    Fleet::new(views.collect())
}

/// What the machine was when it was last seen; a report overrides it.
fn remember(view: &mut NodeView, facts: &Facts) {
    view.arch.clone_from(&facts.arch);
    view.capabilities = facts.capabilities.iter().cloned().collect();
    view.cpu_cores = facts.cpu_cores;
    view.memory_bytes = facts.memory_bytes;
    view.memory_available_bytes = facts.memory_bytes;
    view.disk_bytes = facts.disk_bytes;
    view.disk_free_bytes = facts.disk_bytes;
}

#[derive(Default)]
struct Taken {
    reserved: Reserved,
    instances: u32,
    ports: BTreeMap<placement::HostPort, String>,
}

/// What the wish has promised on each node, whether it runs already or not.
fn reservations(snapshot: &Snapshot) -> BTreeMap<NodeName, Taken> {
    let mut by_node: BTreeMap<NodeName, Taken> = BTreeMap::new();
    for record in snapshot.deployments.values().map(|kept| &kept.value) {
        for (id, node) in &record.current.placements {
            let taken = by_node.entry(node.clone()).or_default();
            taken.instances += 1;
            taken.reserved.cpu_cores += record.footprint.cpu_cores;
            taken.reserved.memory_bytes += record.footprint.memory_bytes;
            taken.ports.extend(record.footprint.ports.iter().map(|port| (*port, id.to_string())));
        }
    }
    by_node
}
