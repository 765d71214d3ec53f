//! A new plan for what has not run yet, where the old one ran into trouble on a node.

use llm::tier::Tier;
use plan::plan::Plan;
use plan::policy::Policy;
use plan::policy::look::Look;
use plan::step::{Call, Tier as StepTier};
use plan::validate::Surroundings;
use serde_json::Map;

use super::{Answer, Asker, Models, ModelsError};
use crate::fleet::ask::prompt::{self, PLAN_TOKENS, Proposed};
use crate::fleet::ask::world;

impl Models {
    /// Has HIGH write anew what has not run. Goal, nodes, rollout and budget stay what they are, whatever it says; whether
    /// the new plan reaches further than the old one is for `plan::compare` to say, and for a person to approve then.
    ///
    /// # Errors
    /// Where HIGH cannot be asked, refuses, or gives no usable plan in two tries.
    pub async fn replan(
        &self,
        asker: &Asker,
        old: &Plan,
        policy: &Policy,
        why: &str,
        evidence: &str,
    ) -> Result<Plan, ModelsError> {
        let mut known = Map::new();
        known.insert("tools".to_owned(), world::tools());
        known.insert("policy".to_owned(), world::policy(policy));
        let request = prompt::replan(old, why, evidence, known);
        let answer = self.ask_for_plan(asker, &request).await?;
        let problems = match read(old, policy, &answer) {
            Ok(proposed) => return kept(proposed),
            Err(problems) => problems,
        };
        let again = prompt::corrected(request, &answer.response.text, &problems);
        let answer = self.ask_for_plan(asker, &again).await?;
        let what = "the new plan cannot be used, not even after it was corrected once";
        kept(read(old, policy, &answer).map_err(|problems| ModelsError::Unusable { what, problems })?)
    }

    async fn ask_for_plan(
        &self,
        asker: &Asker,
        request: &llm::message::Request,
    ) -> Result<Answer, ModelsError> {
        let most = self.affordable(asker, Tier::High, request, PLAN_TOKENS).await?;
        let request = llm::message::Request { max_tokens: most, ..request.clone() };
        self.ask(asker, StepTier::High, request).await
    }
}

fn read(old: &Plan, policy: &Policy, answer: &Answer) -> Result<Proposed, Vec<String>> {
    let judge = |call: &Call| policy.judge(call, &Look::written());
    let surroundings = Surroundings { actions: None, judge: Some(&judge) };
    let proposal = prompt::read(&old.goal, &answer.response, &surroundings)?;
    let Proposed::Plan(plan) = proposal.proposed else { return Ok(proposal.proposed) };
    let plan = Plan { nodes: old.nodes.clone(), rollout: old.rollout, budget: old.budget, ..*plan };
    // With the old budget the new steps must hold together, too.
    plan::validate::validate(&plan, &surroundings)
        .map_err(|faults| faults.faults.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    Ok(Proposed::Plan(Box::new(plan)))
}

fn kept(proposed: Proposed) -> Result<Plan, ModelsError> {
    match proposed {
        Proposed::Plan(plan) => Ok(*plan),
        Proposed::Refused(why) => Err(ModelsError::Unusable {
            what: "the model says that the goal cannot be reached any more",
            problems: vec![prompt::capped(&why, 1_000)],
        }),
    }
}
