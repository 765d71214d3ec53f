//! What an event does to the state; an event that cannot be at its place is an error.

use super::event::{Answer, Event, Record, Work};
use super::{MAX_REPLANS, Phase, Progress, Run, RunError, Undo};
use crate::plan::Plan;
use crate::step::{StepId, Tier};
use modules::digest::Digest;

impl Run {
    /// Takes one event.
    ///
    /// # Errors
    /// When the event cannot be here; above all when a step that cannot be repeated would begin again.
    pub fn apply(&mut self, record: &Record) -> Result<(), RunError> {
        let event = &record.event;
        let illegal = |why: &str| RunError::Illegal { event: name(event), why: why.to_owned() };
        if self.ending.is_some() {
            return Err(illegal("the run has ended"));
        }
        match event {
            Event::Begun { .. } => return Err(illegal("the run has begun")),
            Event::Cancelled { by } => self.cancelled_by = Some(by.clone()),
            Event::Ended { ending } => self.ending = Some(ending.clone()),
            Event::Spent { tokens, money, .. } => {
                self.tokens = self.tokens.saturating_add(*tokens);
                self.money = self.money.plus(*money);
            }
            Event::Replanned { plan, hash } => self.replan(plan, hash, event)?,
            Event::Started { step, attempt, work, .. } => self.start(step, *attempt, *work, event)?,
            Event::Returned { step, attempt, work, .. }
            | Event::Failed { step, attempt, work, .. }
            | Event::Unknown { step, attempt, work, .. }
            | Event::Answered { step, attempt, work, .. } => {
                if self.progress(step, event)?.attempts != *attempt {
                    return Err(illegal("another attempt is under way"));
                }
                match work {
                    Work::Do => self.come_back(step, event, record.at_ms)?,
                    Work::Undo => self.come_back_undone(step, event)?,
                }
            }
            Event::Checked { .. } | Event::Escalated { .. } => self.judged(event, record.at_ms)?,
            Event::Cleared { .. }
            | Event::NotNeeded { .. }
            | Event::Skipped { .. }
            | Event::Forbidden { .. }
            | Event::Asked { .. }
            | Event::Approved { .. }
            | Event::Denied { .. }
            | Event::Expired { .. } => self.prepare(event)?,
        }
        Ok(())
    }

    /// What was found out about a step that came back.
    fn judged(&mut self, event: &Event, at_ms: u64) -> Result<(), RunError> {
        let illegal = |why: &str| RunError::Illegal { event: name(event), why: why.to_owned() };
        match event {
            Event::Checked { step, attempt, holds, why } => {
                let progress = self.progress(step, event)?;
                if progress.phase != Phase::Returned || progress.attempts != *attempt {
                    return Err(illegal("there is nothing to check"));
                }
                match holds {
                    true => progress.phase = Phase::Succeeded,
                    false => self.fail_check(step, why, at_ms),
                }
            }
            Event::Escalated { step } => {
                let progress = self.progress(step, event)?;
                if progress.phase != Phase::Escalating {
                    return Err(illegal("the step does not escalate"));
                }
                progress.tier = Tier::High;
                progress.phase = Phase::Waiting { from_ms: at_ms };
            }
            _ => return Err(illegal("nothing waits for it")),
        }
        Ok(())
    }

    /// What happens to a step that has not begun.
    fn prepare(&mut self, event: &Event) -> Result<(), RunError> {
        let illegal = |why: &str| RunError::Illegal { event: name(event), why: why.to_owned() };
        let (Event::Cleared { step }
        | Event::NotNeeded { step, .. }
        | Event::Skipped { step, .. }
        | Event::Forbidden { step, .. }
        | Event::Asked { step, .. }
        | Event::Approved { step, .. }
        | Event::Denied { step, .. }
        | Event::Expired { step, .. }) = event
        else {
            return Err(illegal("nothing waits for it"));
        };
        let progress = self.progress(step, event)?;
        if !matches!(progress.phase, Phase::Waiting { .. }) {
            return Err(illegal("the step does not wait"));
        }
        let is_asked =
            |request: &Digest| progress.asked.as_ref().is_some_and(|asked| asked.digest() == *request);
        match event {
            Event::Cleared { .. } => progress.is_cleared = true,
            Event::NotNeeded { why, .. } => progress.phase = Phase::NotNeeded { why: why.clone() },
            Event::Skipped { why, .. } => progress.phase = Phase::Skipped { why: why.clone() },
            Event::Forbidden { why, .. } => fail(progress, format!("forbidden: {why}")),
            Event::Asked { request, .. } => {
                progress.asked = Some(request.clone());
                // A yes was to what was asked before.
                progress.approved = None;
            }
            Event::Approved { request, .. }
            | Event::Denied { request, .. }
            | Event::Expired { request, .. }
                if !is_asked(request) =>
            {
                return Err(illegal("another thing was asked"));
            }
            Event::Approved { request, .. } => progress.approved = Some(*request),
            Event::Denied { by, .. } => fail(progress, format!("denied by {by}")),
            Event::Expired { .. } => fail(progress, "nobody approved it in time".to_owned()),
            _ => return Err(illegal("nothing waits for it")),
        }
        Ok(())
    }

    fn start(&mut self, id: &StepId, attempt: u32, work: Work, event: &Event) -> Result<(), RunError> {
        let illegal = |why: &str| RunError::Illegal { event: name(event), why: why.to_owned() };
        let is_begun = self.order.contains(id);
        let step = self.plan.step(id).ok_or_else(|| illegal("the plan has no such step"))?;
        let progress = self.steps.get_mut(id).ok_or_else(|| illegal("the plan has no such step"))?;
        if work == Work::Undo {
            if step.undo.is_none() || progress.undo != Undo::Not || !is_begun || progress.attempts != attempt
            {
                return Err(illegal("there is nothing to take back"));
            }
            progress.undo = Undo::Running;
            self.begun += 1;
            return Ok(());
        }
        if !matches!(progress.phase, Phase::Waiting { .. }) || attempt != progress.attempts + 1 {
            return Err(illegal("the step does not wait"));
        }
        if is_begun && !step.effect.is_repeatable() {
            return Err(illegal("the step has begun before and cannot be repeated"));
        }
        progress.phase = Phase::Running;
        progress.attempts = attempt;
        self.begun += 1;
        if !is_begun {
            self.order.push(id.clone());
        }
        Ok(())
    }

    fn come_back(&mut self, id: &StepId, event: &Event, at_ms: u64) -> Result<(), RunError> {
        let illegal = |why: &str| RunError::Illegal { event: name(event), why: why.to_owned() };
        let progress = self.progress(id, event)?;
        match (progress.phase.clone(), event) {
            (Phase::Running, Event::Returned { out, .. }) => {
                progress.out = Some(out.clone());
                progress.phase = Phase::Returned;
            }
            (Phase::Running, Event::Failed { why, .. }) => self.fail_call(id, why, at_ms),
            (Phase::Running, Event::Unknown { why, .. }) => self.lose(id, why, at_ms),
            (Phase::Unknown { .. }, Event::Answered { answer: Answer::Done, .. }) => {
                progress.phase = Phase::Succeeded;
            }
            (Phase::Unknown { .. }, Event::Answered { answer: Answer::NotDone, .. }) => {
                progress.phase = Phase::Waiting { from_ms: at_ms };
                // A person has said that it never happened: only that lets it begin again.
                self.order.retain(|begun| begun != id);
            }
            (Phase::Unknown { why }, Event::Answered { answer: Answer::Stop, by, .. }) => {
                progress.phase = Phase::Failed { why: format!("{why}; stopped by {by}") };
            }
            _ => return Err(illegal("the step does not run")),
        }
        Ok(())
    }

    fn come_back_undone(&mut self, id: &StepId, event: &Event) -> Result<(), RunError> {
        let illegal = |why: &str| RunError::Illegal { event: name(event), why: why.to_owned() };
        let progress = self.progress(id, event)?;
        progress.undo = match (progress.undo.clone(), event) {
            (Undo::Running, Event::Returned { out, .. }) => {
                match out.get("exit").and_then(|exit| exit.as_i64()) {
                    Some(0) | None => Undo::Done,
                    Some(exit) => Undo::Failed { why: format!("its undo ended with exit {exit}") },
                }
            }
            (Undo::Running, Event::Failed { why, .. }) => Undo::Failed { why: why.clone() },
            (Undo::Running, Event::Unknown { why, .. }) => Undo::Unknown { why: why.clone() },
            (Undo::Unknown { .. }, Event::Answered { answer: Answer::Done, .. }) => Undo::Done,
            (Undo::Unknown { .. }, Event::Answered { answer: Answer::NotDone, .. }) => Undo::Not,
            (Undo::Unknown { why }, Event::Answered { answer: Answer::Stop, .. }) => Undo::Failed { why },
            _ => return Err(illegal("the undo does not run")),
        };
        Ok(())
    }

    /// Puts a new plan in place; what has run stays as it is.
    fn replan(&mut self, plan: &str, hash: &Digest, event: &Event) -> Result<(), RunError> {
        let plan = Plan::from_canonical(plan.as_bytes(), hash).map_err(RunError::Plan)?;
        let illegal = |why: &str| RunError::Illegal { event: name(event), why: why.to_owned() };
        if self.replans == MAX_REPLANS {
            return Err(illegal("there were as many new plans as there may be"));
        }
        if self.steps.values().any(|progress| progress.is_under_way() || progress.is_unknown()) {
            return Err(illegal("steps are under way"));
        }
        for (id, progress) in self.steps.iter().filter(|(_, progress)| !progress.is_untouched()) {
            let has_failed = matches!(progress.phase, Phase::Failed { .. });
            if has_failed && plan.step(id).is_some() {
                return Err(illegal(&format!("step {id} has run and failed; a new one needs another id")));
            }
            if !has_failed && plan.step(id) != self.plan.step(id) {
                return Err(illegal(&format!("step {id} has run and is another one in the new plan")));
            }
        }
        let mut steps = std::mem::take(&mut self.steps);
        steps.retain(|id, progress| !progress.is_untouched() && plan.step(id).is_some());
        for step in &plan.steps {
            steps.entry(step.id.clone()).or_insert_with(|| Progress::new(step));
        }
        self.steps = steps;
        self.hash = plan.hash();
        self.plan = plan;
        self.replans += 1;
        Ok(())
    }

    fn progress(&mut self, id: &StepId, event: &Event) -> Result<&mut Progress, RunError> {
        let illegal =
            || RunError::Illegal { event: name(event), why: "the plan has no such step".to_owned() };
        self.steps.get_mut(id).ok_or_else(illegal)
    }
}

fn fail(progress: &mut Progress, why: String) {
    progress.phase = Phase::Failed { why };
}

/// The event as a person reads it in an error.
fn name(event: &Event) -> String {
    let text = serde_json::to_string(event).unwrap_or_default();
    text.chars().take(120).collect()
}
