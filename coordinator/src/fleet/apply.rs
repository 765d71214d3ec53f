//! Brings one node's agent what is wanted of it: the packages it lacks, then the whole spec.
//! Deploys and the reconcile loop take this same way, so a crash anywhere is repaired by going it again.

use proto::ids::NodeName;
use proto::v1;
use proto::v1::apply_reply::Verdict;

use super::record::{decode_spec, put_spec};
use super::{Fleet, FleetError, Progress, keys};
use crate::domain::node::NodeRecord;
use crate::fault;
use crate::store::json::{Stored, get_json};
use crate::store::{StoreError, Txn};

/// How often a spec is offered again after the agent or the store had a newer one.
const OFFERS: usize = 4;

impl Fleet {
    /// # Errors
    /// Unreachable where the node cannot be reached; the wish stays, and the next `apply` delivers it.
    pub(super) async fn apply(&self, name: &NodeName, progress: &Progress) -> Result<(), FleetError> {
        let node = self.node(name).await?;
        let agent = self.dial(&node).await?;
        let mut offers = 0;
        while offers < OFFERS {
            let report = agent.observe().await?;
            let Some(wanted) = self.wanted(name).await? else {
                if self.want_anew(name, &report).await? {
                    offers += 1;
                    continue;
                }
                return Ok(());
            };
            let has_shipped =
                self.ship_missing(&node, agent.as_ref(), &wanted.value, &report, progress).await?;
            // What took long to bring may be wanted no more.
            if has_shipped && self.wanted(name).await?.is_none_or(|latest| latest.revision != wanted.revision)
            {
                continue;
            }
            offers += 1;
            // Also where it has this generation: after a store was restored it may be another of that number.
            fault::point("apply.before");
            let reply = agent.apply(self.with_secret_values(wanted.value.clone()).await?).await?;
            fault::point("apply.after");
            match reply.verdict() {
                Verdict::Accepted | Verdict::Unchanged => return Ok(()),
                Verdict::Stale | Verdict::Conflict => self.outgrow(name, wanted, reply.generation).await?,
            }
        }
        Err(StoreError::Conflict { key: keys::desired(name) }.into())
    }

    pub(super) async fn node(&self, name: &NodeName) -> Result<NodeRecord, FleetError> {
        match get_json(self.store.as_ref(), &keys::node(name)).await? {
            Some(Stored { value, .. }) => Ok(value),
            None => Err(FleetError::NoSuchNode { name: name.to_string(), similar: None }),
        }
    }

    pub(super) async fn wanted(&self, name: &NodeName) -> Result<Option<Stored<v1::NodeSpec>>, FleetError> {
        let key = keys::desired(name);
        let found = self.store.get(&key).await?;
        Ok(found.map(|found| decode_spec(&key, found)).transpose()?.map(|(_, spec)| spec))
    }

    /// The agent holds a generation that the wish has not reached, as after a restored store: the wish is the
    /// truth for what should run, so it takes a larger generation. Where somebody else changed the wish
    /// meanwhile, that one counts.
    async fn outgrow(
        &self,
        name: &NodeName,
        wanted: Stored<v1::NodeSpec>,
        held: u64,
    ) -> Result<(), FleetError> {
        let mut spec = wanted.value.clone();
        spec.generation = held.max(spec.generation).saturating_add(1);
        let txn = Txn { preconditions: vec![wanted.unchanged()], ops: vec![put_spec(name, &spec)] };
        match self.store.commit(txn).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
