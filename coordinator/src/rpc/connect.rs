//! Ways from the command line to a coordinator: one that was named, a daemon on this machine, or the core in this
//! very process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proto::code::Code;
use proto::v1::coordinator_client::CoordinatorClient;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};
use tracing::info;

use super::listen::serve_network;
use super::pass::PassError;
use super::remote;
use super::service::{bind_private, routes, serve_unix};
use crate::app::{self, StartError};
use crate::config::Settings;
use crate::fleet::Fleet;

/// A way to a coordinator, for each of the services it speaks.
pub type Client = CoordinatorClient<Channel>;
pub type PlansClient = proto::v1::plans_client::PlansClient<Channel>;

/// What is told of a run may be long: every step with its output.
const MAX_MESSAGE: usize = 64 << 20;
pub type AssistantClient = proto::v1::assistant_client::AssistantClient<Channel>;

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("could not reach the coordinator at {address}")]
    Unreachable {
        address: String,
        #[source]
        cause: tonic::transport::Error,
    },
    #[error("could not reach the coordinator at {address}")]
    Lost {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("what answers at {address} is not the coordinator that gave this access")]
    Stranger {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("the coordinator at {address} does not let {} in", access.display())]
    Refused { address: String, access: PathBuf },
    #[error("the coordinator at {address} lets in only who has access")]
    NoAccess { address: String },
    #[error(transparent)]
    Pass(#[from] PassError),
    #[error("could not serve on {place}")]
    Serve {
        place: String,
        #[source]
        cause: std::io::Error,
    },
    #[error(transparent)]
    Start(#[from] StartError),
}

impl ConnectError {
    pub fn code(&self) -> Code {
        match self {
            ConnectError::Unreachable { .. } | ConnectError::Lost { .. } => Code::Unreachable,
            ConnectError::Stranger { .. } | ConnectError::Refused { .. } => Code::Denied,
            ConnectError::NoAccess { .. } | ConnectError::Pass(_) => Code::InvalidInput,
            ConnectError::Serve { .. } => Code::Failed,
            ConnectError::Start(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            ConnectError::Unreachable { .. } => Some("`orchestrator serve` starts one".into()),
            ConnectError::Lost { .. } => Some("`orchestrator serve --listen` starts one there".into()),
            ConnectError::Refused { .. } => {
                Some("it was removed or has ended: `orchestrator access list` there shows all".into())
            }
            ConnectError::NoAccess { .. } | ConnectError::Pass(_) => Some(
                "`orchestrator access add NAME --to FILE` there makes one; name it here with --access FILE"
                    .into(),
            ),
            ConnectError::Stranger { .. } => None,
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
    Ok(CoordinatorClient::new(channel(settings).await?))
}

/// The same for plans and their runs.
pub async fn connect_plans(settings: &Settings) -> Result<PlansClient, ConnectError> {
    Ok(PlansClient::new(channel(settings).await?).max_decoding_message_size(MAX_MESSAGE))
}

/// The same for language models.
pub async fn connect_assistant(settings: &Settings) -> Result<AssistantClient, ConnectError> {
    Ok(AssistantClient::new(channel(settings).await?))
}

async fn channel(settings: &Settings) -> Result<Channel, ConnectError> {
    if let Some(address) = &settings.coordinator {
        if address.starts_with("https://") {
            let stream = remote::dial(address, settings.access().as_deref()).await?;
            return over_stream(stream, address.clone()).await;
        }
        return over_network(address).await;
    }
    let socket = settings.socket();
    if !settings.store_is_explicit && std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        return over_socket(&socket).await;
    }
    let fleet = app::start(settings).await?;
    in_process(routes(&fleet)).await
}

/// `http://host:port`, as a tunnel to a socket has it, or `unix:/path`.
async fn over_network(address: &str) -> Result<Channel, ConnectError> {
    let unreachable = |cause| ConnectError::Unreachable { address: address.to_owned(), cause };
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(unreachable)?;
    endpoint.connect().await.map_err(unreachable)
}

async fn over_socket(socket: &Path) -> Result<Channel, ConnectError> {
    let path = socket.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static(AUTHORITY).connect_with_connector(connector).await;
    let unreachable =
        |cause| ConnectError::Unreachable { address: format!("unix:{}", socket.display()), cause };
    channel.map_err(unreachable)
}

/// Serves inside this process and gives a way to it.
async fn in_process(routes: Routes) -> Result<Channel, ConnectError> {
    let (ours, theirs) = tokio::io::duplex(IN_MEMORY_BUFFER);
    tokio::spawn(async move {
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(theirs));
        Server::builder().add_routes(routes).serve_with_incoming(incoming).await
    });
    over_stream(ours, "this process".to_owned()).await
}

/// A way to the coordinator at the other end of the one stream there is.
async fn over_stream<S>(stream: S, address: String) -> Result<Channel, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(stream);
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| std::io::Error::other("the connection has ended"));
        async move { stream.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static(AUTHORITY).connect_with_connector(connector).await;
    channel.map_err(|cause| ConnectError::Unreachable { address, cause })
}

/// Serves commands on a socket, and on the network where asked to, and keeps the fleet as wished, until told to stop.
pub async fn serve(
    settings: &Settings,
    socket: &Path,
    listen: Option<SocketAddr>,
    stop: CancellationToken,
) -> Result<(), ConnectError> {
    let fleet = app::start(settings).await?;
    let failed = |place: String| move |cause| ConnectError::Serve { place, cause };
    let place = socket.display().to_string();
    let unix = bind_private(socket).map_err(failed(place.clone()))?;
    let network = match listen {
        Some(address) => Some(TcpListener::bind(address).await.map_err(failed(address.to_string()))?),
        None => None,
    };
    info!(socket = %socket.display(), store = fleet.store_name(), "serving, and keeping the fleet as wished");
    let routes = routes(&fleet);
    let (served, reached, (), ()) = tokio::join!(
        async {
            let _last = stop.clone().drop_guard();
            until_stopped(&fleet, &stop, serve_unix(routes, unix, stop.clone())).await
        },
        async {
            let Some(listener) = network else { return Ok(()) };
            let _last = stop.clone().drop_guard();
            let address = listener.local_addr()?;
            info!(%address, "listening; `orchestrator access add` lets somebody in");
            until_stopped(&fleet, &stop, serve_network(Arc::clone(&fleet), listener, stop.clone())).await
        },
        fleet.keep(stop.clone()),
        fleet.keep_runs(stop.clone())
    );
    std::fs::remove_file(socket).ok();
    info!("stopped");
    served.map_err(failed(place))?;
    reached.map_err(failed("the network".to_owned()))
}

/// How long those who listen have to leave by themselves.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until the end, or until a moment after `stop`: who follows a log would hold it up for ever. Changes that are
/// being carried out are seen through.
async fn until_stopped(
    fleet: &Fleet,
    stop: &CancellationToken,
    serving: impl Future<Output = std::io::Result<()>>,
) -> std::io::Result<()> {
    let all_is_done = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
        while fleet.holds.is_changing() {
            tokio::time::sleep(GRACE).await;
        }
    };
    tokio::select! {
        served = serving => served,
        () = all_is_done => Ok(()),
    }
}
