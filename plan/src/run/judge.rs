//! Decides predicates of a step on what the node looked at just now.

use std::collections::{BTreeMap, BTreeSet};

use super::Run;
use super::event::Event;
use crate::predicate::{Evidence, Predicate, Probe, check_all};
use crate::reference::{self, Scope};
use crate::step::{Args, Step, StepId};

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

    fn evidence<'e>(&'e self, step: &Step, seen: &BTreeMap<Probe, bool>) -> Evidence<'e> {
        Evidence {
            out: self.steps.get(&step.id).and_then(|progress| progress.out.as_ref()),
            others: self.outputs(),
            seen: seen.clone(),
        }
    }
}
