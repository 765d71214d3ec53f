//! How far a deployment has come: wanted instances × reports → the state of each, of all, and the verdict.
//!
//! Says only what is known: what cannot be reached is never healthy, and what a node reports counts only for the
//! attempt that is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proto::ids::{InstanceId, NodeName};
use proto::v1;
use serde::{Deserialize, Serialize};

use super::placement::Liveness;

/// Of an instance, and of a deployment: there the state of the instance that is off worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    // From best to worst: the order decides what a deployment shows.
    Stopped,
    Healthy,
    Pending,
    Starting,
    /// A change waits for a node that cannot be reached, or the instance for a place.
    Waiting,
    Unknown,
    Lost,
    Unhealthy,
    RolledBack,
    Failed,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Stopped => "stopped",
            State::Healthy => "healthy",
            State::Pending => "pending",
            State::Starting => "starting",
            State::Waiting => "waiting",
            State::Unknown => "unknown",
            State::Lost => "lost",
            State::Unhealthy => "unhealthy",
            State::RolledBack => "rolled_back",
            State::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<State> for v1::deployment::State {
    fn from(state: State) -> Self {
        match state {
            State::Stopped => Self::Stopped,
            State::Healthy => Self::Healthy,
            State::Pending => Self::Pending,
            State::Starting => Self::Starting,
            State::Waiting => Self::Waiting,
            State::Unknown => Self::Unknown,
            State::Lost => Self::Lost,
            State::Unhealthy => Self::Unhealthy,
            State::RolledBack => Self::RolledBack,
            State::Failed => Self::Failed,
        }
    }
}

/// One instance of the deployment's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub instance: InstanceId,
    /// `None`: it has no place yet.
    pub node: Option<NodeName>,
    /// Of its release's package: `sha256:…`.
    pub digest: String,
    pub attempt: u64,
}

/// An instance that is no longer wanted on that node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    pub instance: InstanceId,
    pub node: NodeName,
}

/// What is known of a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observed<'a> {
    pub liveness: Liveness,
    /// The last one, however old.
    pub report: Option<&'a v1::Report>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceStatus {
    pub instance: InstanceId,
    pub node: Option<NodeName>,
    pub state: State,
    /// Why, for every state but `Healthy`.
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Progressing,
    /// Every instance runs the wanted release and is healthy, and what had to go is gone.
    Done,
    /// The wanted release failed on a node: the whole fleet goes back.
    Failed {
        instance: InstanceId,
        node: NodeName,
        reason: String,
    },
    /// All that can be done is done; these nodes cannot be reached, and these instances have no place.
    WaitingFor {
        nodes: BTreeSet<NodeName>,
        unplaced: BTreeSet<InstanceId>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// In the order of the wish.
    pub instances: Vec<InstanceStatus>,
    pub state: State,
    pub message: String,
    pub verdict: Verdict,
}

/// Tells how far a deployment has come. A node that is not in `nodes` counts as not reachable.
pub fn assess(wanted: &[Wanted], leaving: &[Leaving], nodes: &BTreeMap<NodeName, Observed<'_>>) -> Progress {
    let instances: Vec<InstanceStatus> = wanted.iter().map(|wanted| status_of(wanted, nodes)).collect();
    let verdict = verdict(wanted, &instances, leaving, nodes);
    let (state, message) = overall(&instances);
    Progress { instances, state, message, verdict }
}

const UNSEEN: Observed<'_> = Observed { liveness: Liveness::Unknown, report: None };

fn observed<'a>(node: &NodeName, nodes: &BTreeMap<NodeName, Observed<'a>>) -> Observed<'a> {
    nodes.get(node).copied().unwrap_or(UNSEEN)
}

fn report_of<'a>(instance: &InstanceId, observed: &Observed<'a>) -> Option<&'a v1::InstanceReport> {
    let id = instance.to_string();
    observed.report?.instances.iter().find(|report| report.id == id)
}

fn status_of(wanted: &Wanted, nodes: &BTreeMap<NodeName, Observed<'_>>) -> InstanceStatus {
    let (state, message) = match &wanted.node {
        None => (State::Waiting, "no node is eligible".to_owned()),
        Some(node) => state_on(wanted, node, &observed(node, nodes)),
    };
    InstanceStatus { instance: wanted.instance.clone(), node: wanted.node.clone(), state, message }
}

/// What the node says of the instance, where it knows of the wanted attempt.
fn told<'a>(wanted: &Wanted, observed: &Observed<'a>) -> Option<&'a v1::InstanceReport> {
    report_of(&wanted.instance, observed).filter(|report| report.attempt >= wanted.attempt)
}

fn state_on(wanted: &Wanted, node: &NodeName, observed: &Observed<'_>) -> (State, String) {
    let told = told(wanted, observed);
    match (observed.liveness, told) {
        (Liveness::Ready, Some(report)) => state_reported(wanted, report),
        (Liveness::Ready, None) => (State::Pending, format!("{node} has not begun")),
        (Liveness::Unknown, Some(_)) => (State::Unknown, format!("{node} is not reachable")),
        (Liveness::Lost, Some(_)) => (State::Lost, format!("{node} is lost")),
        (Liveness::Unknown | Liveness::Lost, None) => {
            (State::Waiting, format!("{node} is not reachable, the change waits for it"))
        }
    }
}

fn state_reported(wanted: &Wanted, report: &v1::InstanceReport) -> (State, String) {
    let message = || report.message.clone();
    if let Some(reason) = refusal(wanted, report) {
        return match report.phase() {
            v1::Phase::RolledBack | v1::Phase::Running => (State::RolledBack, reason),
            v1::Phase::Failed | v1::Phase::Unspecified => (State::Failed, reason),
            v1::Phase::Waiting
            | v1::Phase::Installing
            | v1::Phase::Starting
            | v1::Phase::Unhealthy
            | v1::Phase::Backoff
            | v1::Phase::Stopping => (State::Failed, format!("{reason}; the previous release starts again")),
        };
    }
    match report.phase() {
        v1::Phase::Unspecified => (State::Unknown, message()),
        v1::Phase::Waiting => (State::Pending, message()),
        v1::Phase::Installing | v1::Phase::Starting | v1::Phase::Stopping => (State::Starting, message()),
        v1::Phase::Running if runs_wanted(wanted, report) => (State::Healthy, String::new()),
        v1::Phase::Running => (State::Starting, "another release still runs".to_owned()),
        v1::Phase::Unhealthy | v1::Phase::Backoff => (State::Unhealthy, message()),
        v1::Phase::Failed => (State::Failed, message()),
        v1::Phase::RolledBack => (State::RolledBack, message()),
    }
}

fn runs_wanted(wanted: &Wanted, report: &v1::InstanceReport) -> bool {
    report.release.as_ref().is_some_and(|release| release.digest == wanted.digest)
}

/// Why the node refuses the wanted release in this attempt, if it does.
fn refusal(wanted: &Wanted, report: &v1::InstanceReport) -> Option<String> {
    let refused = report.failed_release.as_ref().is_some_and(|release| release.digest == wanted.digest);
    let failed = matches!(report.phase(), v1::Phase::Failed | v1::Phase::RolledBack);
    if !refused && !failed {
        return None;
    }
    let reason = [&report.failed_reason, &report.message].into_iter().find(|reason| !reason.is_empty());
    Some(reason.cloned().unwrap_or_else(|| "failed without a reason".to_owned()))
}

/// A failure stays a failure when the node cannot be reached any more.
fn failure(wanted: &Wanted, nodes: &BTreeMap<NodeName, Observed<'_>>) -> Option<Verdict> {
    let node = wanted.node.as_ref()?;
    let reason = refusal(wanted, told(wanted, &observed(node, nodes))?)?;
    Some(Verdict::Failed { instance: wanted.instance.clone(), node: node.clone(), reason })
}

fn verdict(
    wanted: &[Wanted],
    instances: &[InstanceStatus],
    leaving: &[Leaving],
    nodes: &BTreeMap<NodeName, Observed<'_>>,
) -> Verdict {
    let mut waiting = BTreeSet::new();
    let mut unplaced = BTreeSet::new();
    let mut progressing = false;
    for (wanted, status) in wanted.iter().zip(instances) {
        if let Some(failed) = failure(wanted, nodes) {
            return failed;
        }
        match (&status.node, status.state) {
            (None, _) => {
                unplaced.insert(wanted.instance.clone());
            }
            (Some(node), State::Waiting | State::Unknown | State::Lost) => {
                waiting.insert(node.clone());
            }
            (Some(_), State::Healthy | State::Stopped) => {}
            (Some(_), _) => progressing = true,
        }
    }
    for leaving in leaving {
        let observed = observed(&leaving.node, nodes);
        match (observed.liveness, report_of(&leaving.instance, &observed)) {
            (Liveness::Ready, Some(_)) => progressing = true,
            (Liveness::Ready, None) => progressing |= observed.report.is_none(),
            (Liveness::Unknown | Liveness::Lost, _) => {
                waiting.insert(leaving.node.clone());
            }
        }
    }
    match (progressing, waiting.is_empty() && unplaced.is_empty()) {
        (true, _) => Verdict::Progressing,
        (false, true) => Verdict::Done,
        (false, false) => Verdict::WaitingFor { nodes: waiting, unplaced },
    }
}

fn overall(instances: &[InstanceStatus]) -> (State, String) {
    let Some(state) = instances.iter().map(|status| status.state).max() else {
        return (State::Stopped, "no instances are wanted".to_owned());
    };
    if state == State::Healthy {
        return (state, String::new());
    }
    let same: Vec<&InstanceStatus> = instances.iter().filter(|status| status.state == state).collect();
    let Some(first) = same.first() else { return (state, String::new()) };
    let counted = format!("{} of {} {state}", same.len(), instances.len());
    let reason = if first.message.is_empty() { String::new() } else { format!(": {}", first.message) };
    (state, format!("{counted}: {}{reason}", first.instance))
}

#[cfg(test)]
mod tests;
