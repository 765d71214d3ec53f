//! Gets what a node needs for a run and cannot have by itself: a model's answer, a new plan, a change to a module.

use std::sync::Arc;

use llm::message::Request;
use plan::compare::widenings;
use plan::plan::Plan;
use plan::step::Tier;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::need::Need;
use proto::v1::run_input::Input;
use proto::v1::{model_answer, replan_answer};

use super::live::LiveRun;
use super::modules;
use crate::domain::plans::Source;
use crate::fleet::models::{Answer, Asker};
use crate::fleet::plans::readable;
use crate::fleet::{Fleet, FleetError};

/// The answer to a need that is no question to people.
pub(super) async fn meet(fleet: &Arc<Fleet>, live: &LiveRun, node: &NodeName, need: &v1::Need) -> Input {
    let id = need.id.clone();
    match &need.need {
        Some(Need::Module(module)) => {
            let answer = modules::carry_out(fleet, &live.record(), node, module).await;
            Input::Module(v1::ModuleAnswer { need: id, answer: Some(answer) })
        }
        Some(Need::Replan(wanted)) => {
            let answer = match replan(fleet, live, node, wanted).await {
                Ok(plan) => replan_answer::Answer::Plan(replan_answer::Plan {
                    json: plan.canonical(),
                    hash: plan.hash().to_string(),
                }),
                Err(error) => replan_answer::Answer::Error(told(&error)),
            };
            Input::Replan(v1::ReplanAnswer { need: id, answer: Some(answer) })
        }
        Some(Need::Model(wanted)) => Input::Model(model_answer(id, ask(fleet, live, node, wanted).await)),
        Some(Need::Human(_)) | None => {
            let error = "the coordinator does not know this need".to_owned();
            let answer = Some(model_answer::Answer::Error(error));
            Input::Model(v1::ModelAnswer { need: id, answer, tokens: 0, money: String::new() })
        }
    }
}

/// Lets a step of a run think, within what the plan allows for the whole run.
async fn ask(
    fleet: &Fleet,
    live: &LiveRun,
    node: &NodeName,
    wanted: &v1::need::Model,
) -> Result<Answer, FleetError> {
    let tier =
        Tier::NAMED.iter().find(|(name, _)| *name == wanted.tier).map_or(Tier::None, |(_, tier)| *tier);
    let request: Request =
        serde_json::from_str(&wanted.request_json).map_err(|cause| FleetError::Invalid {
            message: format!("the node's request to a model cannot be read: {cause}"),
            hint: None,
        })?;
    let approved = approved(fleet, live).await?;
    let asker = Asker::of_run(&approved, live.record().id.as_str(), Some(node.clone()));
    Ok(fleet.models.ask(&asker, tier, request).await?)
}

/// A new plan for what has not run on a node. One that reaches further than what was approved is kept for a person to
/// look at, and not sent.
async fn replan(
    fleet: &Fleet,
    live: &LiveRun,
    node: &NodeName,
    wanted: &v1::need::Replan,
) -> Result<Plan, FleetError> {
    let approved = approved(fleet, live).await?;
    let now = live.see(|state| Some(state.nodes.get(node)?.followed.state.as_ref()?.plan.clone()));
    let old = now.unwrap_or_else(|| approved.clone());
    let asker = Asker::of_run(&approved, live.record().id.as_str(), Some(node.clone()));
    let policy = fleet.policy().await?.policy;
    let new = fleet.models.replan(&asker, &old, &policy, &wanted.why, &wanted.evidence_json).await?;
    let wider = widenings(&approved, &new);
    if wider.is_empty() {
        return Ok(new);
    }
    let source =
        Source::Drafted { request: old.goal.clone(), model: fleet.models.first(llm::tier::Tier::High) };
    let kept = fleet.put_plan(&new, source).await?;
    if kept.is_approved(fleet.clock.now()) {
        return Ok(new);
    }
    Err(FleetError::Invalid {
        message: format!("the new plan reaches further than what was approved: {}", wider.join("; ")),
        hint: Some(format!(
            "`orchestrator plan show {0}`, then `orchestrator plan run {0}`",
            kept.hash.short()
        )),
    })
}

/// The plan that people said yes to.
async fn approved(fleet: &Fleet, live: &LiveRun) -> Result<Plan, FleetError> {
    readable(&fleet.find_plan(&live.record().plan.to_string()).await?.value)
}

fn model_answer(need: String, answer: Result<Answer, FleetError>) -> v1::ModelAnswer {
    let failed = |error: String| {
        let answer = Some(model_answer::Answer::Error(error));
        v1::ModelAnswer { need: need.clone(), answer, tokens: 0, money: String::new() }
    };
    match answer {
        Ok(answer) => match serde_json::to_string(&answer.response) {
            Ok(json) => v1::ModelAnswer {
                need,
                answer: Some(model_answer::Answer::ResponseJson(json)),
                tokens: answer.tokens,
                money: answer.money.to_string(),
            },
            Err(error) => failed(error.to_string()),
        },
        Err(error) => failed(told(&error)),
    }
}

/// An error in one line, with what to do about it.
fn told(error: &FleetError) -> String {
    let hint = error.hint().map(|hint| format!("; hint: {}", hint.lines().next().unwrap_or_default()));
    format!("{error}{}", hint.unwrap_or_default())
}
