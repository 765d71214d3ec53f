//! Instances stay with the data that they keep, unless a person says otherwise.

use std::collections::BTreeMap;

use proto::ids::{InstanceId, NodeName};

use super::FleetError;
use super::proposal::Proposal;
use super::snapshot::Snapshot;
use crate::domain::deployment::DeploymentRecord;
use crate::domain::placement::{Decision, Replicas, parted};

impl Proposal {
    /// Whether it may be made so with no person having asked for it: none is moved away from its data. What is for every
    /// node is on those that it is for.
    pub fn may_come_by_itself(&self) -> bool {
        self.parted.is_empty() || self.record.current.wish.replicas == Replicas::EveryNode
    }

    /// # Errors
    /// Where instances would start elsewhere without the data that they keep where they are, unless that is wanted.
    pub fn check_keeps_data(&self, leave_data: bool) -> Result<(), FleetError> {
        if leave_data || self.parted.is_empty() {
            return Ok(());
        }
        Err(FleetError::LeavesData {
            deployment: self.record.name.clone(),
            instances: self.parted.iter().map(|(id, node)| format!("{id} on {node}")).collect(),
        })
    }
}

/// What was never healthy has nothing to keep, and who was on a node that has left the fleet nothing to stay with.
pub(super) fn parted_from_data(
    snapshot: &Snapshot,
    before: Option<&DeploymentRecord>,
    decision: &Decision,
) -> BTreeMap<InstanceId, NodeName> {
    let Some(before) = before.filter(|before| before.last_good().is_some()) else { return BTreeMap::new() };
    let mut places = before.current.placements.clone();
    places.retain(|_, node| snapshot.nodes.contains_key(node));
    parted(&places, &decision.placements)
}
