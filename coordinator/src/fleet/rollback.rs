//! `orchestrator rollback` and `restart`: the same way as a deploy, with a wish that was there before.

use proto::ids::DeploymentName;
use proto::v1;
use proto::v1::deploy_event::Finished;

use super::deploy::{note_if_it_stops_first, wait};
use super::proposal::Proposal;
use super::{Fleet, FleetError, Progress, keys};
use crate::domain::deployment::{Action, HistoryEntry, Wish};
use crate::fault;
use crate::store::json::list_json;

/// What is wanted instead.
#[derive(Clone, Copy)]
enum Change {
    Rollback {
        /// 0: the newest earlier wish that was healthy.
        to: u64,
        /// Also where instances are moved away from their data for it.
        leave_data: bool,
    },
    Restart,
}

impl Fleet {
    /// Wants again what ran before: the newest earlier wish that was healthy, or the generation asked for.
    pub async fn rollback(
        &self,
        request: &v1::RollbackRequest,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let name = DeploymentName::parse(&request.deployment)?;
        let change = Change::Rollback { to: request.to_generation, leave_data: request.leave_data };
        self.change_wish(&name, change, wait(request.timeout_ms, request.no_wait), progress).await
    }

    /// Starts every instance anew, on the node where it is.
    pub async fn restart(
        &self,
        request: &v1::RestartRequest,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let name = DeploymentName::parse(&request.deployment)?;
        self.change_wish(&name, Change::Restart, wait(request.timeout_ms, request.no_wait), progress).await
    }

    async fn change_wish(
        &self,
        name: &DeploymentName,
        change: Change,
        timeout: std::time::Duration,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let meant = self.deployment(name).await?.value.current.wish;
        fault::point("rollback.resolved");
        for _ in 0..super::deploy::TRIES {
            let snapshot = self.snapshot().await?;
            let Some(kept) = snapshot.deployments.get(name) else {
                // Removed by somebody else meanwhile.
                return Err(self.no_such_deployment(name, &snapshot));
            };
            let current = &kept.value.current;
            let (wish, action, leave_data) = match change {
                Change::Restart => {
                    let restart = current.wish.restart + 1;
                    (Wish { restart, ..current.wish.clone() }, Action::Restart, false)
                }
                Change::Rollback { to, leave_data } => {
                    // Whoever goes back means what they saw, not what somebody has put in its place since.
                    if current.wish != meant {
                        return Err(FleetError::Overtaken { deployment: name.clone() });
                    }
                    let earlier = self.earlier_wish(name, to, &current.wish).await?;
                    let wish = Wish { restart: current.wish.restart, ..earlier };
                    (wish, Action::Rollback, leave_data)
                }
            };
            let module = self.release(&wish.release).await?;
            // What it needs may have been removed or replaced since.
            self.open_secrets(&wish.secrets).await?;
            note_if_it_stops_first(&snapshot, name, &module, &wish, progress)?;
            let proposal = Proposal::new(&snapshot, name, wish, &module)?;
            fault::point("rollback.placed");
            progress.plan(proposal.plan(&snapshot));
            proposal.check_replaces(&snapshot)?;
            proposal.check_keeps_data(leave_data)?;
            if let Some(recorded) = self.record(&snapshot, proposal, action).await? {
                return self.finish(recorded, timeout, progress).await;
            }
        }
        Err(FleetError::Busy { deployment: name.clone() })
    }

    async fn earlier_wish(&self, name: &DeploymentName, to: u64, current: &Wish) -> Result<Wish, FleetError> {
        let entries = list_json::<HistoryEntry>(self.store.as_ref(), &keys::history(name)).await?.entries;
        for entry in entries.into_iter().rev().map(|kept| kept.value) {
            let is_other = Wish { restart: current.restart, ..entry.placed.wish.clone() } != *current;
            let is_asked_for = entry.placed.generation.0 == to;
            if is_asked_for || (to == 0 && entry.was_healthy() && is_other) {
                return Ok(entry.placed.wish);
            }
        }
        Err(match to {
            0 => FleetError::NothingToRollBackTo { deployment: name.clone() },
            generation => FleetError::NoSuchGeneration { deployment: name.clone(), generation },
        })
    }
}
