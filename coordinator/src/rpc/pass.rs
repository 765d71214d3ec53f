//! The file by which a person or program gets into a coordinator over the network: the certificate by which the
//! coordinator is known, and a key of one's own with a certificate around it. All PEM, one after the other.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::agents::tls::public_key;

#[derive(Debug, thiserror::Error)]
pub enum PassError {
    #[error("could not {operation} {}", path.display())]
    File {
        operation: &'static str,
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("{} is not an access file", path.display())]
    Malformed { path: PathBuf },
}

/// See the module's words.
pub struct Pass {
    pub ca: CertificateDer<'static>,
    pub certificate: CertificateDer<'static>,
    pub key: PrivateKeyDer<'static>,
}

/// A key that nobody knows yet.
pub struct NewKey {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl NewKey {
    /// # Errors
    /// Where the system has no randomness.
    pub fn make(name: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key)?;
        Ok(Self { key, certificate })
    }

    /// What the coordinator is told of it.
    pub fn public_key(&self) -> String {
        public_key(self.certificate.der()).expect("a certificate of our own can be read")
    }

    /// Writes the file, for its owner only; one that is there already is not touched.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, path: &Path, ca_pem: &str) -> Result<(), PassError> {
        let failed = |cause| PassError::File { operation: "write", path: path.to_owned(), cause };
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let text = format!("{ca_pem}{}{}", self.certificate.pem(), self.key.serialize_pem());
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

impl Pass {
    /// # Errors
    /// Where the file cannot be read or is another one.
    pub fn read(path: &Path) -> Result<Self, PassError> {
        let text = fs::read(path).map_err(|cause| PassError::File {
            operation: "read",
            path: path.to_owned(),
            cause,
        })?;
        Self::parse(&text).ok_or_else(|| PassError::Malformed { path: path.to_owned() })
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut certificates = CertificateDer::pem_slice_iter(text);
        let ca = certificates.next()?.ok()?;
        let certificate = certificates.next()?.ok()?;
        let key = PrivateKeyDer::from_pem_slice(text).ok()?;
        Some(Self { ca, certificate, key })
    }
}
