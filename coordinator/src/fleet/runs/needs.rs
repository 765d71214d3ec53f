//! Gets what a node needs for a run and cannot have by itself: a model's answer, a new plan, a change to a module.

use std::sync::Arc;

use proto::ids::NodeName;
use proto::v1;
use proto::v1::need::Need;
use proto::v1::run_input::Input;

use super::live::LiveRun;
use super::modules;
use crate::fleet::Fleet;

const NO_MODEL: &str = "no language model is configured; hint: steps of tier none need none";

/// The answer to a need that is no question to people.
pub(super) async fn meet(fleet: &Arc<Fleet>, live: &LiveRun, node: &NodeName, need: &v1::Need) -> Input {
    let id = need.id.clone();
    match &need.need {
        Some(Need::Module(module)) => {
            let answer = modules::carry_out(fleet, &live.record(), node, module).await;
            Input::Module(v1::ModuleAnswer { need: id, answer: Some(answer) })
        }
        Some(Need::Replan(_)) => {
            let error = v1::replan_answer::Answer::Error(NO_MODEL.to_owned());
            Input::Replan(v1::ReplanAnswer { need: id, answer: Some(error) })
        }
        Some(Need::Model(_) | Need::Human(_)) | None => {
            let answer = Some(v1::model_answer::Answer::Error(NO_MODEL.to_owned()));
            Input::Model(v1::ModelAnswer { need: id, answer, tokens: 0, money: String::new() })
        }
    }
}
