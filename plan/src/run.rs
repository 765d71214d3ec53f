//! A run of a plan on one node, as a pure state machine: what is written in its journal decides what comes next.
//!
//! The rim appends an event and syncs the journal before it acts on it: `Started` before the effect, `Finished` after
//! it. So after a crash every effect is either not begun, recorded, or known to be unknown; see [`Run::recover`].

use std::collections::BTreeMap;

use modules::digest::Digest;
use serde_json::Value;

use crate::canonical::CanonicalError;
use crate::money::Money;
use crate::plan::Plan;
use crate::step::{Step, StepId, Tier};

mod after;
mod apply;
pub mod event;
mod judge;
pub mod low;
mod next;
mod ready;
mod stage;
#[cfg(test)]
mod tests;

pub use next::{Action, Gate, Present};
pub use stage::{Phase, Progress, Undo};

use event::{Ending, Event, Record, Work};

/// New plans for what was not yet run; after these a person decides.
pub const MAX_REPLANS: u32 = 2;

/// The state of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: String,
    pub node: String,
    /// The plan as it is now, after replans.
    pub plan: Plan,
    pub hash: Digest,
    pub begun_ms: u64,
    pub replans: u32,
    pub steps: BTreeMap<StepId, Progress>,
    /// Steps begun, every attempt counted.
    pub begun: u32,
    pub tokens: u64,
    pub money: Money,
    pub cancelled_by: Option<String>,
    pub ending: Option<Ending>,
    /// The order in which steps were begun, for taking them back.
    order: Vec<StepId>,
}

/// Why a journal does not tell a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the journal does not begin with the run")]
    NotBegun,
    #[error("the plan in the journal cannot be read")]
    Plan(#[source] CanonicalError),
    #[error("the journal has {event} where {why}")]
    Illegal { event: String, why: String },
}

impl Run {
    /// The event that begins a run.
    pub fn begin(id: &str, node: &str, plan: &Plan) -> Event {
        Event::Begun { run: id.to_owned(), node: node.to_owned(), plan: plan.canonical(), hash: plan.hash() }
    }

    /// The state that a journal tells.
    ///
    /// # Errors
    /// When it does not begin with a run, or has an event that cannot be at its place.
    pub fn replay(records: &[Record]) -> Result<Self, RunError> {
        let (first, rest) = records.split_first().ok_or(RunError::NotBegun)?;
        let Event::Begun { run, node, plan, hash } = &first.event else { return Err(RunError::NotBegun) };
        let plan = Plan::from_canonical(plan.as_bytes(), hash).map_err(RunError::Plan)?;
        let mut state = Self {
            id: run.clone(),
            node: node.clone(),
            steps: plan.steps.iter().map(|step| (step.id.clone(), Progress::new(step))).collect(),
            plan,
            hash: *hash,
            begun_ms: first.at_ms,
            replans: 0,
            begun: 0,
            tokens: 0,
            money: Money::ZERO,
            cancelled_by: None,
            ending: None,
            order: Vec::new(),
        };
        rest.iter().try_for_each(|record| state.apply(record))?;
        Ok(state)
    }

    /// What must be appended after a crash: whatever was under way has an unknown outcome.
    pub fn recover(&self) -> Vec<Event> {
        let lost = |step: &StepId, attempt, work| Event::Unknown {
            step: step.clone(),
            attempt,
            work,
            why: "the agent ended while it was under way".to_owned(),
        };
        let mut events = Vec::new();
        for (id, progress) in &self.steps {
            if progress.phase == Phase::Running {
                events.push(lost(id, progress.attempts, Work::Do));
            }
            if progress.undo == Undo::Running {
                events.push(lost(id, progress.attempts, Work::Undo));
            }
        }
        events
    }

    /// What the other side recognises a second delivery by: the same for every attempt.
    pub fn key(&self, step: &Step) -> String {
        let own = step.key.clone().unwrap_or_default();
        Digest::of(format!("{}\n{}\n{}\n{own}", self.id, self.node, step.id).as_bytes()).hex()[..32]
            .to_owned()
    }

    /// The outputs that a step can refer to.
    pub fn outputs(&self) -> BTreeMap<&StepId, &Value> {
        let over = self.steps.iter().filter(|(_, progress)| progress.phase == Phase::Succeeded);
        over.filter_map(|(id, progress)| Some((id, progress.out.as_ref()?))).collect()
    }

    /// The tier that a step's next attempt thinks with.
    pub fn tier(&self, id: &StepId) -> Tier {
        self.steps.get(id).map_or(Tier::None, |progress| progress.tier)
    }
}
