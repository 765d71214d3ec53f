//! The fleet's certificate authority: made on first use, kept in the store with its key sealed by the master key.
//! It signs what nodes ask for, under names that we choose, and makes the coordinator's own certificate.

use std::sync::Arc;
use std::time::Duration;

use proto::code::Code;
use proto::ids::NodeName;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::agents::tls::{COORDINATOR, OwnCertificate, server_name};
use crate::clock::{Clock, UnixMillis};
use crate::fault;
use crate::fleet::keyring::{Keyring, KeyringError, Sealed, Secret, encode_hex};
use crate::store::json::{get_json, put_json};
use crate::store::{Precondition, Store, StoreError, Txn};

pub const KEY: &str = "/fleet/ca";

const DAY: i64 = 24 * 3600;
const NODE_DAYS: i64 = 90;
const COORDINATOR_DAYS: i64 = 2;
const CA_DAYS: i64 = 20 * 365;
/// Machines without a clock battery wake up in the past.
const BACKDATED_DAYS: i64 = 2;

#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("could not keep the fleet's CA")]
    Store(#[source] StoreError),
    #[error("could not use the fleet's CA")]
    Keyring(#[source] KeyringError),
    #[error("the fleet's CA in the store is damaged")]
    Damaged(#[source] rcgen::Error),
    #[error("the certificate request of {node} is not valid")]
    Request {
        node: NodeName,
        #[source]
        cause: rcgen::Error,
    },
    #[error("could not make a certificate for {subject}")]
    Sign {
        subject: String,
        #[source]
        cause: rcgen::Error,
    },
}

impl CaError {
    pub fn code(&self) -> Code {
        match self {
            CaError::Store(cause) => cause.code(),
            CaError::Keyring(cause) => cause.code(),
            CaError::Damaged(_) | CaError::Request { .. } => Code::Failed,
            CaError::Sign { .. } => Code::Internal,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            CaError::Store(cause) => cause.hint(),
            CaError::Keyring(cause) => cause.hint(),
            CaError::Damaged(_) | CaError::Request { .. } | CaError::Sign { .. } => None,
        }
    }
}

/// As it lies in the store.
#[derive(Serialize, Deserialize)]
struct Stored {
    certificate_pem: String,
    key: Sealed,
}

/// A node's new certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The certificate, then the CA's: what `node-agent install-certificate` takes.
    pub pem: String,
    /// sha256 of its public key (SubjectPublicKeyInfo), hex.
    pub public_key: String,
}

/// The fleet's CA, read from the store when first needed and made when there is none.
pub struct CertificateAuthority {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    ca: OnceCell<Arc<FleetCa>>,
}

impl CertificateAuthority {
    pub fn new(store: Arc<dyn Store>, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> Self {
        Self { store, keyring, clock, ca: OnceCell::new() }
    }

    pub async fn get(&self) -> Result<Arc<FleetCa>, CaError> {
        self.ca.get_or_try_init(|| self.load()).await.cloned()
    }

    async fn load(&self) -> Result<Arc<FleetCa>, CaError> {
        let mut stored = get_json::<Stored>(&*self.store, KEY).await.map_err(CaError::Store)?;
        if stored.is_none() {
            self.make().await?;
            stored = get_json::<Stored>(&*self.store, KEY).await.map_err(CaError::Store)?;
        }
        let stored = stored.ok_or_else(|| CaError::Store(StoreError::Conflict { key: KEY.to_owned() }))?;
        let key = self.keyring.unseal(KEY, &stored.value.key).map_err(CaError::Keyring)?;
        FleetCa::read(stored.value.certificate_pem, &key, Arc::clone(&self.clock)).map(Arc::new)
    }

    /// Of two coordinators that do this at once, one is too late and uses what the other made.
    async fn make(&self) -> Result<(), CaError> {
        let (certificate_pem, key) = make_ca(self.clock.now()).map_err(CaError::Damaged)?;
        let key = self.keyring.seal(KEY, &key).map_err(CaError::Keyring)?;
        let put = put_json(KEY, &Stored { certificate_pem, key }).map_err(CaError::Store)?;
        let txn = Txn::new().when(Precondition::Absent { key: KEY.to_owned() }).then(put);
        fault::point("ca.made");
        match self.store.commit(txn).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(cause) => Err(CaError::Store(cause)),
        }
    }
}

fn make_ca(now: UnixMillis) -> Result<(String, Secret), rcgen::Error> {
    let key = KeyPair::generate()?;
    let name = encode_hex(&digest(&SHA256, key.public_key_raw()).as_ref()[..4]);
    let mut params = params(&format!("orchestrator fleet {name}"), now, CA_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), Secret::new(key.serialize_pem())))
}

/// See the module's words.
pub struct FleetCa {
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    clock: Arc<dyn Clock>,
}

impl FleetCa {
    fn read(certificate_pem: String, key: &Secret, clock: Arc<dyn Clock>) -> Result<Self, CaError> {
        let damaged = |_| CaError::Damaged(rcgen::Error::CouldNotParseCertificate);
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(damaged)?;
        let key = KeyPair::from_pem(&String::from_utf8_lossy(key.expose())).map_err(CaError::Damaged)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(CaError::Damaged)?;
        Ok(Self { certificate_pem, certificate, issuer, clock })
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Names the fleet in messages: the start of the sha256 of its CA certificate.
    pub fn fleet_id(&self) -> String {
        fleet_id(&self.certificate)
    }

    /// Signs a node's key for 90 days, under the node's name whatever the request says.
    pub fn sign_node(&self, node: &NodeName, csr_pem: &str) -> Result<NodeCertificate, CaError> {
        let invalid = |cause| CaError::Request { node: node.clone(), cause };
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(invalid)?;
        let name = server_name(node);
        let sign = |cause| CaError::Sign { subject: name.clone(), cause };
        request.params = self.leaf(&name, ExtendedKeyUsagePurpose::ServerAuth, NODE_DAYS).map_err(sign)?;
        let certificate = request.signed_by(&self.issuer).map_err(sign)?;
        let public_key = digest(&SHA256, &request.public_key.subject_public_key_info());
        Ok(NodeCertificate {
            pem: format!("{}{}", certificate.pem(), self.certificate_pem),
            public_key: encode_hex(public_key.as_ref()),
        })
    }

    /// Makes the coordinator's certificate for agents, whose key is never written anywhere.
    pub fn client(&self) -> Result<OwnCertificate, CaError> {
        self.coordinator(ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The same for people and programs that connect over the network.
    pub fn server(&self) -> Result<OwnCertificate, CaError> {
        self.coordinator(ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    fn coordinator(&self, usage: ExtendedKeyUsagePurpose) -> Result<OwnCertificate, CaError> {
        let sign = |cause| CaError::Sign { subject: COORDINATOR.to_owned(), cause };
        let key = KeyPair::generate().map_err(sign)?;
        let params = self.leaf(COORDINATOR, usage, COORDINATOR_DAYS).map_err(sign)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(sign)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(OwnCertificate { chain: vec![certificate.der().clone()], key })
    }

    fn leaf(
        &self,
        name: &str,
        usage: ExtendedKeyUsagePurpose,
        days: i64,
    ) -> Result<CertificateParams, rcgen::Error> {
        let mut params = params(name, self.clock.now(), days)?;
        params.subject_alt_names = vec![SanType::DnsName(name.to_owned().try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}

/// See [`FleetCa::fleet_id`].
pub fn fleet_id(ca: &CertificateDer<'_>) -> String {
    encode_hex(&digest(&SHA256, ca).as_ref()[..6])
}

fn params(name: &str, now: UnixMillis, days: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name(name));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let after = |seconds: i64| epoch + Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    let now = now / 1000;
    params.not_before = after(now - BACKDATED_DAYS * DAY);
    params.not_after = after(now + days * DAY);
    let mut serial = [0; 16];
    SystemRandom::new().fill(&mut serial).map_err(|_| rcgen::Error::RingUnspecified)?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// A common name has room for 64 characters; the full name is among the alternative names.
fn common_name(name: &str) -> String {
    name.chars().take(64).collect()
}
