//! Who this node is: its key (made here, never leaving), its certificate, the fleet's CA and its name.
//!
//! `identity` is a symlink to a folder `identity.<n>` that is complete before the link turns to it, so no
//! crash leaves a key beside the certificate of another one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proto::code::Code;
use proto::ids::NodeName;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::config::DataDir;
use crate::disk::{self, DiskError, Durability, Lock};

mod der;

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";
const CA: &str = "ca.pem";
const NODE: &str = "node";
const PENDING_KEY: &str = "pending-key.pem";
const PENDING_NODE: &str = "pending-node";

/// Why an identity could not be made, read or replaced.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("this node is not enrolled: {} is missing", path.display())]
    NotEnrolled { path: PathBuf },
    #[error("{} is not readable as what it should be", path.display())]
    Unreadable { path: PathBuf },
    #[error("could not make a key")]
    Key(#[source] rcgen::Error),
    #[error("the input has no {0} in PEM")]
    NoPem(&'static str),
    #[error("the certificate is not for a key of this node")]
    OtherKey,
    #[error("the certificate is not one of the given CA for {name}")]
    Refused {
        name: String,
        #[source]
        cause: rustls::Error,
    },
}

impl IdentityError {
    pub fn code(&self) -> Code {
        match self {
            Self::NoPem(_) | Self::OtherKey | Self::Refused { .. } => Code::InvalidInput,
            Self::NotEnrolled { .. } => Code::NotFound,
            Self::Disk(_) | Self::Unreadable { .. } => Code::Failed,
            Self::Key(_) => Code::Internal,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotEnrolled { .. } => Some("run `orchestrator node add` for this machine".to_owned()),
            Self::OtherKey => Some("run `enrol` again and have the request signed that it prints".to_owned()),
            Self::Refused { .. } => {
                Some("check the clock of this machine, and which fleet signed".to_owned())
            }
            Self::Disk(error) if error.is_full() => Some("free some disk space".to_owned()),
            Self::Disk(_) | Self::Unreadable { .. } | Self::Key(_) | Self::NoPem(_) => None,
        }
    }
}

/// What the agent serves with.
pub struct Identity {
    pub node: NodeName,
    pub key: Arc<CertifiedKey>,
    pub ca: Vec<CertificateDer<'static>>,
    pub expires_unix: i64,
}

/// Reads the identity in force.
///
/// # Errors
/// When the node is not enrolled or a file is broken.
pub fn load(data: &DataDir) -> Result<Identity, IdentityError> {
    let dir = data.identity();
    let chain = certificates(&read(&dir.join(CERTIFICATE))?);
    let leaf = chain.first().ok_or(IdentityError::Unreadable { path: dir.join(CERTIFICATE) })?;
    let (_, expires_unix) =
        der::validity(leaf).ok_or(IdentityError::Unreadable { path: dir.join(CERTIFICATE) })?;
    let key =
        certified(leaf, &read(&dir.join(KEY))?).ok_or(IdentityError::Unreadable { path: dir.join(KEY) })?;
    let ca = certificates(&read(&dir.join(CA))?);
    if ca.is_empty() {
        return Err(IdentityError::Unreadable { path: dir.join(CA) });
    }
    Ok(Identity { node: node_name(&dir.join(NODE))?, key: Arc::new(key), ca, expires_unix })
}

/// Makes a key unless one is waiting for its certificate already, and returns a request for it.
///
/// # Errors
/// When the key cannot be made or kept.
pub fn request(data: &DataDir, node: Option<&NodeName>) -> Result<String, IdentityError> {
    let _lock = locked(data)?;
    let dir = data.identity();
    let node = match node {
        Some(name) => name.clone(),
        None => node_name(&dir.join(NODE))?,
    };
    if !dir.exists() {
        let first = data.0.join("identity.1");
        disk::make_dir(&first, 0o700)?;
        turn_link(data, "identity.1")?;
    }
    disk::replace(&dir.join(PENDING_NODE), node.as_str().as_bytes(), 0o600, Durability::PowerLoss)?;
    let key = pending_key(&dir.join(PENDING_KEY))?;
    let mut params = CertificateParams::new(vec![server_name(&node)]).map_err(IdentityError::Key)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, server_name(&node));
    let request = params.serialize_request(&key).map_err(IdentityError::Key)?;
    request.pem().map_err(IdentityError::Key)
}

/// Switches to a certificate for the pending (or the present) key. Without CA in `pem`, the present CA stays.
///
/// # Errors
/// When it is not for a key of ours, not of that CA, not valid now, or cannot be written.
pub fn install(data: &DataDir, pem: &[u8]) -> Result<(), IdentityError> {
    let _lock = locked(data)?;
    let dir = data.identity();
    let mut chain = certificates(pem).into_iter();
    let leaf = chain.next().ok_or(IdentityError::NoPem("certificate"))?;
    let mut ca: Vec<_> = chain.collect();
    if ca.is_empty() {
        ca = certificates(&fs::read(dir.join(CA)).unwrap_or_default());
    }
    if ca.is_empty() {
        return Err(IdentityError::NoPem("CA certificate"));
    }
    let (key_pem, node) = owner(&dir, &leaf)?;
    verify(&leaf, &ca, &node)?;
    let files = [
        (KEY, key_pem),
        (CERTIFICATE, to_pem(&[leaf])),
        (CA, to_pem(&ca)),
        (NODE, node.as_str().as_bytes().to_vec()),
    ];
    switch(data, &files)
}

/// The name by which the coordinator knows the node's certificate.
pub fn server_name(node: &NodeName) -> String {
    format!("{node}.node.orchestrator.internal")
}

/// The moment at which a certificate is judged. A machine without a battery for its clock is behind until it has asked
/// another one, and on a network of its own for ever: a certificate from the future only shows that.
pub fn moment(leaf: &[u8], now: UnixTime) -> UnixTime {
    let since = der::validity(leaf).and_then(|(since, _)| u64::try_from(since).ok()).unwrap_or(0);
    UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs().max(since)))
}

/// Removes generations that no link points to, and temporary files a crash left.
pub fn sweep(data: &DataDir) {
    let Ok(_lock) = locked(data) else { return };
    let Ok(present) = fs::read_link(data.identity()) else { return };
    for entry in fs::read_dir(&data.0).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b"identity.")
            && entry.file_type().is_ok_and(|kind| kind.is_dir())
            && present != Path::new(&name)
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The key among ours that the certificate is for, and the node's name that goes with it.
fn owner(dir: &Path, leaf: &CertificateDer<'static>) -> Result<(Vec<u8>, NodeName), IdentityError> {
    for (key, node) in [(PENDING_KEY, PENDING_NODE), (KEY, NODE)] {
        let Ok(pem) = fs::read(dir.join(key)) else { continue };
        if certified(leaf, &pem).is_some() {
            return Ok((pem, node_name(&dir.join(node))?));
        }
    }
    Err(IdentityError::OtherKey)
}

fn verify(
    leaf: &CertificateDer<'static>,
    ca: &[CertificateDer<'static>],
    node: &NodeName,
) -> Result<(), IdentityError> {
    let name = server_name(node);
    let refused = |cause| IdentityError::Refused { name: name.clone(), cause };
    let mut roots = RootCertStore::empty();
    for root in ca {
        roots.add(root.clone()).map_err(refused)?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
        .build()
        .map_err(|cause| refused(rustls::Error::General(cause.to_string())))?;
    let expected = ServerName::try_from(name.clone())
        .map_err(|cause| refused(rustls::Error::General(cause.to_string())))?;
    verifier.verify_server_cert(leaf, &[], &expected, &[], moment(leaf, UnixTime::now())).map_err(refused)?;
    Ok(())
}

/// Writes a whole new generation and turns the link to it in one step.
fn switch(data: &DataDir, files: &[(&str, Vec<u8>)]) -> Result<(), IdentityError> {
    let previous = fs::read_link(data.identity()).ok();
    let number = previous
        .as_ref()
        .and_then(|path| path.to_str()?.strip_prefix("identity.")?.parse::<u64>().ok())
        .unwrap_or(0);
    let name = format!("identity.{}", number + 1);
    let dir = data.0.join(&name);
    disk::remove_tree(&dir)?;
    disk::make_dir(&dir, 0o700)?;
    for (file, content) in files {
        disk::replace(&dir.join(file), content, 0o600, Durability::PowerLoss)?;
    }
    crate::fault::point("identity.before_switch");
    turn_link(data, &name)?;
    crate::fault::point("identity.after_switch");
    if let Some(previous) = previous {
        disk::remove_tree(&data.0.join(previous))?;
    }
    Ok(())
}

fn turn_link(data: &DataDir, target: &str) -> Result<(), IdentityError> {
    let link = data.identity();
    let temp = disk::temp_of(&link);
    let _ = fs::remove_file(&temp);
    std::os::unix::fs::symlink(target, &temp)
        .and_then(|()| fs::rename(&temp, &link))
        .map_err(|cause| DiskError::new("switch", &link, cause))?;
    Ok(disk::sync_dir(&data.0)?)
}

fn locked(data: &DataDir) -> Result<Lock, IdentityError> {
    disk::make_dir(&data.0, 0o755)?;
    Ok(Lock::take(&data.identity_lock())?)
}

fn pending_key(path: &Path) -> Result<KeyPair, IdentityError> {
    if let Some(key) = fs::read_to_string(path).ok().and_then(|pem| KeyPair::from_pem(&pem).ok()) {
        return Ok(key);
    }
    let key = KeyPair::generate().map_err(IdentityError::Key)?;
    disk::replace(path, key.serialize_pem().as_bytes(), 0o600, Durability::PowerLoss)?;
    Ok(key)
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => IdentityError::NotEnrolled { path: path.to_owned() },
        _ => DiskError::new("read", path, cause).into(),
    })
}

fn node_name(path: &Path) -> Result<NodeName, IdentityError> {
    let text = String::from_utf8_lossy(&read(path)?).trim().to_owned();
    NodeName::parse(&text).map_err(|_| IdentityError::Unreadable { path: path.to_owned() })
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// Pairs certificate and key; none when they do not belong together.
fn certified(leaf: &CertificateDer<'static>, key_pem: &[u8]) -> Option<CertifiedKey> {
    let key = PrivateKeyDer::from_pem_slice(key_pem).ok()?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).ok()?;
    let certified = CertifiedKey::new(vec![leaf.clone()], key);
    certified.keys_match().ok().map(|()| certified)
}

fn to_pem(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut pem = String::new();
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = der::base64(certificate);
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}
