//! A plan: what is to be reached, where, within which budget, and by which steps.

use std::collections::BTreeSet;

use modules::capability::Capability;
use proto::ids::NodeName;
use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::step::{Step, StepId};

/// What a person or a model proposes and nodes carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What is to be reached, in the words of the person who asked.
    pub goal: String,
    pub nodes: Nodes,
    pub rollout: Rollout,
    pub budget: Budget,
    pub steps: Vec<Step>,
}

/// Which nodes carry it out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nodes {
    /// Every node of the fleet; then nothing else is said.
    pub every: bool,
    /// Nodes by name.
    pub names: BTreeSet<NodeName>,
    /// Nodes that have all of these.
    pub on: BTreeSet<Capability>,
}

/// Order and pace over the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// So many go first, alone.
    pub canary: u32,
    /// So many at once afterwards; 0 is all.
    pub batch: u32,
    /// Nodes that may fail before no further one begins. A canary that fails always stops it.
    pub max_failures: u32,
    pub offline: Offline,
}

/// What becomes of nodes that do not answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Offline {
    /// They begin when they are back, within the run's wall time.
    #[default]
    Wait,
    Skip,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { canary: 1, batch: 5, max_failures: 0, offline: Offline::Wait }
    }
}

/// What a run may use at most, all nodes together; the steps and the wall time are those of each node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub money: Money,
    pub tokens: u64,
    /// From the first step to the last, on one node.
    pub wall_ms: u64,
    /// Steps begun on one node, every attempt counted.
    pub steps: u32,
}

impl Plan {
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// All steps that must be over before this one, directly or not; the step itself only in a cycle.
    pub fn ancestors(&self, id: &StepId) -> BTreeSet<StepId> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&StepId> = vec![id];
        while let Some(step) = open.pop().and_then(|id| self.step(id)) {
            for need in &step.needs {
                if found.insert(need.clone()) {
                    open.push(need);
                }
            }
        }
        found
    }
}
