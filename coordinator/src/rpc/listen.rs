//! Serving over the network: a bounded number of connections, each with a deadline for its handshake, and only for
//! those who have access.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proto::peer::Peer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::service::routes;
use super::tls;
use crate::agents::tls::public_key;
use crate::fleet::Fleet;

const CONNECTIONS: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// After descriptors have run out, the next connection may do better.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves all who have access until `stop`.
pub async fn serve_network(
    fleet: Arc<Fleet>,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let (sender, incoming) = mpsc::channel(16);
    let routes = routes(&fleet);
    let accepting = tokio::spawn(stop.clone().run_until_cancelled_owned(accept(fleet, listener, sender)));
    let served = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(ReceiverStream::new(incoming), stop.cancelled_owned())
        .await;
    accepting.abort();
    served.map_err(io::Error::other)
}

async fn accept(fleet: Arc<Fleet>, listener: TcpListener, ready: mpsc::Sender<io::Result<Connection>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                let (fleet, ready) = (Arc::clone(&fleet), ready.clone());
                tokio::spawn(async move {
                    match timeout(HANDSHAKE, shake_hands(&fleet, stream)).await {
                        Ok(Ok((stream, who))) => {
                            info!(%from, who, "connected");
                            let _ = ready.send(Ok(Peer { stream, held: place })).await;
                        }
                        Ok(Err(error)) => refused(from, &error),
                        Err(_) => warn!(%from, "handshake took too long"),
                    }
                });
            }
            Err(error) => {
                warn!(%error, "connection not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn refused(from: SocketAddr, error: &io::Error) {
    warn!(%from, %error, "connection refused");
}

/// The stream and whose it is.
async fn shake_hands(fleet: &Fleet, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, String)> {
    stream.set_nodelay(true)?;
    let own = fleet.own_certificate().await.map_err(io::Error::other)?;
    let config = tls::server(own).map_err(io::Error::other)?;
    let stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
    let key = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(public_key);
    let key = key.ok_or(io::ErrorKind::PermissionDenied)?;
    match fleet.who_has(&key).await.map_err(io::Error::other)? {
        Some(who) => Ok((stream, who)),
        None => Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("nobody's key: {key}"))),
    }
}

/// The other side, and its place among those that may be connected.
type Connection = Peer<TlsStream<TcpStream>, OwnedSemaphorePermit>;
