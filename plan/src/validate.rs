//! Whether a plan holds together: its graph, references, types, effects and limits.
//!
//! Nothing here needs a file: the coordinator checks what it read, and the agent checks again what it was sent.

use std::collections::BTreeMap;

use modules::effect::Effect;

use crate::canonical::MAX_PLAN;
use crate::fault::Faults;
use crate::plan::Plan;
use crate::policy::verdict::{Decision, Verdict};
use crate::step::{Call, Step};
use crate::tool::Tool;

mod graph;
mod references;
mod steps;

/// What the plan is judged by, besides itself.
#[derive(Default)]
pub struct Surroundings<'s> {
    /// The actions of the modules in use, by deployment and name; none: what they are is checked on the node.
    pub actions: Option<BTreeMap<String, BTreeMap<String, Effect>>>,
    /// What the policy says of a call as it is written; references in it are still there.
    pub judge: Option<&'s dyn Fn(&Call) -> Verdict>,
}

pub const MAX_STEPS: usize = 100;
pub const MAX_DEPTH: usize = 32;
const MAX_GOAL: usize = 2000;

/// Everything that does not hold together.
///
/// # Errors
/// When there is anything.
pub fn validate(plan: &Plan, surroundings: &Surroundings<'_>) -> Result<(), Faults> {
    let mut faults = Faults::default();
    check_outline(plan, &mut faults);
    let is_sound = graph::check(plan, &mut faults);
    for (index, step) in plan.steps.iter().enumerate() {
        let field = format!("steps[{index}]");
        steps::check(plan, step, &field, &mut faults);
        check_effect(step, &field, surroundings, &mut faults);
        if is_sound {
            references::check(plan, step, &field, &mut faults);
        }
    }
    faults.finish()
}

fn check_outline(plan: &Plan, faults: &mut Faults) {
    if plan.goal.trim().is_empty() || plan.goal.chars().count() > MAX_GOAL {
        let found = format!("{} characters", plan.goal.chars().count());
        faults.add("goal", found, format!("what is to be reached, in 1 to {MAX_GOAL} characters"), None);
    }
    let nodes = &plan.nodes;
    let is_narrowed = !nodes.names.is_empty() || !nodes.on.is_empty();
    match (nodes.every, is_narrowed) {
        (true, true) => faults.add("nodes", "every: true and a choice", "one of them", None),
        (false, false) => faults.add("nodes", "no choice", "every: true, names or on", None),
        (true, false) | (false, true) => {}
    }
    if plan.steps.is_empty() || plan.steps.len() > MAX_STEPS {
        faults.add("steps", format!("{} steps", plan.steps.len()), format!("1 to {MAX_STEPS}"), None);
    }
    let length = plan.canonical().len();
    if length > MAX_PLAN {
        faults.add("", format!("a plan of {length} bytes"), format!("at most {MAX_PLAN}"), None);
    }
    let attempts = plan.steps.iter().map(|step| step.on_failure.attempts(step.tier));
    let attempts = attempts.fold(0, u32::saturating_add);
    if plan.budget.steps < attempts {
        let found = format!("{} steps", plan.budget.steps);
        let expected = format!("at least {attempts}: every step with all its attempts");
        faults.add("budget.steps", found, expected, None);
    }
}

/// A step must own up to what it can change.
fn check_effect(step: &Step, field: &str, surroundings: &Surroundings<'_>, faults: &mut Faults) {
    let verdict = surroundings.judge.map(|judge| judge(&step.call));
    if let Some(verdict) = verdict.filter(|verdict| verdict.decision == Decision::Forbid) {
        let hint = Some("the policy can be changed, the plan cannot get around it".to_owned());
        faults.add(&format!("{field}.args"), verdict.reason(), "what the policy allows", hint);
    }
    check_action(step, field, surroundings, faults);
    let (floor, because) = surroundings.floor(&step.call);
    if step.effect < floor {
        let expected = format!("at least {floor}, {because}");
        faults.add(&format!("{field}.effect"), step.effect.to_string(), expected, None);
    }
}

/// The action of a module call is one that the module declares.
fn check_action(step: &Step, field: &str, surroundings: &Surroundings<'_>, faults: &mut Faults) {
    let (Some((deployment, action)), Some(known)) = (action(&step.call), &surroundings.actions) else {
        return;
    };
    let place = |name: &str| format!("{field}.args.{name}");
    let Some(actions) = known.get(deployment) else {
        let names = known.keys().map(String::as_str);
        faults.guess(&place("deployment"), format!("{deployment:?}"), "a deployment", deployment, names);
        return;
    };
    if !actions.contains_key(action) {
        let names = actions.keys().map(String::as_str);
        let expected = format!("an action of {deployment}");
        faults.guess(&place("action"), format!("{action:?}"), expected, action, names);
    }
}

/// Deployment and action of a module call.
fn action(call: &Call) -> Option<(&str, &str)> {
    let text = |name: &str| call.args.get(name).and_then(|value| value.as_str());
    (call.tool == Tool::ModuleAction).then_some(())?;
    Some((text("deployment")?, text("action")?))
}

impl Surroundings<'_> {
    /// The least effect that a call must own up to, and who says so.
    pub fn floor(&self, call: &Call) -> (Effect, String) {
        let mut floor = (call.tool.effect(), format!("the effect of {}", call.tool));
        let judged = self.judge.map(|judge| (judge(call).effect, "what the policy says of it".to_owned()));
        let declared = action(call).and_then(|(deployment, action)| {
            let effect = self.actions.as_ref()?.get(deployment)?.get(action)?;
            Some((*effect, format!("the effect that {deployment} declares for {action}")))
        });
        for other in judged.into_iter().chain(declared) {
            if other.0 > floor.0 {
                floor = other;
            }
        }
        floor
    }
}
