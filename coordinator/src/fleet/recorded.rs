//! A change that is in the store now and is to be carried out.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::NodeName;

use super::hold::Hold;
use super::snapshot::Snapshot;
use crate::domain::deployment::DeploymentRecord;

/// A wish that is in the store now, and the nodes it touched.
pub struct Recorded {
    pub record: DeploymentRecord,
    /// The attempt that the store has as long as this is what is wanted; none after a removal.
    pub attempt: Option<u64>,
    pub touched: BTreeSet<NodeName>,
    /// Nodes that were not reached just before, and why.
    pub away: BTreeMap<NodeName, String>,
    /// Keeps the reconcile loop of this process off it.
    pub _hold: Option<Hold>,
}

impl Recorded {
    /// A change that somebody else recorded.
    pub fn of(record: &DeploymentRecord, snapshot: &Snapshot) -> Self {
        let mut record = record.clone();
        // Who left with a node that has left the fleet is waited for no more.
        record.leaving.retain(|_, node| snapshot.nodes.contains_key(node));
        let touched = record.current.placements.values().chain(record.leaving.values()).cloned().collect();
        let attempt = Some(record.attempt);
        Self { record, attempt, touched, away: snapshot.away(), _hold: None }
    }

    /// Without the nodes that are being brought something already: what they are to do waits for that.
    pub fn without(mut self, served: &BTreeSet<NodeName>) -> Self {
        let (busy, touched): (BTreeSet<_>, _) =
            self.touched.into_iter().partition(|node| served.contains(node));
        self.touched = touched;
        for node in busy {
            self.away.entry(node).or_insert_with(|| "its package is on the way".to_owned());
        }
        self
    }
}
