//! Decides predicates of a step on what the node looked at just now.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Event, Work};
use super::{Gate, Run};
use crate::approval::{self, Request};
use crate::fault::Faults;
use crate::policy::Policy;
use crate::policy::look::Look;
use crate::policy::verdict::Decision;
use crate::predicate::{Evidence, Predicate, Probe, check_all};
use crate::reference::{self, Scope};
use crate::step::{Args, Call, Step, StepId};

impl Run {
    /// What the node must look at before it can decide.
    pub fn probes(predicates: &[Predicate]) -> BTreeSet<Probe> {
        predicates.iter().filter_map(Predicate::probe).collect()
    }

    /// Whether a step that waits is needed: `Cleared` or `NotNeeded`.
    pub fn weigh(&self, step: &Step, seen: &BTreeMap<Probe, bool>) -> Event {
        let id = step.id.clone();
        match check_all(&step.when, &self.evidence(step, seen)) {
            Ok(()) => Event::Cleared { step: id },
            Err(why) => Event::NotNeeded { step: id, why },
        }
    }

    /// Whether a step that came back has worked.
    pub fn check(&self, step: &Step, seen: &BTreeMap<Probe, bool>) -> Event {
        let checked = check_all(&step.success, &self.evidence(step, seen));
        Event::Checked {
            step: step.id.clone(),
            attempt: self.steps.get(&step.id).map_or(0, |progress| progress.attempts),
            holds: checked.is_ok(),
            why: checked.err().unwrap_or_default(),
        }
    }

    /// A step's arguments with the values they have now.
    ///
    /// # Errors
    /// When a reference has no value or does not fit.
    pub fn args(&self, step: &StepId) -> Result<Args, reference::ReferenceError> {
        let Some(step) = self.plan.step(step) else { return Ok(Args::new()) };
        let scope = Scope { node: &self.node, run: &self.id, outputs: self.outputs() };
        reference::render(&step.call.args, &scope)
    }

    /// The call that a step's work is made of, with the values it has now. An undo may refer to the step's own output.
    ///
    /// # Errors
    /// When a reference has no value or does not fit.
    pub fn call(&self, step: &Step, work: Work) -> Result<Call, reference::ReferenceError> {
        let (call, mut outputs) = match (work, &step.undo) {
            (Work::Do, _) | (Work::Undo, None) => (&step.call, self.outputs()),
            (Work::Undo, Some(undo)) => (undo, self.outputs()),
        };
        if let (Work::Undo, Some((id, progress))) = (work, self.steps.get_key_value(&step.id))
            && let Some(out) = &progress.out
        {
            outputs.insert(id, out);
        }
        let args = reference::render(&call.args, &Scope { node: &self.node, run: &self.id, outputs })?;
        Ok(Call { tool: call.tool, args })
    }

    /// Whether a step may be taken back by this call. What a person would be asked about was shown to whoever approved
    /// the step; where nobody did, it is not done.
    ///
    /// # Errors
    /// Why not.
    pub fn may_undo(&self, step: &Step, call: &Call, policy: &Policy, look: &Look<'_>) -> Result<(), String> {
        let verdict = policy.judge_step(step.effect, call, look);
        if verdict.effect > step.undo_effect() {
            return Err(format!("it is {}, the plan says {}", verdict.effect, step.effect));
        }
        let is_approved = self.steps.get(&step.id).is_some_and(|progress| progress.approved.is_some());
        match (verdict.decision, is_approved) {
            (Decision::Allow, _) | (Decision::Ask, true) => Ok(()),
            (Decision::Ask, false) => Err(format!("nobody was asked about it: {}", verdict.reason())),
            (Decision::Forbid, _) => Err(verdict.reason()),
        }
    }

    /// What policy and effect say of a step with the values it has now. An answer to `Gate::Ask` is for exactly these.
    pub fn gate(&self, step: &Step, policy: &Policy, look: &Look<'_>, expires_ms: u64) -> Gate {
        let args = match self.args(&step.id) {
            Ok(args) => args,
            Err(error) => return Gate::Shut(error.to_string()),
        };
        let mut faults = Faults::default();
        step.call.tool.signature().check_values("args", &args, &mut faults);
        if !faults.is_empty() {
            return Gate::Shut(faults.to_string());
        }
        let call = Call { tool: step.call.tool, args };
        let verdict = policy.judge_step(step.effect, &call, look);
        if verdict.effect > step.effect {
            return Gate::Shut(format!("it is {}, the plan says {}", verdict.effect, step.effect));
        }
        let undo = step.undo.as_ref().map(|undo| (undo, policy.judge_step(step.effect, undo, look)));
        if let Some((_, undo)) = undo.as_ref().filter(|(_, undo)| undo.effect > step.undo_effect()) {
            return Gate::Shut(format!("its undo is {}, the plan says {}", undo.effect, step.effect));
        }
        let decision = undo.iter().fold(verdict.decision, |decision, (_, undo)| decision.max(undo.decision));
        match (decision, undo) {
            (Decision::Allow, _) => Gate::Open,
            (Decision::Ask, undo) => {
                let mut request = Request::new(self.hash, step.id.clone(), &self.node, &call, expires_ms);
                if let Some((undo, _)) = undo {
                    request.shown.push_str(&format!("; taken back by {}", approval::shown(undo)));
                }
                Gate::Ask(request)
            }
            (Decision::Forbid, Some((_, undo))) if verdict.decision != Decision::Forbid => {
                Gate::Shut(format!("its undo: {}", undo.reason()))
            }
            (Decision::Forbid, _) => Gate::Shut(verdict.reason()),
        }
    }

    fn evidence<'e>(&'e self, step: &Step, seen: &BTreeMap<Probe, bool>) -> Evidence<'e> {
        Evidence {
            out: self.steps.get(&step.id).and_then(|progress| progress.out.as_ref()),
            others: self.outputs(),
            seen: seen.clone(),
        }
    }
}
