//! What a failure comes to: what was healthy before is wanted again, everywhere.

use std::time::Duration;

use proto::v1;
use proto::v1::deploy_event::Finished;

use super::carry_out::Verdict;
use super::proposal::{Proposal, leaving, next_attempt};
use super::recorded::Recorded;
use super::{Fleet, FleetError, Progress, spec};
use crate::domain::deployment::{Action, Carrier, DeploymentRecord, OutcomeWord, Placed, Progress as State};
use crate::fault;
use crate::store::json::Stored;

/// Going back must not hang where the old release, too, has trouble.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(60);

impl Fleet {
    /// Wants again what was healthy before, everywhere, and sees it through.
    pub(super) async fn go_back(
        &self,
        failed: &DeploymentRecord,
        reason: String,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let Some(previous) = failed.previous.clone() else { return self.give_up(failed, reason).await };
        let release = &failed.current.wish.release;
        progress.note(format!(
            "{} {} failed ({reason}): going back to {}",
            release.module, release.version, previous.wish.release.version
        ));
        let module = self.release(&previous.wish.release).await?;
        fault::point("back.decided");
        loop {
            // Where its dependencies listen only their nodes may know.
            let snapshot = match module.spec.depends.is_empty() {
                true => self.recall().await?,
                false => self.snapshot().await?,
            };
            let is_ours = |kept: &Stored<DeploymentRecord>| kept.value.attempt == failed.attempt;
            if !snapshot.deployments.get(&failed.name).is_some_and(is_ours) {
                let how = self.overtaken(failed).await?;
                let how = how.unwrap_or_else(|| format!("{} was changed meanwhile", failed.name));
                let how = if how.starts_with(&reason) { how } else { format!("{reason}; {how}") };
                return self.superseded(failed, how).await;
            }
            let mut record = failed.clone();
            record.current = previous.clone();
            record.current.generation = failed.current.generation.next();
            record.attempt = next_attempt(&snapshot, Some(failed));
            record.previous = None;
            record.is_proven = false;
            record.leaving = leaving(&snapshot, Some(failed), &record.current.placements);
            record.unplaced = previous.unplaced();
            if module.spec.exclusive {
                stop_before_start(&mut record, &previous);
            }
            record.footprint = spec::footprint(&record.name, &module, &record.current.wish)?;
            record.progress = State::RolledBack { failed: release.clone(), reason: reason.clone() };
            let proposal = match Proposal::restore(&snapshot, record, &module) {
                Err(error) if error.is_about_a_dependency() => {
                    let version = &module.release.version;
                    let reason = format!("{reason}; cannot go back to {version}: {error}");
                    return self.give_up(failed, reason).await;
                }
                proposal => proposal?,
            };
            let outcome = self.outcome_op(failed, OutcomeWord::RolledBack, &reason).await?;
            let outcome = outcome.into_iter().map(|(_, op)| op).collect();
            let recorded = self.record_with(&snapshot, proposal, Action::Rollback, outcome).await?;
            let Some(recorded) = recorded else { continue };
            fault::point("back.recorded");
            let (recorded, verdict) = self.carry_out_going_back(recorded, ROLLBACK_TIMEOUT, progress).await?;
            fault::point("back.carried_out");
            return self.settle_going_back(&recorded, &reason, verdict).await;
        }
    }

    /// There is nothing to go back to.
    async fn give_up(&self, failed: &DeploymentRecord, reason: String) -> Result<Finished, FleetError> {
        let state = State::Failed { reason: reason.clone() };
        self.conclude(failed, state, OutcomeWord::Failed, &reason).await?;
        let hint = format!("`orchestrator logs {}` shows what it said", failed.name);
        self.finished(&failed.name, v1::Outcome::Failed, reason, hint).await
    }

    /// Carries out a rollback, and what had to wait until something else had stopped.
    async fn carry_out_going_back(
        &self,
        recorded: Recorded,
        timeout: Duration,
        progress: &Progress,
    ) -> Result<(Recorded, Verdict), FleetError> {
        let verdict = self.carry_out(&recorded, timeout, progress).await;
        if verdict != Verdict::Done || !has_to_start(&recorded.record) {
            return Ok((recorded, verdict));
        }
        let Some(second) = self.start_stopped(&recorded.record).await? else {
            return Ok((recorded, verdict));
        };
        let verdict = self.carry_out(&second, timeout, progress).await;
        Ok((second, verdict))
    }

    /// Records the places that had to wait; `None` where somebody else wants something else by now.
    async fn start_stopped(&self, stopped: &DeploymentRecord) -> Result<Option<Recorded>, FleetError> {
        let module = self.release(&stopped.current.wish.release).await?;
        loop {
            let snapshot = self.snapshot().await?;
            let kept = snapshot.deployments.get(&stopped.name);
            let Some(previous) = stopped.previous.clone() else { return Ok(None) };
            if kept.is_none_or(|kept| kept.value.attempt != stopped.attempt) {
                return Ok(None);
            }
            let mut record = stopped.clone();
            record.unplaced = previous.unplaced();
            record.current.placements = previous.placements;
            record.current.generation = stopped.current.generation.next();
            record.attempt = next_attempt(&snapshot, Some(stopped));
            record.previous = None;
            record.leaving = leaving(&snapshot, Some(stopped), &record.current.placements);
            if !record.leaving.is_empty() {
                return Ok(None);
            }
            let proposal = Proposal::restore(&snapshot, record, &module)?;
            let recorded = self.record(&snapshot, proposal, Action::Move).await?;
            if recorded.is_some() {
                return Ok(recorded);
            }
        }
    }

    /// Goes on with a rollback that somebody recorded who has died since; leaves it to the next round where it takes
    /// its time.
    pub(super) async fn carry_on_going_back(
        &self,
        recorded: Recorded,
        reason: &str,
        round: Duration,
    ) -> Result<(), FleetError> {
        let (recorded, verdict) = self.carry_out_going_back(recorded, round, &Progress::unheard()).await?;
        let age = self.clock.now().saturating_sub(recorded.record.changed_at);
        let may_take_longer = u128::try_from(age).unwrap_or_default() < ROLLBACK_TIMEOUT.as_millis();
        if may_take_longer && matches!(verdict, Verdict::Progressing { .. }) {
            return Ok(());
        }
        self.settle_going_back(&recorded, reason, verdict).await.map(drop)
    }

    /// Records what came of a rollback and says it.
    async fn settle_going_back(
        &self,
        recorded: &Recorded,
        reason: &str,
        verdict: Verdict,
    ) -> Result<Finished, FleetError> {
        let version = &recorded.record.current.wish.release.version;
        let (word, message) = match verdict {
            Verdict::Done if !has_to_start(&recorded.record) => {
                (OutcomeWord::Healthy, format!("{reason}; {version} runs again"))
            }
            Verdict::Done => {
                (OutcomeWord::Waiting, format!("{reason}; {version} starts again once the other has stopped"))
            }
            Verdict::Waiting { nodes, .. } if has_to_start(&recorded.record) => {
                let nodes: Vec<_> = nodes.keys().map(ToString::to_string).collect();
                let message = format!(
                    "{reason}; {version} starts again once it is known to have stopped on {}",
                    nodes.join(", ")
                );
                (OutcomeWord::Waiting, message)
            }
            Verdict::Waiting { nodes, .. } => {
                let nodes: Vec<_> = nodes.keys().map(ToString::to_string).collect();
                (
                    OutcomeWord::Waiting,
                    format!("{reason}; {version} runs again, except on {}, which is away", nodes.join(", ")),
                )
            }
            Verdict::Progressing { message } => (
                OutcomeWord::Failed,
                format!("{reason}; going back to {version}, which is not healthy yet: {message}"),
            ),
            Verdict::Failed { reason: again } => {
                (OutcomeWord::Failed, format!("{reason}; going back to {version} failed, too: {again}"))
            }
            Verdict::Superseded => {
                let how = self.overtaken(&recorded.record).await?;
                let how = how.unwrap_or_else(|| format!("{version} is wanted by somebody else, too"));
                return self.superseded(&recorded.record, format!("{reason}; {how}")).await;
            }
        };
        self.conclude_going_back(&recorded.record, word, &message).await?;
        let hint = format!("`orchestrator logs {}` shows what it said", recorded.record.name);
        self.finished(&recorded.record.name, v1::Outcome::Failed, message, hint).await
    }

    /// From now on nobody carries the rollback out.
    async fn conclude_going_back(
        &self,
        record: &DeploymentRecord,
        word: OutcomeWord,
        message: &str,
    ) -> Result<(), FleetError> {
        let kept = self.kept(&record.name).await?;
        let Some(kept) = kept.filter(|kept| kept.value.attempt == record.attempt) else { return Ok(()) };
        let mut after = DeploymentRecord { carrier: Carrier::default(), ..kept.value.clone() };
        if word == OutcomeWord::Healthy {
            after.leaving.clear();
        }
        let outcome = self.outcome_op(record, word, message).await?;
        self.amend(&kept, &after, outcome.map(|(_, op)| op)).await?;
        Ok(())
    }
}

/// Whether instances start where they were once they have stopped where they are.
fn has_to_start(record: &DeploymentRecord) -> bool {
    record.previous.is_some()
}

/// Of an exclusive module nothing starts where it was before it has stopped where it is.
fn stop_before_start(record: &mut DeploymentRecord, previous: &Placed) {
    for id in record.leaving.keys() {
        if record.current.placements.remove(id).is_some() {
            record.unplaced.insert(id.clone());
            record.previous = Some(previous.clone());
        }
    }
}
