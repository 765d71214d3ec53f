//! What is printed of plans.

use proto::v1;
use proto::v1::plan_source::Source;
use serde::Serialize;

use crate::cli::console::{Look, Style};
use crate::cli::table::{Cell, Fit, Table};
use crate::cli::units::{ago, rfc3339};
use crate::clock::UnixMillis;

/// The JSON of a plan in a list.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    plan: &'a str,
    goal: &'a str,
    /// `file` or `drafted`; null before the fleet keeps it.
    source: Option<&'static str>,
    file: Option<&'a str>,
    request: Option<&'a str>,
    model: Option<&'a str>,
    since: Option<String>,
    by: &'a str,
    state: &'static str,
    approved_by: Option<&'a str>,
    approved_until: Option<String>,
}

impl<'a> Summary<'a> {
    pub fn new(plan: &'a v1::PlanSummary, now: UnixMillis) -> Self {
        let source = plan.source.as_ref().and_then(|source| source.source.as_ref());
        let (file, drafted) = match source {
            Some(Source::File(file)) => (Some(file.name.as_str()), None),
            Some(Source::Drafted(drafted)) => (None, Some(drafted)),
            None => (None, None),
        };
        Self {
            plan: &plan.hash,
            goal: &plan.goal,
            source: source.map(|source| match source {
                Source::File(_) => "file",
                Source::Drafted(_) => "drafted",
            }),
            file,
            request: drafted.map(|drafted| drafted.request.as_str()),
            model: drafted.map(|drafted| drafted.model.as_str()),
            since: rfc3339(plan.put_unix_ms),
            by: &plan.put_by,
            state: state(plan, now),
            approved_by: plan.approval.as_ref().map(|approval| approval.by.as_str()),
            approved_until: plan.approval.as_ref().and_then(|approval| rfc3339(approval.until_unix_ms)),
        }
    }
}

fn state(plan: &v1::PlanSummary, now: UnixMillis) -> &'static str {
    match &plan.approval {
        None => "draft",
        Some(approval) if now < approval.until_unix_ms => "approved",
        Some(_) => "expired",
    }
}

/// The JSON of a plan with all that was found out about it.
#[derive(Debug, Serialize)]
pub struct Detail<'a> {
    plan: &'a str,
    goal: &'a str,
    kept: bool,
    may_run: bool,
    expected: Cost<'a>,
    worst: Cost<'a>,
    nodes: Vec<Node<'a>>,
    nowhere: Option<&'a str>,
    /// The plan itself, in its canonical form.
    content: Option<serde_json::Value>,
}

#[derive(Debug, Default, Serialize)]
struct Cost<'a> {
    calls: u64,
    tokens: u64,
    money: &'a str,
    wall_ms: u64,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    node: &'a str,
    unreachable: Option<&'a str>,
    problems: &'a [String],
    asks: Vec<Ask<'a>>,
}

#[derive(Debug, Serialize)]
struct Ask<'a> {
    step: &'a str,
    call: &'a str,
    why: &'a str,
}

impl<'a> From<&'a v1::PlanDetail> for Detail<'a> {
    fn from(detail: &'a v1::PlanDetail) -> Self {
        let cost = |cost: &'a Option<v1::PlanCost>| {
            cost.as_ref().map_or_else(Cost::default, |cost| Cost {
                calls: cost.calls,
                tokens: cost.tokens,
                money: &cost.money,
                wall_ms: cost.wall_ms,
            })
        };
        Self {
            plan: detail.plan.as_ref().map_or("", |plan| &plan.hash),
            goal: detail.plan.as_ref().map_or("", |plan| &plan.goal),
            kept: detail.is_kept,
            may_run: may_run(detail),
            expected: cost(&detail.expected),
            worst: cost(&detail.worst),
            nodes: detail.nodes.iter().map(Node::from).collect(),
            nowhere: (!detail.nowhere.is_empty()).then_some(&detail.nowhere),
            content: serde_json::from_str(&detail.json).ok(),
        }
    }
}

impl<'a> From<&'a v1::NodeCheck> for Node<'a> {
    fn from(check: &'a v1::NodeCheck) -> Self {
        let asks = check.asks.iter();
        Self {
            node: &check.node,
            unreachable: (!check.unreachable.is_empty()).then_some(&check.unreachable),
            problems: &check.problems,
            asks: asks.map(|ask| Ask { step: &ask.step, call: &ask.call, why: &ask.why }).collect(),
        }
    }
}

/// Whether nothing that is known is against it, on any node it is for.
pub fn may_run(detail: &v1::PlanDetail) -> bool {
    detail.nodes.iter().all(|check| check.problems.is_empty())
}

/// The first twelve digits of a hash.
pub fn short(hash: &str) -> &str {
    let hex = hash.strip_prefix("sha256:").unwrap_or(hash);
    hex.get(..12).unwrap_or(hex)
}

/// The plan as a tree, then what is found on the nodes.
pub fn text(detail: &v1::PlanDetail, look: &Look) -> String {
    format!("{}\n{}", detail.shown.trim_end(), verdict(detail, look))
}

/// Where it may run, and what is against it.
pub fn verdict(detail: &v1::PlanDetail, look: &Look) -> String {
    let mut text = String::new();
    if !detail.nowhere.is_empty() {
        text += &format!("{}: {}\n", look.paint(Style::Warn, "no node now"), detail.nowhere);
    }
    let mut table = Table::new(&[("NODE", Fit::Keep), ("VERDICT", Fit::Keep), ("WHY", Fit::Wrap)]);
    for check in &detail.nodes {
        let (word, style) = match (check.problems.is_empty(), check.unreachable.is_empty()) {
            (false, _) => ("may not run", Style::Bad),
            (true, false) => ("offline", Style::Warn),
            (true, true) => ("may run", Style::Good),
        };
        let why =
            if check.problems.is_empty() { check.unreachable.clone() } else { check.problems.join("; ") };
        table.row([Cell::styled(&check.node, Style::Bold), Cell::styled(word, style), why.into()]);
    }
    if !detail.nodes.is_empty() {
        text += &table.render(look);
    }
    text + &asks(detail, look)
}

/// What people will be asked, each once with the nodes it is for.
fn asks(detail: &v1::PlanDetail, look: &Look) -> String {
    let mut seen: Vec<(&v1::node_check::Ask, Vec<&str>)> = Vec::new();
    for check in &detail.nodes {
        for ask in &check.asks {
            match seen.iter_mut().find(|(known, _)| *known == ask) {
                Some((_, nodes)) => nodes.push(&check.node),
                None => seen.push((ask, vec![&check.node])),
            }
        }
    }
    if seen.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[("STEP", Fit::Keep), ("NODES", Fit::Cut), ("CALL", Fit::Wrap)]).indented(2);
    for (ask, nodes) in seen {
        table.row([
            Cell::styled(&ask.step, Style::Bold),
            nodes.join(", ").into(),
            format!("{} ({})", ask.call, ask.why).into(),
        ]);
    }
    format!("\nA person will be asked:\n{}", table.render(look))
}

pub fn list(plans: &[v1::PlanSummary], look: &Look, now: UnixMillis) -> String {
    let mut table = Table::new(&[
        ("PLAN", Fit::Keep),
        ("STATE", Fit::Keep),
        ("FROM", Fit::Cut),
        ("SINCE", Fit::Keep),
        ("BY", Fit::Cut),
        ("GOAL", Fit::Wrap),
    ]);
    for plan in plans {
        let summary = Summary::new(plan, now);
        let style = match summary.state {
            "approved" => Style::Good,
            "expired" => Style::Warn,
            _ => Style::Plain,
        };
        table.row([
            Cell::styled(short(&plan.hash), Style::Bold),
            Cell::styled(summary.state, style),
            summary.file.or(summary.model).unwrap_or_default().into(),
            ago(plan.put_unix_ms, now).into(),
            (&plan.put_by).into(),
            (&plan.goal).into(),
        ]);
    }
    table.render(look)
}
