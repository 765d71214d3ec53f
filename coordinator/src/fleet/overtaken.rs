//! What becomes of a change when somebody else wants something else, or the very same, while it is carried out.

use std::time::Duration;

use proto::ids::DeploymentName;
use proto::v1;
use proto::v1::deploy_event::Finished;

use super::carry_out::Verdict;
use super::recorded::Recorded;
use super::{Fleet, FleetError, Progress, keys};
use crate::domain::deployment::{DeploymentRecord, Progress as State};
use crate::store::json::{Stored, get_json};

impl Fleet {
    /// Carries out what was recorded; where somebody asks for the very same meanwhile, theirs in its stead.
    pub(super) async fn see_through(
        &self,
        mut recorded: Recorded,
        timeout: Duration,
        progress: &Progress,
    ) -> Result<(Recorded, Verdict), FleetError> {
        loop {
            let verdict = self.carry_out(&recorded, timeout, progress).await;
            if verdict != Verdict::Superseded {
                return Ok((recorded, verdict));
            }
            let snapshot = self.recall().await?;
            let theirs = snapshot.deployments.get(&recorded.record.name).map(|kept| &kept.value);
            match theirs.filter(|theirs| theirs.current.wish == recorded.record.current.wish) {
                Some(same) => recorded = Recorded { away: recorded.away, ..Recorded::of(same, &snapshot) },
                None => return Ok((recorded, verdict)),
            }
        }
    }

    /// How somebody else came to want something else, while this change was carried out.
    pub(super) async fn overtaken(&self, record: &DeploymentRecord) -> Result<Option<String>, FleetError> {
        let Some(now) = self.kept(&record.name).await? else {
            return Ok(Some(format!("{} was removed meanwhile", record.name)));
        };
        let (ours, theirs) = (&record.current, &now.value.current);
        if now.value.attempt == record.attempt || ours.wish == theirs.wish {
            return Ok(None);
        }
        Ok(Some(match &now.value.progress {
            State::RolledBack { failed, reason } if *failed == ours.wish.release => {
                format!("{reason}; {} is wanted again", theirs.wish.release.version)
            }
            _ => format!(
                "{} was changed meanwhile: generation {} is wanted now",
                record.name, theirs.generation.0
            ),
        }))
    }

    /// Says that this change ended because of another one.
    pub(super) async fn superseded(
        &self,
        record: &DeploymentRecord,
        how: String,
    ) -> Result<Finished, FleetError> {
        let hint = format!("`orchestrator history {}` shows who wanted what", record.name);
        self.finished(&record.name, v1::Outcome::Failed, how, hint).await
    }

    pub(super) async fn kept(
        &self,
        name: &DeploymentName,
    ) -> Result<Option<Stored<DeploymentRecord>>, FleetError> {
        Ok(get_json(self.store.as_ref(), &keys::deployment(name)).await?)
    }
}
