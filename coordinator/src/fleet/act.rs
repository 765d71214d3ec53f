//! `orchestrator action`: a command that a module declares, run on the instances of a deployment.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::select_all;
use futures::{StreamExt as _, TryStreamExt as _};
use modules::arguments::{Parameter, bind};
use modules::spec::action::{Action, Argument};
use modules::suggest::closest;
use proto::ids::{DeploymentName, InstanceId, NodeName};
use proto::v1;

use super::output::{Output, whole};
use super::{Fleet, FleetError, spec};
use crate::domain::deployment::DeploymentRecord;

impl Fleet {
    /// What can be run on the instances of a deployment, and where those are.
    pub async fn show_actions(
        &self,
        request: &v1::ShowActionsRequest,
    ) -> Result<v1::ShowActionsReply, FleetError> {
        let (record, places) = self.places(&request.deployment, &[]).await?;
        let module = self.release(&record.current.wish.release).await?;
        let actions = module.spec.actions.iter();
        Ok(v1::ShowActionsReply {
            release: Some(super::wire::release(&module.release)),
            actions: actions.map(|(name, action)| (name.to_string(), spec::action::wire(action))).collect(),
            places: places.iter().map(|(id, node)| (id.to_string(), node.to_string())).collect(),
        })
    }

    /// Runs the action on all instances at once. A node that is away is told as one on which it failed.
    ///
    /// # Errors
    /// Where there is no such action or instance, or the arguments are not what it takes: then nothing is run.
    pub async fn act(&self, request: &v1::FleetActRequest) -> Result<Output, FleetError> {
        let (record, places) = self.places(&request.deployment, &request.nodes).await?;
        let module = self.release(&record.current.wish.release).await?;
        let action = module.spec.actions.iter().find(|(name, _)| name.as_str() == request.action);
        let Some((_, action)) = action else { return Err(no_action(&record, &module, &request.action)) };
        bind(&parameters(action), &request.args).map_err(|errors| FleetError::Invalid {
            message: format!("action {}: {errors}", request.action),
            hint: Some(format!("`orchestrator action {}` shows what each takes", record.name)),
        })?;
        let streams = places.iter().map(|(id, node)| self.act_on(id, node, request));
        Ok(select_all(join_all(streams).await).boxed())
    }

    /// The instances that are meant, and where they are.
    async fn places(
        &self,
        meant: &str,
        nodes: &[String],
    ) -> Result<(DeploymentRecord, BTreeMap<InstanceId, NodeName>), FleetError> {
        let (name, only) = match meant.contains('/') {
            true => {
                let id = InstanceId::parse(meant)?;
                (id.deployment.clone(), Some(id))
            }
            false => (DeploymentName::parse(meant)?, None),
        };
        let nodes = nodes.iter().map(|node| NodeName::parse(node)).collect::<Result<BTreeSet<_>, _>>()?;
        let record = self.deployment(&name).await?.value;
        let is_meant = |(id, node): &(&InstanceId, &NodeName)| {
            only.as_ref().is_none_or(|only| only == *id) && (nodes.is_empty() || nodes.contains(*node))
        };
        let placements = record.current.placements.iter().filter(is_meant);
        let places: BTreeMap<_, _> = placements.map(|(id, node)| (id.clone(), node.clone())).collect();
        let found: BTreeSet<&NodeName> = places.values().collect();
        if let Some(without) = nodes.iter().find(|node| !found.contains(node)) {
            return Err(nothing(&name, &format!("{name} has no instance on {without}")));
        }
        if places.is_empty() {
            return Err(nothing(&name, &format!("{meant} has no instance anywhere")));
        }
        Ok((record, places))
    }

    async fn act_on(&self, id: &InstanceId, node: &NodeName, request: &v1::FleetActRequest) -> Output {
        let instance = id.to_string();
        let asked = v1::ActRequest {
            instance: instance.clone(),
            action: request.action.clone(),
            args: request.args.clone(),
            accepts: request.accepts,
        };
        let heard = async {
            let agent = self.dial(&self.node(node).await?).await?;
            Ok(agent.act(asked).await?.map_err(FleetError::from))
        };
        let output = whole(node.to_string(), heard.await);
        let whose = move |output| v1::ExecOutput { instance: instance.clone(), ..output };
        output.map(whose).map(Ok).boxed()
    }
}

fn parameters(action: &Action) -> BTreeMap<String, Parameter> {
    let parameter = |argument: &Argument| Parameter {
        kind: argument.kind,
        values: argument.values.clone(),
        default: argument.default.clone(),
        is_required: argument.required,
    };
    action.args.iter().map(|(name, argument)| (name.to_string(), parameter(argument))).collect()
}

fn nothing(name: &DeploymentName, message: &str) -> FleetError {
    let hint = Some(format!("`orchestrator status {name}` shows its instances"));
    FleetError::Invalid { message: message.to_owned(), hint }
}

fn no_action(record: &DeploymentRecord, module: &spec::Resolved, asked: &str) -> FleetError {
    let names = || module.spec.actions.keys().map(|name| name.as_str());
    let known = names().collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "none".to_owned() } else { known };
    let hint = match closest(asked, names()) {
        Some(similar) => format!("did you mean {similar:?}?"),
        None => format!("`orchestrator action {}` shows them", record.name),
    };
    let release = &module.release;
    FleetError::Invalid {
        message: format!("{} {} has no action {asked:?}; it has {known}", release.module, release.version),
        hint: Some(hint),
    }
}
