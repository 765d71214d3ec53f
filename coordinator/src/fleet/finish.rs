//! The end of a change: what was carried out is kept, or what ran before is wanted again and carried out.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::ids::DeploymentName;
use proto::v1;
use proto::v1::deploy_event::Finished;

use super::carry_out::Verdict;
use super::proposal::{Proposal, Recorded};
use super::{Fleet, FleetError, Progress, keys};
use crate::domain::deployment::{DeploymentRecord, HistoryEntry, Outcome, OutcomeWord, Progress as State};
use crate::domain::placement::Explanation;
use crate::fault;
use crate::store::json::{Stored, get_json, put_json};
use crate::store::{Op, Txn};

/// Going back must not hang where the old release, too, has trouble.
const ROLLBACK_TIMEOUT: Duration = Duration::from_secs(60);

impl Fleet {
    /// Carries out what was recorded and settles it; a failure takes the whole deployment back.
    pub(super) async fn finish(
        &self,
        recorded: Recorded,
        timeout: Duration,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let mut verdict = self.carry_out(&recorded, timeout, progress).await;
        let mut recorded = recorded;
        // What had to stop first has stopped now and can start where it belongs.
        if verdict == Verdict::Done
            && !recorded.record.unplaced.is_empty()
            && let Some(second) = self.place_again(&recorded.record.name, &BTreeSet::new()).await?
        {
            self.note_outcome(&recorded.record, OutcomeWord::Waiting, "stopped, to start elsewhere").await?;
            verdict = self.carry_out(&second, timeout, progress).await;
            recorded = second;
        }
        self.settle(&recorded.record, verdict, timeout, progress).await
    }

    /// Records what came of a change and says it.
    pub(super) async fn settle(
        &self,
        record: &DeploymentRecord,
        verdict: Verdict,
        timeout: Duration,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        match verdict {
            Verdict::Done if record.unplaced.is_empty() && !record.current.placements.is_empty() => {
                self.conclude(record, State::Settled, OutcomeWord::Healthy, "").await?;
                match self.overtaken(record).await? {
                    None => {
                        self.finished(&record.name, v1::Outcome::Done, String::new(), String::new()).await
                    }
                    Some(how) => {
                        let hint = format!("`orchestrator history {}` shows who wanted what", record.name);
                        self.finished(&record.name, v1::Outcome::Failed, how, hint).await
                    }
                }
            }
            Verdict::Done => self.wait_for_place(record).await,
            Verdict::Waiting { nodes } => {
                let away: Vec<_> = nodes.iter().map(|(node, reason)| format!("{node} ({reason})")).collect();
                let message = format!("waiting for {}", away.join(", "));
                let hint =
                    "it is delivered by the next command that finds the node, or by `orchestrator serve`";
                self.finished(&record.name, v1::Outcome::Waiting, message, hint.to_owned()).await
            }
            Verdict::Progressing { message } if timeout.is_zero() => {
                let hint = format!("`orchestrator status {}` shows how it goes", record.name);
                self.finished(&record.name, v1::Outcome::Waiting, message, hint).await
            }
            Verdict::Progressing { message } => {
                let reason = format!("not healthy within {} s: {message}", timeout.as_secs());
                self.go_back(record, reason, progress).await
            }
            Verdict::Failed { reason } => self.go_back(record, reason, progress).await,
        }
    }

    /// How somebody else came to want something else, while this change was carried out.
    async fn overtaken(&self, record: &DeploymentRecord) -> Result<Option<String>, FleetError> {
        let Some(now) =
            get_json::<DeploymentRecord>(self.store.as_ref(), &keys::deployment(&record.name)).await?
        else {
            return Ok(Some(format!("{} was removed meanwhile", record.name)));
        };
        let (ours, theirs) = (&record.current, &now.value.current);
        let is_ours = ours.generation == theirs.generation || ours.wish == theirs.wish;
        Ok((!is_ours).then(|| {
            format!("{} was changed meanwhile: generation {} is wanted now", record.name, theirs.generation.0)
        }))
    }

    async fn wait_for_place(&self, record: &DeploymentRecord) -> Result<Finished, FleetError> {
        let ids: Vec<_> = record.unplaced.iter().map(ToString::to_string).collect();
        let wanted = if ids.is_empty() { record.name.to_string() } else { ids.join(", ") };
        let message = format!("no node fits {wanted}: {}", why(&record.explanation));
        self.conclude(record, State::Settled, OutcomeWord::Waiting, &message).await?;
        let hint = format!(
            "`orchestrator status {}` shows why, node by node; it is placed when a node fits",
            record.name
        );
        self.finished(&record.name, v1::Outcome::Waiting, message, hint).await
    }

    /// Wants again what was healthy before, everywhere, and sees it through.
    pub(super) async fn go_back(
        &self,
        failed: &DeploymentRecord,
        reason: String,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let Some(previous) = failed.previous.clone() else {
            let state = State::Failed { reason: reason.clone() };
            self.conclude(failed, state, OutcomeWord::Failed, &reason).await?;
            let hint = format!("`orchestrator logs {}` shows what it said", failed.name);
            return self.finished(&failed.name, v1::Outcome::Failed, reason, hint).await;
        };
        let release = &failed.current.wish.release;
        progress.note(format!(
            "{} {} failed ({reason}): going back to {}",
            release.module, release.version, previous.wish.release.version
        ));
        let module = self.release(&previous.wish.release).await?;
        fault::point("back.decided");
        loop {
            let snapshot = self.recall().await?;
            let is_ours =
                |kept: &Stored<DeploymentRecord>| kept.value.current.generation == failed.current.generation;
            if !snapshot.deployments.get(&failed.name).is_some_and(is_ours) {
                // Somebody wants something else by now; that is theirs to see through.
                let message = format!("{reason}; meanwhile the deployment was changed by someone else");
                return self.finished(&failed.name, v1::Outcome::Failed, message, String::new()).await;
            }
            let mut record = failed.clone();
            record.current = previous.clone();
            record.current.generation = failed.current.generation.next();
            record.attempt = record.current.generation.0;
            record.previous = None;
            record.footprint = super::spec::footprint(&record.name, &module, &record.current.wish)?;
            record.progress = State::RolledBack { failed: release.clone(), reason: reason.clone() };
            let proposal = Proposal::restore(&snapshot, record, &module)?;
            let Some(recorded) =
                self.record(&snapshot, proposal, crate::domain::deployment::Action::Rollback).await?
            else {
                continue;
            };
            fault::point("back.recorded");
            self.note_outcome(failed, OutcomeWord::RolledBack, &reason).await?;
            return self.finish_going_back(&recorded, &reason, progress).await;
        }
    }

    async fn finish_going_back(
        &self,
        recorded: &Recorded,
        reason: &str,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let verdict = self.carry_out(recorded, ROLLBACK_TIMEOUT, progress).await;
        fault::point("back.carried_out");
        let version = &recorded.record.current.wish.release.version;
        let (word, message) = match verdict {
            Verdict::Done => (OutcomeWord::Healthy, format!("{reason}; {version} runs again")),
            Verdict::Waiting { nodes } => {
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
        };
        self.note_outcome(&recorded.record, word, &message).await?;
        let hint = format!("`orchestrator logs {}` shows what it said", recorded.record.name);
        self.finished(&recorded.record.name, v1::Outcome::Failed, message, hint).await
    }

    /// Ends the change in the record and in the history, unless somebody has changed the deployment since.
    async fn conclude(
        &self,
        record: &DeploymentRecord,
        state: State,
        word: OutcomeWord,
        message: &str,
    ) -> Result<(), FleetError> {
        let key = keys::deployment(&record.name);
        let Some(kept) = get_json::<DeploymentRecord>(self.store.as_ref(), &key).await? else {
            return Ok(());
        };
        let is_ours = kept.value.current.generation == record.current.generation;
        if !is_ours || kept.value.progress != State::Rolling {
            return Ok(());
        }
        let mut after = kept.value.clone();
        after.progress = state;
        after.leaving.clear();
        let outcome = self.outcome_op(record, word, message).await?;
        fault::point("settle.before");
        self.amend(&kept, &after, outcome).await?;
        fault::point("settle.after");
        Ok(())
    }

    async fn note_outcome(
        &self,
        record: &DeploymentRecord,
        word: OutcomeWord,
        message: &str,
    ) -> Result<(), FleetError> {
        if let Some(op) = self.outcome_op(record, word, message).await? {
            self.store.commit(Txn { preconditions: Vec::new(), ops: vec![op] }).await?;
        }
        Ok(())
    }

    async fn outcome_op(
        &self,
        record: &DeploymentRecord,
        word: OutcomeWord,
        message: &str,
    ) -> Result<Option<Op>, FleetError> {
        let key = keys::history_entry(&record.name, record.current.generation);
        let Some(kept) = get_json::<HistoryEntry>(self.store.as_ref(), &key).await? else { return Ok(None) };
        let mut entry = kept.value;
        entry.outcome = Some(Outcome { word, message: message.to_owned(), at: self.clock.now() });
        Ok(Some(put_json(key, &entry)?))
    }

    pub(super) async fn finished(
        &self,
        name: &DeploymentName,
        outcome: v1::Outcome,
        message: String,
        hint: String,
    ) -> Result<Finished, FleetError> {
        let deployment = self.status_of(name).await?;
        Ok(Finished { outcome: outcome.into(), deployment, message, hint })
    }
}

/// How many nodes a message names; `status` shows all.
const NAMED: usize = 12;

/// Every failing predicate of every node, as one line.
fn why(explanation: &Explanation) -> String {
    let unfit: Vec<_> = explanation.nodes.iter().filter(|verdict| !verdict.failures.is_empty()).collect();
    if explanation.nodes.is_empty() {
        return "the fleet has no nodes".to_owned();
    }
    let named =
        unfit.iter().take(NAMED).map(|verdict| format!("{} {}", verdict.node, verdict.failures.join(", ")));
    let more = (unfit.len() > NAMED).then(|| format!("and {} more nodes", unfit.len() - NAMED));
    named.chain(more).collect::<Vec<_>>().join("; ")
}
