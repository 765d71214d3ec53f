//! The agent's gRPC service. Each call is one line of what the parts can do.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proto::code::Code;
use proto::ids::InstanceId;
use proto::v1::agent_server::Agent as Service;
use proto::v1::{
    ActRequest, AgentLogsRequest, ApplyReply, ApplyRequest, ExecRequest, InstallCertificateReply,
    InstallCertificateRequest, ObserveRequest, ReceiveReply, ReceiveRequest, Report, RequestCertificateReply,
    RequestCertificateRequest, UpgradeReply, UpgradeRequest, WatchRequest,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::Agent;
use crate::identity::{self, IdentityError};
use crate::log;
use crate::report::{self, Facts, Meter};
use crate::runs::Runs;
use crate::tls::Tls;
use crate::upgrade::Upgrades;

mod act;
mod exec;
mod logs;
mod receive;
pub mod runs;
mod upgrade;
mod watch;

type Stream<T> = ReceiverStream<Result<T, Status>>;
/// How many messages wait for a slow reader.
const QUEUE: usize = 16;

/// What the calls work on.
#[derive(Clone)]
pub struct Rpc {
    pub agent: Arc<Agent>,
    pub tls: Arc<Tls>,
    pub facts: Arc<Facts>,
    pub meter: Arc<Meter>,
    pub runs: Arc<Runs>,
    pub upgrades: Arc<Upgrades>,
    pub certificate_expires_unix: Arc<AtomicI64>,
}

impl Rpc {
    pub fn report(&self) -> Report {
        let expires = self.certificate_expires_unix.load(Ordering::Relaxed);
        report::report(&self.agent, &self.facts, &self.meter, expires)
    }

    /// Serves with the identity that is on the disk now, from the next connection on.
    ///
    /// # Errors
    /// When it cannot be read; the present one stays then.
    pub fn reload(&self) -> Result<(), IdentityError> {
        let identity = identity::load(&self.agent.data)?;
        self.tls
            .reload(&identity)
            .map_err(|cause| IdentityError::Refused { name: identity::server_name(&identity.node), cause })?;
        self.certificate_expires_unix.store(identity.expires_unix, Ordering::Relaxed);
        tracing::info!(expires_unix = identity.expires_unix, "certificate reloaded");
        self.agent.board.touch();
        Ok(())
    }
}

#[tonic::async_trait]
impl Service for Rpc {
    type WatchStream = Stream<Report>;
    type LogsStream = Stream<proto::v1::LogLine>;
    type ExecStream = Stream<proto::v1::ExecOutput>;
    type ActStream = Stream<proto::v1::ExecOutput>;

    async fn observe(&self, _request: Request<ObserveRequest>) -> Result<Response<Report>, Status> {
        Ok(Response::new(self.report()))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(watch::watch(self.clone(), request.into_inner())))
    }

    async fn apply(&self, request: Request<ApplyRequest>) -> Result<Response<ApplyReply>, Status> {
        let missing = || status(Code::InvalidInput, "the request has no spec".to_owned());
        let spec = request.into_inner().spec.ok_or_else(missing)?;
        let agent = self.agent.clone();
        // A task of its own: what was accepted is acted upon even when the caller has gone.
        let task = tokio::spawn(async move { agent.apply(spec).await });
        let result = task.await.map_err(|error| status(Code::Internal, error.to_string()))?;
        result.map(Response::new).map_err(|error| status(error.code(), log::chain(&error)))
    }

    async fn receive(
        &self,
        request: Request<Streaming<ReceiveRequest>>,
    ) -> Result<Response<ReceiveReply>, Status> {
        receive::receive(&self.agent.data, receive::PACKAGE, request.into_inner()).await?;
        Ok(Response::new(ReceiveReply {}))
    }

    async fn logs(&self, request: Request<AgentLogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let request = request.into_inner();
        let id = InstanceId::parse(&request.instance)
            .map_err(|error| status(Code::InvalidInput, error.to_string()))?;
        let data = &self.agent.data;
        if !data.instance_agent_log(&id).exists() && !data.instance_log(&id).exists() {
            return Err(status(Code::NotFound, format!("this node has no logs of {id}")));
        }
        Ok(Response::new(logs::logs(&self.agent, id, &request)))
    }

    async fn exec(&self, request: Request<ExecRequest>) -> Result<Response<Self::ExecStream>, Status> {
        let output = exec::exec(&request.into_inner())
            .map_err(|error| status(Code::InvalidInput, log::chain(&error)))?;
        Ok(Response::new(output))
    }

    async fn act(&self, request: Request<ActRequest>) -> Result<Response<Self::ActStream>, Status> {
        Ok(Response::new(act::act(&self.agent, &request.into_inner())?))
    }

    async fn request_certificate(
        &self,
        _request: Request<RequestCertificateRequest>,
    ) -> Result<Response<RequestCertificateReply>, Status> {
        let data = self.agent.data.clone();
        let csr_pem = blocking(move || identity::request(&data, None)).await?;
        Ok(Response::new(RequestCertificateReply { csr_pem }))
    }

    async fn install_certificate(
        &self,
        request: Request<InstallCertificateRequest>,
    ) -> Result<Response<InstallCertificateReply>, Status> {
        let data = self.agent.data.clone();
        let pem = request.into_inner().certificate_pem;
        blocking(move || identity::install(&data, pem.as_bytes())).await?;
        self.reload().map_err(|error| status(error.code(), log::chain(&error)))?;
        Ok(Response::new(InstallCertificateReply {}))
    }

    async fn receive_agent(
        &self,
        request: Request<Streaming<ReceiveRequest>>,
    ) -> Result<Response<ReceiveReply>, Status> {
        upgrade::receive(self, request.into_inner()).await?;
        Ok(Response::new(ReceiveReply {}))
    }

    async fn upgrade(&self, request: Request<UpgradeRequest>) -> Result<Response<UpgradeReply>, Status> {
        Ok(Response::new(upgrade::upgrade(self, request.into_inner()).await?))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, IdentityError> + Send + 'static,
) -> Result<T, Status> {
    let result = tokio::task::spawn_blocking(work).await;
    let result = result.map_err(|error| status(Code::Internal, error.to_string()))?;
    result.map_err(|error| status(error.code(), log::chain(&error)))
}

fn status(code: Code, message: String) -> Status {
    Status::new(code.grpc(), message)
}
