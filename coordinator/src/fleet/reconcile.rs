//! Makes observed equal desired: delivers what waits, carries on what was interrupted, places what found no place.
//! Every command that looks at the fleet does one round; `serve` does one after another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use proto::ids::{DeploymentName, NodeName};
use proto::v1;
use tracing::{debug, info, warn};

use super::carry_out::Verdict;
use super::proposal::Proposal;
use super::recorded::Recorded;
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, Progress, carrier, carry_out, depends, keys};
use crate::domain::deployment::{Action, DeploymentRecord, Progress as State};
use crate::domain::placement::Replicas;

/// How long a round waits for an interrupted change to settle before it leaves it to the next round: somebody may
/// only want to see how far it is.
const LOOK: Duration = Duration::from_secs(2);
/// How long it waits for what such a change has to undo.
const ROUND: Duration = Duration::from_secs(15);

impl Fleet {
    /// One round. Gives the fleet as it was seen after it.
    ///
    /// # Errors
    /// Only where the store fails; a node's trouble is logged and left to the next round.
    pub async fn reconcile(self: &Arc<Self>, lost: &BTreeSet<NodeName>) -> Result<Snapshot, FleetError> {
        let snapshot = self.completed(self.snapshot().await?).await?;
        let delivered = self.deliver(&snapshot).await;
        let placed = self.place_anew(&snapshot, lost).await?;
        let carried_on = self.carry_on(&snapshot).await?;
        if delivered || placed || carried_on { self.snapshot().await } else { Ok(snapshot) }
    }

    /// Writes what interrupted changes have not yet written; most of the time there is nothing of the kind.
    async fn completed(&self, mut snapshot: Snapshot) -> Result<Snapshot, FleetError> {
        let records = snapshot.deployments.values().map(|kept| &kept.value);
        let halfway =
            records.filter(|record| record.is_under_way() && !self.is_in_other_hands(&snapshot, record));
        for record in halfway {
            or_told(&record.name, self.complete_record(&snapshot, record).await)?;
        }
        for name in snapshot.orphaned() {
            self.complete_removal(&snapshot, &name).await?;
        }
        let fresh = self.recall().await?;
        snapshot.desired = fresh.desired;
        Ok(snapshot)
    }

    /// Applies to every reachable node that is behind and is not being served by another coordinator. Whether it did
    /// anything.
    async fn deliver(self: &Arc<Self>, snapshot: &Snapshot) -> bool {
        let busy = self.nodes_in_other_hands(snapshot);
        let behind = snapshot.behind();
        let is_waiting = |node: &NodeName| snapshot.report(node).is_some() && !busy.contains(node);
        let waiting: BTreeSet<NodeName> = behind.into_iter().filter(is_waiting).collect();
        let is_any = !waiting.is_empty();
        self.deliveries.bring(waiting, |node| Arc::clone(self).deliver_to(node)).await;
        is_any
    }

    async fn deliver_to(self: Arc<Self>, node: NodeName) {
        match self.apply(&node, &Progress::unheard()).await {
            Ok(()) => info!(%node, "delivered what was waiting"),
            Err(error) => {
                warn!(%node, error = %carry_out::one_line(&error), "could not deliver what is waiting")
            }
        }
    }

    fn nodes_in_other_hands(&self, snapshot: &Snapshot) -> BTreeSet<NodeName> {
        let others =
            snapshot.deployments.values().filter(|kept| self.is_in_other_hands(snapshot, &kept.value));
        others.flat_map(|kept| carry_out::homes(&kept.value)).collect()
    }

    fn is_in_other_hands(&self, snapshot: &Snapshot, record: &DeploymentRecord) -> bool {
        let is_present = || snapshot.carriers.contains(&keys::carrier(&record.carrier));
        let by_another = || carrier::is_at_work(&record.carrier, &self.carrier, is_present());
        self.holds.contains(&record.name) || (record.is_under_way() && by_another())
    }

    /// Sees interrupted changes through to their end, all at once, if they reach it within this round. A node whose
    /// package is on its way is taken for one that is away.
    async fn carry_on(&self, snapshot: &Snapshot) -> Result<bool, FleetError> {
        let served = self.deliveries.under_way();
        let records = snapshot.deployments.values().map(|kept| &kept.value);
        let interrupted = records
            .filter(|record| record.is_under_way() && !self.is_in_other_hands(snapshot, record))
            .map(|record| (record, Recorded::of(record, snapshot)))
            .filter(|(_, recorded)| recorded.touched.is_empty() || !recorded.touched.is_subset(&served))
            .map(|(record, recorded)| (record, recorded.without(&served)));
        let carried = interrupted.map(|(record, recorded)| async move {
            let carried = self.carry_on_one(record, recorded).await;
            or_told(&record.name, carried)
        });
        let carried = join_all(carried).await;
        let is_any = !carried.is_empty();
        carried.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(is_any)
    }

    async fn carry_on_one(&self, record: &DeploymentRecord, recorded: Recorded) -> Result<(), FleetError> {
        if let State::RolledBack { reason, .. } = &record.progress {
            self.carry_on_going_back(recorded, reason, ROUND).await?;
            return Ok(());
        }
        match self.carry_out(&recorded, LOOK, &Progress::unheard()).await {
            Verdict::Progressing { .. } => {}
            verdict => {
                // It waits for a node round by round, and only what becomes of it is news.
                match &verdict {
                    Verdict::Waiting { .. } => {
                        debug!(deployment = %record.name, ?verdict, "an interrupted change waits")
                    }
                    verdict => {
                        info!(deployment = %record.name, ?verdict, "carried on an interrupted change")
                    }
                }
                self.settle(record, verdict, ROUND, &Progress::unheard()).await?;
            }
        }
        Ok(())
    }

    /// Places what has no place: new nodes for a deployment on every node, capacity that came, nodes that were lost. What
    /// depends on something that listens elsewhere now is told so.
    async fn place_anew(&self, snapshot: &Snapshot, lost: &BTreeSet<NodeName>) -> Result<bool, FleetError> {
        let mut moved = false;
        for kept in snapshot.deployments.values() {
            let record = &kept.value;
            let wants = !record.unplaced.is_empty()
                || record.current.wish.replicas == Replicas::EveryNode
                || record
                    .current
                    .placements
                    .values()
                    .any(|node| lost.contains(node) || !snapshot.nodes.contains_key(node))
                || or_told(&record.name, self.is_misled(snapshot, record).await)?.unwrap_or(false);
            if wants
                && !self.is_in_other_hands(snapshot, record)
                && !matches!(record.progress, State::Failed { .. })
            {
                let placed = self.place_again(&record.name, lost).await;
                moved |= or_told(&record.name, placed.map(|recorded| recorded.is_some()))?.unwrap_or(false);
            }
        }
        Ok(moved)
    }

    async fn is_misled(&self, snapshot: &Snapshot, record: &DeploymentRecord) -> Result<bool, FleetError> {
        let is_told = |instance: &v1::InstanceSpec| {
            instance.deployment == record.name.as_str() && !instance.depends.is_empty()
        };
        if !record.is_calm() || !snapshot.wanted().any(is_told) {
            return Ok(false);
        }
        let module = self.release(&record.current.wish.release).await?;
        Ok(depends::is_misled(snapshot, record, &module))
    }

    /// Computes the deployment's places anew; records them only where they differ.
    pub(super) async fn place_again(
        &self,
        name: &DeploymentName,
        lost: &BTreeSet<NodeName>,
    ) -> Result<Option<Recorded>, FleetError> {
        let mut snapshot = self.snapshot().await?;
        snapshot.lost = lost.clone();
        let Some(kept) = snapshot.deployments.get(name) else { return Ok(None) };
        let before = kept.value.clone();
        let module = self.release(&before.current.wish.release).await?;
        let proposal = Proposal::new(&snapshot, name, before.current.wish.clone(), &module)?;
        let may_be = proposal.may_come_by_itself() && proposal.check_replaces(&snapshot).is_ok();
        if proposal.leaves_all_in_place() || !may_be {
            return Ok(None);
        }
        self.record(&snapshot, proposal, Action::Move).await
    }
}

/// One deployment's trouble does not keep the others from what they need; a store that fails does.
fn or_told<T>(name: &DeploymentName, done: Result<T, FleetError>) -> Result<Option<T>, FleetError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error @ FleetError::Store(_)) => Err(error),
        Err(error) => {
            warn!(deployment = %name, error = %carry_out::one_line(&error), "could not bring it where it should be");
            Ok(None)
        }
    }
}
