//! One deployment's next state, computed from a snapshot: where its instances go and why, and what that changes.
//! A dry run shows it; a deploy records it.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;

use super::change::{NO_PURGE, Next};
use super::data::parted_from_data;
use super::recorded::Recorded;
use super::snapshot::Snapshot;
use super::spec::{self, Resolved};
use super::{Fleet, FleetError, depends, keys, views};
use crate::domain::deployment::{
    Action, Carrier, DeploymentRecord, HistoryEntry, Placed, Progress as State, Wish,
};
use crate::domain::placement::{self, Decision, explain, place};
use crate::store::json::{Stored, put_json};
use crate::store::{Op, StoreError, Txn};

pub struct Proposal {
    pub record: DeploymentRecord,
    /// The instances of `record`, by node.
    instances: BTreeMap<NodeName, Vec<v1::InstanceSpec>>,
    pub(super) before: Option<DeploymentRecord>,
    /// Instances that get their new place once they have left the old one.
    stopping_first: BTreeSet<InstanceId>,
    /// Instances that would start elsewhere without the data that they keep where they are.
    pub(super) parted: BTreeMap<InstanceId, NodeName>,
    /// Whether what it depends on listens elsewhere than its instances were told.
    is_misled: bool,
}

impl Proposal {
    /// Places `wish` on the fleet of `snapshot`.
    ///
    /// # Errors
    /// Where the selector cannot be read, or the wish names nodes or dependencies that are not there.
    pub fn new(
        snapshot: &Snapshot,
        name: &DeploymentName,
        wish: Wish,
        module: &Resolved,
    ) -> Result<Self, FleetError> {
        let before = snapshot.deployments.get(name).map(|kept| kept.value.clone());
        let asked = views::placement_wish(snapshot, name, &wish, module, before.as_ref())?;
        Self::placed(snapshot, name, wish, module, &asked)
    }

    fn placed(
        snapshot: &Snapshot,
        name: &DeploymentName,
        wish: Wish,
        module: &Resolved,
        asked: &placement::Wish,
    ) -> Result<Self, FleetError> {
        let before = snapshot.deployments.get(name).map(|kept| kept.value.clone());
        let fleet = views::placement_snapshot(snapshot);
        let mut decision = place(asked, &fleet);
        let parted = match asked.keeps_data {
            true => parted_from_data(snapshot, before.as_ref(), &decision),
            false => BTreeMap::new(),
        };
        let stopping_first = match module.spec.exclusive {
            true => stop_before_start(snapshot, before.as_ref(), &mut decision),
            false => BTreeSet::new(),
        };
        let explanation = explain(asked, &fleet, &decision);
        let record = next_record(snapshot, name, wish, module, &decision, explanation)?;
        let instances = instances(snapshot, &record, module)?;
        let is_misled = before.as_ref().is_some_and(|before| depends::is_misled(snapshot, before, module));
        Ok(Self { record, instances, before, stopping_first, parted, is_misled })
    }

    /// For draining: like `new`, but nothing may stay on `node`.
    pub fn away_from(
        snapshot: &Snapshot,
        name: &DeploymentName,
        wish: Wish,
        module: &Resolved,
        node: &NodeName,
    ) -> Result<Self, FleetError> {
        let before = snapshot.deployments.get(name).map(|kept| kept.value.clone());
        let mut asked = views::placement_wish(snapshot, name, &wish, module, before.as_ref())?;
        asked.current.retain(|_, place| place != node);
        Self::placed(snapshot, name, wish, module, &asked)
    }

    /// For going back: the wish and the places exactly as they were.
    pub fn restore(
        snapshot: &Snapshot,
        record: DeploymentRecord,
        module: &Resolved,
    ) -> Result<Self, FleetError> {
        let before = snapshot.deployments.get(&record.name).map(|kept| kept.value.clone());
        let instances = instances(snapshot, &record, module)?;
        let (stopping_first, parted) = (BTreeSet::new(), BTreeMap::new());
        Ok(Self { record, instances, before, stopping_first, parted, is_misled: false })
    }

    /// Whether its instances are to be where they are, and told what they are told.
    pub fn leaves_all_in_place(&self) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|before| before.current.placements == self.record.current.placements)
            && !self.is_misled
    }

    /// Whether the fleet is already wanted to be just so, and was seen so.
    fn is_unchanged(&self) -> bool {
        self.before.as_ref().is_some_and(|before| {
            before.progress == State::Settled
                && before.current.wish == self.record.current.wish
                && before.current.placements == self.record.current.placements
                && before.unplaced == self.record.unplaced
                && !self.is_misled
        })
    }

    /// What is wanted on certain nodes alone does not end because none of them is left for it.
    ///
    /// # Errors
    /// Where it has instances and would have none, nor look for a place for any.
    pub fn check_leaves_a_place(&self) -> Result<(), FleetError> {
        let before = self.before.as_ref().map(|before| &before.current.placements);
        let Some(before) = before.filter(|before| !before.is_empty()) else { return Ok(()) };
        if !self.record.current.placements.is_empty() || !self.record.unplaced.is_empty() {
            return Ok(());
        }
        Err(self.no_place_instead(before.keys()))
    }

    fn no_place_instead<'i>(&self, instances: impl Iterator<Item = &'i InstanceId>) -> FleetError {
        FleetError::NoPlaceInstead {
            deployment: self.record.name.clone(),
            instances: instances.map(ToString::to_string).collect(),
            explanation: Box::new(self.record.explanation.clone()),
        }
    }

    /// What runs is not given up for a wish that fits nowhere.
    ///
    /// # Errors
    /// Where an instance of a deployment that was healthy would lose its place and find no other.
    pub fn check_replaces(&self, snapshot: &Snapshot) -> Result<(), FleetError> {
        let Some(good) = self.before.as_ref().and_then(DeploymentRecord::last_good) else { return Ok(()) };
        let has_place = |id: &&InstanceId| {
            let place = good.placements.get(id);
            place.is_some_and(|node| snapshot.nodes.contains_key(node) && !snapshot.lost.contains(node))
        };
        let displaced: Vec<_> =
            self.record.unplaced.difference(&self.stopping_first).filter(has_place).collect();
        if displaced.is_empty() {
            return Ok(());
        }
        Err(self.no_place_instead(displaced.into_iter()))
    }
}

impl Fleet {
    /// Writes the proposal to the store; `None` where somebody changed the fleet since the snapshot.
    pub(super) async fn record(
        &self,
        snapshot: &Snapshot,
        proposal: Proposal,
        action: Action,
    ) -> Result<Option<Recorded>, FleetError> {
        self.record_with(snapshot, proposal, action, Vec::new()).await
    }

    /// Like `record`; what else belongs to it is written with it.
    pub(super) async fn record_with(
        &self,
        snapshot: &Snapshot,
        proposal: Proposal,
        action: Action,
        mut more: Vec<Op>,
    ) -> Result<Option<Recorded>, FleetError> {
        if proposal.is_unchanged() {
            return Ok(Some(Recorded::of(&proposal.before.unwrap_or(proposal.record), snapshot)));
        }
        let mut record = proposal.record;
        record.changed_at = self.clock.now();
        record.carrier = self.carrier.clone();
        let next = Next {
            name: &record.name,
            record: Some(&record),
            instances: &proposal.instances,
            purge: NO_PURGE,
        };
        let hold = self.holds.take(&record.name);
        self.presence.show(&self.store, &self.carrier, &self.holds).await?;
        let entry = HistoryEntry {
            action,
            placed: record.current.clone(),
            outcome: None,
            by: self.by.clone(),
            started_at: record.changed_at,
        };
        more.push(put_json(keys::history_entry(&record.name, record.current.generation), &entry)?);
        let Some(mut touched) = self.write(snapshot, &next, more).await? else { return Ok(None) };
        touched.extend(record.leaving.values().filter(|node| snapshot.nodes.contains_key(node)).cloned());
        let attempt = Some(record.attempt);
        Ok(Some(Recorded { record, attempt, touched, away: snapshot.away(), _hold: Some(hold) }))
    }

    /// Writes what is missing on the nodes of a change that was recorded by somebody who has died since.
    pub(super) async fn complete_record(
        &self,
        snapshot: &Snapshot,
        record: &DeploymentRecord,
    ) -> Result<(), FleetError> {
        let module = self.release(&record.current.wish.release).await?;
        let instances = instances(snapshot, record, &module)?;
        let next = Next { name: &record.name, record: Some(record), instances: &instances, purge: NO_PURGE };
        self.complete(snapshot, &next).await
    }

    /// Changes a record and nothing else; `false` where somebody else changed it first.
    pub(super) async fn amend(
        &self,
        before: &Stored<DeploymentRecord>,
        after: &DeploymentRecord,
        more: Option<Op>,
    ) -> Result<bool, FleetError> {
        let mut ops = vec![put_json(before.key.clone(), after)?];
        ops.extend(more);
        match self.store.commit(Txn { preconditions: vec![before.unchanged()], ops }).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Grows with time, also when the deployment is removed and made anew: what a node reports of an earlier life must
/// not be taken for this one's.
pub(super) fn next_attempt(snapshot: &Snapshot, before: Option<&DeploymentRecord>) -> u64 {
    let now = u64::try_from(snapshot.at).unwrap_or_default();
    before.map_or(now, |before| now.max(before.attempt + 1))
}

fn next_record(
    snapshot: &Snapshot,
    name: &DeploymentName,
    wish: Wish,
    module: &Resolved,
    decision: &Decision,
    explanation: crate::domain::placement::Explanation,
) -> Result<DeploymentRecord, FleetError> {
    let before = snapshot.deployments.get(name).map(|kept| &kept.value);
    let generation = before.map(|record| record.current.generation).unwrap_or_default().next();
    let footprint = spec::footprint(name, module, &wish)?;
    Ok(DeploymentRecord {
        name: name.clone(),
        previous: before.and_then(|before| before.good_before(&wish, &decision.placements)).cloned(),
        current: Placed { generation, wish, placements: decision.placements.clone() },
        progress: State::Rolling,
        is_proven: false,
        unplaced: decision.unplaced.clone(),
        leaving: leaving(snapshot, before, &decision.placements),
        attempt: next_attempt(snapshot, before),
        explanation,
        footprint,
        carrier: Carrier::default(),
        changed_at: 0,
    })
}

/// Where instances were, are not wanted any more, and may still run.
pub(super) fn leaving(
    snapshot: &Snapshot,
    before: Option<&DeploymentRecord>,
    after: &BTreeMap<InstanceId, NodeName>,
) -> BTreeMap<InstanceId, NodeName> {
    let Some(before) = before else { return BTreeMap::new() };
    let were = before.leaving.iter().chain(&before.current.placements);
    let may_run = were.filter(|(id, node)| after.get(id) != Some(node) && !snapshot.has_left(id, node));
    may_run.map(|(id, node)| (id.clone(), node.clone())).collect()
}

/// An exclusive instance gets its new place only when it is known to have left the old one.
fn stop_before_start(
    snapshot: &Snapshot,
    before: Option<&DeploymentRecord>,
    decision: &mut Decision,
) -> BTreeSet<InstanceId> {
    let mut stopping = BTreeSet::new();
    for id in leaving(snapshot, before, &decision.placements).into_keys() {
        if decision.placements.remove(&id).is_some() {
            decision.unplaced.insert(id.clone());
            stopping.insert(id);
        }
    }
    stopping
}

fn instances(
    snapshot: &Snapshot,
    record: &DeploymentRecord,
    module: &Resolved,
) -> Result<BTreeMap<NodeName, Vec<v1::InstanceSpec>>, FleetError> {
    let mut by_node: BTreeMap<NodeName, Vec<v1::InstanceSpec>> = BTreeMap::new();
    for (id, node) in &record.current.placements {
        by_node.entry(node.clone()).or_default().push(spec::instance(snapshot, id, record, module)?);
    }
    Ok(by_node)
}
