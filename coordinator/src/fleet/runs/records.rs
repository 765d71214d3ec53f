//! What of a run is in the store, and how it is changed: each change only where nobody else was faster.

use std::collections::BTreeMap;

use proto::ids::NodeName;

use super::live::LiveRun;
use super::start::is_conflict;
use crate::domain::deployment::Carrier;
use crate::domain::node::NodeRecord;
use crate::domain::runs::{Archived, Ended, How, NodeRun, RunId, RunRecord, Stage};
use crate::domain::verdict::Verdict;
use crate::fault;
use crate::fleet::{Fleet, FleetError, carrier, keys};
use crate::store::json::{Stored, get_json, list_json, put_json};
use crate::store::{Precondition, Txn};

impl Fleet {
    /// Reads the run anew.
    pub(super) async fn refresh(&self, live: &LiveRun) -> Result<Stored<RunRecord>, FleetError> {
        let id = live.see(|state| state.record.id.clone());
        let kept = self.find_run(id.as_str()).await?;
        let nodes = self.run_nodes(&id).await?;
        let is_same = live.see(|state| {
            let known = state.nodes.iter().filter_map(|(name, node)| Some((name, node.kept.as_ref()?)));
            state.is_loaded && state.record == kept.value && known.eq(nodes.iter())
        });
        if !is_same {
            live.change(|state| {
                state.record = kept.value.clone();
                state.is_loaded = true;
                for (name, node) in &mut state.nodes {
                    node.kept = nodes.get(name).cloned();
                }
            });
        }
        Ok(kept)
    }

    pub(super) async fn run_nodes(&self, id: &RunId) -> Result<BTreeMap<NodeName, NodeRun>, FleetError> {
        let kept = list_json::<NodeRun>(self.store.as_ref(), &keys::run_nodes(id)).await?.entries;
        Ok(kept.into_iter().map(|kept| (kept.value.node.clone(), kept.value)).collect())
    }

    /// Whether another process carries the run, or this one does already.
    pub(super) async fn is_run_in_other_hands(&self, record: &RunRecord) -> Result<bool, FleetError> {
        if record.carrier == Carrier::default() {
            return Ok(false);
        }
        let key = keys::carrier(&record.carrier);
        let presence = self.store.get(&key).await?.is_some();
        Ok(carrier::is_at_work(&record.carrier, &self.carrier, presence))
    }

    /// Takes the run into this process's hands, where it is in nobody's. Whether it is there now.
    pub(super) async fn take_on(&self, kept: &Stored<RunRecord>) -> Result<bool, FleetError> {
        if kept.value.carrier == self.carrier {
            return Ok(true);
        }
        if self.is_run_in_other_hands(&kept.value).await? {
            return Ok(false);
        }
        let record = RunRecord { carrier: self.carrier.clone(), ..kept.value.clone() };
        let put = put_json(kept.key.clone(), &record)?;
        let taken = self.store.commit(Txn::new().when(kept.unchanged()).then(put)).await;
        match taken {
            Ok(_) => {
                fault::point("run.taken_on");
                Ok(true)
            }
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes how far a node is that was not begun. Nothing where somebody else did, or the run is in other hands now.
    pub(super) async fn put_first_stage(
        &self,
        run: &Stored<RunRecord>,
        node: &NodeName,
        stage: Stage,
    ) -> Result<Option<NodeRun>, FleetError> {
        let key = keys::run_node(&run.value.id, node);
        let entry = NodeRun { node: node.clone(), stage, at: self.clock.now(), journal: None };
        let put = put_json(key.clone(), &entry)?;
        let txn = Txn::new().when(run.unchanged()).when(Precondition::Absent { key }).then(put);
        match self.store.commit(txn).await {
            Ok(_) => Ok(Some(entry)),
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes how far a node is now. What is over stays as it is.
    pub(super) async fn put_stage(
        &self,
        live: &LiveRun,
        node: &NodeName,
        stage: &Stage,
        journal: Option<&Archived>,
    ) -> Result<(), FleetError> {
        let id = live.see(|state| state.record.id.clone());
        let key = keys::run_node(&id, node);
        loop {
            let Some(kept) = get_json::<NodeRun>(self.store.as_ref(), &key).await? else {
                return Err(FleetError::Unreadable { what: key, cause: "it is gone".into() });
            };
            let entry = if kept.value.stage.is_over() || kept.value.stage == *stage {
                kept.value
            } else {
                let journal = journal.cloned();
                let entry =
                    NodeRun { node: node.clone(), stage: stage.clone(), at: self.clock.now(), journal };
                let put = put_json(key.clone(), &entry)?;
                match self.store.commit(Txn::new().when(kept.unchanged()).then(put)).await {
                    Ok(_) => entry,
                    Err(error) if is_conflict(&error) => continue,
                    Err(error) => return Err(error.into()),
                }
            };
            live.change_node(node, |known| known.kept = Some(entry));
            return Ok(());
        }
    }

    /// Writes down how the run ended.
    pub(super) async fn conclude_run(
        &self,
        live: &LiveRun,
        how: How,
        verdict: Option<Verdict>,
    ) -> Result<(), FleetError> {
        let id = live.see(|state| state.record.id.clone());
        loop {
            let kept = self.find_run(id.as_str()).await?;
            if kept.value.ended.is_some() {
                // Whoever waits for the end must hear of it, also when another process wrote it down.
                live.change(|state| state.record = kept.value);
                return Ok(());
            }
            let ended = Some(Ended { how: how.clone(), at: self.clock.now() });
            let record = RunRecord { ended, verdict: verdict.clone(), ..kept.value.clone() };
            let put = put_json(kept.key.clone(), &record)?;
            fault::point("run.concluding");
            match self.store.commit(Txn::new().when(kept.unchanged()).then(put)).await {
                Ok(_) => {
                    fault::point("run.concluded");
                    self.remember_how_it_ran(&record).await;
                    live.change(|state| state.record = record);
                    return Ok(());
                }
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A plan that did what was asked may be used again for the same request, one that did not may not.
    async fn remember_how_it_ran(&self, run: &RunRecord) {
        let Some(ended) = run.ended.as_ref().filter(|_| !run.dry_run) else { return };
        // What nothing shows is no reason to use the plan again, and none to forget it.
        if matches!(ended.how, How::Unverified { .. }) {
            return;
        }
        let remembered = self.plan_ended(&run.plan, ended.how == How::Done).await;
        if let Err(error) = remembered {
            tracing::warn!(%error, run = %run.id, "could not remember how the plan ran");
        }
    }

    /// Remembers the key that signs a node's receipts, the first time it is seen. Gives the one that counts.
    pub(in crate::fleet) async fn pin_receipt_key(
        &self,
        node: &NodeName,
        seen: &[u8],
    ) -> Result<Option<String>, FleetError> {
        let seen: String = seen.iter().map(|byte| format!("{byte:02x}")).collect();
        loop {
            let key = keys::node(node);
            let Some(kept) = get_json::<NodeRecord>(self.store.as_ref(), &key).await? else {
                return Ok(None);
            };
            if kept.value.receipt_key.is_some() || seen.is_empty() {
                if kept.value.receipt_key.as_ref().is_some_and(|pinned| *pinned != seen && !seen.is_empty()) {
                    tracing::error!(%node, "signs receipts with another key than before; they are not believed");
                }
                return Ok(kept.value.receipt_key);
            }
            let record = NodeRecord { receipt_key: Some(seen.clone()), ..kept.value.clone() };
            let put = put_json(key, &record)?;
            match self.store.commit(Txn::new().when(kept.unchanged()).then(put)).await {
                Ok(_) => return Ok(record.receipt_key),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
