//! Real handshakes against a server that asks for a client certificate, as agents do.

use std::path::Path;
use std::sync::Arc;

use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::clock::{Clock, SystemClock, UnixMillis};
use crate::fleet::ca::{CertificateAuthority, FleetCa};
use crate::fleet::keyring::Keyring;
use crate::store::sqlite::SqliteStore;

const DAY: i64 = 24 * 3600 * 1000;

/// Days away from now.
struct Shifted(i64);

impl Clock for Shifted {
    fn now(&self) -> UnixMillis {
        SystemClock.now() + self.0 * DAY
    }
}

async fn fleet() -> Arc<FleetCa> {
    let dir = tempfile::tempdir().expect("dir");
    fleet_in(dir.path(), 0).await
}

/// The fleet whose store is in this folder, used some days from now.
async fn fleet_in(dir: &Path, days: i64) -> Arc<FleetCa> {
    let store = SqliteStore::open(&dir.join("db"), Arc::new(SystemClock)).await.expect("store");
    let keyring = Arc::new(Keyring::from_file(&dir.join("key")).expect("keyring"));
    CertificateAuthority::new(Arc::new(store), keyring, Arc::new(Shifted(days))).get().await.expect("made")
}

/// A node's key and certificate.
struct Served {
    config: ServerConfig,
    public_key: String,
}

/// What a node called `name` serves with, whose fleet is `ca` and which trusts clients of `trusts`.
fn serving(ca: &FleetCa, name: &str, trusts: &FleetCa) -> Served {
    let key = KeyPair::generate().expect("key");
    // The request asks for names that are not its own.
    let asked = rcgen::CertificateParams::new(vec![COORDINATOR.to_owned()]).expect("params");
    let csr = asked.serialize_request(&key).expect("request").pem().expect("pem");
    let signed = ca.sign_node(&NodeName::parse(name).expect("name"), &csr).expect("signed");
    let leaf = CertificateDer::from_pem_slice(signed.pem.as_bytes()).expect("certificate");
    assert_eq!(public_key(&leaf).as_ref(), Some(&signed.public_key));
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(trusts.certificate().clone()).expect("root");
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_client_cert_verifier(clients.expect("verifier"))
        .with_single_cert(vec![leaf], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("key fits");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Served { config, public_key: signed.public_key }
}

fn record(public_key: &str) -> NodeRecord {
    NodeRecord { public_key: public_key.into(), ..NodeRecord::sample("attic") }
}

/// Dials as the fleet `ca`, and says how it went in a word.
async fn dial(ca: &FleetCa, node: &NodeRecord, served: ServerConfig) -> &'static str {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let server = tokio::spawn(async move {
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(served)).accept(theirs).await {
            let _ = stream.write_all(b"settings").await;
        }
    });
    let credentials = Credentials { ca: ca.certificate().clone(), client: ca.client().expect("client") };
    let outcome = shake_hands(node, &credentials, ours).await;
    server.await.expect("no panic");
    match outcome {
        Ok(_) => "accepted",
        Err(AgentError::CertificateExpired { .. }) => "expired",
        Err(AgentError::RefusedUs { .. }) => "refused us",
        Err(AgentError::NotOurs { reason, .. }) if reason.contains("another fleet") => "other fleet",
        Err(AgentError::NotOurs { reason, .. }) if reason.contains("another node") => "other node",
        Err(AgentError::NotOurs { reason, .. }) if reason.contains("another key") => "other key",
        Err(AgentError::NotOurs { reason, .. }) if reason.contains("not valid yet") => "too early",
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn only_the_node_itself_with_its_recorded_key_is_accepted() {
    let (ca, other) = (fleet().await, fleet().await);
    let node = |served: &Served| record(&served.public_key);

    let good = serving(&ca, "attic", &ca);
    assert_eq!(dial(&ca, &node(&good), good.config).await, "accepted");
    let foreign = serving(&other, "attic", &ca);
    assert_eq!(dial(&ca, &node(&foreign), foreign.config).await, "other fleet");
    let misnamed = serving(&ca, "cellar", &ca);
    assert_eq!(dial(&ca, &node(&misnamed), misnamed.config).await, "other node");
    let rekeyed = serving(&ca, "attic", &ca);
    assert_eq!(dial(&ca, &record("00"), rekeyed.config).await, "other key");
    let distrustful = serving(&ca, "attic", &other);
    assert_eq!(dial(&ca, &node(&distrustful), distrustful.config).await, "refused us");
}

#[tokio::test]
async fn a_key_that_is_being_installed_is_accepted_beside_the_recorded_one() {
    let ca = fleet().await;
    let served = serving(&ca, "attic", &ca);
    let mut node = record(&served.public_key);
    node.install.next_public_key = Some(std::mem::replace(&mut node.public_key, "00".into()));
    assert_eq!(dial(&ca, &node, served.config).await, "accepted");
}

#[tokio::test]
async fn a_certificate_is_good_for_ninety_days_and_for_clocks_that_lag_a_day() {
    let dir = tempfile::tempdir().expect("dir");
    let today = fleet_in(dir.path(), 0).await;
    for (days, expected) in [(1, "accepted"), (-89, "accepted"), (-91, "expired"), (3, "too early")] {
        let served = serving(&*fleet_in(dir.path(), days).await, "attic", &today);
        let node = record(&served.public_key);
        assert_eq!(dial(&today, &node, served.config).await, expected, "signed {days} days from now");
    }
}

#[tokio::test]
async fn coordinators_that_meet_a_new_store_at_once_agree_on_one_ca() {
    let dir = tempfile::tempdir().expect("dir");
    let made = futures::future::join_all((0..6).map(|_| fleet_in(dir.path(), 0))).await;
    assert!(made.iter().all(|ca| ca.fleet_id() == made[0].fleet_id()));
}

#[tokio::test]
async fn a_request_that_was_tampered_with_is_not_signed() {
    let key = KeyPair::generate().expect("key");
    let csr = rcgen::CertificateParams::default().serialize_request(&key).expect("request");
    let pem = csr.pem().expect("pem");
    let name = NodeName::parse("attic").expect("name");
    let ca = fleet().await;
    assert!(ca.sign_node(&name, &pem).is_ok());
    // The signature is what comes last.
    let mut lines: Vec<&str> = pem.lines().collect();
    let at = lines.len() - 2;
    let first = if lines[at].starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{first}{}", &lines[at][1..]);
    lines[at] = &tampered;
    assert!(ca.sign_node(&name, &lines.join("\n")).is_err());
}
