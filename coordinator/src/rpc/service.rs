//! The gRPC face of the fleet: each call is one use case.

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use proto::v1;
use proto::v1::assistant_server::AssistantServer;
use proto::v1::coordinator_server::{Coordinator, CoordinatorServer};
use proto::v1::deploy_event::{Event, Finished};
use proto::v1::plans_server::PlansServer;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::assistant::AssistantService;
use super::plans::PlansService;
use super::problem::to_status;
use super::stream::{Events, stream};
use crate::fleet::{Fleet, FleetError, Progress};

pub(super) type Answer<T> = Result<Response<T>, Status>;

#[derive(Clone)]
pub struct CoordinatorService {
    fleet: Arc<Fleet>,
}

impl CoordinatorService {
    pub fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet }
    }

    /// Starts a change and streams its progress. The change goes on when the listener leaves.
    fn stream_change<F, W>(&self, work: F) -> Answer<Events<v1::DeployEvent>>
    where
        F: FnOnce(Arc<Fleet>, Progress) -> W,
        W: Future<Output = Result<Finished, FleetError>> + Send + 'static,
    {
        stream(|sender| {
            let work = work(Arc::clone(&self.fleet), Progress::to(sender));
            async move { Ok(Some(v1::DeployEvent { event: Some(Event::Finished(work.await?)) })) }
        })
    }
}

/// All that a coordinator speaks.
pub fn routes(fleet: &Arc<Fleet>) -> Routes {
    Routes::new(CoordinatorServer::new(CoordinatorService::new(Arc::clone(fleet))))
        .add_service(PlansServer::new(PlansService::new(Arc::clone(fleet))))
        .add_service(AssistantServer::new(AssistantService::new(Arc::clone(fleet))))
}

/// Serves on the socket until `stop` and the end of its connections.
pub async fn serve_unix(
    routes: Routes,
    listener: UnixListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    tonic::transport::Server::builder()
        .add_routes(routes)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop.cancelled_owned())
        .await
        .map_err(std::io::Error::other)
}

/// A Unix socket that only its owner may use. One left by a dead daemon is replaced; one that answers is not.
///
/// # Errors
/// Where the socket cannot be made.
pub fn bind_private(socket: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, "a coordinator already serves there"));
    }
    std::fs::remove_file(socket).ok();
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

pub(super) fn answer<T>(result: Result<T, FleetError>) -> Answer<T> {
    result.map(Response::new).map_err(|error| to_status(&error))
}

#[tonic::async_trait]
impl Coordinator for CoordinatorService {
    type DeployStream = Events<v1::DeployEvent>;
    type RollbackStream = Events<v1::DeployEvent>;
    type RestartStream = Events<v1::DeployEvent>;
    type RemoveStream = Events<v1::DeployEvent>;
    type DrainStream = Events<v1::DeployEvent>;
    type LogsStream = Events<v1::LogLine>;
    type ExecStream = Events<v1::ExecOutput>;
    type ActStream = Events<v1::ExecOutput>;
    type AddNodeStream = Events<v1::NodeEvent>;
    type RemoveNodeStream = Events<v1::NodeEvent>;
    type UpgradeNodesStream = Events<v1::UpgradeEvent>;
    type GetPackageStream = Events<v1::PackageChunk>;

    async fn deploy(&self, request: Request<v1::DeployRequest>) -> Answer<Self::DeployStream> {
        let request = request.into_inner();
        self.stream_change(|fleet, progress| async move { fleet.deploy(&request, &progress).await })
    }

    async fn rollback(&self, request: Request<v1::RollbackRequest>) -> Answer<Self::RollbackStream> {
        let request = request.into_inner();
        self.stream_change(|fleet, progress| async move { fleet.rollback(&request, &progress).await })
    }

    async fn restart(&self, request: Request<v1::RestartRequest>) -> Answer<Self::RestartStream> {
        let request = request.into_inner();
        self.stream_change(|fleet, progress| async move { fleet.restart(&request, &progress).await })
    }

    async fn remove(&self, request: Request<v1::RemoveRequest>) -> Answer<Self::RemoveStream> {
        let request = request.into_inner();
        self.stream_change(|fleet, progress| async move { fleet.remove(&request, &progress).await })
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Answer<Self::DrainStream> {
        let request = request.into_inner();
        self.stream_change(|fleet, progress| async move { fleet.drain(&request, &progress).await })
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Answer<v1::StatusReply> {
        let (deployments, carried_on) =
            tokio::join!(self.fleet.status(request.get_ref()), self.fleet.carry_on_runs());
        if let Err(error) = carried_on {
            tracing::warn!(%error, "could not look after runs");
        }
        answer(deployments.map(|deployments| v1::StatusReply { deployments }))
    }

    async fn history(&self, request: Request<v1::HistoryRequest>) -> Answer<v1::HistoryReply> {
        answer(self.fleet.history(request.get_ref()).await.map(|entries| v1::HistoryReply { entries }))
    }

    async fn logs(&self, request: Request<v1::LogsRequest>) -> Answer<Self::LogsStream> {
        let lines = self.fleet.logs(request.get_ref()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(lines.map_err(|error| to_status(&error)).boxed()))
    }

    async fn add_node(&self, request: Request<v1::AddNodeRequest>) -> Answer<Self::AddNodeStream> {
        let request = request.into_inner();
        let fleet = Arc::clone(&self.fleet);
        stream(|sender| async move { fleet.add_node(&request, &sender).await.map(Some) })
    }

    async fn remove_node(&self, request: Request<v1::RemoveNodeRequest>) -> Answer<Self::RemoveNodeStream> {
        let request = request.into_inner();
        let fleet = Arc::clone(&self.fleet);
        stream(|sender| async move { fleet.remove_node(&request, &sender).await.map(Some) })
    }

    async fn upgrade_nodes(
        &self,
        request: Request<v1::UpgradeNodesRequest>,
    ) -> Answer<Self::UpgradeNodesStream> {
        let request = request.into_inner();
        let fleet = Arc::clone(&self.fleet);
        stream(|sender| async move { fleet.upgrade_nodes(&request, &sender).await.map(|()| None) })
    }

    async fn list_nodes(&self, request: Request<v1::ListNodesRequest>) -> Answer<v1::ListNodesReply> {
        answer(self.fleet.list_nodes(request.get_ref()).await.map(|nodes| v1::ListNodesReply { nodes }))
    }

    async fn show_actions(&self, request: Request<v1::ShowActionsRequest>) -> Answer<v1::ShowActionsReply> {
        let reply = self.fleet.show_actions(request.get_ref()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(reply))
    }

    async fn act(&self, request: Request<v1::FleetActRequest>) -> Answer<Self::ActStream> {
        let output = self.fleet.act(request.get_ref()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(output.map_err(|error| to_status(&error)).boxed()))
    }

    async fn exec(&self, request: Request<v1::FleetExecRequest>) -> Answer<Self::ExecStream> {
        let output = self.fleet.exec(request.get_ref()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(output.map_err(|error| to_status(&error)).boxed()))
    }

    async fn cordon(&self, request: Request<v1::CordonRequest>) -> Answer<v1::Node> {
        answer(self.fleet.cordon(request.get_ref()).await)
    }

    async fn put_package(&self, request: Request<Streaming<v1::PutPackageRequest>>) -> Answer<v1::Release> {
        let parts = request.into_inner();
        answer(self.fleet.put_package(parts).await)
    }

    async fn list_modules(&self, request: Request<v1::ListModulesRequest>) -> Answer<v1::ListModulesReply> {
        let modules = self.fleet.list_modules(request.get_ref()).await;
        answer(modules.map(|modules| v1::ListModulesReply { modules }))
    }

    async fn show_module(&self, request: Request<v1::ShowModuleRequest>) -> Answer<v1::ModuleDetail> {
        answer(self.fleet.show_module(request.get_ref()).await)
    }

    async fn remove_module(
        &self,
        request: Request<v1::RemoveModuleRequest>,
    ) -> Answer<v1::RemoveModuleReply> {
        let removed = self.fleet.remove_module(request.get_ref()).await;
        answer(removed.map(|removed| v1::RemoveModuleReply { removed }))
    }

    async fn curate_module(&self, request: Request<v1::CurateModuleRequest>) -> Answer<v1::ModuleDetail> {
        answer(self.fleet.curate_module(request.get_ref()).await)
    }

    async fn get_package(&self, request: Request<v1::GetPackageRequest>) -> Answer<Self::GetPackageStream> {
        let chunks = self.fleet.get_package(request.get_ref()).await.map_err(|error| to_status(&error))?;
        Ok(Response::new(chunks.map_err(|error| to_status(&error)).boxed()))
    }

    async fn load_modules(&self, request: Request<v1::LoadModulesRequest>) -> Answer<v1::LoadModulesReply> {
        answer(self.fleet.load_modules(request.get_ref()).await)
    }

    async fn trust(&self, request: Request<v1::TrustRequest>) -> Answer<v1::TrustReply> {
        answer(self.fleet.trust(request.get_ref()).await)
    }

    async fn suggest(&self, request: Request<v1::SuggestRequest>) -> Answer<v1::SuggestReply> {
        answer(self.fleet.suggest(request.get_ref()).await)
    }

    async fn fill_gaps(&self, request: Request<v1::FillGapsRequest>) -> Answer<v1::FillGapsReply> {
        answer(self.fleet.fill_gaps(request.get_ref()).await)
    }

    async fn sync_registry(&self, request: Request<v1::SyncRegistryRequest>) -> Answer<v1::Registry> {
        answer(self.fleet.sync_registry(request.get_ref()).await)
    }

    async fn list_registries(
        &self,
        _: Request<v1::ListRegistriesRequest>,
    ) -> Answer<v1::ListRegistriesReply> {
        let registries = self.fleet.list_registries().await;
        answer(registries.map(|registries| v1::ListRegistriesReply { registries }))
    }

    async fn remove_registry(&self, request: Request<v1::RemoveRegistryRequest>) -> Answer<v1::Registry> {
        answer(self.fleet.remove_registry(&request.get_ref().name).await)
    }

    async fn set_secret(&self, request: Request<v1::SetSecretRequest>) -> Answer<v1::SetSecretReply> {
        let request = request.into_inner();
        let stored = self.fleet.set_secret(&request.name, &request.value).await;
        answer(stored.map(|secret| v1::SetSecretReply { version: secret.version }))
    }

    async fn get_github_token(
        &self,
        request: Request<v1::GetGithubTokenRequest>,
    ) -> Answer<v1::GetGithubTokenReply> {
        let token = self.fleet.github_token(&request.get_ref().secret).await;
        answer(token.map(|token| v1::GetGithubTokenReply { token }))
    }

    async fn list_secrets(&self, _: Request<v1::ListSecretsRequest>) -> Answer<v1::ListSecretsReply> {
        answer(self.fleet.list_secrets().await.map(|secrets| v1::ListSecretsReply { secrets }))
    }

    async fn remove_secret(
        &self,
        request: Request<v1::RemoveSecretRequest>,
    ) -> Answer<v1::RemoveSecretReply> {
        let removed = self.fleet.remove_secret(&request.get_ref().name).await;
        answer(removed.map(|()| v1::RemoveSecretReply {}))
    }

    async fn add_access(&self, request: Request<v1::AddAccessRequest>) -> Answer<v1::AddAccessReply> {
        answer(self.fleet.add_access(request.get_ref()).await)
    }

    async fn list_access(&self, _: Request<v1::ListAccessRequest>) -> Answer<v1::ListAccessReply> {
        answer(self.fleet.list_access().await.map(|access| v1::ListAccessReply { access }))
    }

    async fn remove_access(
        &self,
        request: Request<v1::RemoveAccessRequest>,
    ) -> Answer<v1::RemoveAccessReply> {
        let removed = self.fleet.remove_access(&request.get_ref().name).await;
        answer(removed.map(|()| v1::RemoveAccessReply {}))
    }

    async fn version(&self, _: Request<v1::VersionRequest>) -> Answer<v1::VersionReply> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Response::new(v1::VersionReply { version, store: self.fleet.store_name() }))
    }
}
