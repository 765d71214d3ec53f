//! What may be done on nodes: the policy that people wrote, or the one that is shipped.

use plan::plan::Plan;
use plan::policy::Policy;
use plan::policy::look::Look;
use plan::policy::remember::Remembered;
use plan::step::Call;
use plan::tool::Tool;
use plan::validate::Surroundings;
use proto::v1;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plans::PlansError;
use super::runs::remembered_id;
use super::{Fleet, FleetError, keys};
use crate::clock::UnixMillis;
use crate::store::json::{get_json, list_json, put_json};
use crate::store::{Op, Txn};

use plan::policy::read::DEFAULT as STANDARD;

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
    /// None: it is the one that is shipped.
    pub record: Option<PolicyRecord>,
}

impl Fleet {
    pub(super) async fn policy(&self) -> Result<InForce, FleetError> {
        let Some(kept) = get_json::<PolicyRecord>(self.store.as_ref(), keys::POLICY).await? else {
            return Ok(InForce { policy: Policy::standard(), record: None });
        };
        let policy = Policy::parse("policy", kept.value.yaml.as_bytes());
        let policy = policy.map_err(|errors| PlansError::Policy { errors })?;
        Ok(InForce { policy, record: Some(kept.value) })
    }

    pub async fn show_policy(&self) -> Result<v1::PolicyReply, FleetError> {
        Ok(shown(self.policy().await?.record.as_ref()))
    }

    /// Replaces the policy. Runs that have begun keep theirs.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub async fn set_policy(&self, request: &v1::SetPolicyRequest) -> Result<v1::PolicyReply, FleetError> {
        let key = keys::POLICY.to_owned();
        if request.standard {
            self.store.commit(Txn::new().then(Op::Delete { key })).await?;
            return Ok(shown(None));
        }
        let yaml = read(&request.file, &request.text)?.1;
        let record = PolicyRecord { yaml, by: self.by.clone(), at: self.clock.now() };
        self.store.commit(Txn::new().then(put_json(key, &record)?)).await?;
        Ok(shown(Some(&record)))
    }

    /// Reads a policy, and judges a command by it as it is written.
    ///
    /// # Errors
    /// Everything that is wrong with the policy.
    pub async fn check_policy(
        &self,
        request: &v1::CheckPolicyRequest,
    ) -> Result<v1::CheckPolicyReply, FleetError> {
        let policy = match request.text.is_empty() && request.file.is_empty() {
            true => self.policy().await?.policy,
            false => read(&request.file, &request.text)?.0,
        };
        if request.argv.is_empty() {
            return Ok(v1::CheckPolicyReply::default());
        }
        let words = request.argv.iter().cloned().map(Value::String).collect();
        let call = Call { tool: Tool::ExecArgv, args: [("argv".to_owned(), Value::Array(words))].into() };
        let verdict = policy.judge(&call, &Look::written());
        let reasons = verdict.reasons.iter().map(|reason| format!("{}: {}", reason.decision, reason.text));
        Ok(v1::CheckPolicyReply {
            decision: verdict.decision.to_string(),
            effect: verdict.effect.to_string(),
            reasons: reasons.collect(),
        })
    }

    pub async fn list_remembered(&self) -> Result<Vec<v1::RememberedRule>, FleetError> {
        let rule = |remembered: &Remembered| v1::RememberedRule {
            id: remembered_id(remembered),
            pattern: remembered.pattern(),
            node: remembered.node.clone().unwrap_or_default(),
            by: remembered.by.clone(),
            until_unix_ms: i64::try_from(remembered.until_ms).unwrap_or(i64::MAX),
        };
        Ok(self.remembered().await?.iter().map(rule).collect())
    }

    /// From now on people are asked again.
    ///
    /// # Errors
    /// Where nothing of that name is remembered.
    pub async fn forget_remembered(&self, id: &str) -> Result<(), FleetError> {
        let key = keys::remembered(id);
        if self.store.get(&key).await?.is_none() {
            return Err(PlansError::NotRemembered { id: id.chars().take(80).collect() }.into());
        }
        self.store.commit(Txn::new().then(Op::Delete { key })).await?;
        Ok(())
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

fn shown(record: Option<&PolicyRecord>) -> v1::PolicyReply {
    match record {
        None => v1::PolicyReply { yaml: STANDARD.to_owned(), is_standard: true, ..Default::default() },
        Some(record) => v1::PolicyReply {
            yaml: record.yaml.clone(),
            is_standard: false,
            by: record.by.clone(),
            unix_ms: record.at,
        },
    }
}

fn read(file: &str, bytes: &[u8]) -> Result<(Policy, String), PlansError> {
    let policy = Policy::parse(file, bytes).map_err(|errors| PlansError::Policy { errors })?;
    Ok((policy, String::from_utf8_lossy(bytes).into_owned()))
}
