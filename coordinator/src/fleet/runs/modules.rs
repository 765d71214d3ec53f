//! What a step of a run changes about modules: the fleet's own deploy, restart, rollback and remove, on the step's node
//! only. What was begun is written down first, so that a second delivery of the same step changes nothing twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::step::Call;
use plan::tool::Tool;
use proto::ids::{DeploymentName, NodeName};
use proto::v1;
use proto::v1::deploy_event::Finished;
use proto::v1::module_answer::Answer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::start::is_conflict;
use crate::domain::deployment::DeploymentRecord;
use crate::domain::placement::Replicas;
use crate::domain::runs::{RunId, RunRecord};
use crate::fault;
use crate::fleet::{Fleet, FleetError, Progress, keys};
use crate::store::json::{get_json, put_json};
use crate::store::{Precondition, Txn};

/// Kept in the store under `/run-deeds/<key>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Deed {
    pub(super) run: RunId,
    node: NodeName,
    call: Call,
    state: DeedState,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum DeedState {
    Begun,
    Done {
        out: Value,
    },
    /// Nothing was changed.
    NotDone {
        why: String,
    },
    Unknown {
        why: String,
    },
}

/// Carries out what a step asks for, once.
pub async fn carry_out(
    fleet: &Arc<Fleet>,
    run: &RunRecord,
    node: &NodeName,
    need: &v1::need::Module,
) -> Answer {
    match fleet.carry_out_deed(run, node, need).await {
        Ok(DeedState::Done { out }) => Answer::OutJson(out.to_string()),
        Ok(DeedState::NotDone { why }) => Answer::Error(why),
        Ok(DeedState::Unknown { why }) => Answer::Unknown(why),
        Ok(DeedState::Begun) => Answer::Unknown("it was begun, and nobody knows how it ended".to_owned()),
        Err(error) => Answer::Unknown(format!("the coordinator could not write down what it did: {error}")),
    }
}

impl Fleet {
    async fn carry_out_deed(
        &self,
        run: &RunRecord,
        node: &NodeName,
        need: &v1::need::Module,
    ) -> Result<DeedState, FleetError> {
        let call: Call = match serde_json::from_str(&need.call_json) {
            Ok(call) => call,
            Err(error) => return Ok(DeedState::NotDone { why: format!("it is no call: {error}") }),
        };
        let is_key = need.key.bytes().all(|byte| byte.is_ascii_hexdigit()) && need.key.len() == 32;
        if !is_key {
            return Ok(DeedState::NotDone { why: "its key is not one".to_owned() });
        }
        let key = keys::run_deed(&need.key);
        let deed = Deed { run: run.id.clone(), node: node.clone(), call, state: DeedState::Begun };
        if let Some(kept) = get_json::<Deed>(self.store.as_ref(), &key).await? {
            return self.delivered_again(&deed, &kept.value, &key).await;
        }
        let put = put_json(key.clone(), &deed)?;
        let txn = Txn::new().when(Precondition::Absent { key: key.clone() }).then(put);
        match self.store.commit(txn).await {
            Ok(_) => {}
            Err(error) if is_conflict(&error) => return Ok(DeedState::Begun),
            Err(error) => return Err(error.into()),
        }
        fault::point("run.deed_begun");
        self.see_deed_through(&deed, &key).await
    }

    /// The same step again: what is known is told; what was begun and can be done twice is done again.
    async fn delivered_again(&self, deed: &Deed, kept: &Deed, key: &str) -> Result<DeedState, FleetError> {
        let is_same = kept.run == deed.run && kept.node == deed.node;
        if !is_same {
            return Ok(DeedState::NotDone { why: "its key is that of another step".to_owned() });
        }
        match (&kept.state, kept.call == deed.call, kept.call.tool) {
            (DeedState::Begun, true, Tool::ModuleDeploy | Tool::ModuleRemove) => {
                self.see_deed_through(deed, key).await
            }
            // Another attempt of the step, after it was known that the first had done nothing.
            (DeedState::NotDone { .. }, _, _) => {
                self.store.commit(Txn::new().then(put_json(key, deed)?)).await?;
                self.see_deed_through(deed, key).await
            }
            (state, _, _) => Ok(state.clone()),
        }
    }

    async fn see_deed_through(&self, deed: &Deed, key: &str) -> Result<DeedState, FleetError> {
        let state = self.perform(&deed.call, &deed.node).await;
        fault::point("run.deed_done");
        let deed = Deed { state: state.clone(), ..deed.clone() };
        self.store.commit(Txn::new().then(put_json(key, &deed)?)).await?;
        Ok(state)
    }

    async fn perform(&self, call: &Call, node: &NodeName) -> DeedState {
        let done = match call.tool {
            Tool::ModuleDeploy => self.deploy_here(call, node).await,
            Tool::ModuleRestart => match self.only_here(call, node).await {
                Ok(deployment) => {
                    let request = v1::RestartRequest { deployment, ..Default::default() };
                    self.restart(&request, &Progress::unheard()).await
                }
                Err(error) => Err(error),
            },
            Tool::ModuleRollback => match self.only_here(call, node).await {
                Ok(deployment) => {
                    let request = v1::RollbackRequest { deployment, ..Default::default() };
                    self.rollback(&request, &Progress::unheard()).await
                }
                Err(error) => Err(error),
            },
            Tool::ModuleRemove => match self.only_here(call, node).await {
                Ok(deployment) => {
                    let request = v1::RemoveRequest { deployment, purge: false, timeout_ms: 0 };
                    self.remove(&request, &Progress::unheard()).await
                }
                Err(FleetError::NoSuchDeployment { .. }) => {
                    return DeedState::Done { out: json!({"state": "removed"}) };
                }
                Err(error) => Err(error),
            },
            other => return DeedState::NotDone { why: format!("{other} is not for the coordinator") },
        };
        match done {
            Ok(finished) => outcome(call.tool, &finished),
            Err(error) => refused(&error),
        }
    }

    async fn deploy_here(&self, call: &Call, node: &NodeName) -> Result<Finished, FleetError> {
        let module = text(call, "module");
        let version = text(call, "version");
        let deployment = Some(text(call, "deployment")).filter(|name| !name.is_empty());
        let deployment = deployment.unwrap_or_else(|| module.clone());
        let nodes = self.with_here(&DeploymentName::parse(&deployment)?, node).await?;
        let config = call.args.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
        let config = config.into_iter().map(|(name, value)| (name, plain(&value)));
        let request = v1::DeployRequest {
            module: if version.is_empty() { module } else { format!("{module}@{version}") },
            deployment,
            nodes,
            config: config.collect::<BTreeMap<_, _>>(),
            ..Default::default()
        };
        self.deploy(&request, &Progress::unheard()).await
    }

    /// The nodes that a deployment is to be on: those where it is wanted, and this one.
    async fn with_here(&self, name: &DeploymentName, node: &NodeName) -> Result<Vec<String>, FleetError> {
        let Some(kept) = get_json::<DeploymentRecord>(self.store.as_ref(), &keys::deployment(name)).await?
        else {
            return Ok(vec![node.to_string()]);
        };
        let wish = &kept.value.current.wish;
        let is_placed_by_name = wish.replicas == Replicas::EveryNode && !wish.nodes.is_empty();
        let is_only_here = kept.value.current.placements.values().all(|place| place == node);
        if !is_placed_by_name && !is_only_here {
            let message = format!("{name} is placed by number or selector, not by node");
            let hint = "name another deployment in the step".to_owned();
            return Err(FleetError::Invalid { message, hint: Some(hint) });
        }
        let mut nodes: Vec<String> = wish.nodes.iter().map(ToString::to_string).collect();
        if !nodes.contains(&node.to_string()) {
            nodes.push(node.to_string());
        }
        Ok(nodes)
    }

    /// A deployment that is on this node and nowhere else: what is done to it concerns no other.
    async fn only_here(&self, call: &Call, node: &NodeName) -> Result<String, FleetError> {
        let name = text(call, "deployment");
        let record = self.deployment(&DeploymentName::parse(&name)?).await?.value;
        let others = record.current.placements.values().find(|place| *place != node);
        match others {
            None => Ok(name),
            Some(other) => Err(FleetError::Invalid {
                message: format!("{name} runs on {other} too, and a step is for its node only"),
                hint: Some(format!("`orchestrator restart {name}` and the like are for all of it")),
            }),
        }
    }
}

/// What was refused before anything was written was not done; of the rest nobody knows.
fn refused(error: &FleetError) -> DeedState {
    use proto::code::Code;
    let why = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    match error.code() {
        Code::InvalidInput | Code::NotFound | Code::Denied | Code::Conflict => DeedState::NotDone { why },
        _ => DeedState::Unknown { why },
    }
}

fn outcome(tool: Tool, finished: &Finished) -> DeedState {
    let deployment = finished.deployment.as_ref();
    let is_removal = tool == Tool::ModuleRemove;
    match finished.outcome() {
        v1::Outcome::Done => DeedState::Done { out: out(tool, deployment, is_removal) },
        v1::Outcome::Waiting => {
            DeedState::Unknown { why: format!("it is recorded and not done yet: {}", finished.message) }
        }
        // What ran before runs again, or nothing does: the state is known, and it is not the one wanted.
        _ => DeedState::NotDone { why: finished.message.clone() },
    }
}

fn out(tool: Tool, deployment: Option<&v1::Deployment>, is_removed: bool) -> Value {
    let state = if is_removed { "removed" } else { "healthy" };
    let version = deployment.and_then(|it| it.release.as_ref()).map(|release| release.version.as_str());
    let url = deployment.and_then(|it| it.instances.iter().flat_map(|instance| &instance.urls).next());
    match tool {
        Tool::ModuleDeploy => json!({
            "deployment": deployment.map_or("", |it| &it.name),
            "version": version.unwrap_or_default(),
            "state": state,
            "url": url.map_or("", String::as_str),
        }),
        Tool::ModuleRollback => json!({"version": version.unwrap_or_default(), "state": state}),
        _ => json!({"state": state}),
    }
}

fn text(call: &Call, name: &str) -> String {
    call.args.get(name).map(plain).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
