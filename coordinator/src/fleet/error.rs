//! Why a use case could not do what was asked.

use proto::code::Code;
use proto::ids::{DeploymentName, IdError, NodeName};

use crate::agents::AgentError;
use crate::blobs::BlobError;
use crate::domain::placement::{Explanation, SelectorError};
use crate::ssh::HostError;
use crate::store::StoreError;

use super::ca::CaError;
use super::enrol::EnrolError;
use super::keyring::KeyringError;
use super::models::ModelsError;
use super::plans::PlansError;

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    #[error(transparent)]
    Plans(#[from] PlansError),
    #[error(transparent)]
    Models(#[from] ModelsError),
    #[error(transparent)]
    Name(#[from] IdError),
    #[error("cannot read the selector {selector:?}")]
    Selector {
        selector: String,
        #[source]
        cause: SelectorError,
    },
    #[error("no module is named {name}")]
    NoSuchModule { name: String, similar: Option<String> },
    #[error("module {module} has no version {version}")]
    NoSuchVersion { module: String, version: String, known: Vec<String> },
    #[error("this coordinator does not have the package of {module} {version}")]
    NoPackageHere {
        module: String,
        version: String,
        #[source]
        cause: BlobError,
    },
    #[error("the package is not good")]
    BadPackage {
        hint: Option<String>,
        #[source]
        cause: Box<modules::package::PackageError>,
    },
    #[error("the configuration of {deployment} is not valid:\n{problems}")]
    Config { deployment: DeploymentName, problems: String, hint: Option<String> },
    #[error("no deployment is named {name}")]
    NoSuchDeployment { name: DeploymentName, similar: Option<String> },
    #[error("no node is named {name}")]
    NoSuchNode { name: String, similar: Option<String> },
    #[error("{module} {version} needs runtime {runtime}, which this version cannot run yet")]
    RuntimeNotSupported { module: String, version: String, runtime: String },
    #[error("{deployment} needs {module} {version}, which is not deployed")]
    DependencyMissing { deployment: DeploymentName, module: String, version: String },
    #[error("{deployment} needs {module}, and nobody knows yet at which port {provider} listens")]
    DependencyUnseen { deployment: DeploymentName, module: String, provider: DeploymentName },
    #[error("others keep changing {deployment}")]
    Busy { deployment: DeploymentName },
    #[error("somebody else has changed {deployment} meanwhile, so it was left as it is")]
    Overtaken { deployment: DeploymentName },
    #[error("the fleet has changed since the dry run")]
    StateMoved,
    #[error("no node fits {}, so nothing was changed and what runs goes on", instances.join(", "))]
    NoPlaceInstead { deployment: DeploymentName, instances: Vec<String>, explanation: Box<Explanation> },
    #[error("what {deployment} keeps would stay behind, and it would start empty elsewhere: {}", instances.join(", "))]
    LeavesData { deployment: DeploymentName, instances: Vec<String> },
    #[error("{deployment} has nothing to roll back to")]
    NothingToRollBackTo { deployment: DeploymentName },
    #[error("{deployment} has no generation {generation} to roll back to")]
    NoSuchGeneration { deployment: DeploymentName, generation: u64 },
    #[error("{module} is in use by {}", by.join(", "))]
    ModuleInUse { module: String, by: Vec<String> },
    #[error("{module}@{version} is in the registry already, with other content")]
    OtherContent { module: String, version: String },
    #[error("the module asks for what has to be accepted:\n{}", findings.join("\n"))]
    NotAccepted { findings: Vec<String>, ids: Vec<String> },
    #[error("the package is not signed, and this coordinator takes only what is")]
    Unsigned,
    #[error("the signature does not hold")]
    Signature {
        #[source]
        cause: modules::signature::SignatureError,
    },
    #[error("the registry {name} was changed by somebody else meanwhile")]
    RegistryMoved { name: String },
    #[error("{node} still runs {}", instances.join(", "))]
    NodeInUse { node: NodeName, instances: Vec<String> },
    #[error("no secret is named {name}")]
    NoSuchSecret { name: String },
    #[error("secret {name} is in use by {}", by.join(", "))]
    SecretInUse { name: String, by: Vec<String> },
    #[error("there is an access named {name} already")]
    AccessExists { name: String },
    #[error("no access is named {name}")]
    NoSuchAccess { name: String },
    #[error("{what} in the store cannot be read")]
    Unreadable {
        what: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("could not write {what}")]
    Unwritable {
        what: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("the coordinator broke this off by a fault of its own; what it had begun may be done in part")]
    BrokenOff,
    #[error("{message}")]
    Invalid { message: String, hint: Option<String> },
}

impl FleetError {
    pub fn code(&self) -> Code {
        match self {
            FleetError::Store(error) => error.code(),
            FleetError::Blob(error) => error.code(),
            FleetError::Agent(error) => error.code(),
            FleetError::Enrol(error) => error.code(),
            FleetError::Ca(error) => error.code(),
            FleetError::Keyring(error) => error.code(),
            FleetError::Models(error) => error.code(),
            FleetError::Host(error) => error.code(),
            FleetError::Plans(error) => error.code(),
            FleetError::NoSuchModule { .. }
            | FleetError::NoSuchVersion { .. }
            | FleetError::NoPackageHere { .. }
            | FleetError::NoSuchDeployment { .. }
            | FleetError::NoSuchGeneration { .. }
            | FleetError::NoSuchSecret { .. }
            | FleetError::NoSuchAccess { .. }
            | FleetError::NoSuchNode { .. } => Code::NotFound,
            FleetError::Name(_)
            | FleetError::Selector { .. }
            | FleetError::BadPackage { .. }
            | FleetError::Config { .. }
            | FleetError::RuntimeNotSupported { .. }
            | FleetError::DependencyMissing { .. }
            | FleetError::Invalid { .. } => Code::InvalidInput,
            FleetError::NotAccepted { .. } | FleetError::Unsigned | FleetError::Signature { .. } => {
                Code::Denied
            }
            FleetError::DependencyUnseen { .. } => Code::Unreachable,
            FleetError::Busy { .. }
            | FleetError::Overtaken { .. }
            | FleetError::AccessExists { .. }
            | FleetError::StateMoved
            | FleetError::ModuleInUse { .. }
            | FleetError::OtherContent { .. }
            | FleetError::RegistryMoved { .. }
            | FleetError::SecretInUse { .. }
            | FleetError::NodeInUse { .. } => Code::Conflict,
            FleetError::NothingToRollBackTo { .. }
            | FleetError::NoPlaceInstead { .. }
            | FleetError::LeavesData { .. }
            | FleetError::Unwritable { .. } => Code::Failed,
            FleetError::Unreadable { .. } | FleetError::BrokenOff => Code::Internal,
        }
    }

    /// What to do next, where we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            FleetError::Store(error) => error.hint(),
            FleetError::Blob(error) => error.hint(),
            FleetError::Agent(error) => error.hint(),
            FleetError::Enrol(error) => error.hint(),
            FleetError::Ca(error) => error.hint(),
            FleetError::Keyring(error) => error.hint(),
            FleetError::Models(error) => error.hint(),
            FleetError::Host(error) => error.hint(),
            FleetError::Plans(error) => error.hint(),
            FleetError::NoSuchModule { similar: Some(similar), .. } => {
                Some(format!("did you mean {similar}?"))
            }
            FleetError::NoSuchModule { .. } => {
                Some("`orchestrator module list` shows all; a folder is written ./folder".to_owned())
            }
            FleetError::NoSuchVersion { known, .. } => Some(format!("there is {}", known.join(", "))),
            FleetError::NoPackageHere { .. } => Some(
                "`orchestrator status` brings it from where it was deployed; or deploy it again from its folder or package file"
                    .to_owned(),
            ),
            FleetError::NoSuchDeployment { similar: Some(similar), .. } => {
                Some(format!("did you mean {similar}?"))
            }
            FleetError::NoSuchDeployment { .. } => Some("`orchestrator status` shows all".to_owned()),
            FleetError::NoSuchNode { similar: Some(similar), .. } => Some(format!("did you mean {similar}?")),
            FleetError::NoSuchNode { .. } => {
                Some("`orchestrator node list` shows all; `orchestrator node add` adds one".to_owned())
            }
            FleetError::BadPackage { hint, .. }
            | FleetError::Config { hint, .. }
            | FleetError::Invalid { hint, .. } => hint.clone(),
            FleetError::DependencyMissing { module, .. } => {
                Some(format!("`orchestrator deploy {module}` first"))
            }
            FleetError::DependencyUnseen { provider, .. } => {
                Some(format!("try again once `orchestrator status {provider}` shows it running"))
            }
            FleetError::Busy { .. } => Some("try again".to_owned()),
            FleetError::Overtaken { deployment } => {
                Some(format!("`orchestrator history {deployment}` shows by whom; go back again if you still want to"))
            }
            FleetError::StateMoved => Some("look at a new dry run, then deploy again".to_owned()),
            FleetError::NoPlaceInstead { deployment, .. } => Some(format!(
                "ask for less or make room; to give up what runs, `orchestrator remove {deployment}` first"
            )),
            FleetError::LeavesData { .. } => Some(
                "nothing was changed; `deploy`, `rollback` and `node drain` move it all the same with `--leave-data`, and its data stays where it is".to_owned(),
            ),
            FleetError::NothingToRollBackTo { deployment } => {
                Some(format!("`orchestrator history {deployment}` shows what ran before"))
            }
            FleetError::NoSuchGeneration { deployment, .. } => {
                Some(format!("`orchestrator history {deployment}` shows them"))
            }
            FleetError::OtherContent { module, version } => {
                Some(format!("raise the version, or `orchestrator module remove {module}@{version}` first"))
            }
            FleetError::NotAccepted { ids, .. } => {
                let accept: Vec<String> = ids.iter().map(|id| format!("--accept {id}")).collect();
                Some(format!("if that is what you want, add {}", accept.join(" ")))
            }
            FleetError::Unsigned => Some(
                "`orchestrator module sign` signs one; `unsigned = \"refuse\"` in config.toml asks for it"
                    .to_owned(),
            ),
            FleetError::Signature { cause } => cause.hint().map(str::to_owned),
            FleetError::RegistryMoved { .. } => Some("sync it again".to_owned()),
            FleetError::ModuleInUse { .. } => Some("remove the deployments first".to_owned()),
            FleetError::SecretInUse { .. } => Some("deploy without it first".to_owned()),
            FleetError::NodeInUse { node, .. } => {
                Some(format!("`orchestrator node drain {node}` moves them; --force drops the node as it is"))
            }
            FleetError::NoSuchSecret { .. } => Some("`orchestrator secret list` shows all".to_owned()),
            FleetError::NoSuchAccess { .. } => Some("`orchestrator access list` shows all".to_owned()),
            FleetError::AccessExists { name } => {
                Some(format!("`orchestrator access remove {name}` ends that one"))
            }
            FleetError::BrokenOff => Some(
                "`orchestrator status` shows what holds; please report the panic, which is in the coordinator's log"
                    .to_owned(),
            ),
            FleetError::Name(_)
            | FleetError::Selector { .. }
            | FleetError::RuntimeNotSupported { .. }
            | FleetError::Unwritable { .. }
            | FleetError::Unreadable { .. } => None,
        }
    }

    /// Why each node was not chosen, where that is the trouble.
    pub fn explanation(&self) -> Option<&Explanation> {
        match self {
            FleetError::NoPlaceInstead { explanation, .. } => Some(explanation),
            _ => None,
        }
    }

    /// Whether something that is needed is not there, or not known well enough.
    pub fn is_about_a_dependency(&self) -> bool {
        matches!(self, FleetError::DependencyMissing { .. } | FleetError::DependencyUnseen { .. })
    }

    /// Whether a node was reached and said no, as opposed to: nobody could ask it, or what it needs is not here.
    pub fn is_refusal(&self) -> bool {
        match self {
            FleetError::Agent(error) => error.is_refusal(),
            FleetError::Host(error) => matches!(error, HostError::Status { .. }),
            _ => false,
        }
    }

    /// Whether a node could not be reached, as opposed to: was reached and cannot do it.
    pub fn is_absence(&self) -> bool {
        match self {
            FleetError::Agent(error) => error.is_absence(),
            FleetError::Host(error) => !matches!(error, HostError::Status { .. }),
            FleetError::Store(error) => error.code().retryable(),
            _ => false,
        }
    }
}
