//! What happens in a run; the journal is a list of these.

use modules::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::approval::Request;
use crate::money::Money;
use crate::step::{StepId, Tier};

/// An event and when it was, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub at_ms: u64,
    pub event: Event,
}

/// What a step's call is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    Do,
    Undo,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The plan is here as a whole, so that a run needs nothing but its journal.
    Begun {
        run: String,
        node: String,
        plan: String,
        hash: Digest,
    },
    /// The step's `when` holds.
    Cleared {
        step: StepId,
    },
    /// Its `when` does not hold; steps after it go on.
    NotNeeded {
        step: StepId,
        why: String,
    },
    /// A step it needs has failed or was skipped.
    Skipped {
        step: StepId,
        why: String,
    },
    /// The policy does not allow it with the values it has now.
    Forbidden {
        step: StepId,
        why: String,
    },
    Asked {
        step: StepId,
        request: Request,
    },
    Approved {
        step: StepId,
        request: Digest,
        by: String,
    },
    Denied {
        step: StepId,
        request: Digest,
        by: String,
    },
    /// Nobody answered in time, which is a no.
    Expired {
        step: StepId,
        request: Digest,
    },
    /// Written and synced before the effect.
    Started {
        step: StepId,
        attempt: u32,
        work: Work,
        tier: Tier,
        key: String,
    },
    /// The call came to its end, with output capped and without secrets.
    Returned {
        step: StepId,
        attempt: u32,
        work: Work,
        out: Value,
    },
    /// The call was never made, or is known to have done nothing.
    Failed {
        step: StepId,
        attempt: u32,
        work: Work,
        why: String,
    },
    /// Nobody knows whether it was done.
    Unknown {
        step: StepId,
        attempt: u32,
        work: Work,
        why: String,
    },
    /// A person knows.
    Answered {
        step: StepId,
        attempt: u32,
        work: Work,
        answer: Answer,
        by: String,
    },
    /// The success predicates, on evidence collected anew.
    Checked {
        step: StepId,
        attempt: u32,
        holds: bool,
        why: String,
    },
    Escalated {
        step: StepId,
    },
    Spent {
        step: StepId,
        tokens: u64,
        money: Money,
    },
    /// A new plan, approved where it had to be; steps that ran are in it unchanged.
    Replanned {
        plan: String,
        hash: Digest,
    },
    Cancelled {
        by: String,
    },
    Ended {
        ending: Ending,
    },
}

/// What a person says about an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Done,
    NotDone,
    /// The run stops here.
    Stop,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Done,
    /// Steps failed whose failure the plan lives with.
    DoneExcept {
        steps: Vec<StepId>,
    },
    Failed {
        step: StepId,
        why: String,
    },
    RolledBack {
        step: StepId,
        why: String,
    },
    /// A step failed and its undo, or that of one before it, as well.
    NotRolledBack {
        step: StepId,
        why: String,
    },
    OverBudget {
        why: String,
    },
    TimedOut,
    Cancelled {
        by: String,
    },
    /// It was ended from outside or by time while the outcome of these was unknown.
    Unknown {
        steps: Vec<StepId>,
    },
}
