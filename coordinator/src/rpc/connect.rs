//! Ways from the command line to a coordinator: one that was named, a daemon on this machine, or the core in this
//! very process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use proto::code::Code;
use proto::v1::coordinator_client::CoordinatorClient;
use proto::v1::coordinator_server::CoordinatorServer;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint, Server};
use tracing::info;

use super::service::{CoordinatorService, bind_private, serve_unix};
use crate::app::{self, StartError};
use crate::config::Settings;

pub type Client = CoordinatorClient<Channel>;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("could not reach the coordinator at {address}")]
    Unreachable {
        address: String,
        #[source]
        cause: tonic::transport::Error,
    },
    #[error("could not serve on {}", socket.display())]
    Serve {
        socket: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ConnectError {
    pub fn code(&self) -> Code {
        match self {
            ConnectError::Unreachable { .. } => Code::Unreachable,
            ConnectError::Serve { .. } => Code::Failed,
            ConnectError::Start(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            ConnectError::Unreachable { .. } => Some("`orchestrator serve` starts one".into()),
            ConnectError::Serve { cause, .. } if cause.kind() == std::io::ErrorKind::AddrInUse => {
                Some("one is enough: commands of this machine use it; for another, choose --socket".into())
            }
            ConnectError::Serve { .. } => None,
            ConnectError::Start(error) => error.hint(),
        }
    }
}

/// How much an in-memory connection buffers, in bytes.
const IN_MEMORY_BUFFER: usize = 256 * 1024;
/// The name in requests over a stream of our own; nobody resolves it.
const AUTHORITY: &str = "http://coordinator.orchestrator.internal";

/// Connects with the coordinator the settings name, else with the daemon of this machine, else starts the core here.
pub async fn connect(settings: &Settings) -> Result<Client, ConnectError> {
    if let Some(address) = &settings.coordinator {
        return over_network(address).await;
    }
    let socket = settings.socket();
    if !settings.store_is_explicit && std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        return over_socket(&socket).await;
    }
    let fleet = app::start(settings).await?;
    in_process(CoordinatorService::new(fleet)).await
}

/// `http://host:port`, or `unix:/path`.
async fn over_network(address: &str) -> Result<Client, ConnectError> {
    let unreachable = |cause| ConnectError::Unreachable { address: address.to_owned(), cause };
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(unreachable)?;
    Ok(CoordinatorClient::new(endpoint.connect().await.map_err(unreachable)?))
}

async fn over_socket(socket: &Path) -> Result<Client, ConnectError> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static(AUTHORITY).connect_with_connector(connector).await;
    let unreachable =
        |cause| ConnectError::Unreachable { address: format!("unix:{}", socket.display()), cause };
    Ok(CoordinatorClient::new(channel.map_err(unreachable)?))
}

/// Serves `service` inside this process and gives a client of it.
async fn in_process(service: CoordinatorService) -> Result<Client, ConnectError> {
    let (ours, theirs) = tokio::io::duplex(IN_MEMORY_BUFFER);
    tokio::spawn(async move {
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(theirs));
        Server::builder().add_service(CoordinatorServer::new(service)).serve_with_incoming(incoming).await
    });
    let mut ours = Some(ours);
    let connector = tower::service_fn(move |_| {
        let stream = ours.take().ok_or_else(|| std::io::Error::other("the in-process coordinator has ended"));
        async move { stream.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static(AUTHORITY).connect_with_connector(connector).await;
    let unreachable = |cause| ConnectError::Unreachable { address: "this process".to_owned(), cause };
    Ok(CoordinatorClient::new(channel.map_err(unreachable)?))
}

/// Serves commands on a socket and keeps the fleet as wished, until told to stop.
pub async fn serve(settings: &Settings, socket: &Path, stop: CancellationToken) -> Result<(), ConnectError> {
    let fleet = app::start(settings).await?;
    let failed = |cause| ConnectError::Serve { socket: socket.to_owned(), cause };
    let listener = bind_private(socket).map_err(failed)?;
    info!(socket = %socket.display(), store = fleet.store_name(), "serving, and keeping the fleet as wished");
    let service = CoordinatorService::new(Arc::clone(&fleet));
    let (served, ()) = tokio::join!(
        async {
            let served = serve_unix(service, listener, socket, stop.clone()).await;
            stop.cancel();
            served
        },
        fleet.keep(stop.clone())
    );
    info!("stopped");
    served.map_err(failed)
}
