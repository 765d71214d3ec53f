//! `orchestrator remove`: nothing stays on the nodes but the volumes, and with `--purge` not even those.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;
use proto::v1::deploy_event::Finished;

use super::carry_out::Verdict;
use super::change::Next;
use super::deploy::wait;
use super::recorded::Recorded;
use super::{Fleet, FleetError, Progress, keys};
use crate::domain::deployment::{DeploymentRecord, HistoryEntry};
use crate::fault;
use crate::store::json::list_json;
use crate::store::{MAX_OPS, Op, Txn};

impl Fleet {
    pub async fn remove(
        &self,
        request: &v1::RemoveRequest,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let name = DeploymentName::parse(&request.deployment)?;
        let recorded = self.forget(&name, request.purge).await?;
        let verdict = self.carry_out(&recorded, wait(request.timeout_ms, false), progress).await;
        fault::point("remove.carried_out");
        Ok(farewell(&name, verdict, wait(request.timeout_ms, false)))
    }

    /// Takes the deployment out of the wish, and its history with it.
    async fn forget(&self, name: &DeploymentName, purge: bool) -> Result<Recorded, FleetError> {
        loop {
            let snapshot = self.recall().await?;
            let Some(kept) = snapshot.deployments.get(name) else {
                return Err(self.no_such_deployment(name, &snapshot));
            };
            let instances = BTreeMap::new();
            let purge = if purge { self.homes_ever(&kept.value).await? } else { BTreeSet::new() };
            let next = Next { name, record: None, instances: &instances, purge: &purge };
            let history = self.latest_history(name).await?;
            if let Some(touched) = self.write(&snapshot, &next, history).await? {
                fault::point("remove.recorded");
                let mut record = emptied(&kept.value);
                let touched = to_hear(&mut record.leaving, touched, |node| snapshot.nodes.contains_key(node));
                return Ok(Recorded { record, attempt: None, touched, away: snapshot.away(), _hold: None });
            }
        }
    }

    /// Every node that may have volumes of it: where its instances are and were.
    async fn homes_ever(&self, record: &DeploymentRecord) -> Result<BTreeSet<NodeName>, FleetError> {
        let history =
            list_json::<HistoryEntry>(self.store.as_ref(), &keys::history(&record.name)).await?.entries;
        let past = history.into_iter().flat_map(|kept| kept.value.placed.placements.into_values());
        let now = record.current.placements.values().chain(record.leaving.values()).cloned();
        Ok(past.chain(now).collect())
    }

    /// Deletes what is too old to go with the removal in one transaction; gives what is to go with it.
    async fn latest_history(&self, name: &DeploymentName) -> Result<Vec<Op>, FleetError> {
        let entries = self.store.list(&keys::history(name)).await?.entries;
        let mut ops: Vec<Op> = entries.into_iter().map(|(key, _)| Op::Delete { key }).collect();
        let latest = ops.split_off(ops.len().saturating_sub(MAX_OPS / 2 - 1));
        for some in ops.chunks(MAX_OPS) {
            self.store.commit(Txn { preconditions: Vec::new(), ops: some.to_vec() }).await?;
        }
        Ok(latest)
    }
}

fn emptied(record: &DeploymentRecord) -> DeploymentRecord {
    let mut record = record.clone();
    record.leaving.extend(std::mem::take(&mut record.current.placements));
    record.unplaced.clear();
    record
}

/// Drops from `leaving` who left with a node that has left; gives the nodes that are asked: those that the change
/// touched, and those that have nothing new to do, for whether an instance has left is theirs to say.
fn to_hear(
    leaving: &mut BTreeMap<InstanceId, NodeName>,
    touched: BTreeSet<NodeName>,
    is_in_fleet: impl Fn(&NodeName) -> bool,
) -> BTreeSet<NodeName> {
    leaving.retain(|_, node| is_in_fleet(node));
    touched.into_iter().chain(leaving.values().cloned()).collect()
}

fn farewell(name: &DeploymentName, verdict: Verdict, timeout: Duration) -> Finished {
    let (outcome, message, hint) = match verdict {
        Verdict::Done => (v1::Outcome::Done, format!("{name} is removed"), ""),
        Verdict::Waiting { nodes, .. } => {
            let nodes: Vec<_> = nodes.iter().map(|(node, reason)| format!("{node} ({reason})")).collect();
            let hint = "it goes there with the next command that finds the node, or by `orchestrator serve`";
            (
                v1::Outcome::Waiting,
                format!("{name} is removed, but may still be on {}", nodes.join(", ")),
                hint,
            )
        }
        Verdict::Progressing { message } => (
            v1::Outcome::Failed,
            format!("{name} has not stopped within {} s: {message}", timeout.as_secs()),
            "",
        ),
        Verdict::Superseded => (v1::Outcome::Failed, format!("{name} was deployed again meanwhile"), ""),
        Verdict::Failed { reason } => {
            (v1::Outcome::Failed, format!("{name} could not be stopped: {reason}"), "")
        }
    };
    Finished { outcome: outcome.into(), deployment: None, message, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_that_is_left_is_asked_unless_it_is_gone_itself() {
        let node = |name: &str| NodeName::parse(name).expect("a name");
        let instance = |id: &str| InstanceId::parse(id).expect("an id");
        let mut leaving = [("web/0", "a"), ("web/1", "b"), ("web/2", "gone")]
            .map(|(id, name)| (instance(id), node(name)))
            .into();
        let asked = to_hear(&mut leaving, [node("b")].into(), |name| name.as_str() != "gone");
        assert_eq!(asked, [node("a"), node("b")].into());
        assert_eq!(leaving.keys().map(ToString::to_string).collect::<Vec<_>>(), ["web/0", "web/1"]);
    }
}
