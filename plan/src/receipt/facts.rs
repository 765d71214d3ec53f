//! Which facts the records of a run prove. The same journal always gives the same ones, so receipts that a crash left
//! unsigned are signed by the next agent, and one that says anything else is found out.

use std::collections::BTreeMap;

use modules::digest::Digest;

use super::{Fact, Outcome};
use crate::approval;
use crate::canonical::canonical_json;
use crate::run::Run;
use crate::run::event::{Event, Record, Work};
use crate::step::{Call, StepId};

/// Reads records one after the other.
#[derive(Debug, Default)]
pub struct Facts {
    begun: BTreeMap<(StepId, Work), Begun>,
    approved: BTreeMap<StepId, String>,
}

/// An attempt that is under way.
#[derive(Debug)]
struct Begun {
    attempt: u32,
    call: Call,
    started_ms: u64,
    returned_ms: Option<u64>,
}

impl Facts {
    /// What the next record proves; `run` has taken it already.
    pub fn read(&mut self, run: &Run, record: &Record) -> Option<Fact> {
        let at_ms = record.at_ms;
        match &record.event {
            Event::Approved { step, by, .. } => {
                self.approved.insert(step.clone(), by.clone());
                None
            }
            Event::Started { step, attempt, work, .. } => {
                self.begin(run, step, *attempt, *work, at_ms);
                None
            }
            Event::Returned { step, work: Work::Do, .. } => {
                let begun = self.begun.get_mut(&(step.clone(), Work::Do))?;
                begun.returned_ms = Some(at_ms);
                None
            }
            Event::Returned { step, work: Work::Undo, out, .. } => {
                let is_good = out.get("exit").and_then(|exit| exit.as_i64()).is_none_or(|exit| exit == 0);
                let outcome = if is_good { Outcome::Succeeded } else { Outcome::Failed };
                self.end(run, step, Work::Undo, outcome, Some(out), at_ms)
            }
            Event::Checked { step, holds, .. } => {
                let outcome = if *holds { Outcome::Succeeded } else { Outcome::CheckFailed };
                let out = run.steps.get(step).and_then(|progress| progress.out.as_ref());
                self.end(run, step, Work::Do, outcome, out, at_ms)
            }
            Event::Failed { step, work, .. } => self.end(run, step, *work, Outcome::Failed, None, at_ms),
            Event::Unknown { step, work, .. } => self.end(run, step, *work, Outcome::Unknown, None, at_ms),
            Event::Replanned { hash, .. } => Some(Fact::Replanned { hash: *hash }),
            Event::Ended { ending } => Some(Fact::Ended { ending: ending.clone() }),
            Event::Begun { .. }
            | Event::Cleared { .. }
            | Event::NotNeeded { .. }
            | Event::Skipped { .. }
            | Event::Forbidden { .. }
            | Event::Asked { .. }
            | Event::Denied { .. }
            | Event::Expired { .. }
            | Event::Answered { .. }
            | Event::Escalated { .. }
            | Event::Spent { .. }
            | Event::Cancelled { .. } => None,
        }
    }

    fn begin(&mut self, run: &Run, id: &StepId, attempt: u32, work: Work, started_ms: u64) {
        let Some(step) = run.plan.step(id) else { return };
        // It was made up just before; where it cannot be any more, the call as it is written stands for it.
        let call = run.call(step, work).unwrap_or_else(|_| step.call.clone());
        let begun = Begun { attempt, call, started_ms, returned_ms: None };
        self.begun.insert((id.clone(), work), begun);
    }

    fn end(
        &mut self,
        run: &Run,
        step: &StepId,
        work: Work,
        outcome: Outcome,
        out: Option<&serde_json::Value>,
        at_ms: u64,
    ) -> Option<Fact> {
        let begun = self.begun.remove(&(step.clone(), work))?;
        let effect = run.plan.step(step)?.effect;
        Some(Fact::Step {
            step: step.clone(),
            attempt: begun.attempt,
            work,
            tool: begun.call.tool,
            effect,
            call: approval::digest_of(&begun.call),
            started_ms: begun.started_ms,
            ended_ms: begun.returned_ms.unwrap_or(at_ms),
            outcome,
            out: out.map(|out| Digest::of(canonical_json(out).as_bytes())),
            approved_by: self.approved.get(step).cloned(),
        })
    }
}
