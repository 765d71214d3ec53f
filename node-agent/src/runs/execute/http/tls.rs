//! https, with the certificate authorities that this machine trusts.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::message::{Stream, Wire};

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Debian and its relatives, Fedora and its relatives, Alpine.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Shakes hands with who must be the host.
///
/// # Errors
/// Why not, for a person.
pub async fn secure(tcp: TcpStream, host: &str) -> Result<Stream, String> {
    let roots =
        tokio::task::spawn_blocking(roots).await.map_err(|_| "the agent is stopping".to_owned())??;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("{host} is no name for TLS"))?;
    let connector = TlsConnector::from(Arc::new(config));
    match timeout(HANDSHAKE, connector.connect(name, tcp)).await {
        Ok(Ok(stream)) => Ok(Wire::Tls(Box::new(stream)).buffered()),
        Ok(Err(error)) => Err(format!("{host}: {error}{}", hint(&error))),
        Err(_) => Err(format!("{host} did not shake hands within {HANDSHAKE:?}")),
    }
}

/// The agent speaks TLS 1.3 alone.
fn hint(error: &std::io::Error) -> &'static str {
    let is_old =
        error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()).is_some_and(|error| {
            matches!(
                error,
                rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)
                    | rustls::Error::PeerIncompatible(_)
            )
        });
    if is_old { "; hint: the agent speaks TLS 1.3 alone, and the server does not" } else { "" }
}

fn roots() -> Result<RootCertStore, String> {
    let named = std::env::var("SSL_CERT_FILE").ok();
    let mut bundles = named.as_deref().into_iter().chain(BUNDLES);
    let pem = bundles.find_map(|path| fs::read(path).ok()).ok_or(
        "this node has no list of certificate authorities; hint: install the package ca-certificates",
    )?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    Ok(roots)
}
