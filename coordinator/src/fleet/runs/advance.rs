//! Which nodes of a run begin now, which are left out, and whether it has ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use plan::rollout::{Decision, State, Verdict, decide};
use proto::ids::NodeName;
use tokio::time::Instant;

use super::live::{LiveRun, Node};
use crate::domain::node::NodeRecord;
use crate::domain::runs::{NodeRun, RunRecord, Stage};
use crate::fault;
use crate::fleet::{Fleet, FleetError};
use crate::store::json::Stored;

/// How often a node that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(4);

impl Fleet {
    /// One round of the rollout. Whether the run has ended.
    pub(super) async fn advance(
        self: &Arc<Self>,
        live: &LiveRun,
        run: &Stored<RunRecord>,
    ) -> Result<bool, FleetError> {
        self.ask_the_rest(live, &run.value).await?;
        let decision = self.decision(live, &run.value);
        let (begin, out) = (&decision.begin, left_out(live, &run.value, &decision, self.clock.now()));
        for (node, why) in &out {
            self.put_first_stage(run, node, Stage::Skipped { why: why.clone() }).await?;
            fault::point("run.skipped");
        }
        let mut begun = false;
        for node in begin.iter().filter(|node| !out.contains_key(*node)) {
            begun |= self.begin_node(live, run, node).await?;
        }
        if begun || !out.is_empty() {
            // What was written is seen in the next round, at once.
            live.change(|_| ());
            return Ok(false);
        }
        let nodes: BTreeMap<NodeName, NodeRun> = live.see(|state| {
            let kept = state.nodes.iter().filter_map(|(name, node)| Some((name.clone(), node.kept.clone()?)));
            kept.collect()
        });
        let Some(how) = run.value.ending(&nodes, &decision.verdict) else { return Ok(false) };
        let Some((how, verdict)) = self.weigh_ending(live, run, how).await? else { return Ok(false) };
        self.conclude_run(live, how, verdict).await?;
        Ok(true)
    }

    fn decision(&self, live: &LiveRun, run: &RunRecord) -> Decision {
        if run.cancelled_by.is_some() {
            let none = Vec::new;
            return Decision { begin: none(), skip: none(), wait: none(), verdict: Verdict::GoesOn };
        }
        let states: Vec<(NodeName, State)> =
            live.see(|state| state.nodes.iter().map(|(name, node)| (name.clone(), rollout(node))).collect());
        decide(&live.plan.rollout, &states)
    }

    /// Asks nodes that were not begun whether they answer.
    async fn ask_the_rest(&self, live: &LiveRun, run: &RunRecord) -> Result<(), FleetError> {
        if run.cancelled_by.is_some() {
            return Ok(());
        }
        let unheard: Vec<NodeName> = live.see(|state| {
            let waits = |node: &Node| match &node.away {
                _ if node.kept.is_some() => false,
                Some((_, since)) => since.elapsed() >= AGAIN,
                None => !node.is_heard,
            };
            state.nodes.iter().filter(|(_, node)| waits(node)).map(|(name, _)| name.clone()).collect()
        });
        if unheard.is_empty() {
            return Ok(());
        }
        let mut asked = Vec::new();
        for name in &unheard {
            asked.push(self.answers(name).await?);
        }
        let answers = join_all(asked.into_iter().map(|record| async move {
            let record = record?;
            self.dial(&record).await.err().map(|error| error.to_string())
        }));
        let answers = answers.await;
        live.change(|state| {
            for (name, error) in unheard.iter().zip(answers) {
                if let Some(node) = state.nodes.get_mut(name) {
                    node.is_heard = error.is_none();
                    node.away = error.map(|error| (error, Instant::now()));
                }
            }
        });
        Ok(())
    }

    async fn answers(&self, name: &NodeName) -> Result<Option<NodeRecord>, FleetError> {
        match self.node(name).await {
            Ok(record) => Ok(Some(record)),
            Err(FleetError::NoSuchNode { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes down that the node begins, where it can be reached and nobody else has done so. Its agent is told by
    /// whoever attends to it, as often as it takes: it takes a run once.
    async fn begin_node(
        &self,
        live: &LiveRun,
        run: &Stored<RunRecord>,
        node: &NodeName,
    ) -> Result<bool, FleetError> {
        let record = match self.node(node).await {
            Ok(record) => record,
            Err(FleetError::NoSuchNode { .. }) => {
                let why = "it was removed from the fleet".to_owned();
                return Ok(self.put_first_stage(run, node, Stage::Skipped { why }).await?.is_some());
            }
            Err(error) => return Err(error),
        };
        if let Err(error) = self.dial(&record).await {
            live.change_node(node, |known| {
                known.is_heard = false;
                known.away = Some((error.to_string(), Instant::now()));
            });
            return Ok(false);
        }
        fault::point("run.node_begins");
        let begun = self.put_first_stage(run, node, Stage::Beginning).await?;
        fault::point("run.node_recorded");
        Ok(begun.is_some())
    }
}

fn rollout(node: &Node) -> State {
    match (&node.kept, &node.away) {
        (Some(kept), _) => kept.stage.state(),
        (None, Some(_)) => State::Offline,
        (None, None) => State::Ready,
    }
}

/// Nodes that will not begin, and why.
fn left_out(live: &LiveRun, run: &RunRecord, decision: &Decision, now: i64) -> BTreeMap<NodeName, String> {
    live.see(|state| {
        let open = state.nodes.iter().filter(|(_, node)| node.kept.is_none());
        if let Some(by) = &run.cancelled_by {
            let why = format!("{by} cancelled the run before it began here");
            return open.map(|(name, _)| (name.clone(), why.clone())).collect();
        }
        let wall = i64::try_from(live.plan.budget.wall_ms).unwrap_or(i64::MAX);
        let is_late = now >= run.begun_at.saturating_add(wall);
        let reason = |node: &Node| node.away.as_ref().map(|(why, _)| why.clone()).unwrap_or_default();
        let skipped = open
            .filter(|(name, _)| decision.skip.contains(name) || (is_late && decision.wait.contains(name)));
        skipped.map(|(name, node)| (name.clone(), format!("it does not answer: {}", reason(node)))).collect()
    })
}
