//! The actions of an instance's module: what runs when somebody asks for one, with which values, and what it may change.
//! A person asks through the coordinator, a plan through its run; both get the same.

use std::collections::BTreeMap;
use std::time::Duration;

use modules::arguments::{ArgumentErrors, Parameter, bind};
use modules::effect::Effect;
use modules::value::ValueType;
use proto::code::Code;
use proto::ids::{DeploymentName, InstanceId};
use proto::v1::{self, Argument, InstanceSpec, instance_spec};

pub mod inside;

use crate::agent::Agent;
use crate::content::Candidate;
use crate::lane::Lane;
use crate::ledger::Memory;
use crate::scene::{Scene, SceneError};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Why an action cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    #[error("{0} is not on this node")]
    NoInstance(InstanceId),
    #[error("the module of {instance} has no action {action:?}; it has {known}")]
    NoAction { instance: InstanceId, action: String, known: String },
    #[error("the action {action}")]
    Arguments {
        action: String,
        #[source]
        cause: ArgumentErrors,
    },
    #[error("the action {action} is {effect}, and no more than {accepted} was agreed to")]
    NotAccepted { action: String, effect: Effect, accepted: Effect },
    #[error("{0} has no instance on this node")]
    NotHere(DeploymentName),
    #[error("{0} has several instances on this node, and one call acts on one: {1}")]
    Several(DeploymentName, String),
    #[error("{0} is not running in a container")]
    NotContained(InstanceId),
    #[error("{0} has no process of its own that an action could run beside")]
    Nowhere(InstanceId),
    #[error(transparent)]
    Scene(#[from] SceneError),
}

impl ActionError {
    pub fn code(&self) -> Code {
        match self {
            Self::NoInstance(_) | Self::NoAction { .. } | Self::NotHere(_) => Code::NotFound,
            Self::Arguments { .. } | Self::Nowhere(_) | Self::Several(..) => Code::InvalidInput,
            Self::NotAccepted { .. } => Code::Denied,
            Self::Scene(_) | Self::NotContained(_) => Code::Failed,
        }
    }
}

/// An action with everything resolved.
#[derive(Debug)]
pub struct Call {
    pub effect: Effect,
    pub timeout: Duration,
    pub argv: Vec<String>,
    pub place: Place,
}

/// Where it runs.
#[derive(Debug)]
pub enum Place {
    /// Beside the instance's process: same user, environment and folders.
    Beside(Box<Scene>),
    /// In the container of this service.
    Inside { service: String, lane: Lane },
}

impl Agent {
    /// The instance of a deployment that is here.
    ///
    /// # Errors
    /// Where there is none, or more than one.
    pub fn instance_of(&self, deployment: &DeploymentName) -> Result<InstanceId, ActionError> {
        let ledger = self.ledger();
        let ids = ledger.spec().instances.iter().filter_map(|spec| InstanceId::parse(&spec.id).ok());
        let here: Vec<InstanceId> = ids.filter(|id| id.deployment == *deployment).collect();
        match here.as_slice() {
            [] => Err(ActionError::NotHere(deployment.clone())),
            [only] => Ok(only.clone()),
            several => {
                let names = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(ActionError::Several(deployment.clone(), names))
            }
        }
    }

    /// What an action of an instance comes to. Nothing is run.
    ///
    /// # Errors
    /// Where there is no such instance or action, or the arguments are not what it takes.
    pub fn action(
        &self,
        id: &InstanceId,
        name: &str,
        given: &BTreeMap<String, String>,
    ) -> Result<Call, ActionError> {
        let memory = self.memory(&id.to_string());
        let wanted = self.ledger().spec().instances.iter().find(|spec| spec.id == id.to_string()).cloned();
        let wanted = wanted.ok_or_else(|| ActionError::NoInstance(id.clone()))?;
        let spec = acting(wanted, &memory);
        let action = spec.actions.get(name).ok_or_else(|| ActionError::NoAction {
            instance: id.clone(),
            action: name.to_owned(),
            known: listed(spec.actions.keys()),
        })?;
        let declared = action.args.iter().map(|(name, argument)| (name.clone(), parameter(argument)));
        let args = bind(&declared.collect(), given)
            .map_err(|cause| ActionError::Arguments { action: name.to_owned(), cause })?;
        let lane = Lane::of(&self.data, id, memory.settled.as_ref().map(|settled| settled.content));
        let scene = Scene::resolve(self.ground(lane), id, &spec, &memory.ports(lane))?;
        let argv = scene.render_with(&format!("action {name}"), &action.command, &args)?;
        let place = match &spec.runtime {
            Some(instance_spec::Runtime::Process(_)) => Place::Beside(Box::new(scene)),
            Some(instance_spec::Runtime::Containers(_)) => {
                let service = scene.front(&spec).ok_or_else(|| ActionError::Nowhere(id.clone()))?;
                Place::Inside { service, lane }
            }
            // The unit's own user and environment are systemd's business; the instance's folders are here.
            Some(instance_spec::Runtime::Systemd(_)) => Place::Beside(Box::new(scene)),
            None => return Err(ActionError::Nowhere(id.clone())),
        };
        let timeout = match action.timeout_ms {
            0 => TIMEOUT,
            ms => Duration::from_millis(ms.into()),
        };
        Ok(Call { effect: effect(action.effect()), timeout, argv, place })
    }
}

impl Call {
    /// Nothing is run that may change more than was agreed to.
    ///
    /// # Errors
    /// Where it may.
    pub fn check_accepted(&self, action: &str, accepted: Effect) -> Result<(), ActionError> {
        if self.effect <= accepted {
            return Ok(());
        }
        Err(ActionError::NotAccepted { action: action.to_owned(), effect: self.effect, accepted })
    }
}

/// What a caller agrees to. Who says nothing agrees to no change.
pub fn accepted(effect: v1::Effect) -> Effect {
    if effect == v1::Effect::Unspecified { Effect::Read } else { self::effect(effect) }
}

/// What runs: what was healthy last, but for the actions where only those have changed since.
fn acting(wanted: InstanceSpec, memory: &Memory) -> InstanceSpec {
    match &memory.settled {
        Some(settled) if settled.content != Candidate::new(wanted.clone()).content => (*settled.spec).clone(),
        Some(_) | None => wanted,
    }
}

fn parameter(argument: &Argument) -> Parameter {
    Parameter {
        // A type that this agent does not know is no reason to take anything for it: no value is one of none.
        kind: ValueType::parse(&argument.r#type).unwrap_or(ValueType::Enum),
        values: argument.values.clone(),
        default: argument.default.clone(),
        is_required: argument.required,
    }
}

/// What does not say what it may change may change everything.
pub fn effect(effect: v1::Effect) -> Effect {
    match effect {
        v1::Effect::Read => Effect::Read,
        v1::Effect::Idempotent => Effect::Idempotent,
        v1::Effect::Reversible => Effect::Reversible,
        v1::Effect::Destructive | v1::Effect::Unspecified => Effect::Destructive,
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
