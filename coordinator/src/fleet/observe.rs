//! Asks every agent at once what it runs; one that does not answer holds up nobody for longer than the deadline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use proto::ids::NodeName;
use proto::v1;

use super::Fleet;
use crate::agents::{AgentApi, AgentError};
use crate::domain::node::NodeRecord;

/// How long it may take to reach one node, SSH detours included.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What is known of a node right now.
#[derive(Debug, Clone)]
pub enum Observed {
    Report { report: Box<v1::Report>, is_tunnelled: bool },
    Unreachable(Arc<AgentError>),
}

impl Observed {
    pub fn report(&self) -> Option<&v1::Report> {
        match self {
            Observed::Report { report, .. } => Some(report),
            Observed::Unreachable(_) => None,
        }
    }
}

impl Fleet {
    pub(super) async fn observe_all<'a>(
        &self,
        nodes: impl Iterator<Item = &'a NodeRecord>,
    ) -> BTreeMap<NodeName, Observed> {
        let asked = nodes.map(|node| async { (node.name.clone(), self.observe(node).await) });
        join_all(asked).await.into_iter().collect()
    }

    pub(super) async fn observe(&self, node: &NodeRecord) -> Observed {
        let answer = async {
            let agent = self.dial(node).await?;
            Ok((agent.observe().await?, agent.is_tunnelled()))
        };
        match answer.await {
            Ok((report, is_tunnelled)) => Observed::Report { report: Box::new(report), is_tunnelled },
            Err(error) => Observed::Unreachable(Arc::new(error)),
        }
    }

    /// The node's agent, if it can be reached within the deadline.
    pub(super) async fn dial(&self, node: &NodeRecord) -> Result<Arc<dyn AgentApi>, AgentError> {
        let late =
            |_| AgentError::TimedOut { node: node.name.clone(), operation: "connecting", after: DEADLINE };
        tokio::time::timeout(DEADLINE, self.agents.dial(node)).await.map_err(late)?
    }
}
