//! What may be done on nodes: the policy that people wrote, or the one that is shipped.

use plan::plan::Plan;
use plan::policy::Policy;
use plan::policy::look::Look;
use plan::policy::remember::Remembered;
use plan::step::Call;
use plan::validate::Surroundings;
use serde::{Deserialize, Serialize};

use super::plans::PlansError;
use super::{Fleet, FleetError, keys};
use crate::clock::UnixMillis;
use crate::store::json::{get_json, list_json};

/// Kept in the store under `/policy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// As it was written, with its comments.
    pub yaml: String,
    pub by: String,
    pub at: UnixMillis,
}

/// The policy in force.
pub struct InForce {
    pub policy: Policy,
}

impl Fleet {
    pub(super) async fn policy(&self) -> Result<InForce, FleetError> {
        let Some(kept) = get_json::<PolicyRecord>(self.store.as_ref(), keys::POLICY).await? else {
            return Ok(InForce { policy: Policy::standard() });
        };
        let policy = Policy::parse("policy", kept.value.yaml.as_bytes());
        let policy = policy.map_err(|errors| PlansError::Policy { errors })?;
        Ok(InForce { policy })
    }

    /// What people agreed to for later.
    pub(super) async fn remembered(&self) -> Result<Vec<Remembered>, FleetError> {
        let kept = list_json::<Remembered>(self.store.as_ref(), keys::REMEMBERED).await?.entries;
        Ok(kept.into_iter().map(|kept| kept.value).collect())
    }
}

impl InForce {
    /// Reads a plan; what the policy forbids is wrong with it.
    pub fn read_plan(&self, file: &str, bytes: &[u8]) -> Result<Plan, PlansError> {
        let judge = |call: &Call| self.policy.judge(call, &Look::written());
        let surroundings = Surroundings { actions: None, judge: Some(&judge) };
        Plan::parse(file, bytes, &surroundings).map_err(|errors| PlansError::Unreadable { errors })
    }
}
