//! One node's upgrade: send the build, have it tried, confirm it over a fresh connection.

use std::time::Duration;

use proto::v1::upgrade_event::{Ended, Outcome};
use proto::v1::upgrade_request::{Act, Try};
use tokio::fs::File;

use super::survey::{Ready, wire};
use super::{Told, trial::Watched};
use crate::agents::tunnel::unit;
use crate::agents::{AgentError, Parcel};
use crate::domain::node::{NodeRecord, Supervisor};
use crate::domain::upgrade::Over;
use crate::fault;
use crate::fleet::enrol::EnrolError;
use crate::fleet::enrol::authority::edit_record;
use crate::fleet::{Fleet, FleetError};

impl Fleet {
    /// Tells how it ended.
    pub(super) async fn upgrade_node(&self, node: Ready, within: Duration, told: &Told<'_>) -> Outcome {
        let ended = match self.try_upgrade(&node, within, told).await {
            Ok(ended) => ended,
            // Nothing was switched.
            Err(FleetError::Agent(error)) if error.is_absence() => {
                let hint = "the same command again when it is back".to_owned();
                Ended { hint, ..node.ended(Outcome::Offline, &error.to_string()) }
            }
            Err(error) => {
                let hint = error.hint().unwrap_or_default();
                Ended { hint, ..node.ended(Outcome::Failed, &error.to_string()) }
            }
        };
        let outcome = ended.outcome();
        told.ended(&node.record.name, ended).await;
        outcome
    }

    async fn try_upgrade(
        &self,
        node: &Ready,
        within: Duration,
        told: &Told<'_>,
    ) -> Result<Ended, FleetError> {
        let name = &node.record.name;
        let before = node.agent.observe().await?;
        told.step(name, format!("sending the agent ({} KiB)", node.binary.size / 1024));
        send(node).await?;
        fault::point("upgrade.sent");
        told.step(name, "trying it".to_owned());
        let confirm_within_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        let asked = Try { digest: node.digest(), confirm_within_ms };
        match node.agent.upgrade(Act::Try(asked)).await {
            Ok(_) => {}
            // An answer that was lost does not say that nothing was begun.
            Err(error) if !matches!(error, AgentError::Call { .. }) => {}
            Err(error) => {
                return Err(refused(node, error, "nothing was switched; try again then".to_owned()));
            }
        }
        fault::point("upgrade.asked");
        let watched = self.confirm_trial(node, &before, within).await;
        self.absences.forget(name);
        Ok(match watched {
            Watched::Over(Over::Confirmed) => {
                self.remember_build(node).await;
                fault::point("upgrade.remembered");
                node.ended(Outcome::Upgraded, "")
            }
            Watched::Over(Over::RolledBack(why)) => {
                Ended { hint: words_of(&node.record), ..node.ended(Outcome::RolledBack, &why) }
            }
            Watched::Over(Over::Forgotten) => {
                let hint = "try again".to_owned();
                Ended { hint, ..node.ended(Outcome::Failed, "the agent does not know of this upgrade") }
            }
            Watched::Silent(why) => {
                let hint = "unconfirmed, the former agent comes back by itself; see `orchestrator node list`"
                    .to_owned();
                Ended { hint, ..node.ended(Outcome::Failed, &format!("it does not answer since: {why}")) }
            }
        })
    }

    /// For people, and for `node add`. Where it fails, the next command that looks does it.
    pub(super) async fn remember_build(&self, node: &Ready) {
        let (name, digest) = (&node.record.name, &node.binary.digest);
        let edit = |record: &mut NodeRecord| record.install.agent_digest.clone_from(digest);
        if let Err(error) = edit_record(&*self.store, name, edit).await {
            tracing::warn!(node = %name, %error, "could not remember the agent's build");
        }
    }
}

async fn send(node: &Ready) -> Result<(), FleetError> {
    let path = &node.binary.path;
    let content =
        File::open(path).await.map_err(|cause| EnrolError::ReadBinary { path: path.clone(), cause })?;
    let parcel = Parcel { digest: wire(&node.binary), size: node.binary.size, content: Box::pin(content) };
    let hint = format!("nothing was switched; is {} the right one?", path.display());
    node.agent.receive_agent(parcel).await.map_err(|error| refused(node, error, hint))
}

/// What the agent itself says.
fn refused(node: &Ready, error: AgentError, hint: String) -> FleetError {
    match &error {
        AgentError::Call { status, .. } => FleetError::Invalid {
            message: format!("{} refused the agent: {}", node.record.name, status.message()),
            hint: Some(hint),
        },
        _ => error.into(),
    }
}

/// Where the agent says what went wrong.
fn words_of(record: &NodeRecord) -> String {
    let name = &record.name;
    match record.install.supervisor {
        Supervisor::Systemd => format!(
            "the former agent runs; `orchestrator node exec {name} -- journalctl -u {} -n 50` may say more",
            unit(record).trim_end_matches(".service")
        ),
        Supervisor::Cron | Supervisor::Contact => format!(
            "the former agent runs; `orchestrator node exec {name} -- tail {}` may say more",
            record.data_dir.join("agent.log").display()
        ),
    }
}
