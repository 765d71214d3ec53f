//! Which node runs which instance: a pure function of a wish and a snapshot of the fleet.
//!
//! Instances stay where they are while that node still suits; new ones go, one after the other, to the eligible
//! node with the best score (see `score::WEIGHTS`), the first by name on ties. `explain` tells why.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{DeploymentName, InstanceId, NodeName};
use serde::{Deserialize, Serialize};

mod board;
mod chunk;
mod data;
mod explain;
mod feature;
mod index;
mod reason;
mod round;
mod score;
mod selector;
mod snapshot;
#[cfg(test)]
mod tests;
mod view;

pub use data::parted;
pub use explain::{Explanation, NodeVerdict, explain};
pub use score::WEIGHTS;
pub use selector::{Condition, Selector, SelectorError};
pub use snapshot::Snapshot;
pub use view::{FOREIGN, HostPort, Liveness, NodeView, Reserved, protocol_of};

use round::Round;

/// The largest count that can be asked for; each instance is decided on, recorded and told of on its own.
pub const MOST_INSTANCES: u32 = 10_000;

/// How many instances a deployment wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replicas {
    Count(u32),
    /// One on every node that suits.
    EveryNode,
}

/// What a module requires of its node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Requirements {
    /// One of these; empty: any.
    pub arch: Vec<String>,
    pub cpu_cores: f64,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    /// All of these: `gpu`, `sandbox.t2`, `label:room=attic`, `arch=aarch64`.
    pub capabilities: Vec<String>,
}

/// What is to be placed.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    pub deployment: DeploymentName,
    /// Of the package: `sha256:…`.
    pub digest: String,
    pub replicas: Replicas,
    pub requires: Requirements,
    /// Only these; empty: any.
    pub nodes: Vec<NodeName>,
    pub selector: Selector,
    /// Host ports that an instance needs for itself.
    pub ports: Vec<HostPort>,
    /// Never two running at once in the fleet.
    pub exclusive: bool,
    /// Its instances keep data where they are: a node that is lost is waited for.
    pub keeps_data: bool,
    /// Where its instances are now.
    pub current: BTreeMap<InstanceId, NodeName>,
    /// What each of `current` has reserved on its node; `None`: what `requires` says.
    pub holds: Option<Reserved>,
}

impl Wish {
    /// One instance, anywhere.
    pub fn new(deployment: DeploymentName, digest: impl Into<String>) -> Self {
        Self {
            deployment,
            digest: digest.into(),
            replicas: Replicas::Count(1),
            requires: Requirements::default(),
            nodes: Vec::new(),
            selector: Selector::default(),
            ports: Vec::new(),
            exclusive: false,
            keeps_data: false,
            current: BTreeMap::new(),
            holds: None,
        }
    }

    /// Whether its changes wait for a node that cannot be reached, instead of going elsewhere.
    fn waits_for_nodes(&self) -> bool {
        !self.nodes.is_empty() || self.replicas == Replicas::EveryNode
    }

    fn is_for_every_node(&self) -> bool {
        self.replicas == Replicas::EveryNode && !self.exclusive
    }

    fn wanted(&self) -> usize {
        match self.replicas {
            Replicas::Count(count) if self.exclusive => count.min(1) as usize,
            Replicas::Count(count) => count as usize,
            Replicas::EveryNode => 1,
        }
    }

    fn id(&self, index: u32) -> InstanceId {
        InstanceId { deployment: self.deployment.clone(), index }
    }
}

/// Where the instances go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Decision {
    pub placements: BTreeMap<InstanceId, NodeName>,
    /// Those of `placements` whose node cannot be reached now: their changes wait there.
    pub waiting: BTreeSet<InstanceId>,
    /// Wanted, but no node is eligible.
    pub unplaced: BTreeSet<InstanceId>,
    /// No longer wanted, and where they were.
    pub removed: BTreeMap<InstanceId, NodeName>,
}

/// Decides where the instances of a wish run.
pub fn place(wish: &Wish, snapshot: &Snapshot) -> Decision {
    let mut round = Round::new(wish, snapshot);
    let settled = if wish.is_for_every_node() { round.cover() } else { round.count(wish.wanted()) };
    decision(wish, snapshot, settled)
}

/// Every instance once, and where it goes; `None` where no node is eligible.
type Settled<'a> = Vec<(InstanceId, Option<Place<'a>>)>;

/// A node, by its number in the snapshot and by name.
#[derive(Clone, Copy)]
struct Place<'a> {
    number: usize,
    name: &'a NodeName,
}

fn decision(wish: &Wish, snapshot: &Snapshot, settled: Settled<'_>) -> Decision {
    let mut unplaced = BTreeSet::new();
    let mut waiting = BTreeSet::new();
    let mut placements = Vec::with_capacity(settled.len());
    for (instance, place) in settled {
        let Some(place) = place else {
            unplaced.insert(instance);
            continue;
        };
        if !snapshot.is_reachable(place.number) {
            waiting.insert(instance.clone());
        }
        placements.push((instance, place.name.clone()));
    }
    // At once: cheaper than one after the other.
    let placements = BTreeMap::from_iter(placements);
    let is_gone = |instance| !placements.contains_key(instance) && !unplaced.contains(instance);
    let gone = wish.current.iter().filter(|(instance, _)| is_gone(instance));
    let removed = gone.map(|(instance, node)| (instance.clone(), node.clone())).collect();
    Decision { placements, waiting, unplaced, removed }
}
