//! What follows when a step did not work: again, by a stronger model, or not at all.

use super::{Phase, Run};
use crate::step::{OnFailure, StepId, Tier};

/// Attempts whose outcome may be lost before a step that can be repeated counts as failed.
const MAX_LOST: u32 = 3;
const BACKOFF_MS: u64 = 1_000;
const MAX_BACKOFF_MS: u64 = 60_000;
/// Failed checks after which LOW gives way to HIGH.
const LOW_CHECKS: u32 = 2;

impl Run {
    pub(super) fn fail_check(&mut self, id: &StepId, why: &str, at_ms: u64) {
        if let Some(progress) = self.steps.get_mut(id) {
            progress.failed_checks += 1;
        }
        self.fail(id, why, at_ms);
    }

    /// Its call has failed. Of what can be repeated that may still have done half of it.
    pub(super) fn fail_call(&mut self, id: &StepId, why: &str, at_ms: u64) {
        let (Some(step), Some(progress)) = (self.plan.step(id), self.steps.get_mut(id)) else { return };
        progress.did_nothing = !step.effect.is_repeatable();
        self.fail(id, why, at_ms);
    }

    /// Again where the plan says so and the effect allows it; otherwise it has failed.
    pub(super) fn fail(&mut self, id: &StepId, why: &str, at_ms: u64) {
        let (Some(step), Some(progress)) = (self.plan.step(id), self.steps.get_mut(id)) else { return };
        let is_repeatable = step.effect.is_repeatable();
        progress.phase = match (step.on_failure, progress.tier) {
            (OnFailure::Retry(more), _) if is_repeatable && progress.attempts - progress.lost <= more => {
                Phase::Waiting { from_ms: at_ms.saturating_add(backoff(progress.attempts)) }
            }
            (OnFailure::Escalate, Tier::Low)
                if is_repeatable
                    && progress.failed_checks < LOW_CHECKS
                    && progress.attempts - progress.lost < LOW_CHECKS =>
            {
                Phase::Waiting { from_ms: at_ms }
            }
            (OnFailure::Escalate, Tier::Low) if is_repeatable => Phase::Escalating,
            _ => Phase::Failed { why: why.to_owned() },
        };
    }

    /// The outcome of an attempt is lost. What can be repeated is; anything else is for a person to say.
    pub(super) fn lose(&mut self, id: &StepId, why: &str, at_ms: u64) {
        let (Some(step), Some(progress)) = (self.plan.step(id), self.steps.get_mut(id)) else { return };
        progress.lost += 1;
        progress.phase = match (step.effect.is_repeatable(), progress.lost < MAX_LOST) {
            (true, true) => Phase::Waiting { from_ms: at_ms.saturating_add(backoff(progress.lost)) },
            (true, false) => Phase::Failed { why: format!("{why}, {MAX_LOST} times") },
            (false, _) => Phase::Unknown { why: why.to_owned() },
        };
    }
}

fn backoff(attempts: u32) -> u64 {
    BACKOFF_MS.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(MAX_BACKOFF_MS)
}
