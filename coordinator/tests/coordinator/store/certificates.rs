//! A CA with a server certificate for 127.0.0.1 and a client certificate, as PEM files.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

pub struct Authority {
    folder: TempDir,
}

impl Authority {
    pub fn new() -> Authority {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut ca = CertificateParams::new([]).expect("parameters");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let certificate = ca.self_signed(&key).expect("sign");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("write");
        let issuer = Issuer::new(ca, key);
        let server = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        issue(folder.path(), &issuer, "server", &server);
        issue(folder.path(), &issuer, "client", &[ExtendedKeyUsagePurpose::ClientAuth]);
        Authority { folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn issue(folder: &Path, issuer: &Issuer<'_, KeyPair>, name: &str, uses: &[ExtendedKeyUsagePurpose]) {
    let mut parameters = CertificateParams::new(["127.0.0.1".into()]).expect("parameters");
    parameters.extended_key_usages = uses.to_vec();
    let key = KeyPair::generate().expect("key");
    let certificate = parameters.signed_by(&key, issuer).expect("sign");
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("write");
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).expect("write");
}
