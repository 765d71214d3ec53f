//! A run as this process follows it: what the store and the nodes have told so far, and who waits for more.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use plan::plan::Plan;
use proto::ids::NodeName;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout_at};

use crate::domain::follow::{Followed, Question, Subject};
use crate::domain::runs::{NodeRun, RunRecord};

/// Lines of output that wait for a slow listener; it misses those before.
const PRINTED: usize = 256;

/// What a step prints while it runs.
#[derive(Debug, Clone)]
pub struct Printed {
    pub node: NodeName,
    pub step: String,
    pub text: String,
}

/// See the module's words.
pub struct LiveRun {
    pub plan: Plan,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
    pub printed: broadcast::Sender<Printed>,
    is_ours: AtomicBool,
}

/// What is known.
pub struct State {
    pub record: RunRecord,
    pub nodes: BTreeMap<NodeName, Node>,
    /// The store was read once, at least.
    pub is_loaded: bool,
    /// What the run that looks whether the goal is reached waits for.
    pub held_up: Option<String>,
}

/// What is known of one node.
pub struct Node {
    /// As the store has it; none: not begun.
    pub kept: Option<NodeRun>,
    pub followed: Followed,
    /// Why it does not answer, and since when that is known.
    pub away: Option<(String, Instant)>,
    /// It answered when it was last asked.
    pub is_heard: bool,
    /// Needs that are being met here: who leaves now, leaves what they cost.
    pub being_met: u32,
}

impl LiveRun {
    pub fn new(record: RunRecord, plan: Plan) -> Self {
        let node = |name: &NodeName| {
            let subject = Subject { run: record.id.clone(), node: name.clone(), plan: record.plan };
            let followed = Followed::new(subject);
            (name.clone(), Node { kept: None, followed, away: None, is_heard: false, being_met: 0 })
        };
        let nodes = record.nodes.iter().map(node).collect();
        Self {
            plan,
            state: Mutex::new(State { record, nodes, is_loaded: false, held_up: None }),
            changes: watch::Sender::new(0),
            printed: broadcast::Sender::new(PRINTED),
            is_ours: AtomicBool::new(false),
        }
    }

    /// Looks at the state; nothing is awaited while it is held.
    pub fn see<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state, and wakes whoever waits for that.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let out = change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        out
    }

    /// Changes what is known of a node.
    pub fn change_node<T>(&self, node: &NodeName, change: impl FnOnce(&mut Node) -> T) -> Option<T> {
        self.change(|state| state.nodes.get_mut(node).map(change))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while held")
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn record(&self) -> RunRecord {
        self.see(|state| state.record.clone())
    }

    /// Whether this process begins nodes and answers what they need.
    pub fn is_ours(&self) -> bool {
        self.is_ours.load(Ordering::Relaxed)
    }

    pub fn take(&self, is_ours: bool) {
        self.is_ours.store(is_ours, Ordering::Relaxed);
    }

    /// Waits until the run has ended or only people and nodes that are away are waited for; no longer than `limit`.
    pub async fn settled(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut changes = self.changes();
        while !self.see(State::is_settled) {
            match timeout_at(deadline, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

impl State {
    /// Nothing is being done anywhere that is known: the run has ended, or waits for people or nodes.
    pub fn is_settled(&self) -> bool {
        if !self.is_loaded {
            return false;
        }
        // Nobody is asked any more by what is being cancelled.
        let asks = |node: &Node| self.record.cancelled_by.is_none() && !node.questions().is_empty();
        let waits = |node: &Node| !node.is_over() && (node.away.is_some() || asks(node));
        let is_waiting = self.nodes.values().any(waits) && self.nodes.values().all(Node::is_settled);
        let is_held_up = self.held_up.is_some() && self.record.cancelled_by.is_none();
        self.record.ended.is_some() || is_held_up || (is_waiting && !self.may_begin())
    }

    /// A node that answers was not begun and may be.
    fn may_begin(&self) -> bool {
        let is_open = |node: &Node| node.kept.is_none() && node.away.is_none();
        let is_held_up = self.nodes.values().any(|node| !node.questions().is_empty() || node.is_waited_for());
        self.nodes.values().any(is_open) && !is_held_up
    }

    /// Every question that is open, by node.
    pub fn questions(&self) -> Vec<(NodeName, Question)> {
        let of = |(name, node): (&NodeName, &Node)| {
            node.questions().into_iter().map(|question| (name.clone(), question)).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of).collect()
    }
}

impl Node {
    pub fn is_over(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.stage.is_over())
    }

    /// It was begun, goes on, and does not answer.
    fn is_waited_for(&self) -> bool {
        self.kept.is_some() && !self.is_over() && self.away.is_some()
    }

    fn is_settled(&self) -> bool {
        let has_ended = self.followed.state.as_ref().is_some_and(|run| run.ending.is_some());
        self.kept.is_none()
            || self.is_over()
            || self.away.is_some()
            || !(has_ended || self.followed.is_busy() || self.being_met > 0)
    }

    pub fn questions(&self) -> Vec<Question> {
        if self.kept.is_none() || self.is_over() { Vec::new() } else { self.followed.questions() }
    }
}
