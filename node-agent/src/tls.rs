//! TLS as the agent offers it: 1.3 only, h2, and only to the coordinator of its own fleet.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};

use crate::identity::{Identity, moment};

const COORDINATOR: &str = "coordinator.orchestrator.internal";

/// The TLS configuration in force. A new certificate replaces it; connections that stand keep theirs.
pub struct Tls {
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// # Errors
    /// When the identity's CA cannot be a root of trust.
    pub fn new(identity: &Identity) -> Result<Self, Error> {
        Ok(Self { config: RwLock::new(server_config(identity)?) })
    }

    /// What the next handshake uses.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// When the identity's CA cannot be a root of trust; the present configuration stays then.
    pub fn reload(&self, identity: &Identity) -> Result<(), Error> {
        let config = server_config(identity)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }
}

fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, Error> {
    let provider = Arc::new(default_provider());
    let clients = Arc::new(OnlyCoordinator::new(identity, provider.clone())?);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(Always(identity.key.clone())));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Every connection is verified anew, so that an expired or foreign certificate cannot ride on a ticket.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Accepts clients whose chain ends in the fleet's CA and whose name is the coordinator's; a node's own
/// certificate or one of another fleet is refused in the handshake.
#[derive(Debug)]
struct OnlyCoordinator {
    chain: Arc<dyn ClientCertVerifier>,
    name: ServerName<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl OnlyCoordinator {
    fn new(identity: &Identity, provider: Arc<CryptoProvider>) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for root in &identity.ca {
            roots.add(root.clone())?;
        }
        let algorithms = provider.signature_verification_algorithms;
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        let name = ServerName::try_from(COORDINATOR).map_err(|error| Error::General(error.to_string()))?;
        Ok(Self { chain, name, algorithms })
    }
}

impl ClientCertVerifier for OnlyCoordinator {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(leaf, intermediates, moment(leaf, now))?;
        verify_server_name(&ParsedCertificate::try_from(leaf)?, &self.name)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
