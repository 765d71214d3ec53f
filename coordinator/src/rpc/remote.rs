//! Connecting with a coordinator elsewhere, over TLS and with an access of one's own.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::ConnectError;
use super::pass::Pass;
use super::tls;
use crate::agents::tls::COORDINATOR;

const DEADLINE: Duration = Duration::from_secs(10);
/// Where `serve --listen` listens unless told otherwise.
pub const PORT: u16 = 7643;

/// A stream that both ends have accepted. `address` is `https://host[:port]`.
pub async fn dial(address: &str, access: Option<&Path>) -> Result<TlsStream<TcpStream>, ConnectError> {
    let access = access.ok_or_else(|| ConnectError::NoAccess { address: address.to_owned() })?;
    let pass = Pass::read(access)?;
    let lost = |cause| ConnectError::Lost { address: address.to_owned(), cause };
    let config = tls::client(&pass).map_err(|cause| lost(io::Error::other(cause)))?;
    let reached = timeout(DEADLINE, shake_hands(address, config)).await;
    match reached.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(Some(stream)) => Ok(stream),
        Ok(None) => Err(ConnectError::Refused { address: address.to_owned(), access: access.to_owned() }),
        Err(cause) if is_a_stranger(&cause) => {
            Err(ConnectError::Stranger { address: address.to_owned(), cause })
        }
        Err(cause) => Err(lost(cause)),
    }
}

/// Nothing where the coordinator hung up on us, as it does with those who have no access.
async fn shake_hands(
    address: &str,
    config: rustls::ClientConfig,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let stream = TcpStream::connect(host_and_port(address)).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(COORDINATOR).map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    // A server speaks first in HTTP/2; one that does not let us in hangs up instead.
    match stream.fill_buf().await {
        Ok([]) => Ok(None),
        Ok(_) => Ok(Some(stream)),
        Err(error) if hung_up(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

fn is_a_stranger(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

fn host_and_port(address: &str) -> String {
    let host = address.trim_start_matches("https://").trim_end_matches('/');
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    // An IPv6 address without a port has colons of its own, and brackets around them.
    if has_port && !host.ends_with(']') { host.to_owned() } else { format!("{host}:{PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_left_out() {
        for (address, expected) in [
            ("https://attic", "attic:7643"),
            ("https://attic:1/", "attic:1"),
            ("https://[fd00::1]", "[fd00::1]:7643"),
            ("https://[fd00::1]:9", "[fd00::1]:9"),
        ] {
            assert_eq!(host_and_port(address), expected);
        }
    }
}
