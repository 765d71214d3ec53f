//! Begins a run: an approved plan, the nodes it is for now, one record. And carries on those whose carrier has died.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use plan::plan::Plan;
use plan::step::StepId;
use proto::v1;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::drive;
use super::live::LiveRun;
use crate::domain::plans::{PlanRecord, Source};
use crate::domain::runs::{RunId, RunRecord};
use crate::fault;
use crate::fleet::plans::{PlansError, readable};
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::json::{list_json, put_json};
use crate::store::{Precondition, StoreError, Txn};

/// Between two looks of `serve` for runs that were left behind.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a command that only looks waits for runs that it carries on.
const LOOK: Duration = Duration::from_secs(2);

impl Fleet {
    /// Records the run and begins to carry it.
    ///
    /// # Errors
    /// Where the plan is not approved, or may not run on one of its nodes.
    pub async fn start_run(
        self: &Arc<Self>,
        request: &v1::StartRunRequest,
    ) -> Result<v1::RunSummary, FleetError> {
        let kept = self.find_plan(&request.plan).await?.value;
        let plan = readable(&kept)?;
        self.check_approved(&kept, request.dry_run)?;
        let yes_to = yes_to(&plan, &request.yes_to)?;
        let against = self.check_plan(&plan).await?;
        let problems = against.problems();
        if !problems.is_empty() {
            return Err(PlansError::MayNotRun { problems: problems.join("\n") }.into());
        }
        if let Some(nowhere) = against.nowhere {
            return Err(nowhere);
        }
        let record = RunRecord {
            id: new_id()?,
            plan: kept.hash,
            nodes: against.nodes.into_keys().collect(),
            dry_run: request.dry_run,
            yes_to,
            approval_timeout_ms: request.approval_timeout_ms,
            by: self.by.clone(),
            begun_at: self.clock.now(),
            carrier: self.carrier.clone(),
            cancelled_by: None,
            ended: None,
            looks_after: None,
            looked_at_by: None,
            verdict: None,
        };
        let live = self.record_run(record, plan).await?;
        if let Err(error) = self.forget_old_runs().await {
            warn!(%error, "could not forget old runs");
        }
        self.run_summary(&live.record()).await
    }

    fn check_approved(&self, kept: &PlanRecord, dry_run: bool) -> Result<(), PlansError> {
        // What a person wrote may be tried out before it is approved; a model's plan is looked at first.
        let is_own = dry_run && matches!(kept.source, Source::File { .. });
        if kept.is_approved(self.clock.now()) || is_own {
            return Ok(());
        }
        Err(PlansError::NotApproved { plan: kept.hash, was: kept.approval.is_some() })
    }

    async fn record_run(self: &Arc<Self>, record: RunRecord, plan: Plan) -> Result<Arc<LiveRun>, FleetError> {
        let id = record.id.clone();
        let hold = self.holds.take_run(&id);
        self.presence.show(&self.store, &self.carrier, &self.holds).await?;
        let key = keys::run(&id);
        let put = put_json(key.clone(), &record)?;
        self.store.commit(Txn::new().when(Precondition::Absent { key }).then(put)).await?;
        fault::point("run.recorded");
        let live = Arc::new(LiveRun::new(record, plan));
        self.runs.lock().insert(id, Arc::clone(&live));
        drive::begin(self, &live, Some(hold));
        Ok(live)
    }

    /// The run as this process follows it, from now on if it did not before.
    pub(super) async fn follow_here(self: &Arc<Self>, id: &RunId) -> Result<Arc<LiveRun>, FleetError> {
        if let Some(live) = self.runs.lock().get(id) {
            return Ok(Arc::clone(live));
        }
        let record = self.find_run(id.as_str()).await?.value;
        let plan = self.plan_of_run(&record).await?;
        let mut runs = self.runs.lock();
        if let Some(live) = runs.get(id) {
            return Ok(Arc::clone(live));
        }
        let live = Arc::new(LiveRun::new(record, plan));
        runs.insert(id.clone(), Arc::clone(&live));
        drive::begin(self, &live, None);
        Ok(live)
    }

    /// Carries runs until `stop`, also those that others leave behind.
    pub async fn keep_runs(self: &Arc<Self>, stop: CancellationToken) {
        loop {
            let round = async {
                if let Err(error) = self.take_on_runs().await {
                    warn!(%error, "could not look after runs");
                }
                tokio::time::sleep(PAUSE).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = round => {}
            }
        }
    }

    /// Carries on what goes on and is in nobody's hands, and waits a little for what comes of it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn carry_on_runs(self: &Arc<Self>) -> Result<(), FleetError> {
        let taken = self.take_on_runs().await?;
        join_all(taken.iter().map(|live| live.settled(LOOK))).await;
        Ok(())
    }

    async fn take_on_runs(self: &Arc<Self>) -> Result<Vec<Arc<LiveRun>>, FleetError> {
        let kept = list_json::<RunRecord>(self.store.as_ref(), keys::RUNS).await?.entries;
        let open = kept.into_iter().map(|kept| kept.value).filter(|record| record.ended.is_none());
        let mut taken = Vec::new();
        for record in open {
            let is_followed = self.runs.lock().contains_key(&record.id);
            if !is_followed && !self.is_run_in_other_hands(&record).await? {
                taken.push(self.follow_here(&record.id).await?);
            }
        }
        Ok(taken)
    }
}

fn yes_to(plan: &Plan, names: &[String]) -> Result<BTreeSet<StepId>, PlansError> {
    let step = |name: &String| {
        let known = plan.steps.iter().find(|step| step.id.as_str() == name);
        known.map(|step| step.id.clone()).ok_or_else(|| PlansError::NoSuchStep { step: name.clone() })
    };
    names.iter().map(step).collect()
}

pub(super) fn new_id() -> Result<RunId, FleetError> {
    let mut random = [0; 10];
    let failed = |_| FleetError::Invalid { message: "the system gives no randomness".to_owned(), hint: None };
    SystemRandom::new().fill(&mut random).map_err(failed)?;
    Ok(RunId::of(&random))
}

/// Whether an error means that somebody else was first.
pub(super) fn is_conflict(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict { .. })
}
