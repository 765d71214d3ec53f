//! `module.action`: a command that the module of an instance declares, run where the instance runs. What it may change was
//! agreed to with the step; the module's word of today counts, not that of the day on which the plan was written.

use std::collections::BTreeMap;
use std::path::Path;

use modules::effect::Effect;
use plan::run::event::Work;
use proto::ids::{DeploymentName, InstanceId};
use serde_json::Value;

use super::program::{Finished, Plain, Written};
use super::{Errand, Outcome};
use crate::action::inside::Inside;
use crate::action::{Call, Place};
use crate::log;
use crate::runtime::reaper::Exit;

pub async fn run(errand: &Errand) -> Outcome {
    let (id, call) = match resolve(errand) {
        Ok(resolved) => resolved,
        Err(why) => return Outcome::Failed(why),
    };
    tracing::info!(run = %errand.live.id, step = %errand.step.id, instance = %id, effect = %call.effect, "action");
    let mut errand = errand.clone();
    errand.stop.deadline = errand.stop.deadline.min(crate::clock::now() + call.timeout);
    let finished = match call.place {
        Place::Beside(scene) => match scene.command(call.argv, Path::new("/dev/null")) {
            Ok(launch) => {
                let (argv, env, dir, account) = (launch.argv, launch.env, launch.cwd, launch.account);
                errand.run_plain(Plain { argv, env, dir, account, beside: Some(id) }).await
            }
            Err(error) => Err(Outcome::Failed(log::chain(&error))),
        },
        Place::Inside { service, lane } => match errand.runs.agent.inside(&id, &service, lane) {
            Ok(place) => inside(&errand, &place, &call.argv).await,
            Err(error) => Err(Outcome::Failed(log::chain(&error))),
        },
    };
    finished.map_or_else(|outcome| outcome, |finished| Outcome::Returned(finished.out()))
}

/// The instance that is meant, and what its action comes to.
fn resolve(errand: &Errand) -> Result<(InstanceId, Call), String> {
    let agent = &errand.runs.agent;
    let name = DeploymentName::parse(errand.text("deployment").unwrap_or_default());
    let name = name.map_err(|error| error.to_string())?;
    let id = agent.instance_of(&name).map_err(|error| log::chain(&error))?;
    let action = errand.text("action").unwrap_or_default();
    let call = agent.action(&id, action, &args(errand)).map_err(|error| log::chain(&error))?;
    call.check_accepted(action, agreed(errand)).map_err(|error| log::chain(&error))?;
    Ok((id, call))
}

/// What was agreed to: with the step, its effect; with its undo, nothing that could not be taken back itself.
fn agreed(errand: &Errand) -> Effect {
    match errand.work {
        Work::Do => errand.step.effect,
        Work::Undo => errand.step.effect.min(Effect::Reversible),
    }
}

fn args(errand: &Errand) -> BTreeMap<String, String> {
    let given = errand.call.args.get("args").and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    given.into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

async fn inside(errand: &Errand, place: &Inside, argv: &[String]) -> Result<Finished, Outcome> {
    let (id, mut stream) = match errand.bounded(place.begin(argv)).await? {
        Ok(begun) => begun,
        Err(error) => return Err(errand.lost(&log::chain(&error))),
    };
    let (mut out, mut err) = Written::both(errand);
    loop {
        tokio::select! {
            piece = place.next(&mut stream) => match piece {
                Ok(Some((true, bytes))) => err.take(&bytes),
                Ok(Some((false, bytes))) => out.take(&bytes),
                Ok(None) => break,
                Err(error) => return Err(errand.lost(&log::chain(&error))),
            },
            why = errand.stop.over() => {
                // No engine ends a command that was begun in a container.
                return Err(errand.lost(&format!("{why}, and may still run in the container")));
            }
        }
    }
    match place.code(&id).await {
        Ok(code) => {
            let exit = Exit::Code(code);
            Ok(Finished { exit, stdout: out.finish(), stderr: err.finish(), over: None })
        }
        Err(error) => Err(errand.lost(&log::chain(&error))),
    }
}
