//! The end of a change: what was carried out is kept, or what ran before is wanted again and carried out.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::ids::DeploymentName;
use proto::v1;
use proto::v1::deploy_event::Finished;

use super::carry_out::Verdict;
use super::recorded::Recorded;
use super::{Fleet, FleetError, Progress};
use crate::domain::deployment::{DeploymentRecord, OutcomeWord, Progress as State};
use crate::domain::placement::Explanation;

impl Fleet {
    /// Carries out what was recorded and settles it; a failure takes the whole deployment back.
    pub(super) async fn finish(
        &self,
        recorded: Recorded,
        timeout: Duration,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let (mut recorded, mut verdict) = self.see_through(recorded, timeout, progress).await?;
        // What had to stop first has stopped now and can start where it belongs.
        if verdict == Verdict::Done
            && !recorded.record.unplaced.is_empty()
            && let Some(second) = self.place_again(&recorded.record.name, &BTreeSet::new()).await?
        {
            self.note_outcome(&recorded.record, OutcomeWord::Waiting, "stopped, to start elsewhere").await?;
            (recorded, verdict) = self.see_through(second, timeout, progress).await?;
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
                    None => self.done(&record.name).await,
                    Some(how) => self.superseded(record, how).await,
                }
            }
            Verdict::Done => self.wait_for_place(record).await,
            Verdict::Waiting { nodes, is_proven } => {
                let away: Vec<_> = nodes.iter().map(|(node, reason)| format!("{node} ({reason})")).collect();
                let away = away.join(", ");
                if is_proven {
                    self.note_proven(record, &format!("healthy, except for {away}")).await?;
                }
                let message = format!("waiting for {away}");
                let hint = "it is delivered by the next command that can do it, or by `orchestrator serve`";
                self.finished(&record.name, v1::Outcome::Waiting, message, hint.to_owned()).await
            }
            Verdict::Progressing { message } if timeout.is_zero() => {
                let hint = format!("`orchestrator status {}` shows how it goes", record.name);
                self.finished(&record.name, v1::Outcome::Waiting, message, hint).await
            }
            Verdict::Progressing { message } => {
                let reason = format!("not healthy within {} s: {message}", timeout.as_secs());
                self.fail(record, reason, progress).await
            }
            Verdict::Failed { reason } => self.fail(record, reason, progress).await,
            Verdict::Superseded => {
                let how = self.overtaken(record).await?;
                let how = how.unwrap_or_else(|| format!("{} was changed meanwhile, and back", record.name));
                self.superseded(record, how).await
            }
        }
    }

    /// A change that failed is taken back. Where nothing had changed there is nothing to take back: what ran before is this.
    async fn fail(
        &self,
        record: &DeploymentRecord,
        reason: String,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        if record.progress != State::Settled {
            return self.go_back(record, reason, progress).await;
        }
        let message = format!("nothing was changed, and {} is not healthy: {reason}", record.name);
        let hint = format!(
            "`orchestrator logs {0}` shows what it says; `orchestrator restart {0}` starts it again, `orchestrator rollback {0}` goes back",
            record.name
        );
        self.finished(&record.name, v1::Outcome::Failed, message, hint).await
    }

    /// All was healthy; what the last look says may be something else again.
    async fn done(&self, name: &DeploymentName) -> Result<Finished, FleetError> {
        let finished = self.finished(name, v1::Outcome::Done, String::new(), String::new()).await?;
        Ok(still_true(finished))
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

/// Who is told "done" finds it healthy.
fn still_true(mut finished: Finished) -> Finished {
    use v1::deployment::State;
    let Some(deployment) = &finished.deployment else { return finished };
    let state = deployment.state();
    if state == State::Healthy {
        return finished;
    }
    finished.message = format!("it was healthy and is not any more: {}", deployment.message);
    finished.hint = format!("`orchestrator status {}` shows how it goes on", deployment.name);
    finished.outcome = v1::Outcome::Waiting.into();
    finished
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn done_is_said_only_of_what_is_healthy_at_the_last_look() {
        use v1::deployment::State;
        for (state, expected) in [
            (State::Healthy, v1::Outcome::Done),
            (State::Unknown, v1::Outcome::Waiting),
            (State::Unhealthy, v1::Outcome::Waiting),
        ] {
            let deployment = v1::Deployment {
                name: "web".to_owned(),
                state: state.into(),
                message: "attic is not reachable".to_owned(),
                ..Default::default()
            };
            let finished = Finished {
                outcome: v1::Outcome::Done.into(),
                deployment: Some(deployment),
                message: String::new(),
                hint: String::new(),
            };
            let told = still_true(finished);
            assert_eq!(told.outcome(), expected);
            let is_explained = told.message.contains("attic is not reachable");
            assert_eq!(is_explained, expected != v1::Outcome::Done, "{told:?}");
        }
    }
}
