//! A fleet's CA, and clients with certificates of it.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use proto::v1::agent_client::AgentClient;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

pub const COORDINATOR: &str = "coordinator.orchestrator.internal";

pub type Client = AgentClient<Channel>;

pub struct Fleet {
    pub ca_pem: String,
    pub issuer: Issuer<'static, KeyPair>,
}

/// What a client shows.
pub struct Badge {
    pub name: &'static str,
    pub is_client: bool,
    pub is_expired: bool,
    /// For the agent, whose clock seems to be behind.
    pub is_from_the_future: bool,
}

impl Default for Badge {
    fn default() -> Self {
        Self { name: COORDINATOR, is_client: true, is_expired: false, is_from_the_future: false }
    }
}

impl Fleet {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let ca_pem = params.self_signed(&key).expect("CA").pem();
        Self { ca_pem, issuer: Issuer::new(params, key) }
    }

    /// A node's certificate for its request.
    pub fn sign(&self, csr: &str) -> String {
        self.sign_since(2000, csr)
    }

    /// A node's certificate that is valid from some year on.
    pub fn sign_since(&self, year: i32, csr: &str) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).expect("a request");
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        request.params.not_before = date_time_ymd(year, 1, 1);
        request.params.not_after = date_time_ymd(2090, 1, 1);
        request.signed_by(&self.issuer).expect("signed").pem()
    }

    pub async fn connect(&self, address: &str, node: &str, badge: Badge) -> Result<Client, tonic::Status> {
        self.channel(address, node, badge).await.map(AgentClient::new)
    }

    pub async fn channel(&self, address: &str, node: &str, badge: Badge) -> Result<Channel, tonic::Status> {
        let config = Arc::new(self.client_config(badge));
        let name = ServerName::try_from(format!("{node}.node.orchestrator.internal")).expect("a name");
        let address = address.to_owned();
        let connector = tower::service_fn(move |_| {
            let (connector, name, address) =
                (TlsConnector::from(config.clone()), name.clone(), address.clone());
            async move {
                let stream = TcpStream::connect(&address).await?;
                connector.connect(name, stream).await.map(TokioIo::new)
            }
        });
        let channel = Endpoint::from_static("http://agent").connect_with_connector(connector).await;
        channel.map_err(|error| tonic::Status::unavailable(format!("{error:?}")))
    }

    fn client_config(&self, badge: Badge) -> ClientConfig {
        let mut params = CertificateParams::new(vec![badge.name.to_owned()]).expect("params");
        params.extended_key_usages = vec![match badge.is_client {
            true => ExtendedKeyUsagePurpose::ClientAuth,
            false => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        if badge.is_expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        }
        if badge.is_from_the_future {
            params.not_before = date_time_ymd(2080, 1, 1);
            params.not_after = date_time_ymd(2090, 1, 1);
        }
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.ca_pem.as_bytes()).expect("pem")).expect("a root");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .expect("TLS 1.3")
                .with_root_certificates(roots)
                .with_client_auth_cert(vec![certificate.der().clone()], key)
                .expect("a certificate");
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}
