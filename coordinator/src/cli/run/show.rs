//! What is printed of runs.

use plan::run::event::{Event, Record, Work};
use proto::v1;
use proto::v1::RunState;
use serde::Serialize;
use serde_json::Value;

use super::story;
use crate::cli::approval::{self, Shown};
use crate::cli::console::{Look, Style, printable};
use crate::cli::plan::short;
use crate::cli::table::{Cell, Fit, Table};
use crate::cli::units::{ago, clock_time, rfc3339};
use crate::clock::UnixMillis;

/// The JSON of a run in a list.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    run: &'a str,
    plan: &'a str,
    goal: &'a str,
    state: &'static str,
    message: &'a str,
    dry_run: bool,
    by: &'a str,
    begun: Option<String>,
    ended: Option<String>,
    nodes: u32,
    done: u32,
    failed: u32,
    skipped: u32,
}

impl<'a> From<&'a v1::RunSummary> for Summary<'a> {
    fn from(run: &'a v1::RunSummary) -> Self {
        Self {
            run: &run.run,
            plan: &run.plan,
            goal: &run.goal,
            state: state(run.state()).0,
            message: &run.message,
            dry_run: run.dry_run,
            by: &run.by,
            begun: rfc3339(run.begun_unix_ms),
            ended: rfc3339(run.ended_unix_ms),
            nodes: run.nodes,
            done: run.done,
            failed: run.failed,
            skipped: run.skipped,
        }
    }
}

fn state(state: RunState) -> (&'static str, Style) {
    match state {
        RunState::Unspecified | RunState::Unknown => ("unknown", Style::Bad),
        RunState::Running => ("running", Style::Plain),
        RunState::Waiting => ("waiting", Style::Warn),
        RunState::Done => ("done", Style::Good),
        RunState::Failed => ("failed", Style::Bad),
        RunState::Cancelled => ("cancelled", Style::Warn),
        RunState::Unverified => ("unverified", Style::Warn),
    }
}

/// The JSON of a run with all that its nodes did.
#[derive(Debug, Serialize)]
pub struct Detail<'a> {
    #[serde(flatten)]
    summary: Option<Summary<'a>>,
    verdict: Option<Verdict<'a>>,
    nodes: Vec<Node<'a>>,
    questions: Vec<Shown<'a>>,
}

/// Whether the goal was reached, by what was seen afterwards.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    achieved: &'a str,
    by: &'a str,
    reasons: &'a [String],
    run: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    node: &'a str,
    state: &'static str,
    message: &'a str,
    unreachable: Option<&'a str>,
    receipts: Option<Receipts<'a>>,
    steps: Vec<Step>,
    records: Vec<Value>,
}

#[derive(Debug, Serialize)]
struct Receipts<'a> {
    count: u64,
    verified: bool,
    problem: Option<&'a str>,
}

/// What a step came to.
#[derive(Debug, Serialize)]
struct Step {
    step: String,
    state: &'static str,
    tries: u32,
    approved_by: Option<String>,
    message: String,
    out: Option<Value>,
}

impl<'a> From<&'a v1::RunDetail> for Detail<'a> {
    fn from(detail: &'a v1::RunDetail) -> Self {
        Self {
            summary: detail.run.as_ref().map(Into::into),
            verdict: detail.verdict.as_ref().map(|verdict| Verdict {
                achieved: &verdict.achieved,
                by: &verdict.by,
                reasons: &verdict.reasons,
                run: (!verdict.run.is_empty()).then_some(&verdict.run),
            }),
            nodes: detail.nodes.iter().map(Node::from).collect(),
            questions: detail.questions.iter().map(Shown::from).collect(),
        }
    }
}

impl<'a> From<&'a v1::RunOnNode> for Node<'a> {
    fn from(node: &'a v1::RunOnNode) -> Self {
        let records = records(node);
        Self {
            node: &node.node,
            state: state(node.state()).0,
            message: &node.message,
            unreachable: (!node.unreachable.is_empty()).then_some(&node.unreachable),
            receipts: node.receipts.as_ref().map(|receipts| Receipts {
                count: receipts.count,
                verified: receipts.verified,
                problem: (!receipts.problem.is_empty()).then_some(&receipts.problem),
            }),
            steps: steps(&records),
            records: node.records_json.iter().filter_map(|json| serde_json::from_str(json).ok()).collect(),
        }
    }
}

fn records(node: &v1::RunOnNode) -> Vec<Record> {
    node.records_json.iter().filter_map(|json| serde_json::from_str(json).ok()).collect()
}

/// What the records say of each step, in the order in which they came up.
fn steps(records: &[Record]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for record in records {
        let Some(id) = step_of(&record.event) else { continue };
        let at = match steps.iter().position(|step| step.step == id) {
            Some(at) => at,
            None => {
                steps.push(Step {
                    step: id,
                    state: "waiting",
                    tries: 0,
                    approved_by: None,
                    message: String::new(),
                    out: None,
                });
                steps.len() - 1
            }
        };
        tell(&mut steps[at], &record.event);
    }
    steps
}

fn tell(step: &mut Step, event: &Event) {
    let mut now = |state, message: &str| {
        step.state = state;
        step.message = message.to_owned();
    };
    match event {
        Event::NotNeeded { why, .. } => now("not_needed", why),
        Event::Skipped { why, .. } => now("skipped", why),
        Event::Forbidden { why, .. } => now("forbidden", why),
        Event::Asked { request, .. } => now("asked", &request.shown),
        Event::Approved { by, .. } => {
            now("approved", "");
            step.approved_by = Some(by.clone());
        }
        Event::Denied { by, .. } => now("denied", &format!("by {by}")),
        Event::Expired { .. } => now("expired", "nobody answered in time"),
        Event::Started { attempt, work: Work::Do, .. } => {
            now("running", "");
            step.tries = *attempt;
        }
        Event::Started { work: Work::Undo, .. } => now("undoing", ""),
        Event::Returned { work: Work::Do, out, .. } => {
            now("returned", "");
            step.out = Some(out.clone());
        }
        Event::Returned { work: Work::Undo, .. } => now("undone", ""),
        Event::Failed { why, .. } => now("failed", why),
        Event::Unknown { why, .. } => now("unknown", why),
        Event::Answered { by, .. } => now("answered", &format!("by {by}")),
        Event::Checked { holds: true, .. } => now("done", ""),
        Event::Checked { holds: false, why, .. } => now("failed", why),
        Event::Escalated { .. } => now("escalated", ""),
        Event::Begun { .. }
        | Event::Cleared { .. }
        | Event::Spent { .. }
        | Event::Replanned { .. }
        | Event::Cancelled { .. }
        | Event::Ended { .. } => {}
    }
}

fn step_of(event: &Event) -> Option<String> {
    match event {
        Event::Begun { .. } | Event::Replanned { .. } | Event::Cancelled { .. } | Event::Ended { .. } => None,
        Event::Cleared { step }
        | Event::NotNeeded { step, .. }
        | Event::Skipped { step, .. }
        | Event::Forbidden { step, .. }
        | Event::Asked { step, .. }
        | Event::Approved { step, .. }
        | Event::Denied { step, .. }
        | Event::Expired { step, .. }
        | Event::Started { step, .. }
        | Event::Returned { step, .. }
        | Event::Failed { step, .. }
        | Event::Unknown { step, .. }
        | Event::Answered { step, .. }
        | Event::Checked { step, .. }
        | Event::Escalated { step }
        | Event::Spent { step, .. } => Some(step.to_string()),
    }
}

pub fn list(runs: &[v1::RunSummary], look: &Look, now: UnixMillis) -> String {
    let mut table = Table::new(&[
        ("RUN", Fit::Keep),
        ("PLAN", Fit::Keep),
        ("STATE", Fit::Keep),
        ("DONE", Fit::Keep),
        ("BEGUN", Fit::Keep),
        ("BY", Fit::Cut),
        ("GOAL", Fit::Cut),
        ("MESSAGE", Fit::Wrap),
    ]);
    for run in runs {
        let (word, style) = state(run.state());
        let dry = if run.dry_run { "dry run; " } else { "" };
        table.row([
            Cell::styled(&run.run, Style::Bold),
            short(&run.plan).into(),
            Cell::styled(word, style),
            format!("{}/{}", run.done, run.nodes).into(),
            ago(run.begun_unix_ms, now).into(),
            (&run.by).into(),
            (&run.goal).into(),
            format!("{dry}{}", run.message).into(),
        ]);
    }
    table.render(look)
}

/// The whole run, node by node.
pub fn text(detail: &v1::RunDetail, look: &Look) -> String {
    let mut text = String::new();
    if let Some(run) = &detail.run {
        let (word, style) = state(run.state());
        let message =
            if run.message.is_empty() { String::new() } else { format!(": {}", printable(&run.message)) };
        text += &format!("run    {} of plan {}\n", run.run, short(&run.plan));
        text += &format!("goal   {}\n", printable(&run.goal));
        text += &format!("state  {}{message}\n", look.paint(style, word));
        text += &format!("by     {}, {}\n", run.by, rfc3339(run.begun_unix_ms).unwrap_or_default());
    }
    if let Some(verdict) = &detail.verdict {
        text += &judged(verdict);
    }
    for node in &detail.nodes {
        text += &on_node(node, look);
    }
    if !detail.questions.is_empty() {
        text += &format!("\nPeople are asked:\n{}", approval::table(&detail.questions, look));
    }
    text
}

/// What was seen when it was looked anew, and who judged it.
fn judged(verdict: &v1::GoalVerdict) -> String {
    let word = match verdict.achieved.as_str() {
        "yes" => "reached",
        "no" => "not reached",
        _ => "nobody can tell",
    };
    let by = match verdict.by.as_str() {
        "code" => "its predicates".to_owned(),
        model => printable(model),
    };
    let run = match verdict.run.as_str() {
        "" => String::new(),
        run => format!(", from what run {run} saw afterwards"),
    };
    let reasons = verdict.reasons.iter().map(|reason| format!("       {}\n", printable(reason)));
    format!("shown  {word}, by {by}{run}\n{}", reasons.collect::<String>())
}

fn on_node(node: &v1::RunOnNode, look: &Look) -> String {
    let (word, style) = state(node.state());
    let message =
        if node.message.is_empty() { String::new() } else { format!(": {}", printable(&node.message)) };
    let mut text =
        format!("\n{}  {}{message}\n", look.paint(Style::Bold, &node.node), look.paint(style, word));
    for record in records(node) {
        let at = i64::try_from(record.at_ms).ok().and_then(clock_time).unwrap_or_default();
        if let Some((style, line)) = story::line(&record.event) {
            text += &format!("  {} {}\n", look.paint(Style::Dim, &at), look.paint(style, &line));
        }
        if let Event::Returned { out, .. } = &record.event {
            text += &output(out);
        }
    }
    match &node.receipts {
        Some(receipts) if receipts.verified => {
            text += &format!("  {} receipts, all of them hold\n", receipts.count);
        }
        Some(receipts) => {
            let problem = printable(&receipts.problem);
            text += &format!("  {}\n", look.paint(Style::Bad, &format!("receipts do not hold: {problem}")));
        }
        None => {}
    }
    text
}

/// Lines of a step's output that are shown; `-o json` has all.
const SHOWN: usize = 12;

fn output(out: &Value) -> String {
    let mut lines = Vec::new();
    let fields = out.as_object().map(|fields| fields.iter().collect::<Vec<_>>()).unwrap_or_default();
    for (name, value) in fields {
        match value.as_str() {
            Some("") => {}
            Some(text) if text.contains('\n') => {
                lines.push(format!("{name}:"));
                lines.extend(text.lines().map(|line| format!("  {}", printable(line))));
            }
            Some(text) => lines.push(format!("{name}: {}", printable(text))),
            None => lines.push(format!("{name}: {}", printable(&value.to_string()))),
        }
    }
    let more = lines.len().saturating_sub(SHOWN);
    let mut text: String = lines.iter().take(SHOWN).map(|line| format!("      {line}\n")).collect();
    if more > 0 {
        text += &format!("      … {more} more lines; -o json has all\n");
    }
    text
}
