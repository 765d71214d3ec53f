//! `orchestrator node drain`: accept no new instances, and move those that are there to other nodes. Those that keep
//! data there stay, unless a person says that they may start without it.

use std::collections::BTreeSet;

use proto::ids::{DeploymentName, NodeName};
use proto::v1;
use proto::v1::deploy_event::Finished;

use super::deploy::wait;
use super::observe::Observed;
use super::proposal::Proposal;
use super::{Fleet, FleetError, Progress};
use crate::domain::deployment::Action;
use crate::fault;

impl Fleet {
    /// Moves one deployment after the other, each as carefully as a deploy.
    pub async fn drain(
        &self,
        request: &v1::DrainRequest,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        let node = NodeName::parse(&request.node)?;
        self.cordon(&v1::CordonRequest { node: node.to_string(), cordoned: true }).await?;
        fault::point("drain.cordoned");
        let is_away = matches!(self.observe(&self.node(&node).await?).await, Observed::Unreachable(_));
        let (mut stuck, mut lingering) = (BTreeSet::new(), BTreeSet::new());
        let (mut holds_data, mut has_failed) = (false, false);
        for name in self.living_on(&node).await? {
            match self.move_away(&name, &node, request, progress).await {
                Ok(finished) if finished.outcome() == v1::Outcome::Done => {}
                Ok(_) if is_away && !self.living_on(&node).await?.contains(&name) => {
                    lingering.insert(name.to_string());
                }
                Ok(finished) => {
                    has_failed |= finished.outcome() == v1::Outcome::Failed;
                    stuck.insert(format!("{name} ({})", finished.message));
                }
                // Somebody has removed it meanwhile.
                Err(FleetError::NoSuchDeployment { .. }) => {}
                Err(error @ FleetError::Store(_)) => return Err(error),
                // One deployment's trouble does not keep the others here.
                Err(error) => {
                    holds_data |= matches!(error, FleetError::LeavesData { .. });
                    stuck.insert(format!("{name} ({error})"));
                }
            }
        }
        let (outcome, message, hint) = match (stuck.is_empty(), lingering.is_empty()) {
            (true, true) => (v1::Outcome::Done, format!("{node} is drained"), String::new()),
            (true, false) => (
                v1::Outcome::Waiting,
                format!(
                    "{} moved away, but may go on on {node} until it can be reached",
                    listed(&lingering, ", ")
                ),
                format!("if it never comes back: `orchestrator node remove {node} --force`"),
            ),
            (false, _) => {
                let undo = format!("`orchestrator node uncordon {node}` undoes the cordon");
                let hint = match holds_data {
                    true => format!("`--leave-data` moves them without what they keep on {node}; {undo}"),
                    false => undo,
                };
                let outcome = if has_failed { v1::Outcome::Failed } else { v1::Outcome::Waiting };
                (outcome, format!("not moved: {}", listed(&stuck, "; ")), hint)
            }
        };
        Ok(Finished { outcome: outcome.into(), deployment: None, message, hint })
    }

    async fn living_on(&self, node: &NodeName) -> Result<Vec<DeploymentName>, FleetError> {
        let snapshot = self.recall().await?;
        let records = snapshot.deployments.values().map(|kept| &kept.value);
        let here = records.filter(|record| record.current.placements.values().any(|place| place == node));
        Ok(here.map(|record| record.name.clone()).collect())
    }

    async fn move_away(
        &self,
        name: &DeploymentName,
        node: &NodeName,
        request: &v1::DrainRequest,
        progress: &Progress,
    ) -> Result<Finished, FleetError> {
        for _ in 0..super::deploy::TRIES {
            let snapshot = self.snapshot().await?;
            let Some(kept) = snapshot.deployments.get(name) else {
                return Err(self.no_such_deployment(name, &snapshot));
            };
            let wish = kept.value.current.wish.clone();
            let module = self.release(&wish.release).await?;
            let proposal = Proposal::away_from(&snapshot, name, wish, &module, node)?;
            proposal.check_replaces(&snapshot)?;
            proposal.check_leaves_a_place()?;
            proposal.check_keeps_data(request.leave_data)?;
            progress.plan(proposal.plan(&snapshot));
            if let Some(recorded) = self.record(&snapshot, proposal, Action::Move).await? {
                return self.finish(recorded, wait(request.timeout_ms, false), progress).await;
            }
        }
        Err(FleetError::Busy { deployment: name.clone() })
    }
}

fn listed(names: &BTreeSet<String>, between: &str) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(between)
}
