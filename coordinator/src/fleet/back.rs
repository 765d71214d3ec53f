//! A node that is in the fleet again, with what an earlier life left: its agent goes on with the spec it was last told,
//! which the fleet forgot with the node, and deployments that nobody has placed anew still count on it.

use proto::ids::NodeName;
use proto::v1;

use super::change::previous_releases;
use super::record::{put_spec, still};
use super::snapshot::Snapshot;
use super::{Fleet, FleetError, keys, spec};
use crate::domain::deployment::DeploymentRecord;
use crate::store::{StoreError, Txn};

impl Fleet {
    /// Writes what is wanted of a node that has no spec although somebody remembers it; `false` where nobody does.
    /// Without it, what its agent still runs would run beside what has taken its place elsewhere.
    pub(super) async fn want_anew(&self, node: &NodeName, report: &v1::Report) -> Result<bool, FleetError> {
        let mut snapshot = self.recall().await?;
        if snapshot.desired.contains_key(node) {
            return Ok(true);
        }
        let Some(kept) = snapshot.nodes.get(node) else {
            return Err(FleetError::NoSuchNode { name: node.to_string(), similar: None });
        };
        if !snapshot.is_back(node, report) {
            return Ok(false);
        }
        let mut txn =
            Txn::new().when(kept.unchanged()).when(still::<v1::NodeSpec>(keys::desired(node), None));
        txn.preconditions.extend(snapshot.placed_on(node).map(|kept| kept.unchanged()));
        if snapshot.placed_on(node).next().is_some() {
            // What depends on others is told where those listen.
            snapshot.observed = self.observe_all(snapshot.nodes.values().map(|kept| &kept.value)).await;
        }
        let spec = self.spec_anew(&snapshot, node, report.generation.saturating_add(1)).await?;
        match self.store.commit(txn.then(put_spec(node, &spec))).await {
            // Where somebody was faster, theirs is offered next.
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// All that the deployments have on the node, which most of the time is nothing any more.
    async fn spec_anew(
        &self,
        snapshot: &Snapshot,
        node: &NodeName,
        generation: u64,
    ) -> Result<v1::NodeSpec, FleetError> {
        let mut instances = Vec::new();
        for record in snapshot.placed_on(node).map(|kept| &kept.value) {
            instances.extend(self.instances_on(snapshot, record, node).await?);
        }
        instances.sort_by(|a, b| a.id.cmp(&b.id));
        let records = snapshot.deployments.values().map(|kept| &kept.value);
        let retain = previous_releases(records, node);
        Ok(v1::NodeSpec { node: node.to_string(), generation, retain, instances, ..Default::default() })
    }

    async fn instances_on(
        &self,
        snapshot: &Snapshot,
        record: &DeploymentRecord,
        node: &NodeName,
    ) -> Result<Vec<v1::InstanceSpec>, FleetError> {
        let module = self.release(&record.current.wish.release).await?;
        let here = record.current.placements.iter().filter(|(_, place)| *place == node);
        here.map(|(id, _)| spec::instance(snapshot, id, record, &module)).collect()
    }
}
