//! How runs and their nodes stand, in a word and a few more.

use std::collections::BTreeMap;

use plan::rollout::State as Rollout;
use plan::run::event::Ending;
use proto::ids::NodeName;
use proto::v1;

use super::live::{LiveRun, Node, State};
use crate::domain::runs::{How, NodeRun, RunRecord, Stage};

pub(super) fn not_begun() -> (v1::RunState, String) {
    (v1::RunState::Waiting, "not begun".to_owned())
}

/// How far a node is, in a word and a few more.
pub(super) fn node_state(node: &Node) -> (v1::RunState, String) {
    let away = node.away.as_ref().map(|(why, _)| why.clone());
    match (&node.kept, away) {
        (Some(kept), _) if kept.stage.is_over() => stage_state(&kept.stage),
        (Some(_), Some(why)) => (v1::RunState::Waiting, format!("goes on by itself; {why}")),
        (None, Some(why)) => (v1::RunState::Waiting, format!("not begun: {why}")),
        (None, None) => not_begun(),
        (Some(_), None) if node.questions().is_empty() => (v1::RunState::Running, String::new()),
        (Some(_), None) => {
            let steps: Vec<String> =
                node.questions().iter().map(|question| question.step.to_string()).collect();
            (v1::RunState::Waiting, format!("people are asked about {}", steps.join(", ")))
        }
    }
}

pub(super) fn stage_state(stage: &Stage) -> (v1::RunState, String) {
    match stage {
        Stage::Beginning | Stage::Running => (v1::RunState::Running, String::new()),
        Stage::Skipped { why } => (v1::RunState::Cancelled, format!("left out: {why}")),
        Stage::Refused { why } => (v1::RunState::Failed, why.clone()),
        Stage::Lost { why } => (v1::RunState::Unknown, why.clone()),
        Stage::Ended { ending } => ended(ending),
    }
}

fn ended(ending: &Ending) -> (v1::RunState, String) {
    use v1::RunState::{Cancelled, Done, Failed, Unknown};
    let names =
        |steps: &[plan::step::StepId]| steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match ending {
        Ending::Done => (Done, String::new()),
        Ending::DoneExcept { steps } => (Done, format!("{} failed, which the plan lives with", names(steps))),
        Ending::Failed { step, why } => (Failed, format!("{step}: {why}")),
        Ending::RolledBack { step, why } => (Failed, format!("{step}: {why}; what was done is taken back")),
        Ending::NotRolledBack { step, why } => {
            (Failed, format!("{step}: {why}; not all could be taken back"))
        }
        Ending::OverBudget { why } => (Failed, format!("the budget is used up: {why}")),
        Ending::TimedOut => (Failed, "its time was up".to_owned()),
        Ending::Cancelled { by } => (Cancelled, format!("{by} cancelled it")),
        Ending::Unknown { steps } => (Unknown, format!("nobody knows whether {} was done", names(steps))),
    }
}

/// How a run stands, in a word and a few more.
pub(super) fn summary(
    record: &RunRecord,
    entries: &BTreeMap<NodeName, NodeRun>,
    live: Option<&LiveRun>,
) -> (v1::RunState, String) {
    let of = |wanted: Rollout| -> Vec<&str> {
        let found = entries.values().filter(|entry| entry.stage.state() == wanted);
        found.map(|entry| entry.node.as_str()).collect()
    };
    let (failed, unknown, skipped) = (of(Rollout::Failed), of(Rollout::Unknown), of(Rollout::Skipped));
    let Some(ended) = &record.ended else {
        return match live.map(|live| live.see(|state| (state.is_settled(), waits_for(state)))) {
            Some((true, waits)) if !waits.is_empty() => (v1::RunState::Waiting, waits),
            _ if record.looked_at_by.is_some() => (v1::RunState::Running, LOOKING.to_owned()),
            _ => (v1::RunState::Running, String::new()),
        };
    };
    let left = match skipped.as_slice() {
        [] => String::new(),
        skipped => format!("left out: {}", skipped.join(", ")),
    };
    let bad = if unknown.is_empty() { v1::RunState::Failed } else { v1::RunState::Unknown };
    match &ended.how {
        How::Done => (v1::RunState::Done, left),
        How::Unverified { why } => {
            (v1::RunState::Unverified, format!("nothing shows that the goal is reached: {why}"))
        }
        How::NotReached { why } => (v1::RunState::Failed, format!("the goal is not reached: {why}")),
        How::DoneExcept { .. } => (bad, format!("failed on {}", [failed, unknown].concat().join(", "))),
        How::Stopped { why } => (bad, why.clone()),
        How::Cancelled { by } if unknown.is_empty() => {
            (v1::RunState::Cancelled, format!("{by} cancelled it"))
        }
        How::Cancelled { by } => {
            (v1::RunState::Unknown, format!("{by} cancelled it; not all is known of {}", unknown.join(", ")))
        }
        How::NowhereDone => (v1::RunState::Failed, left),
    }
}

const LOOKING: &str = "every step is done, and it is looked whether the goal is reached";

/// What a run that stands still waits for.
pub(super) fn waits_for(state: &State) -> String {
    if let Some(why) = &state.held_up {
        return format!("{LOOKING}: {why}");
    }
    let questions = state.questions();
    let mut waits = Vec::new();
    if !questions.is_empty() {
        let count = questions.len();
        waits.push(format!("{count} question{} to people", if count == 1 { "" } else { "s" }));
    }
    let away = state.nodes.iter().filter(|(_, node)| !node.is_over());
    let away = away.filter_map(|(name, node)| Some(format!("{name} ({})", node.away.as_ref()?.0)));
    waits.extend(away);
    if waits.is_empty() { String::new() } else { format!("waiting for {}", waits.join(", ")) }
}
