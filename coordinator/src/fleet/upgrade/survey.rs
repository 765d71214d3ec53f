//! Finds out which of the nodes need another agent, all at once, and tells of those where nothing is to be done.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::upgrade_event::{Ended, Outcome};
use proto::v1::upgrade_request::{Act, Look};

use super::Told;
use crate::agents::{AgentApi, AgentError};
use crate::domain::node::NodeRecord;
use crate::domain::upgrade::{Need, need};
use crate::fleet::Fleet;
use crate::fleet::enrol::EnrolError;
use crate::fleet::enrol::binaries::AgentBinary;

/// Nodes that are asked at the same time.
const AT_ONCE: usize = 32;

/// A node that runs another build than the one that fits it.
pub(in crate::fleet) struct Ready {
    pub record: NodeRecord,
    pub agent: Arc<dyn AgentApi>,
    pub binary: AgentBinary,
    pub runs: v1::UpgradeReply,
}

impl Ready {
    /// The build's digest, as agents write it.
    pub fn digest(&self) -> String {
        wire(&self.binary)
    }

    pub fn ended(&self, outcome: Outcome, message: &str) -> Ended {
        Ended {
            outcome: outcome.into(),
            from_version: self.runs.version.clone(),
            from_digest: self.runs.running_digest.clone(),
            to_digest: self.digest(),
            message: message.to_owned(),
            hint: String::new(),
        }
    }
}

type Binaries = BTreeMap<String, Result<AgentBinary, EnrolError>>;

impl Fleet {
    pub(super) async fn survey(&self, nodes: Vec<NodeRecord>, told: &Told<'_>) -> Vec<Ready> {
        let mut binaries = Binaries::new();
        for node in &nodes {
            let arch = &node.facts.arch;
            binaries.entry(arch.clone()).or_insert_with(|| self.enrolment.binaries.find(arch));
        }
        let asked = stream::iter(nodes).map(|node| self.ask_build(node, &binaries, told));
        let mut ready: Vec<Ready> =
            asked.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
        ready.sort_by(|one, other| one.record.name.cmp(&other.record.name));
        ready
    }

    async fn ask_build(&self, record: NodeRecord, binaries: &Binaries, told: &Told<'_>) -> Option<Ready> {
        let name = record.name.clone();
        let failed = |message: String, hint: Option<String>| Ended {
            outcome: Outcome::Failed.into(),
            from_version: record.facts.agent_version.clone(),
            message,
            hint: hint.unwrap_or_default(),
            ..Default::default()
        };
        let ended = match (binaries.get(&record.facts.arch), self.ask_of_upgrade(&record).await) {
            (Some(Ok(binary)), Ok((agent, runs))) => {
                let ready = Ready { record, agent, binary: binary.clone(), runs };
                match need(&ready.runs, &ready.digest()) {
                    Need::Build => return Some(ready),
                    Need::Nothing => {
                        self.remember_build(&ready).await;
                        ready.ended(Outcome::UpToDate, "")
                    }
                    Need::Patience => Ended {
                        hint: "try again when that is over".to_owned(),
                        ..ready.ended(Outcome::Failed, "another upgrade is under way there")
                    },
                }
            }
            (_, Err(error)) => trouble(&name, &error, failed(error.to_string(), error.hint())),
            (Some(Err(error)), Ok(_)) => failed(error.to_string(), error.hint()),
            (None, Ok(_)) => failed("its architecture is not known".to_owned(), None),
        };
        told.ended(&name, ended).await;
        None
    }

    async fn ask_of_upgrade(
        &self,
        record: &NodeRecord,
    ) -> Result<(Arc<dyn AgentApi>, v1::UpgradeReply), AgentError> {
        let agent = self.dial(record).await?;
        let reply = agent.upgrade(Act::Look(Look {})).await?;
        Ok((agent, reply))
    }
}

/// What a node that did not answer, or cannot, ends as.
fn trouble(node: &NodeName, error: &AgentError, failed: Ended) -> Ended {
    if error.is_absence() {
        let hint = "the same command again when it is back".to_owned();
        return Ended { outcome: Outcome::Offline.into(), hint, ..failed };
    }
    if error.is_unknown_call() {
        return Ended {
            message: "its agent is too old to be upgraded by itself".to_owned(),
            hint: format!("`orchestrator node add {} …` again brings it up to date", node),
            ..failed
        };
    }
    failed
}

/// The digest as agents write it.
pub(super) fn wire(binary: &AgentBinary) -> String {
    format!("sha256:{}", binary.digest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_agent_too_old_for_the_call_is_told_from_one_that_is_away() {
        let node = NodeName::parse("attic").expect("a name");
        let call = |status: tonic::Status| AgentError::Call {
            node: node.clone(),
            operation: "upgrade itself",
            status: Box::new(status),
        };
        let away = AgentError::TimedOut {
            node: node.clone(),
            operation: "connecting",
            after: Duration::from_secs(4),
        };
        for (error, outcome, hint) in [
            (
                call(tonic::Status::unimplemented("")),
                Outcome::Failed,
                "`orchestrator node add attic …` again",
            ),
            (away, Outcome::Offline, "when it is back"),
            (call(tonic::Status::permission_denied("no")), Outcome::Failed, ""),
        ] {
            let ended =
                trouble(&node, &error, Ended { outcome: Outcome::Failed.into(), ..Default::default() });
            assert_eq!(ended.outcome(), outcome, "{error}");
            assert!(ended.hint.contains(hint), "{}", ended.hint);
        }
    }
}
