//! The seam to the node agents.

mod deliver;
pub mod dial;
pub mod grpc;
pub mod tls;
pub mod tunnel;

pub use deliver::Parcel;
pub use dial::Agents;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use proto::code::Code;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::upgrade_request;
use tokio::sync::mpsc;

use crate::domain::node::NodeRecord;
use crate::ssh::{Cause, HostError};

/// What was not done in time where nobody waits longer for a node.
pub const CONNECTING: &str = "connecting";

#[derive(Debug, Clone, thiserror::Error)]
pub enum AgentError {
    #[error("could not reach the agent of {node} at {address}")]
    Unreachable {
        node: NodeName,
        address: String,
        #[source]
        cause: Cause,
    },
    #[error("could not reach {node} over SSH, nor its agent at {address}")]
    NoWay {
        node: NodeName,
        address: String,
        #[source]
        cause: Box<HostError>,
    },
    #[error("could not start the agent of {node}")]
    Start {
        node: NodeName,
        #[source]
        cause: Box<HostError>,
    },
    #[error("the certificate of {node} has expired")]
    CertificateExpired { node: NodeName },
    #[error("could not renew the certificate of {node}")]
    Renewal {
        node: NodeName,
        code: Code,
        hint: Option<String>,
        #[source]
        cause: Cause,
    },
    #[error("what answers at {address} is not {node} of this fleet: {reason}")]
    NotOurs { node: NodeName, address: String, reason: String },
    #[error("{node} refused our certificate")]
    RefusedUs {
        node: NodeName,
        #[source]
        cause: Cause,
    },
    #[error("the coordinator has no certificate to show to {node}")]
    NoCredentials {
        node: NodeName,
        code: Code,
        hint: Option<String>,
        #[source]
        cause: Cause,
    },
    #[error("the agent of {node} could not {operation}: {}", status.message())]
    Call { node: NodeName, operation: &'static str, status: Box<tonic::Status> },
    #[error("could not read what was to be sent to {node}")]
    Package {
        node: NodeName,
        #[source]
        cause: Cause,
    },
    #[error("the agent of {node} did not answer within {} s ({operation})", after.as_secs_f32())]
    TimedOut { node: NodeName, operation: &'static str, after: Duration },
}

impl AgentError {
    pub fn code(&self) -> Code {
        match self {
            AgentError::Unreachable { .. } => Code::Unreachable,
            AgentError::NoWay { cause, .. } | AgentError::Start { cause, .. } => cause.code(),
            AgentError::CertificateExpired { .. }
            | AgentError::NotOurs { .. }
            | AgentError::RefusedUs { .. } => Code::Denied,
            AgentError::Renewal { code, .. } | AgentError::NoCredentials { code, .. } => *code,
            AgentError::Call { status, .. } => Code::from_grpc(status.code()),
            AgentError::Package { .. } => Code::Failed,
            AgentError::TimedOut { .. } => Code::TimedOut,
        }
    }

    /// Whether the node could not be reached, as opposed to: was reached and cannot or may not do it.
    pub fn is_absence(&self) -> bool {
        match self {
            AgentError::Unreachable { .. } | AgentError::NoWay { .. } | AgentError::TimedOut { .. } => true,
            AgentError::Call { status, .. } => Code::from_grpc(status.code()).retryable(),
            AgentError::Start { .. }
            | AgentError::CertificateExpired { .. }
            | AgentError::Renewal { .. }
            | AgentError::NotOurs { .. }
            | AgentError::RefusedUs { .. }
            | AgentError::Package { .. }
            | AgentError::NoCredentials { .. } => false,
        }
    }

    /// Whether the agent itself said no.
    pub fn is_refusal(&self) -> bool {
        matches!(self, AgentError::Call { .. }) && !self.is_absence()
    }

    /// Whether the agent is too old to know the call.
    pub fn is_unknown_call(&self) -> bool {
        match self {
            AgentError::Call { status, .. } => status.code() == tonic::Code::Unimplemented,
            _ => false,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            AgentError::NoWay { cause, .. } => cause.hint(),
            AgentError::Start { node, cause } => {
                cause.hint().or_else(|| Some(format!("repair it: `orchestrator node add {node} …`")))
            }
            AgentError::Renewal { hint, .. } | AgentError::NoCredentials { hint, .. } => hint.clone(),
            AgentError::CertificateExpired { node } | AgentError::NotOurs { node, .. } => Some(format!(
                "if {node} was reinstalled or enrolled elsewhere, add it again: `orchestrator node add {node} …`"
            )),
            AgentError::RefusedUs { node, .. } => Some(format!(
                "is {node} enrolled in another fleet, or its clock wrong? `orchestrator node add {node} …` enrols it anew"
            )),
            AgentError::TimedOut { operation: CONNECTING, .. } => Some(
                "check that the machine is on and its network is up; over a slow line, try again: SSH is still \
                 connecting"
                    .to_owned(),
            ),
            AgentError::Unreachable { .. } | AgentError::TimedOut { .. } => {
                Some("check that the machine is on and its network is up".to_owned())
            }
            AgentError::Call { .. } | AgentError::Package { .. } => None,
        }
    }
}

pub type AgentStream<T> = BoxStream<'static, Result<T, AgentError>>;

/// One node's agent. Connections are made and made anew as needed.
#[async_trait]
pub trait AgentApi: Send + Sync {
    async fn observe(&self) -> Result<v1::Report, AgentError>;
    async fn watch(&self, heartbeat: Duration) -> Result<AgentStream<v1::Report>, AgentError>;
    async fn apply(&self, spec: v1::NodeSpec) -> Result<v1::ApplyReply, AgentError>;
    /// Brings a package, telling how many bytes have gone; the agent checks and unpacks it while it arrives.
    async fn receive(&self, parcel: Parcel, sent: &(dyn Fn(u64) + Send + Sync)) -> Result<(), AgentError>;
    /// Brings a build of the agent, which starts it to see whether it runs there.
    async fn receive_agent(&self, parcel: Parcel) -> Result<(), AgentError>;
    /// Looks how an upgrade stands, tries a build that was received, or confirms the one on trial.
    async fn upgrade(&self, act: upgrade_request::Act) -> Result<v1::UpgradeReply, AgentError>;
    async fn logs(&self, request: v1::AgentLogsRequest) -> Result<AgentStream<v1::LogLine>, AgentError>;
    async fn exec(&self, request: v1::ExecRequest) -> Result<AgentStream<v1::ExecOutput>, AgentError>;
    async fn act(&self, request: v1::ActRequest) -> Result<AgentStream<v1::ExecOutput>, AgentError>;
    /// PEM of a certificate request for a key just made on the node.
    async fn request_certificate(&self) -> Result<String, AgentError>;
    async fn install_certificate(&self, certificate_pem: String) -> Result<(), AgentError>;
    /// Begins a run, or nothing where the agent has it already.
    async fn begin_run(&self, request: v1::BeginRunRequest) -> Result<v1::BeginRunReply, AgentError>;
    /// Follows a run; what is told to it goes through `inputs`, the first of which attaches.
    async fn follow_run(
        &self,
        inputs: mpsc::Receiver<v1::RunInput>,
    ) -> Result<AgentStream<v1::RunOutput>, AgentError>;
    async fn list_runs(&self) -> Result<Vec<v1::NodeRun>, AgentError>;
    /// Whether the agent's port could not be reached and SSH carries the connection.
    fn is_tunnelled(&self) -> bool;
}

/// Who vouches for both ends: what we show to agents, and what we expect of them.
#[async_trait]
pub trait Authority: Send + Sync {
    /// The fleet's CA and our own certificate.
    async fn credentials(&self, node: &NodeName) -> Result<Arc<tls::Credentials>, AgentError>;

    /// The record as it is now, where the caller's turned out to be old.
    async fn current(&self, node: &NodeName) -> Option<NodeRecord>;

    /// Gets a node whose certificate has expired a new one, without its agent.
    async fn renew_expired(&self, node: &NodeRecord) -> Result<NodeRecord, AgentError>;

    /// Gets a node whose certificate expires soon a new one, through its agent.
    async fn renew(&self, node: &NodeRecord, agent: &dyn AgentApi) -> Result<(), AgentError>;
}
