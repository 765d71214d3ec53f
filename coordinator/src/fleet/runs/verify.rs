//! Whether a run reached its goal: what its plan looks with is run once more, as a run of its own that agents know nothing
//! special of, and judged (`domain::verdict`). Until then the run has not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use plan::plan::Plan;
use plan::rollout::State as Rollout;
use plan::run::Run;
use plan::verify::{Looking, looking, needs_showing};
use proto::ids::NodeName;

use super::drive;
use super::live::LiveRun;
use super::start::{is_conflict, new_id};
use super::words::waits_for;
use crate::domain::plans::Source;
use crate::domain::runs::{How, NodeRun, RunId, RunRecord};
use crate::domain::verdict::{Seen, Verdict, is_judged_by_model};
use crate::fault;
use crate::fleet::models::Asker;
use crate::fleet::plans::readable;
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::json::{Stored, get_json, put_json};
use crate::store::{Precondition, Txn};

/// How long a look is waited for in one round.
const LOOK: Duration = Duration::from_secs(2);

impl Fleet {
    /// What an end of all nodes is worth; nothing as long as it is still being looked at.
    pub(super) async fn weigh_ending(
        self: &Arc<Self>,
        live: &LiveRun,
        run: &Stored<RunRecord>,
        how: How,
    ) -> Result<Option<(How, Option<Verdict>)>, FleetError> {
        let record = &run.value;
        if how != How::Done {
            if let Some(look) = &record.looked_at_by {
                self.end_look(look).await?;
            }
            return Ok(Some((how, None)));
        }
        if record.dry_run || record.looks_after.is_some() || !needs_showing(&live.plan) {
            return Ok(Some((how, None)));
        }
        let verdict = match looking(&live.plan) {
            None => Verdict::unknown("no step of the plan looks at what it reached"),
            Some(looking) if looking.decisive.is_empty() => {
                Verdict::unknown("no check of the plan looks at what it changed")
            }
            Some(looking) => match self.look(live, run, &looking).await? {
                Some(seen) => self.judge_run(live, record, &seen).await?,
                None => return Ok(None),
            },
        };
        Ok(Some((verdict.how(), Some(verdict))))
    }

    /// The plan that a run carries out.
    pub(super) async fn plan_of_run(&self, record: &RunRecord) -> Result<Plan, FleetError> {
        let Some(of) = &record.looks_after else {
            return readable(&self.find_plan(&record.plan.hex()).await?.value);
        };
        let plan = looking(&readable(&self.find_plan(&of.hex()).await?.value)?).map(|looking| looking.plan);
        plan.filter(|plan| plan.hash() == record.plan).ok_or_else(|| FleetError::Unreadable {
            what: format!("the plan of run {}", record.id),
            cause: "another version of the coordinator began it; cancel it with `orchestrator run cancel`"
                .into(),
        })
    }

    /// What was seen on each node; nothing until all of them were looked at.
    async fn look(
        self: &Arc<Self>,
        live: &LiveRun,
        run: &Stored<RunRecord>,
        looking: &Looking,
    ) -> Result<Option<BTreeMap<NodeName, Seen>>, FleetError> {
        let Some(id) = &run.value.looked_at_by else {
            self.begin_look(live, run, looking).await?;
            return Ok(None);
        };
        if self.look_record(id).await?.ended.is_none() {
            let look = self.follow_here(id).await?;
            look.settled(LOOK).await;
            let waits = look.see(|state| state.is_settled().then(|| waits_for(state)));
            if self.look_record(id).await?.ended.is_none() {
                let waits = waits.filter(|waits| !waits.is_empty());
                if live.see(|state| state.held_up != waits) {
                    live.change(|state| state.held_up = waits);
                }
                return Ok(None);
            }
        }
        self.seen(id, looking).await.map(Some)
    }

    /// One write records the look and that the run waits for it.
    async fn begin_look(
        self: &Arc<Self>,
        live: &LiveRun,
        run: &Stored<RunRecord>,
        looking: &Looking,
    ) -> Result<(), FleetError> {
        let parent = &run.value;
        let look = RunRecord {
            id: new_id()?,
            plan: looking.plan.hash(),
            nodes: done(live),
            looks_after: Some(parent.plan),
            looked_at_by: None,
            begun_at: self.clock.now(),
            carrier: self.carrier.clone(),
            ..parent.clone()
        };
        let hold = self.holds.take_run(&look.id);
        self.presence.show(&self.store, &self.carrier, &self.holds).await?;
        let waiting = RunRecord { looked_at_by: Some(look.id.clone()), ..parent.clone() };
        let key = keys::run(&look.id);
        let txn = Txn::new()
            .when(run.unchanged())
            .when(Precondition::Absent { key: key.clone() })
            .then(put_json(run.key.clone(), &waiting)?)
            .then(put_json(key, &look)?);
        match self.store.commit(txn).await {
            Ok(_) => {}
            Err(error) if is_conflict(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        fault::point("run.look_recorded");
        let id = look.id.clone();
        let looking = Arc::new(LiveRun::new(look, looking.plan.clone()));
        self.runs.lock().insert(id, Arc::clone(&looking));
        drive::begin(self, &looking, Some(hold));
        // What was written is seen in the next round, at once.
        live.change(|_| ());
        Ok(())
    }

    async fn look_record(&self, id: &RunId) -> Result<RunRecord, FleetError> {
        let kept = get_json::<RunRecord>(self.store.as_ref(), &keys::run(id)).await?;
        let gone = || FleetError::Unreadable { what: format!("run {id}"), cause: "it is gone".into() };
        Ok(kept.ok_or_else(gone)?.value)
    }

    /// What the journals of a look tell. A node that could not be looked at has seen nothing.
    async fn seen(&self, id: &RunId, looking: &Looking) -> Result<BTreeMap<NodeName, Seen>, FleetError> {
        let record = self.look_record(id).await?;
        let entries = self.run_nodes(id).await?;
        let mut seen = BTreeMap::new();
        for node in record.nodes {
            let told = match entries.get(&node) {
                Some(entry) => self.told_of(id, entry).await?,
                None => None,
            };
            seen.insert(node, told.map(|run| Seen::of(looking, &run)).unwrap_or_default());
        }
        Ok(seen)
    }

    async fn told_of(&self, id: &RunId, entry: &NodeRun) -> Result<Option<Run>, FleetError> {
        let Some(archived) = &entry.journal else { return Ok(None) };
        let kept = self.kept_journal(id, entry, archived).await?;
        Ok(Run::replay(&kept.records).ok())
    }

    async fn judge_run(
        &self,
        live: &LiveRun,
        record: &RunRecord,
        seen: &BTreeMap<NodeName, Seen>,
    ) -> Result<Verdict, FleetError> {
        let source = self.find_plan(&record.plan.hex()).await?.value.source;
        let is_drafted = matches!(source, Source::Drafted { .. });
        let has_run_well = self.has_run_well(&record.plan).await?;
        if !is_judged_by_model(&live.plan, is_drafted, has_run_well) {
            return Ok(Verdict::by_code(seen));
        }
        let asker = Asker::of_run(&live.plan, record.id.as_str(), None);
        let verdict = self.models.verify(&asker, &live.plan, seen).await;
        fault::point("run.judged");
        Ok(verdict)
    }

    /// Nobody waits for the look any more.
    async fn end_look(&self, id: &RunId) -> Result<(), FleetError> {
        loop {
            let Some(kept) = get_json::<RunRecord>(self.store.as_ref(), &keys::run(id)).await? else {
                return Ok(());
            };
            if kept.value.ended.is_some() || kept.value.cancelled_by.is_some() {
                return Ok(());
            }
            let record = RunRecord { cancelled_by: Some(self.by.clone()), ..kept.value.clone() };
            let put = put_json(kept.key.clone(), &record)?;
            match self.store.commit(Txn::new().when(kept.unchanged()).then(put)).await {
                Ok(_) => return Ok(()),
                Err(error) if is_conflict(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The nodes on which every step ended well.
fn done(live: &LiveRun) -> BTreeSet<NodeName> {
    live.see(|state| {
        let is_done = |node: &super::live::Node| {
            node.kept.as_ref().is_some_and(|kept| kept.stage.state() == Rollout::Done)
        };
        state.nodes.iter().filter(|(_, node)| is_done(node)).map(|(name, _)| name.clone()).collect()
    })
}
