//! A plan as a person reads it before saying yes: a tree of steps, each with what it does and what it can change.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use modules::effect::Effect;

use crate::approval;
use crate::cost::Estimate;
use crate::plan::{Nodes, Offline, Plan};
use crate::step::{OnFailure, Step, StepId, Tier};
use crate::verify;

/// The whole plan as text.
pub fn show(plan: &Plan, estimate: Option<&Estimate>) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(words.trim_end());
        text.push('\n');
    };
    line(format!("goal     {}", plan.goal.escape_debug()));
    line(format!("plan     {}", plan.hash().short()));
    line(format!("nodes    {}", nodes(&plan.nodes)));
    line(format!("rollout  {}", rollout(plan)));
    let budget = &plan.budget;
    let time = seconds(budget.wall_ms);
    line(format!(
        "budget   {}, {} tokens, {time}, {} steps a node",
        budget.money, budget.tokens, budget.steps
    ));
    if let Some(Estimate { expected, worst }) = estimate {
        line(format!(
            "cost     {} expected, {} at worst; {} and {} tokens; {} and {}",
            expected.money,
            worst.money,
            expected.tokens,
            worst.tokens,
            seconds(expected.wall_ms),
            seconds(worst.wall_ms)
        ));
    }
    line(format!("changes  {}", changes(plan)));
    line(format!("shown    {}", shown(plan)));
    line(String::new());
    tree(plan, &mut text);
    text
}

/// What will show that it has worked.
fn shown(plan: &Plan) -> String {
    if !verify::needs_showing(plan) {
        return "it only looks".to_owned();
    }
    match verify::looking(plan).filter(|looking| !looking.decisive.is_empty()) {
        Some(looking) => {
            let steps: Vec<&str> = looking.decisive.iter().map(StepId::as_str).collect();
            format!("by {}, looked at once more in the end", steps.join(", "))
        }
        None => "by nothing, so a run of it ends as unverified; let it end with a step that looks".to_owned(),
    }
}

/// Which nodes a plan is for, in words.
pub fn nodes(nodes: &Nodes) -> String {
    if nodes.every {
        return "every node".to_owned();
    }
    let names = nodes.names.iter().map(ToString::to_string);
    let on = nodes.on.iter().map(|wanted| wanted.as_str().to_owned());
    match (nodes.names.is_empty(), nodes.on.is_empty()) {
        (false, false) => {
            format!("{} with {}", names.collect::<Vec<_>>().join(", "), on.collect::<Vec<_>>().join(", "))
        }
        (false, true) => names.collect::<Vec<_>>().join(", "),
        (true, _) => format!("all with {}", on.collect::<Vec<_>>().join(", ")),
    }
}

fn rollout(plan: &Plan) -> String {
    let rollout = &plan.rollout;
    let batch =
        if rollout.batch == 0 { "all others".to_owned() } else { format!("{} at once", rollout.batch) };
    let offline = match rollout.offline {
        Offline::Wait => "wait for",
        Offline::Skip => "skip",
    };
    let failures = rollout.max_failures;
    format!(
        "{} first, then {batch}, stop after more than {failures} failures, {offline} nodes that are offline",
        rollout.canary
    )
}

fn changes(plan: &Plan) -> String {
    let count = |effect| plan.steps.iter().filter(|step| step.effect == effect).count();
    let told: Vec<String> = Effect::ALL
        .into_iter()
        .filter(|effect| count(*effect) > 0)
        .map(|effect| format!("{} {effect}", count(effect)))
        .collect();
    told.join(", ")
}

/// Steps below the last of those they need; each once.
fn tree(plan: &Plan, text: &mut String) {
    let mut told = BTreeSet::new();
    while told.len() < plan.steps.len() {
        let before = told.len();
        for step in plan.steps.iter().filter(|step| step.needs.is_empty()) {
            branch(plan, step, 0, &mut told, text);
        }
        // What is left hangs in a cycle: it is shown too, flat.
        if told.len() == before {
            for step in &plan.steps {
                if told.insert(step.id.clone()) {
                    describe(step, 0, text);
                }
            }
        }
    }
}

fn branch(plan: &Plan, step: &Step, depth: usize, told: &mut BTreeSet<StepId>, text: &mut String) {
    if !step.needs.iter().all(|need| told.contains(need)) || !told.insert(step.id.clone()) {
        return;
    }
    describe(step, depth, text);
    for next in plan.steps.iter().filter(|next| next.needs.contains(&step.id)) {
        branch(plan, next, depth + 1, told, text);
    }
}

fn describe(step: &Step, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let mark = match step.effect {
        Effect::Read => ' ',
        Effect::Idempotent | Effect::Reversible => '~',
        Effect::Destructive => '!',
    };
    let tier = if step.tier == Tier::None {
        String::new()
    } else {
        format!(" by {}", step.tier.as_str().to_uppercase())
    };
    let call = approval::shown(&step.call);
    let _ = writeln!(text, "{mark} {indent}{}  {call}  [{}{tier}]", step.id, step.effect);
    let mut detail = |name: &str, words: String| {
        let _ = writeln!(text, "  {indent}    {name} {words}");
    };
    if step.needs.len() > 1 {
        detail("after", step.needs.iter().map(StepId::as_str).collect::<Vec<_>>().join(", "));
    }
    for predicate in &step.when {
        detail("when", predicate.to_string());
    }
    for predicate in &step.success {
        detail("must", predicate.to_string());
    }
    if step.on_failure != OnFailure::Stop {
        detail("else", step.on_failure.to_string());
    }
    if let Some(undo) = &step.undo {
        detail("undo", approval::shown(undo));
    }
}

fn seconds(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds => format!("{}h", seconds / 3600),
    }
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use super::*;
    use crate::validate::Surroundings;

    #[test]
    fn a_person_sees_all_that_matters() {
        let full = include_bytes!("../tests/full.yaml");
        let plan = Plan::parse("plan.yaml", full, &Surroundings::default()).expect("is good");
        insta::assert_snapshot!(show(&plan, None));
    }
}
