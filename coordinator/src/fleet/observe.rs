//! Asks every agent at once what it runs; one that does not answer holds up nobody for longer than the deadline, and
//! only once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::future::join_all;
use proto::ids::NodeName;
use proto::v1;
use tokio::time::Instant;

use super::Fleet;
use crate::agents::{AgentApi, AgentError, Agents, CONNECTING};
use crate::domain::node::NodeRecord;

/// How long it may take to reach one node, SSH detours included.
pub const DEADLINE: Duration = Duration::from_secs(4);

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
        match self.within_deadline(node, observed(Arc::clone(&self.agents), node.clone())).await {
            Ok((report, is_tunnelled)) => Observed::Report { report: Box::new(report), is_tunnelled },
            Err(error) => Observed::Unreachable(Arc::new(error)),
        }
    }

    /// The node's agent, if it can be reached within the deadline.
    pub(super) async fn dial(&self, node: &NodeRecord) -> Result<Arc<dyn AgentApi>, AgentError> {
        self.within_deadline(node, self.agents.dial(node)).await
    }

    /// Waits for the node, unless it was waited for in vain just before: then it is tried anew beside, for whoever
    /// asks next.
    async fn within_deadline<T>(
        &self,
        node: &NodeRecord,
        answer: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
        if let Some(error) = self.absences.recent(&node.name) {
            self.try_beside(node);
            return Err(error);
        }
        let late =
            || AgentError::TimedOut { node: node.name.clone(), operation: CONNECTING, after: DEADLINE };
        let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap_or_else(|_| Err(late()));
        match &answer {
            Err(error) if error.is_absence() => self.absences.note(error, &node.name),
            Ok(_) | Err(_) => {}
        }
        answer
    }

    fn try_beside(&self, node: &NodeRecord) {
        if !self.absences.begin(&node.name) {
            return;
        }
        let (absences, agents, node) = (Arc::clone(&self.absences), Arc::clone(&self.agents), node.clone());
        tokio::spawn(async move {
            let name = node.name.clone();
            match observed(agents, node).await {
                Err(error) if error.is_absence() => absences.note(&error, &name),
                Ok(_) | Err(_) => absences.forget(&name),
            }
        });
    }
}

async fn observed(agents: Arc<Agents>, node: NodeRecord) -> Result<(v1::Report, bool), AgentError> {
    let agent = agents.dial(&node).await?;
    Ok((agent.observe().await?, agent.is_tunnelled()))
}

/// For so long a node that did not answer is not waited for again. Longer than one attempt to reach it takes.
const RECENT: Duration = Duration::from_secs(15);

/// The nodes that did not answer this process lately, so that each costs a command its deadline once.
#[derive(Default)]
pub struct Absences(Mutex<BTreeMap<NodeName, Absence>>);

struct Absence {
    error: AgentError,
    noted: Instant,
    is_being_tried: bool,
}

impl Absences {
    /// The node is waited for again.
    pub fn forget(&self, node: &NodeName) {
        self.lock().remove(node);
    }

    fn recent(&self, node: &NodeName) -> Option<AgentError> {
        self.lock()
            .get(node)
            .filter(|absence| absence.noted.elapsed() < RECENT)
            .map(|found| found.error.clone())
    }

    fn note(&self, error: &AgentError, node: &NodeName) {
        let absence = Absence { error: error.clone(), noted: Instant::now(), is_being_tried: false };
        self.lock().insert(node.clone(), absence);
    }

    /// Whether it is the caller who tries the node now.
    fn begin(&self, node: &NodeName) -> bool {
        self.lock().get_mut(node).is_some_and(|absence| !std::mem::replace(&mut absence.is_being_tried, true))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, Absence>> {
        self.0.lock().expect("no panic while held")
    }
}
