//! What follows from a verdict: remembering what is healthy, giving up what has failed, starting again.

use proto::v1::Phase;

use crate::clock;
use crate::content::Content;
use crate::decide::{self, Goal, Verdict};
use crate::fault;
use crate::ledger::Failure;
use crate::runtime::group::Fate;
use crate::supervisor::{CALM, FAILED_GRACE, Supervisor};

impl Supervisor {
    pub(super) async fn judge(&mut self, verdict: Verdict, goal: &Goal) {
        match verdict {
            Verdict::Continue => {}
            Verdict::Healthy => self.settle().await,
            Verdict::Failed(reason) => {
                let content = self.trial.as_ref().map(|trial| trial.content);
                self.fail(content, reason).await;
            }
            Verdict::Restart(reason) => self.restart(reason, Phase::Backoff, goal).await,
            Verdict::Unhealthy(reason) => self.restart(reason, Phase::Unhealthy, goal).await,
        }
    }

    /// The running content is healthy: it is what the node goes back to from now on.
    async fn settle(&mut self) {
        let Some(candidate) = self.running.as_ref().and_then(|running| running.candidate.clone()) else {
            return;
        };
        if let Some(trial) = &mut self.trial {
            trial.is_judged = false;
        }
        self.say("healthy");
        let settled = self.memory.settled.as_ref().map(|settled| settled.content);
        if settled != Some(candidate.content) {
            fault::point("settle.before");
            let remembered = candidate.clone();
            self.agent.remember(&self.id.to_string(), move |memory| memory.settled = Some(remembered)).await;
            fault::point("settle.after");
            tracing::info!(instance = %self.id, release = candidate.release_digest(), "healthy");
            self.agent.use_release(&self.id, self.lane, Some(candidate.release_digest()));
        }
    }

    /// The candidate has failed for good in this attempt. The next look at the goal finds what to do instead.
    pub(super) async fn fail(&mut self, content: Option<Content>, reason: String) {
        let wanted = self.wish.borrow().clone();
        // What runs may be another, and goes on being looked at.
        if self.trial.as_ref().is_some_and(|trial| Some(trial.content) == content) {
            self.trial = None;
        }
        self.pause = None;
        let Some(wanted) = wanted.filter(|wanted| content == Some(wanted.content)) else { return };
        tracing::warn!(instance = %self.id, reason, "release failed");
        self.say(&format!("release failed: {reason}"));
        let failure = Failure {
            content: wanted.content,
            attempt: wanted.spec.attempt,
            release: wanted.spec.release.clone().unwrap_or_default(),
            reason,
        };
        self.agent.remember(&self.id.to_string(), move |memory| memory.failed = Some(failure)).await;
        fault::point("fail.after");
        if self.is_of(content) {
            self.stop(Some(FAILED_GRACE)).await;
        }
    }

    /// Ends what is left of the process and starts it again after a pause.
    pub(super) async fn restart(&mut self, reason: String, phase: Phase, goal: &Goal) {
        self.shown.set(phase, &reason);
        self.publish(goal);
        let (age, _) = self.ages();
        if let Some(running) = self.running.take() {
            self.end(running, None, Fate::Kept).await;
            self.agent.use_release(&self.id, self.lane, None);
        }
        self.crashes = if age > CALM { 0 } else { self.crashes };
        let pause = decide::backoff(self.crashes, clock::noise());
        self.crashes += 1;
        self.restarts += 1;
        self.pause = Some(clock::now() + pause);
        self.say(&format!("{reason}; starting again in {pause:.1?}"));
        self.shown.set(Phase::Backoff, &reason);
    }
}
