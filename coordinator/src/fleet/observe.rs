//! Asks every agent at once what it runs; one that does not answer holds up nobody for longer than the deadline.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use proto::ids::NodeName;
use proto::v1;

use super::Fleet;
use crate::agents::AgentError;
use crate::domain::node::NodeRecord;

/// How long one node may take to answer, SSH detours included.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// What is known of a node right now.
#[derive(Debug, Clone)]
pub enum Observed {
    Report(Box<v1::Report>),
    Unreachable(Arc<AgentError>),
}

impl Observed {
    pub fn report(&self) -> Option<&v1::Report> {
        match self {
            Observed::Report(report) => Some(report),
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
        let answer = async { self.agents.dial(node).await?.observe().await };
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(report)) => Observed::Report(Box::new(report)),
            Ok(Err(error)) => Observed::Unreachable(Arc::new(error)),
            Err(_) => Observed::Unreachable(Arc::new(AgentError::TimedOut {
                node: node.name.clone(),
                operation: "observe",
                after: DEADLINE,
            })),
        }
    }
}
