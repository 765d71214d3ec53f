//! Plans as the fleet keeps them: put, found, shown, approved. Running them is in `runs.rs`.

mod check;
mod error;
mod shown;

pub(super) use check::chosen;
pub use error::PlansError;

use std::time::Duration;

use modules::digest::Digest;
use plan::plan::Plan;
use plan::validate::{Surroundings, validate};
use proto::v1;

use super::{Fleet, FleetError, keys};
use crate::clock::UnixMillis;
use crate::domain::plans::{Approval, PlanRecord, Source};
use crate::fault;
use crate::store::json::{Stored, get_json, list_json, put_json};
use crate::store::{Precondition, StoreError, Txn};

/// How long a yes to a plan counts unless said otherwise.
const VALID: Duration = Duration::from_secs(30 * 24 * 3600);
/// Shorter beginnings of a hash are no name for a plan.
const LEAST_PREFIX: usize = 4;

impl Fleet {
    /// Keeps a plan that holds together; the same plan again stays as it is, with its approval.
    ///
    /// # Errors
    /// Where it does not hold together, or the store fails.
    pub async fn put_plan(&self, plan: &Plan, source: Source) -> Result<PlanRecord, FleetError> {
        validate(plan, &Surroundings::default()).map_err(|faults| PlansError::Faulty { faults })?;
        let hash = plan.hash();
        let record = PlanRecord {
            hash,
            canonical: plan.canonical(),
            source,
            put_at: self.clock.now(),
            put_by: self.by.clone(),
            approval: None,
        };
        loop {
            if let Some(kept) = self.kept_plan(&hash).await? {
                return Ok(kept.value);
            }
            let key = keys::plan(&hash);
            let put = put_json(key.clone(), &record)?;
            match self.store.commit(Txn::new().when(Precondition::Absent { key }).then(put)).await {
                Ok(_) => return Ok(record),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads a plan out of a file's bytes, checks it against the fleet, and keeps it unless it is only to be checked.
    ///
    /// # Errors
    /// Everything that is wrong with it; that it may not run on a node is told with the plan.
    pub async fn read_plan(&self, request: &v1::PutPlanRequest) -> Result<v1::PlanDetail, FleetError> {
        let policy = self.policy().await?;
        let plan = policy.read_plan(&request.file, &request.text)?;
        let detail = self.check_plan(&plan).await?;
        if request.only_check {
            let record = self.kept_plan(&plan.hash()).await?.map(|kept| kept.value);
            return Ok(shown::detail(&plan, record.as_ref(), detail));
        }
        let record = self.put_plan(&plan, Source::File { name: request.file.clone() }).await?;
        Ok(shown::detail(&plan, Some(&record), detail))
    }

    /// # Errors
    /// Where there is none of that name.
    pub async fn show_plan(&self, request: &v1::ShowPlanRequest) -> Result<v1::PlanDetail, FleetError> {
        let record = self.find_plan(&request.plan).await?.value;
        let plan = readable(&record)?;
        let detail = self.check_plan(&plan).await?;
        Ok(shown::detail(&plan, Some(&record), detail))
    }

    /// All plans, the newest first.
    pub async fn list_plans(&self) -> Result<Vec<v1::PlanSummary>, FleetError> {
        let kept = list_json::<PlanRecord>(self.store.as_ref(), keys::PLANS).await?.entries;
        let mut records: Vec<PlanRecord> = kept.into_iter().map(|kept| kept.value).collect();
        records.sort_by_key(|record| (std::cmp::Reverse(record.put_at), record.hash));
        records.iter().map(|record| Ok(shown::summary(&readable(record)?, Some(record)))).collect()
    }

    /// Writes down the yes to exactly this plan.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub async fn approve_plan(
        &self,
        request: &v1::ApprovePlanRequest,
    ) -> Result<v1::PlanSummary, FleetError> {
        let valid = if request.valid_ms == 0 { millis(VALID) } else { request.valid_ms };
        loop {
            let kept = self.find_plan(&request.plan).await?;
            let now = self.clock.now();
            let until = now.saturating_add(UnixMillis::try_from(valid).unwrap_or(UnixMillis::MAX));
            let approval = Some(Approval { by: self.by.clone(), at: now, until });
            let record = PlanRecord { approval, ..kept.value.clone() };
            let put = put_json(kept.key.clone(), &record)?;
            match self.store.commit(Txn::new().when(kept.unchanged()).then(put)).await {
                Ok(_) => {
                    fault::point("plan.approved");
                    return Ok(shown::summary(&readable(&record)?, Some(&record)));
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The plan that is called so: its hash, or the beginning of its hex digits.
    pub(super) async fn find_plan(&self, name: &str) -> Result<Stored<PlanRecord>, FleetError> {
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let unknown = || PlansError::NoSuchPlan { name: name.chars().take(80).collect() };
        let is_hex = hex.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        if !is_hex || hex.len() < LEAST_PREFIX {
            return Err(unknown().into());
        }
        let prefix = format!("{}{hex}", keys::PLANS);
        let mut found = list_json::<PlanRecord>(self.store.as_ref(), &prefix).await?.entries;
        match (found.pop(), found.len()) {
            (Some(only), 0) => Ok(only),
            (Some(_), others) => {
                Err(PlansError::SeveralPlans { name: name.to_owned(), count: others + 1 }.into())
            }
            (None, _) => Err(unknown().into()),
        }
    }

    async fn kept_plan(&self, hash: &Digest) -> Result<Option<Stored<PlanRecord>>, FleetError> {
        Ok(get_json::<PlanRecord>(self.store.as_ref(), &keys::plan(hash)).await?)
    }
}

/// The plan in a record.
pub(super) fn readable(record: &PlanRecord) -> Result<Plan, FleetError> {
    record.plan().map_err(|cause| FleetError::Unreadable {
        what: format!("plan {}", record.hash),
        cause: cause.into(),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
