//! Mutual TLS with an agent: chain, name and the key recorded at enrolment must all fit.

use std::io;
use std::sync::Arc;

use proto::ids::NodeName;
use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring::default_provider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::agents::AgentError;
use crate::domain::node::NodeRecord;

/// The name in the coordinator's certificate.
pub const COORDINATOR: &str = "coordinator.orchestrator.internal";

/// The name in a node's certificate.
pub fn server_name(node: &NodeName) -> String {
    format!("{node}.node.orchestrator.internal")
}

/// A certificate of the coordinator's own, and its key.
pub struct OwnCertificate {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// What the coordinator brings to a handshake.
pub struct Credentials {
    pub ca: CertificateDer<'static>,
    pub client: OwnCertificate,
}

/// A connection that both ends have accepted.
pub struct Accepted<IO> {
    pub stream: TlsStream<IO>,
    pub expires_unix: i64,
    /// sha256 of the node's public key, hex.
    pub public_key: String,
}

/// Shakes hands over `io`, and waits until the agent has accepted our certificate too.
pub async fn shake_hands<IO: AsyncRead + AsyncWrite + Unpin + Send>(
    node: &NodeRecord,
    credentials: &Credentials,
    io: IO,
) -> Result<Accepted<IO>, AgentError> {
    let failed = |error| explain(node, error);
    let config = client_config(node, credentials).map_err(|error| failed(io::Error::other(error)))?;
    let name =
        ServerName::try_from(server_name(&node.name)).map_err(|error| failed(io::Error::other(error)))?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, io).await.map_err(failed)?;
    // In TLS 1.3 a server refuses a client only after the client's part is done. It speaks first in HTTP/2,
    // so its first bytes say that it has accepted us.
    if stream.fill_buf().await.map_err(failed)?.is_empty() {
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let expires_unix = leaf.and_then(not_after).unwrap_or(i64::MAX);
    let public_key = leaf.and_then(public_key).unwrap_or_default();
    Ok(Accepted { stream, expires_unix, public_key })
}

fn client_config(node: &NodeRecord, credentials: &Credentials) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(credentials.ca.clone())?;
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let keys =
        [Some(node.public_key.clone()), node.install.next_public_key.clone()].into_iter().flatten().collect();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { chain, keys }))
        .with_client_auth_cert(credentials.client.chain.clone(), credentials.client.key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Besides what the fleet's CA vouches for, the key must be one recorded for the node.
#[derive(Debug)]
struct Pinned {
    chain: Arc<WebPkiServerVerifier>,
    keys: Vec<String>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.chain.verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        let key = public_key(leaf).ok_or(CertificateError::BadEncoding)?;
        if self.keys.contains(&key) {
            return Ok(verified);
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// sha256 of the certificate's SubjectPublicKeyInfo, hex.
pub fn public_key(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let hash = digest(&SHA256, certificate.public_key().raw);
    Some(hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

fn explain(node: &NodeRecord, error: io::Error) -> AgentError {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).cloned();
    let (name, address) = (node.name.clone(), node.address.clone());
    match tls {
        Some(rustls::Error::InvalidCertificate(reason)) => wrong_certificate(name, address, &reason),
        Some(rustls::Error::AlertReceived(alert)) if is_refusal(alert) => {
            AgentError::RefusedUs { node: name, cause: Arc::new(error) }
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            AgentError::NotOurs { node: name, address, reason: "it does not speak TLS".to_owned() }
        }
        Some(_) | None => AgentError::Unreachable { node: name, address, cause: Arc::new(error) },
    }
}

fn wrong_certificate(node: NodeName, address: String, reason: &CertificateError) -> AgentError {
    let reason = match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            return AgentError::CertificateExpired { node };
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet, so a clock must be wrong".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is from another fleet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is another node of this fleet".to_owned()
        }
        CertificateError::ApplicationVerificationFailure => {
            "it has another key than the one recorded for the node".to_owned()
        }
        other => other.to_string(),
    };
    AgentError::NotOurs { node, address, reason }
}

fn is_refusal(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::HandshakeFailure
    )
}

#[cfg(test)]
mod tests;
