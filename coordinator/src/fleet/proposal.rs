//! One deployment's next state, computed from a snapshot: where its instances go and why, and what that changes.
//! A dry run shows it; a deploy records it.

use std::collections::{BTreeMap, BTreeSet};

use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;
use proto::v1::change::Kind;

use super::change::Next;
use super::hold::Hold;
use super::snapshot::Snapshot;
use super::spec::{self, Resolved};
use super::{Fleet, FleetError, keys, views, wire};
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
    before: Option<DeploymentRecord>,
    /// Instances that get their new place once they have left the old one.
    stopping_first: BTreeSet<InstanceId>,
}

/// A wish that is in the store now, and the nodes it touched.
pub struct Recorded {
    pub record: DeploymentRecord,
    pub touched: BTreeSet<NodeName>,
    /// Nodes that were not reached just before, and why.
    pub away: BTreeMap<NodeName, String>,
    /// Keeps the reconcile loop of this process off it.
    pub _hold: Option<Hold>,
}

impl Recorded {
    /// A change that somebody else recorded.
    pub fn of(record: &DeploymentRecord, snapshot: &Snapshot) -> Self {
        let touched = record.current.placements.values().chain(record.leaving.values()).cloned().collect();
        Self { record: record.clone(), touched, away: snapshot.away(), _hold: None }
    }
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
        let stopping_first = match module.spec.exclusive {
            true => stop_before_start(snapshot, before.as_ref(), &mut decision),
            false => BTreeSet::new(),
        };
        let explanation = explain(asked, &fleet, &decision);
        let record = next_record(snapshot, name, wish, module, &decision, explanation)?;
        let instances = instances(snapshot, &record, module)?;
        Ok(Self { record, instances, before, stopping_first })
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
        Ok(Self { record, instances, before, stopping_first: BTreeSet::new() })
    }

    /// Whether the fleet is already wanted to be just so, and was seen so.
    fn is_unchanged(&self) -> bool {
        self.before.as_ref().is_some_and(|before| {
            before.progress == State::Settled
                && before.current.wish == self.record.current.wish
                && before.current.placements == self.record.current.placements
                && before.unplaced == self.record.unplaced
        })
    }

    /// What runs is not given up for a wish that fits nowhere.
    ///
    /// # Errors
    /// Where an instance of a deployment that was healthy would lose its place and find no other.
    pub fn check_replaces(&self, snapshot: &Snapshot) -> Result<(), FleetError> {
        let Some(good) = self.before.as_ref().and_then(last_good) else { return Ok(()) };
        let has_place = |id: &&InstanceId| {
            let place = good.placements.get(id);
            place.is_some_and(|node| snapshot.nodes.contains_key(node) && !snapshot.lost.contains(node))
        };
        let displaced: Vec<_> =
            self.record.unplaced.difference(&self.stopping_first).filter(has_place).collect();
        if displaced.is_empty() {
            return Ok(());
        }
        Err(FleetError::NoPlaceInstead {
            deployment: self.record.name.clone(),
            instances: displaced.into_iter().map(ToString::to_string).collect(),
            explanation: Box::new(self.record.explanation.clone()),
        })
    }

    /// The plan as people see it.
    pub fn plan(&self, snapshot: &Snapshot) -> v1::deploy_event::Plan {
        v1::deploy_event::Plan {
            deployment: self.record.name.to_string(),
            release: Some(wire::release(&self.record.current.wish.release)),
            changes: self.changes(),
            explanation: Some(wire::explanation(&self.record.explanation)),
            state: snapshot.token(),
        }
    }

    fn changes(&self) -> Vec<v1::Change> {
        let none = BTreeMap::new();
        let before = self.before.as_ref().map_or(&none, |before| &before.current.placements);
        let after = &self.record.current.placements;
        let ids: BTreeSet<&InstanceId> =
            before.keys().chain(after.keys()).chain(&self.record.unplaced).collect();
        ids.into_iter().map(|id| self.change_of(id, before.get(id), after.get(id))).collect()
    }

    fn change_of(&self, id: &InstanceId, before: Option<&NodeName>, after: Option<&NodeName>) -> v1::Change {
        let wish_before = self.before.as_ref().map(|record| &record.current.wish);
        let same_wish = wish_before.is_some_and(|before| before.runs_as(&self.record.current.wish));
        let kind = match (before, after) {
            (Some(old), Some(new)) if old != new => Kind::Move,
            (Some(_), Some(_)) if same_wish => Kind::Keep,
            (Some(_), Some(_)) => Kind::Update,
            (None, Some(_)) => Kind::Start,
            (Some(_), None) if !self.record.unplaced.contains(id) => Kind::Stop,
            (_, None) => Kind::Wait,
        };
        v1::Change {
            instance: id.to_string(),
            node: after.or(before).map(ToString::to_string).unwrap_or_default(),
            kind: kind.into(),
            from: before.and(wish_before).map(|wish| wire::release(&wish.release)),
            to: after.map(|_| wire::release(&self.record.current.wish.release)),
        }
    }

    /// What a dry run ends with.
    pub fn would_be(&self) -> v1::deploy_event::Finished {
        let waiting = &self.record.unplaced;
        let (outcome, message) = if waiting.is_empty() {
            (v1::Outcome::Done, "dry run: nothing was changed".to_owned())
        } else {
            let ids: Vec<_> = waiting.iter().map(ToString::to_string).collect();
            (
                v1::Outcome::Waiting,
                format!("dry run: nothing was changed; {} would find no node", ids.join(", ")),
            )
        };
        v1::deploy_event::Finished { outcome: outcome.into(), deployment: None, message, hint: String::new() }
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
        if proposal.is_unchanged() {
            return Ok(Some(Recorded::of(&proposal.before.unwrap_or(proposal.record), snapshot)));
        }
        let mut record = proposal.record;
        record.changed_at = self.clock.now();
        record.carrier = self.carrier.clone();
        let next =
            Next { name: &record.name, record: Some(&record), instances: &proposal.instances, purge: false };
        let hold = self.holds.take(&record.name);
        let entry = HistoryEntry {
            action,
            placed: record.current.clone(),
            outcome: None,
            by: self.by.clone(),
            started_at: record.changed_at,
        };
        let entry = put_json(keys::history_entry(&record.name, record.current.generation), &entry)?;
        let Some(mut touched) = self.write(snapshot, &next, vec![entry]).await? else { return Ok(None) };
        touched.extend(record.leaving.values().filter(|node| snapshot.nodes.contains_key(node)).cloned());
        Ok(Some(Recorded { record, touched, away: snapshot.away(), _hold: Some(hold) }))
    }

    /// Writes what is missing on the nodes of a change that was recorded by somebody who has died since.
    pub(super) async fn complete_record(
        &self,
        snapshot: &Snapshot,
        record: &DeploymentRecord,
    ) -> Result<(), FleetError> {
        let module = self.release(&record.current.wish.release).await?;
        let instances = instances(snapshot, record, &module)?;
        let next = Next { name: &record.name, record: Some(record), instances: &instances, purge: false };
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
        current: Placed { generation, wish, placements: decision.placements.clone() },
        previous: before.and_then(last_good).cloned(),
        progress: State::Rolling,
        unplaced: decision.unplaced.clone(),
        leaving: leaving(snapshot, before, &decision.placements),
        attempt: generation.0,
        explanation,
        footprint,
        carrier: Carrier::default(),
        changed_at: 0,
    })
}

/// Where instances were, are not wanted any more, and may still run.
fn leaving(
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

/// What to go back to when the next wish fails: the last one that was seen healthy.
fn last_good(before: &DeploymentRecord) -> Option<&Placed> {
    match before.progress {
        State::Settled | State::RolledBack { .. } => Some(&before.current),
        State::Rolling | State::Failed { .. } => before.previous.as_ref(),
    }
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
