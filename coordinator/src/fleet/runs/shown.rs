//! Runs as people and programs see them.

use std::sync::Arc;
use std::time::Duration;

use plan::approval;
use plan::plan::Plan;
use plan::rollout::State as Rollout;
use plan::run::event::{Record, Work};
use proto::ids::NodeName;
use proto::v1;
use proto::v1::open_question::{self, Approval, Human, Unknown};
use tokio::time::{Instant, timeout_at};

use super::live::{LiveRun, Node, State};
use super::receipts::verified;
use super::words::{node_state, not_begun, stage_state, summary};
use crate::domain::follow::Kind;
use crate::domain::node::NodeRecord;
use crate::domain::runs::{NodeRun, RunRecord};
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::json::get_json;

/// How long nodes are given to tell what they know, when somebody looks at a run.
const HEAR: Duration = Duration::from_secs(4);

impl Fleet {
    /// A run with everything that its nodes did.
    ///
    /// # Errors
    /// Where there is no such run.
    pub async fn show_run(
        self: &Arc<Self>,
        request: &v1::ShowRunRequest,
    ) -> Result<v1::RunDetail, FleetError> {
        let mut record = self.find_run(&request.run).await?.value;
        if record.ended.is_some() {
            return self.detail(&record, None).await;
        }
        let live = self.follow_here(&record.id).await?;
        live.heard(HEAR).await;
        record = self.find_run(record.id.as_str()).await?.value;
        self.detail(&record, Some(&live)).await
    }

    async fn detail(&self, record: &RunRecord, live: Option<&LiveRun>) -> Result<v1::RunDetail, FleetError> {
        let entries = self.run_nodes(&record.id).await?;
        let mut nodes = Vec::with_capacity(record.nodes.len());
        for name in &record.nodes {
            let shown = match entries.get(name) {
                Some(entry) if entry.stage.is_over() => self.over(record, entry).await?,
                Some(_) | None => self.under_way(record, name, entries.get(name), live).await?,
            };
            nodes.push(shown);
        }
        let questions = live.map(|live| live.see(|state| questions(state, &live.plan))).unwrap_or_default();
        let verdict = record.verdict.as_ref().map(|verdict| v1::GoalVerdict {
            achieved: verdict.achieved.as_str().to_owned(),
            by: verdict.by.clone(),
            reasons: verdict.reasons.clone(),
            run: record.looked_at_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        });
        Ok(v1::RunDetail { run: Some(self.run_summary(record).await?), nodes, questions, verdict })
    }

    /// A node whose part is over, out of what is kept.
    async fn over(&self, record: &RunRecord, entry: &NodeRun) -> Result<v1::RunOnNode, FleetError> {
        let (state, message) = stage_state(&entry.stage);
        let mut shown = v1::RunOnNode {
            node: entry.node.to_string(),
            state: state.into(),
            message,
            ..Default::default()
        };
        let Some(archived) = &entry.journal else { return Ok(shown) };
        let kept = self.kept_journal(&record.id, entry, archived).await?;
        shown.records_json = kept.records.iter().map(json).collect();
        let key = archived.receipt_key.as_deref();
        shown.receipts = Some(verified(record, &entry.node, key, &kept.records, &kept.receipts, true));
        Ok(shown)
    }

    async fn under_way(
        &self,
        record: &RunRecord,
        name: &NodeName,
        entry: Option<&NodeRun>,
        live: Option<&LiveRun>,
    ) -> Result<v1::RunOnNode, FleetError> {
        let seen = live.and_then(|live| {
            live.see(|state| {
                let node = state.nodes.get(name)?;
                let away = node.away.as_ref().map(|(why, _)| why.clone()).unwrap_or_default();
                Some((node_state(node), away, node.followed.records.clone(), node.followed.receipts.clone()))
            })
        });
        let Some(((state, message), unreachable, records, receipts)) = seen else {
            let (state, message) = entry.map_or_else(not_begun, |entry| stage_state(&entry.stage));
            let node = name.to_string();
            return Ok(v1::RunOnNode { node, state: state.into(), message, ..Default::default() });
        };
        let node = get_json::<NodeRecord>(self.store.as_ref(), &keys::node(name)).await?;
        let key = node.and_then(|kept| kept.value.receipt_key);
        let receipts = entry.map(|_| verified(record, name, key.as_deref(), &records, &receipts, false));
        Ok(v1::RunOnNode {
            node: name.to_string(),
            state: state.into(),
            message,
            unreachable,
            records_json: records.iter().map(json).collect(),
            receipts,
        })
    }

    pub(super) async fn run_summary(&self, record: &RunRecord) -> Result<v1::RunSummary, FleetError> {
        let entries = self.run_nodes(&record.id).await?;
        let plan: Option<Plan> = self.plan_of_run(record).await.ok();
        let count = |wanted: &[Rollout]| {
            let found = entries.values().filter(|entry| wanted.contains(&entry.stage.state())).count();
            u32::try_from(found).unwrap_or(u32::MAX)
        };
        let live = self.runs.lock().get(&record.id).cloned();
        let (state, message) = summary(record, &entries, live.as_deref());
        Ok(v1::RunSummary {
            run: record.id.to_string(),
            plan: record.plan.to_string(),
            goal: plan.map(|plan| plan.goal).unwrap_or_default(),
            state: state.into(),
            message,
            dry_run: record.dry_run,
            by: record.by.clone(),
            begun_unix_ms: record.begun_at,
            ended_unix_ms: record.ended.as_ref().map_or(0, |ended| ended.at),
            nodes: u32::try_from(record.nodes.len()).unwrap_or(u32::MAX),
            done: count(&[Rollout::Done]),
            failed: count(&[Rollout::Failed, Rollout::Unknown]),
            skipped: count(&[Rollout::Skipped]),
        })
    }
}

impl LiveRun {
    /// Waits until every node that was begun has told something, or does not answer; no longer than `limit`.
    pub(super) async fn heard(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut changes = self.changes();
        loop {
            changes.borrow_and_update();
            let has_told = |node: &Node| {
                node.kept.is_none()
                    || node.is_over()
                    || node.away.is_some()
                    || !node.followed.records.is_empty()
            };
            let is_heard = self.see(|state| state.is_loaded && state.nodes.values().all(has_told));
            let until = if is_heard { deadline.min(Instant::now() + MOMENT) } else { deadline };
            if timeout_at(until, changes.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// What a node tells at once comes within this.
const MOMENT: Duration = Duration::from_millis(300);

fn json(record: &Record) -> String {
    serde_json::to_string(record).expect("a record has only what JSON can hold")
}

/// Every question that is open, for people.
pub(super) fn questions(state: &State, plan: &Plan) -> Vec<v1::OpenQuestion> {
    let run = &state.record.id;
    let open = state.questions().into_iter().map(|(node, question)| {
        let asked = match &question.kind {
            Kind::Approval(request) => open_question::Question::Approval(Approval {
                call: request.shown.clone(),
                expires_unix_ms: i64::try_from(request.expires_ms).unwrap_or(i64::MAX),
            }),
            Kind::Unknown { attempt, work, why } => {
                let step = plan.step(&question.step);
                let call = step.map(|step| match (work, &step.undo) {
                    (Work::Undo, Some(undo)) => approval::shown(undo),
                    (Work::Do, _) | (Work::Undo, None) => approval::shown(&step.call),
                });
                open_question::Question::Unknown(Unknown {
                    attempt: *attempt,
                    undo: *work == Work::Undo,
                    why: why.clone(),
                    call: call.unwrap_or_default(),
                })
            }
            Kind::Human { question, options, expires, .. } => open_question::Question::Human(Human {
                question: question.clone(),
                options: options.clone(),
                expires_unix_ms: *expires,
            }),
        };
        v1::OpenQuestion {
            id: question.id(run, &node),
            run: run.to_string(),
            node: node.to_string(),
            step: question.step.to_string(),
            question: Some(asked),
        }
    });
    open.collect()
}
