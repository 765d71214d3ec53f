//! How far a step is.

use modules::digest::Digest;
use serde_json::Value;

use crate::approval::Request;
use crate::step::{Step, Tier};

/// Everything about one step of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    pub phase: Phase,
    /// Its `when` holds.
    pub is_cleared: bool,
    pub attempts: u32,
    pub failed_checks: u32,
    /// Attempts whose outcome was lost.
    pub lost: u32,
    pub tier: Tier,
    pub out: Option<Value>,
    pub asked: Option<Request>,
    /// The request that was approved.
    pub approved: Option<Digest>,
    /// Its call is known to have changed nothing: there is nothing to take back.
    pub did_nothing: bool,
    pub undo: Undo,
}

/// The phase of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not begun, or to begin again, not before this time.
    Waiting {
        from_ms: u64,
    },
    Running,
    /// It came to its end; whether it worked is not checked yet.
    Returned,
    /// Nobody knows whether it was done; a person is asked.
    Unknown {
        why: String,
    },
    /// LOW failed twice; HIGH comes next.
    Escalating,
    Succeeded,
    Failed {
        why: String,
    },
    /// Its `when` does not hold.
    NotNeeded {
        why: String,
    },
    /// A step it needs has failed or was skipped.
    Skipped {
        why: String,
    },
}

/// How far taking it back is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    Not,
    Running,
    Done,
    Unknown { why: String },
    Failed { why: String },
}

impl Progress {
    pub(super) fn new(step: &Step) -> Self {
        Self {
            phase: Phase::Waiting { from_ms: 0 },
            is_cleared: step.when.is_empty(),
            attempts: 0,
            failed_checks: 0,
            lost: 0,
            tier: step.tier,
            out: None,
            asked: None,
            approved: None,
            did_nothing: false,
            undo: Undo::Not,
        }
    }

    /// Nothing of it has happened that a new plan would have to keep.
    pub fn is_untouched(&self) -> bool {
        self.attempts == 0 && !matches!(self.phase, Phase::NotNeeded { .. })
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Returned) || self.undo == Undo::Running
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.phase, Phase::Unknown { .. }) || matches!(self.undo, Undo::Unknown { .. })
    }
}
