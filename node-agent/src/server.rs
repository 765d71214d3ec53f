//! Accepting connections: a bounded number of handshakes and connections at once, each handshake with a
//! deadline, so that strangers can neither exhaust the agent nor hold it up.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use proto::peer::Peer;
use proto::v1::agent_server::AgentServer;
use proto::v1::runs_server::RunsServer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;

use crate::rpc::Rpc;
use crate::rpc::runs::RunsRpc;
use crate::tls::Tls;

const CONNECTIONS: usize = 64;
const HANDSHAKES: usize = 16;
const HANDSHAKE: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(15);
const STREAMS: u32 = 128;
const WINDOW: u32 = 256 << 10;
/// For answers that are under way when the agent restarts; streams are cut off then.
const FAREWELL: Duration = Duration::from_millis(500);

/// Why it serves no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stopped,
    Restarting,
}

/// Serves until `stop` is done, or until the agent gives way to another program.
///
/// # Errors
/// When the server cannot go on.
pub async fn serve(
    rpc: Rpc,
    runs: RunsRpc,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<End, tonic::transport::Error> {
    let upgrades = rpc.upgrades.clone();
    let (sender, incoming) = mpsc::channel(HANDSHAKES);
    tokio::spawn(accept(listener, rpc.tls.clone(), sender));
    let services = Services { agent: AgentServer::new(rpc), runs: RunsServer::new(runs) };
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .serve_with_incoming_shutdown(services, ReceiverStream::new(incoming), upgrades.restarting());
    let farewell = async {
        upgrades.restarting().await;
        sleep(FAREWELL).await;
    };
    tokio::select! {
        () = stop => Ok(End::Stopped),
        result = server => result.map(|()| End::Restarting),
        () = farewell => Ok(End::Restarting),
    }
}

/// Both services on one port. A router crate would cost more than all they do.
#[derive(Clone)]
struct Services {
    agent: AgentServer<Rpc>,
    runs: RunsServer<RunsRpc>,
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let name = <RunsServer<RunsRpc> as NamedService>::NAME;
        let path = request.uri().path().strip_prefix('/').unwrap_or_default();
        match path.split_once('/').is_some_and(|(service, _)| service == name) {
            true => self.runs.call(request),
            false => self.agent.call(request),
        }
    }
}

async fn accept(listener: TcpListener, tls: Arc<Tls>, ready: mpsc::Sender<io::Result<Connection>>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(handshake) = handshakes.clone().acquire_owned().await else { return };
        let Ok(place) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (tls, ready) = (tls.clone(), ready.clone());
                tokio::spawn(async move {
                    let _handshake = handshake;
                    shake_hands(stream, &tls, place, &ready).await;
                });
            }
            // Out of descriptors, or the peer has gone: the next may do better.
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn shake_hands(
    stream: TcpStream,
    tls: &Tls,
    place: OwnedSemaphorePermit,
    ready: &mpsc::Sender<io::Result<Connection>>,
) {
    let peer = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |peer| peer.to_string());
    let _ = stream.set_nodelay(true);
    let acceptor = TlsAcceptor::from(tls.config());
    match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let _ = ready.send(Ok(Peer { stream, held: place })).await;
        }
        Ok(Err(error)) => tracing::warn!(peer, %error, "connection refused"),
        Err(_) => tracing::warn!(peer, "handshake took too long"),
    }
}

/// The other side, and its place among those that may be connected.
type Connection = Peer<TlsStream<TcpStream>, OwnedSemaphorePermit>;
