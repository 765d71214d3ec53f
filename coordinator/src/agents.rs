//! The seam to the node agents.

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use proto::code::Code;
use proto::ids::NodeName;
use proto::v1;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("could not reach the agent of {node} at {address}")]
    Unreachable {
        node: NodeName,
        address: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the certificate of {node} has expired")]
    CertificateExpired { node: NodeName },
    #[error("what answers at {address} is not {node} of this fleet: {reason}")]
    NotOurs { node: NodeName, address: String, reason: String },
    #[error("{node} refused our certificate")]
    RefusedUs {
        node: NodeName,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the agent of {node} could not {operation}: {}", status.message())]
    Call { node: NodeName, operation: &'static str, status: Box<tonic::Status> },
    #[error("the agent of {node} did not answer {operation} within {} s", after.as_secs_f32())]
    TimedOut { node: NodeName, operation: &'static str, after: Duration },
}

impl AgentError {
    pub fn code(&self) -> Code {
        match self {
            AgentError::Unreachable { .. } => Code::Unreachable,
            AgentError::CertificateExpired { .. }
            | AgentError::NotOurs { .. }
            | AgentError::RefusedUs { .. } => Code::Denied,
            AgentError::Call { status, .. } => Code::from_grpc(status.code()),
            AgentError::TimedOut { .. } => Code::TimedOut,
        }
    }
}

pub type AgentStream<T> = BoxStream<'static, Result<T, AgentError>>;

/// One node's agent, connected.
#[async_trait]
pub trait AgentApi: Send + Sync {
    async fn observe(&self) -> Result<v1::Report, AgentError>;
    async fn watch(&self, heartbeat: Duration) -> Result<AgentStream<v1::Report>, AgentError>;
    async fn apply(&self, spec: v1::NodeSpec) -> Result<v1::ApplyReply, AgentError>;
    async fn logs(&self, request: v1::AgentLogsRequest) -> Result<AgentStream<v1::LogLine>, AgentError>;
    async fn exec(&self, request: v1::ExecRequest) -> Result<AgentStream<v1::ExecOutput>, AgentError>;
    /// PEM of a certificate request for a key just made on the node.
    async fn request_certificate(&self) -> Result<String, AgentError>;
    async fn install_certificate(&self, certificate_pem: String) -> Result<(), AgentError>;
}
