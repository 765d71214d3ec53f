//! Decides predicates of a step on what the node looked at just now.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;
use super::{Gate, Run};
use crate::approval::Request;
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

    /// What policy and effect say of a step with the values it has now. An answer to `Gate::Ask` is for exactly these.
    pub fn gate(&self, step: &Step, policy: &Policy, look: &Look<'_>, expires_ms: u64) -> Gate {
        let args = match self.args(&step.id) {
            Ok(args) => args,
            Err(error) => return Gate::Shut(error.to_string()),
        };
        let mut faults = Faults::default();
        step.call.tool.signature().check("args", &args, &mut faults);
        if !faults.is_empty() {
            return Gate::Shut(faults.to_string());
        }
        let call = Call { tool: step.call.tool, args };
        let verdict = policy.judge(&call, look);
        if verdict.effect > step.effect {
            return Gate::Shut(format!("it is {}, the plan says {}", verdict.effect, step.effect));
        }
        match verdict.decision {
            Decision::Allow => Gate::Open,
            Decision::Ask => {
                Gate::Ask(Request::new(self.hash, step.id.clone(), &self.node, &call, expires_ms))
            }
            Decision::Forbid => Gate::Shut(verdict.reason()),
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
