//! What is different between two plans, and whether the new one reaches further than what was approved.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::step::{Step, StepId};
use crate::tool::Tool;

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    Goal,
    Nodes,
    Rollout,
    Budget,
    Added(StepId),
    Removed(StepId),
    /// The fields that differ, as they are named in a file.
    Changed(StepId, Vec<&'static str>),
}

/// All differences, the plan's own before those of its steps.
pub fn differences(old: &Plan, new: &Plan) -> Vec<Difference> {
    let mut found = Vec::new();
    let whole = [
        (old.goal != new.goal, Difference::Goal),
        (old.nodes != new.nodes, Difference::Nodes),
        (old.rollout != new.rollout, Difference::Rollout),
        (old.budget != new.budget, Difference::Budget),
    ];
    found.extend(whole.into_iter().filter(|(differs, _)| *differs).map(|(_, difference)| difference));
    let ids: BTreeSet<&StepId> = old.steps.iter().chain(&new.steps).map(|step| &step.id).collect();
    for id in ids {
        match (old.step(id), new.step(id)) {
            (Some(old), Some(new)) if old != new => {
                found.push(Difference::Changed(id.clone(), fields(old, new)))
            }
            (None, Some(_)) => found.push(Difference::Added(id.clone())),
            (Some(_), None) => found.push(Difference::Removed(id.clone())),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
    found
}

fn fields(old: &Step, new: &Step) -> Vec<&'static str> {
    let all = [
        ("needs", old.needs != new.needs),
        ("tier", old.tier != new.tier),
        ("tool", old.call.tool != new.call.tool),
        ("args", old.call.args != new.call.args),
        ("effect", old.effect != new.effect),
        ("when", old.when != new.when),
        ("success", old.success != new.success),
        ("on_failure", old.on_failure != new.on_failure),
        ("undo", old.undo != new.undo),
        ("timeout", old.timeout_ms != new.timeout_ms),
        ("output_cap", old.output_cap != new.output_cap),
        ("key", old.key != new.key),
        ("sandbox", old.sandbox != new.sandbox),
    ];
    all.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// In what the new plan reaches further than the approved one. Nothing: it needs no new approval.
///
/// What was approved was approved as it stands. So in steps that change something every call, undo and guard must be one
/// that was approved; a step that only reads may be new when its tool was approved for reading before.
pub fn widenings(approved: &Plan, new: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    if !is_narrower(approved, new) {
        found.push("other nodes".to_owned());
    }
    if new.rollout != approved.rollout {
        found.push("another rollout".to_owned());
    }
    let (old, budget) = (&approved.budget, &new.budget);
    let is_larger = budget.money > old.money
        || budget.tokens > old.tokens
        || budget.wall_ms > old.wall_ms
        || budget.steps > old.steps;
    if is_larger {
        found.push("a larger budget".to_owned());
    }
    let tools: BTreeSet<Tool> = approved.steps.iter().map(|step| step.call.tool).collect();
    let widest = approved.steps.iter().map(|step| step.effect).max();
    for step in new.steps.iter().filter(|step| approved.step(&step.id) != Some(step)) {
        let id = &step.id;
        if Some(step.effect) > widest {
            found.push(format!("step {id} is {}, which no approved step is", step.effect));
        }
        if !tools.contains(&step.call.tool) {
            found.push(format!("step {id} uses {}, which no approved step does", step.call.tool));
        }
        let only_looks =
            step.effect == modules::effect::Effect::Read && step.undo.is_none() && is_local(step.call.tool);
        let is_known = approved.steps.iter().any(|old| is_same_deed(old, step));
        if !is_known && !only_looks {
            found.push(format!(
                "step {id} does what no approved step does: {}",
                crate::approval::shown(&step.call)
            ));
        }
    }
    found
}

/// Reads of the node itself; what speaks to others or runs a program is a deed, whatever it says it changes.
fn is_local(tool: Tool) -> bool {
    use crate::tool::Kind;
    matches!(tool.kind(), Kind::Collect | Kind::Human)
        || matches!(
            tool,
            Tool::ServiceStatus
                | Tool::VerifyOutput
                | Tool::VerifyFile
                | Tool::VerifyService
                | Tool::FileList
        )
}

/// The same call under the same guards, with at least the same checks, in no wider a sandbox.
fn is_same_deed(old: &Step, new: &Step) -> bool {
    let has_all = |old: &[crate::predicate::Predicate], new: &[crate::predicate::Predicate]| {
        old.iter().all(|one| new.contains(one))
    };
    old.call == new.call
        && old.undo == new.undo
        && new.effect <= old.effect
        && new.tier <= old.tier
        && has_all(&old.when, &new.when)
        && has_all(&old.success, &new.success)
        && new.sandbox >= old.sandbox
        && new.timeout_ms <= old.timeout_ms
        && old.needs.iter().all(|need| new.needs.contains(need))
}

fn is_narrower(approved: &Plan, new: &Plan) -> bool {
    let (old, new) = (&approved.nodes, &new.nodes);
    let names_fit = old.names.is_empty() || (!new.names.is_empty() && new.names.is_subset(&old.names));
    (!new.every || old.every) && names_fit && old.on.is_subset(&new.on)
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use super::*;
    use crate::validate::Surroundings;

    const STEPS: &str = "{id: disk, tool: collect.disk}, \
        {id: drop, tool: file.delete, args: {paths: [/x]}, needs: [disk], when: [{number: {of: disk.out.used_percent, above: 85}}]}, \
        {id: get, tool: http.get, args: {url: 'https://example.org/'}}";

    #[test]
    fn differences_are_named() {
        let new = STEPS.replace("above: 85", "above: 5").replace("id: get", "id: fetch");
        let found = differences(&plan("names: [a, b]", STEPS), &plan("names: [a]", &new));
        let id = |text: &str| StepId::parse(text).expect("an id");
        let expected = [
            Difference::Nodes,
            Difference::Changed(id("drop"), vec!["when"]),
            Difference::Added(id("fetch")),
            Difference::Removed(id("get")),
        ];
        assert_eq!(found, expected);
        assert_eq!(differences(&plan("every: true", STEPS), &plan("every: true", STEPS)), []);
    }

    #[test]
    fn a_new_plan_that_reaches_further_needs_a_new_yes() {
        let with = |from: &str, to: &str| STEPS.replace(from, to);
        let cases = [
            ("names: [a, b]", STEPS.to_owned(), ""),
            ("names: [a]", STEPS.to_owned(), ""),
            ("names: [a, b], on: [gpu]", STEPS.to_owned(), ""),
            ("names: [a, c]", STEPS.to_owned(), "other nodes"),
            ("every: true", STEPS.to_owned(), "other nodes"),
            ("on: [gpu]", STEPS.to_owned(), "other nodes"),
            ("names: [a]", format!("{STEPS}, {{id: more, tool: collect.disk, args: {{path: /var}}}}"), ""),
            (
                "names: [a]",
                format!("{STEPS}, {{id: more, tool: collect.memory}}"),
                "step more uses collect.memory",
            ),
            ("names: [a]", with("id: drop", "id: again"), ""),
            (
                "names: [a]",
                with("paths: [/x]", "paths: [/y]"),
                "step drop does what no approved step does: file.delete paths=[\"/y\"]",
            ),
            (
                "names: [a]",
                with(", when: [{number: {of: disk.out.used_percent, above: 85}}]", ""),
                "step drop does what no approved",
            ),
            ("names: [a]", with("above: 85", "above: 5"), "step drop does what no approved"),
            ("names: [a]", with("example.org/", "example.org/?q=${node}"), "step get does what no approved"),
            ("names: [a]", with("example.org", "evil.net"), "step get does what no approved"),
            (
                "names: [a]",
                format!("{STEPS}, {{id: sh, tool: exec.shell, args: {{script: id}}}}"),
                "step sh uses exec.shell",
            ),
        ];
        let approved = plan("names: [a, b]", STEPS);
        for (nodes, steps, says) in cases {
            let mut new = plan(nodes, &steps);
            new.budget.steps = approved.budget.steps;
            let found = widenings(&approved, &new).join("; ");
            assert!(
                found.contains(says) && found.is_empty() == says.is_empty(),
                "{nodes} {steps}: {found:?}"
            );
        }
        let mut costly = approved.clone();
        costly.budget.tokens += 1;
        assert_eq!(widenings(&approved, &costly), ["a larger budget"]);
    }

    fn plan(nodes: &str, steps: &str) -> Plan {
        let text = format!("goal: g\nnodes: {{{nodes}}}\nsteps: [{steps}]\n");
        Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }
}
