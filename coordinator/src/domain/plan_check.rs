//! Whether a plan may run on a node, and what a person will be asked there, as far as the fleet knows the node. The
//! node judges again, with its own eyes.

use std::collections::BTreeMap;

use modules::effect::Effect;
use plan::approval;
use plan::plan::Plan;
use plan::policy::Policy;
use plan::policy::look::Look;
use plan::policy::verdict::Decision;
use plan::sandbox::{self, Offer, Part, Probed};
use plan::step::Call;
use plan::tool::Tool;
use plan::validate::{Surroundings, validate};

/// Actions of modules by deployment and name.
pub type Actions = BTreeMap<String, BTreeMap<String, Effect>>;

/// What is known of a node.
pub struct Known<'k> {
    /// With what is remembered for this node.
    pub policy: &'k Policy,
    /// Of the instances that run there.
    pub actions: Actions,
    /// None: the node does not answer, so nobody knows.
    pub offer: Option<Offer>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    pub problems: Vec<String>,
    pub asks: Vec<Ask>,
}

/// Something a person will be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub step: String,
    pub call: String,
    pub why: String,
}

/// Judges a plan as it is written.
pub fn check(plan: &Plan, known: &Known<'_>) -> Checked {
    let judge = |call: &Call| known.policy.judge(call, &Look::written());
    let surroundings = Surroundings { actions: Some(known.actions.clone()), judge: Some(&judge) };
    let faults = validate(plan, &surroundings).err().unwrap_or_default().faults;
    let mut problems: Vec<String> = faults.iter().map(ToString::to_string).collect();
    problems.extend(unsafe_steps(plan, known.offer.as_ref()));
    Checked { problems, asks: asks(plan, known.policy) }
}

/// Steps that need a sandbox that the node does not offer.
fn unsafe_steps(plan: &Plan, offer: Option<&Offer>) -> Vec<String> {
    let Some(offer) = offer else { return Vec::new() };
    let refused = plan.steps.iter().filter_map(|step| {
        let refused = offer.decide(sandbox::need(step)?).err()?;
        Some(format!("step {} {refused}", step.id))
    });
    refused.collect()
}

/// What the policy has a person asked about this plan, and what the plan itself asks.
pub fn asks(plan: &Plan, policy: &Policy) -> Vec<Ask> {
    let mut asks = Vec::new();
    for step in &plan.steps {
        let ask = |why: String| Ask { step: step.id.to_string(), call: approval::shown(&step.call), why };
        let verdict = policy.judge_step(step.effect, &step.call, &Look::written());
        match verdict.decision {
            Decision::Ask => asks.push(ask(verdict.reason())),
            Decision::Allow if step.call.tool == Tool::HumanAsk => {
                asks.push(ask("the plan has a question".to_owned()));
            }
            Decision::Allow | Decision::Forbid => {}
        }
    }
    asks
}

/// What an agent says that it was seen to offer: nothing beside a part's name where its canary was stopped.
pub fn offer(parts: &BTreeMap<String, String>) -> Offer {
    let probed = parts.iter().filter_map(|(name, why)| {
        let part: Part = serde_json::from_value(serde_json::Value::String(name.clone())).ok()?;
        let probed = if why.is_empty() { Probed::Works } else { Probed::Missing { why: why.clone() } };
        Some((part, probed))
    });
    Offer { parts: probed.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "
goal: g
nodes: {every: true}
steps:
  - {id: look, tool: exec.argv, args: {argv: [df, -h, /]}}
  - {id: run, tool: exec.shell, args: {script: id}, effect: destructive}
  - {id: act, tool: module.action, args: {deployment: web, action: go}, effect: read}
  - {id: agree, tool: human.ask, args: {question: 'Go on?'}}
";

    #[test]
    fn what_a_node_cannot_or_may_not_do_is_told_before_it_is_asked() {
        let actions = |name: &str, effect| {
            BTreeMap::from([("web".to_owned(), BTreeMap::from([(name.to_owned(), effect)]))])
        };
        let full =
            |names: &[&str]| offer(&names.iter().map(|name| ((*name).to_owned(), String::new())).collect());
        let t1 = full(&["no_new_privs", "seccomp", "rlimits", "memory_watchdog"]);
        let policy = Policy::standard();
        let cases = [
            (actions("go", Effect::Read), None, ""),
            (actions("go", Effect::Read), Some(t1.clone()), "step run needs sandbox t2"),
            (actions("go", Effect::Destructive), None, "the effect that web declares for go"),
            (actions("gone", Effect::Read), None, "an action of web"),
            (Actions::new(), None, "expected a deployment"),
            (actions("go", Effect::Read), Some(Offer::default()), "step look needs sandbox t1"),
        ];
        for (actions, offer, says) in cases {
            let checked = check(&plan(PLAN), &Known { policy: &policy, actions, offer });
            let told = checked.problems.join("\n");
            assert!(told.contains(says) && told.is_empty() == says.is_empty(), "{says:?}: {told}");
            let asked: Vec<&str> = checked.asks.iter().map(|ask| ask.step.as_str()).collect();
            assert_eq!(asked, ["run", "agree"]);
        }
    }

    #[test]
    fn a_closed_policy_forbids_every_step() {
        let policy = Policy::closed();
        let checked = check(&plan(PLAN), &Known { policy: &policy, actions: Actions::new(), offer: None });
        let forbidden = checked.problems.iter().filter(|problem| problem.contains("what the policy allows"));
        assert_eq!(forbidden.count(), 4, "{:?}", checked.problems);
    }

    fn plan(text: &str) -> Plan {
        Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }
}
