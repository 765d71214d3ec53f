//! What shows, after a run, whether a plan reached its goal: the steps of it that only look, run once more. So evidence is
//! collected anew by code, and the executor's own word counts for nothing.

use std::collections::BTreeSet;

use modules::effect::Effect;

use crate::money::Money;
use crate::plan::{Budget, Plan, Rollout};
use crate::predicate::Predicate;
use crate::reference;
use crate::step::{OnFailure, Step, StepId, Tier};
use crate::tool::{Kind, Tool};

/// A plan that looks, and the steps of it whose checks decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looking {
    pub plan: Plan,
    /// Those that look at what the plan changed. The others are only evidence: they tell how it is, not how it must be.
    pub decisive: BTreeSet<StepId>,
}

/// Whether the end of all its steps does not show yet that a plan did what it is for: it changes something, or a model, a
/// person or another program has a say in it. A plan of code that only looks is its own evidence.
pub fn needs_showing(plan: &Plan) -> bool {
    !plan.steps.iter().all(only_looks)
}

/// Whether some check of the plan can show that its goal is reached.
pub fn can_be_shown(plan: &Plan) -> bool {
    looking(plan).is_some_and(|looking| !looking.decisive.is_empty())
}

/// The part of the plan that only looks; nothing where no step of it does. Its steps wait for nothing but what they refer
/// to: one that cannot look keeps no other from it.
pub fn looking(plan: &Plan) -> Option<Looking> {
    let kept = kept(plan);
    let steps: Vec<Step> = plan
        .steps
        .iter()
        .filter(|step| kept.contains(&step.id))
        .map(|step| Step {
            needs: referred(step).intersection(&kept).cloned().collect(),
            success: step.success.iter().filter(|claim| is_told(claim, &kept)).cloned().collect(),
            on_failure: OnFailure::Continue,
            key: None,
            ..step.clone()
        })
        .collect();
    if steps.is_empty() {
        return None;
    }
    let begun = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_mul(ATTEMPTS);
    let budget = Budget { money: Money::ZERO, tokens: 0, steps: begun, ..plan.budget };
    let rollout = Rollout { canary: 0, batch: 0, max_failures: u32::MAX, ..plan.rollout };
    let decisive = decisive(plan, &steps);
    Some(Looking { plan: Plan { steps, budget, rollout, ..plan.clone() }, decisive })
}

/// Looks that a crash of the agent takes are made again.
const ATTEMPTS: u32 = 3;

/// The steps that a step refers to.
fn referred(step: &Step) -> BTreeSet<StepId> {
    let names = reference::references(&step.call.args).unwrap_or_default();
    let in_args = names.iter().filter_map(|found| StepId::parse(found.name.split_once('.')?.0).ok());
    let claims = step.when.iter().chain(&step.success);
    let in_claims = claims.filter_map(|claim| claim.subject()?.step.clone());
    in_args.chain(in_claims).collect()
}

/// Steps that look, and know all that they look with. What another step gave that is not run again is not there.
fn kept(plan: &Plan) -> BTreeSet<StepId> {
    let mut kept: BTreeSet<StepId> =
        plan.steps.iter().filter(|step| only_looks(step)).map(|step| step.id.clone()).collect();
    loop {
        let lacking: Vec<StepId> = plan
            .steps
            .iter()
            .filter(|step| kept.contains(&step.id) && !knows_all(step, &kept))
            .map(|step| step.id.clone())
            .collect();
        if lacking.is_empty() {
            return kept;
        }
        lacking.iter().for_each(|id| {
            kept.remove(id);
        });
    }
}

fn only_looks(step: &Step) -> bool {
    let looks = match step.call.tool.kind() {
        Kind::Collect | Kind::Verify => true,
        Kind::File | Kind::Http | Kind::Service | Kind::Exec => step.call.tool != Tool::ExecShell,
        Kind::Module | Kind::Llm | Kind::Human => false,
    };
    looks && step.effect == Effect::Read && step.tier == Tier::None
}

fn knows_all(step: &Step, kept: &BTreeSet<StepId>) -> bool {
    let refers_to_kept = reference::references(&step.call.args).is_ok_and(|found| {
        found.iter().all(|reference| match reference.name.split_once('.') {
            Some((id, _)) => kept.iter().any(|known| known.as_str() == id),
            None => true,
        })
    });
    let is_bare =
        step.call.tool == Tool::VerifyOutput && !step.success.iter().any(|claim| is_told(claim, kept));
    refers_to_kept && !is_bare && step.when.iter().all(|claim| is_told(claim, kept))
}

/// Whether what the claim is about will be there.
fn is_told(claim: &Predicate, kept: &BTreeSet<StepId>) -> bool {
    claim.subject().and_then(|of| of.step.as_ref()).is_none_or(|step| kept.contains(step))
}

fn decisive(plan: &Plan, kept: &[Step]) -> BTreeSet<StepId> {
    let changes = |id: &StepId| plan.step(id).is_some_and(|step| step.effect != Effect::Read);
    let changes_nothing = plan.steps.iter().all(|step| step.effect == Effect::Read);
    let looks_after = |step: &&Step| {
        let is_after = || plan.ancestors(&step.id).iter().any(changes);
        step.call.tool.kind() == Kind::Verify || changes_nothing || is_after()
    };
    let has_claims = |step: &&Step| !step.success.is_empty() || step.call.tool.kind() == Kind::Verify;
    kept.iter().filter(has_claims).filter(looks_after).map(|step| step.id.clone()).collect()
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use super::*;
    use crate::validate::{Surroundings, validate};

    #[test]
    fn looking_anew_runs_what_only_looks_and_decides_by_what_comes_after_a_change() {
        let looking = looking(&plan(
            "{id: before, tool: collect.disk, success: [{number: {of: out.used_percent, above: 1}}]},
             {id: list, tool: file.list, args: {path: /var/log}, needs: [before]},
             {id: delete, tool: file.delete, args: {paths: '${list.out.files}'}, needs: [list], effect: destructive},
             {id: after, tool: collect.disk, needs: [delete], success: [{number: {of: out.used_percent, below: 85}}, {number: {of: delete.out.deleted, above: 0}}]},
             {id: gone, tool: verify.file, args: {path: /var/log/old, exists: false}, needs: [delete]},
             {id: told, tool: verify.output, needs: [delete], success: [{number: {of: delete.out.deleted, above: 0}}]},
             {id: read, tool: file.read, args: {path: '${run_it.out.stdout}'}, needs: [run_it]},
             {id: run_it, tool: exec.shell, args: {script: 'x'}, effect: destructive},
             {id: think, tool: llm.ask, args: {prompt: x}},
             {id: ask, tool: human.ask, args: {question: x}}",
        ))
        .expect("it looks");
        let ids = |ids: Vec<&StepId>| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            ids(looking.plan.steps.iter().map(|step| &step.id).collect()),
            ["before", "list", "after", "gone"]
        );
        assert_eq!(ids(looking.decisive.iter().collect()), ["after", "gone"]);
        assert_eq!(looking.plan.steps[2].success.len(), 1, "what delete gave is not there");
        assert!(looking.plan.steps.iter().all(|step| step.effect == Effect::Read));
        assert!(looking.plan.steps.iter().all(|step| step.needs.is_empty()), "nothing keeps it from looking");
        validate(&looking.plan, &Surroundings::default()).expect("it holds together");
    }

    #[test]
    fn a_plan_that_never_looks_shows_nothing_and_one_that_only_looks_is_its_own_evidence() {
        let change = plan("{id: a, tool: service.restart, args: {name: x}}");
        assert_eq!((looking(&change), needs_showing(&change), can_be_shown(&change)), (None, true, false));
        let think = plan(
            "{id: a, tool: llm.ask, tier: low, args: {prompt: x}, success: [{contains: {of: out.text, text: done}}]}",
        );
        assert!(needs_showing(&think) && !can_be_shown(&think), "a model's own word shows nothing");
        let own = plan("{id: a, tool: collect.disk, success: [{present: out.used_percent}]}");
        assert!(!needs_showing(&own));
        let own = looking(&own);
        assert_eq!(own.expect("it looks").decisive.len(), 1);
    }

    fn plan(steps: &str) -> Plan {
        let text = format!(
            "goal: g\nnodes: {{every: true}}\nbudget: {{money: 1, tokens: 90000}}\nsteps: [{steps}]\n"
        );
        Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }
}
