//! On which terms a run was begun: its plan, the policy of this node for it, and what the coordinator said besides. Kept
//! beside the journal, so that the agent carries the run on by itself.

use std::fmt;

use modules::digest::Digest;
use plan::plan::Plan;
use plan::policy::Policy;
use plan::validate::{self, Surroundings};
use proto::v1::{BeginRunRequest, LocalModel};

use crate::runs::execute::llm::own;
use crate::runs::id::RunId;

const MAX_POLICY: usize = 1 << 20;
const MAX_SECRETS: usize = 1000;
const MAX_SECRET_BYTES: usize = 256 << 10;
const APPROVAL_MS: u64 = 3_600_000;
const MAX_APPROVAL_MS: u64 = 7 * 24 * 3_600_000;

/// What holds for the whole of a run.
pub struct Terms {
    pub id: RunId,
    pub policy: Policy,
    pub is_dry: bool,
    pub approval_ms: u64,
    /// Values that must never show.
    pub secrets: Vec<String>,
    /// The node's own model for LOW steps.
    pub low: Option<LocalModel>,
}

/// Why a request begins no run.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    #[error(transparent)]
    Id(#[from] crate::runs::id::RunIdError),
    #[error("the plan's hash is not one")]
    Hash(#[source] modules::digest::DigestError),
    #[error("the plan cannot be taken")]
    Plan(#[source] plan::canonical::CanonicalError),
    #[error("the plan does not hold together: {0}")]
    Faults(plan::fault::Faults),
    #[error("the policy cannot be read: {0}")]
    Policy(String),
    #[error("more secrets than a node takes")]
    Secrets,
    #[error("{0}")]
    Low(String),
}

impl Terms {
    /// Checks everything anew: what was sent is not trusted because somebody else has checked it.
    ///
    /// # Errors
    /// What does not hold.
    pub fn parse(request: &BeginRunRequest) -> Result<(Self, Plan), TermsError> {
        let id = RunId::parse(&request.run)?;
        let hash = Digest::parse(&request.plan_hash).map_err(TermsError::Hash)?;
        let plan = Plan::from_canonical(request.plan_json.as_bytes(), &hash).map_err(TermsError::Plan)?;
        validate::validate(&plan, &Surroundings::default()).map_err(TermsError::Faults)?;
        if request.policy_json.len() > MAX_POLICY {
            return Err(TermsError::Policy(format!("{} bytes", request.policy_json.len())));
        }
        let policy = serde_json::from_str(&request.policy_json);
        let policy = policy.map_err(|error| TermsError::Policy(error.to_string()))?;
        let bytes: usize = request.secrets.iter().map(String::len).sum();
        if request.secrets.len() > MAX_SECRETS || bytes > MAX_SECRET_BYTES {
            return Err(TermsError::Secrets);
        }
        let approval_ms = match request.approval_timeout_ms {
            0 => APPROVAL_MS,
            ms => u64::from(ms).min(MAX_APPROVAL_MS),
        };
        let (secrets, low) = (request.secrets.clone(), request.low.clone());
        low.as_ref().map_or(Ok(()), own::check).map_err(TermsError::Low)?;
        Ok((Self { id, policy, is_dry: request.dry_run, approval_ms, secrets, low }, plan))
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms").field("id", &self.id).field("is_dry", &self.is_dry).finish_non_exhaustive()
    }
}
