//! A step of a plan: one call of a tool, when it may run, and how to tell that it worked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use modules::effect::Effect;
use modules::item_name::{ItemName, ItemNameError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::predicate::Predicate;
use crate::sandbox::Tier as SandboxTier;
use crate::tool::Tool;

/// The name of a step, unique in its plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(ItemName);

impl StepId {
    /// # Errors
    /// When the text is not a lower-case letter and up to 62 of a-z, 0-9, `_` and `-`.
    pub fn parse(text: &str) -> Result<Self, ItemNameError> {
        ItemName::parse(text).map(Self)
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Arguments by name; texts in them may hold `${step.out.path}`.
pub type Args = BTreeMap<String, Value>;

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub tool: Tool,
    pub args: Args,
}

/// One step. Everything is written out, also what a file may leave out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub id: StepId,
    /// The steps that must be over before.
    pub needs: BTreeSet<StepId>,
    pub tier: Tier,
    pub call: Call,
    pub effect: Effect,
    /// Runs only where all of these hold; skipped otherwise.
    pub when: Vec<Predicate>,
    /// Has worked only when all of these hold.
    pub success: Vec<Predicate>,
    pub on_failure: OnFailure,
    /// What takes its effect back.
    pub undo: Option<Call>,
    pub timeout_ms: u64,
    /// Bytes of output that are kept.
    pub output_cap: u32,
    /// Under which the other side recognises a second delivery of the same; made from plan, run, node and step if not said.
    pub key: Option<String>,
    /// The least sandbox it may run in; the policy may ask for more.
    pub sandbox: Option<SandboxTier>,
}

impl Step {
    /// What its undo may change at most: to take something back is a change, and no more than one unless the step says so.
    pub fn undo_effect(&self) -> Effect {
        self.effect.max(Effect::Reversible)
    }
}

/// Who thinks in a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Nobody: plain automation.
    #[default]
    None,
    Low,
    High,
}

impl Tier {
    pub const NAMED: [(&'static str, Tier); 3] =
        [("none", Tier::None), ("low", Tier::Low), ("high", Tier::High)];

    pub fn as_str(self) -> &'static str {
        match self {
            Tier::None => "none",
            Tier::Low => "low",
            Tier::High => "high",
        }
    }
}

/// What becomes of the run when a step has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nothing new begins, the run has failed.
    #[default]
    Stop,
    /// Steps that need it are skipped, the others go on.
    Continue,
    /// So many more attempts, then stop.
    Retry(u32),
    /// LOW to HIGH, then a new plan for what was not yet run.
    Escalate,
    /// What was done is taken back in reverse order.
    Rollback,
}

impl OnFailure {
    /// How often the step may begin at most.
    pub fn attempts(self, tier: Tier) -> u32 {
        match (self, tier) {
            (OnFailure::Retry(more), _) => more.saturating_add(1),
            (OnFailure::Escalate, Tier::Low) => 3,
            (OnFailure::Escalate | OnFailure::Stop | OnFailure::Continue | OnFailure::Rollback, _) => 1,
        }
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OnFailure::Stop => f.pad("stop"),
            OnFailure::Continue => f.pad("continue"),
            OnFailure::Retry(times) => f.pad(&format!("retry {times}")),
            OnFailure::Escalate => f.pad("escalate"),
            OnFailure::Rollback => f.pad("rollback"),
        }
    }
}
