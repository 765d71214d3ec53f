//! What the fleet remembers of a plan: its words, where it came from, and who said yes to it until when.

use modules::digest::Digest;
use plan::canonical::CanonicalError;
use plan::plan::Plan;
use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;

/// Kept in the store under `/plans/<hash>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRecord {
    pub hash: Digest,
    /// See [`plan::canonical`].
    pub canonical: String,
    pub source: Source,
    pub put_at: UnixMillis,
    pub put_by: String,
    pub approval: Option<Approval>,
}

/// Where a plan came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Somebody wrote it.
    File { name: String },
    /// A model wrote it, for what a person asked.
    Drafted { request: String, model: String },
}

/// A person's yes to exactly this plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: String,
    pub at: UnixMillis,
    pub until: UnixMillis,
}

impl PlanRecord {
    /// # Errors
    /// Where the store holds something else than the plan of this hash.
    pub fn plan(&self) -> Result<Plan, CanonicalError> {
        Plan::from_canonical(self.canonical.as_bytes(), &self.hash)
    }

    pub fn is_approved(&self, now: UnixMillis) -> bool {
        self.approval.as_ref().is_some_and(|approval| now < approval.until)
    }
}
