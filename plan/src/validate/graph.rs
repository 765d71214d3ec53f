//! The graph of steps: ids once, needs that exist, no cycle, not too deep.

use std::collections::BTreeMap;

use super::MAX_DEPTH;
use crate::fault::Faults;
use crate::plan::Plan;
use crate::step::{Step, StepId};

/// Whether the graph is sound, so that references can be judged by it.
pub(super) fn check(plan: &Plan, faults: &mut Faults) -> bool {
    let before = faults.faults.len();
    let mut seen: BTreeMap<&StepId, usize> = BTreeMap::new();
    for (index, step) in plan.steps.iter().enumerate() {
        if let Some(first) = seen.insert(&step.id, index) {
            let expected = format!("another id than that of steps[{first}]");
            faults.add(
                &format!("steps[{index}].id"),
                format!("{:?} a second time", step.id.as_str()),
                expected,
                None,
            );
        }
    }
    for (index, step) in plan.steps.iter().enumerate() {
        for need in step.needs.iter().filter(|need| !seen.contains_key(need)) {
            let names = plan.steps.iter().map(|step| step.id.as_str());
            let field = format!("steps[{index}].needs");
            faults.guess(&field, format!("{:?}", need.as_str()), "the id of a step", need.as_str(), names);
        }
    }
    let is_known = faults.faults.len() == before;
    is_known && check_order(plan, &seen, faults)
}

/// Takes away what needs nothing, round by round; each round is one level of depth.
fn check_order(plan: &Plan, index: &BTreeMap<&StepId, usize>, faults: &mut Faults) -> bool {
    let mut left: Vec<&Step> = plan.steps.iter().collect();
    let mut depth = 0;
    while !left.is_empty() {
        let ids: Vec<&StepId> = left.iter().map(|step| &step.id).collect();
        let (blocked, free): (Vec<&Step>, Vec<&Step>) =
            left.iter().copied().partition(|step| step.needs.iter().any(|need| ids.contains(&need)));
        if free.is_empty() {
            let cycle = cycle(&blocked);
            let at = cycle.first().and_then(|id| index.get(id)).copied().unwrap_or_default();
            let names: Vec<&str> = cycle.iter().map(|id| id.as_str()).collect();
            let found = format!("the cycle {}", names.join(" → "));
            faults.add(&format!("steps[{at}].needs"), found, "steps that do not wait for each other", None);
            return false;
        }
        left = blocked;
        depth += 1;
    }
    if depth > MAX_DEPTH {
        faults.add("steps", format!("{depth} steps one after another"), format!("at most {MAX_DEPTH}"), None);
    }
    true
}

/// One cycle among steps of which each needs another of them: `a → b → a`.
fn cycle<'p>(blocked: &[&'p Step]) -> Vec<&'p StepId> {
    let Some(mut step) = blocked.first().copied() else { return Vec::new() };
    let mut path: Vec<&StepId> = Vec::new();
    loop {
        if let Some(begin) = path.iter().position(|id| **id == step.id) {
            path.push(&step.id);
            return path.split_off(begin);
        }
        path.push(&step.id);
        let next = blocked.iter().find(|other| step.needs.contains(&other.id));
        match next {
            Some(next) => step = next,
            None => return path,
        }
    }
}
