//! Who may speak to the agent, and how it gets and changes its certificate.

use proto::v1::{InstallCertificateRequest, ObserveRequest, RequestCertificateRequest};

use crate::fleet::{Badge, Fleet};
use crate::node::{Node, observe};

#[tokio::test]
async fn only_the_coordinator_of_this_fleet_gets_in() {
    let (node, _client) = Node::running().await;
    let cases = [
        ("a node's name", Badge { name: "pi.node.orchestrator.internal", ..Badge::default() }),
        ("a server's certificate", Badge { is_client: false, ..Badge::default() }),
        ("an expired one", Badge { is_expired: true, ..Badge::default() }),
    ];
    for (what, badge) in cases {
        assert!(is_refused(node.connect(badge).await).await, "{what}");
    }
    let stranger = Fleet { ca_pem: node.fleet.ca_pem.clone(), ..Fleet::new() };
    assert!(
        is_refused(stranger.connect(&node.address(), "pi", Badge::default()).await).await,
        "another fleet"
    );
    assert!(node.connect(Badge::default()).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_is_behind_keeps_no_coordinator_out() {
    let (node, mut client) = Node::running().await;
    let early = Badge { is_from_the_future: true, ..Badge::default() };
    assert_eq!(observe(&mut node.connect(early).await.expect("accepted")).await.node, "pi");
    let other = "pi.node.orchestrator.internal";
    let early = Badge { name: other, is_from_the_future: true, ..Badge::default() };
    assert!(is_refused(node.connect(early).await).await, "the name counts all the same");
    let csr = client.request_certificate(RequestCertificateRequest {}).await.expect("requested").into_inner();
    let certificate_pem = node.fleet.sign_since(2080, &csr.csr_pem);
    client.install_certificate(InstallCertificateRequest { certificate_pem }).await.expect("installed");
}

/// With TLS 1.3 the client learns of it only when it reads.
async fn is_refused(client: Result<crate::fleet::Client, tonic::Status>) -> bool {
    match client {
        Ok(mut client) => client.observe(ObserveRequest {}).await.is_err(),
        Err(_) => true,
    }
}

#[tokio::test]
async fn a_certificate_is_renewed_over_the_live_connection() {
    let (node, mut client) = Node::running().await;
    let csr = client.request_certificate(RequestCertificateRequest {}).await.expect("requested").into_inner();
    let foreign = Fleet::new().sign(&csr.csr_pem);
    let install = |certificate_pem| InstallCertificateRequest { certificate_pem };
    let refused = client.install_certificate(install(foreign)).await.expect_err("of another fleet");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    let before = std::fs::read(node.path("identity/key.pem")).expect("a key");
    client.install_certificate(install(node.fleet.sign(&csr.csr_pem))).await.expect("installed");
    let after = std::fs::read(node.path("identity/key.pem")).expect("a key");
    assert_ne!(before, after);
    assert!(!node.path("identity/pending-key.pem").exists());
    let report = observe(&mut client).await;
    assert_eq!(report.certificate_expires_unix, 3_786_912_000, "the old connection stands");
    assert_eq!(observe(&mut node.client().await).await.node, "pi");
    let generations = std::fs::read_dir(node.dir.path()).expect("list").flatten();
    let generations =
        generations.filter(|entry| entry.file_name().to_string_lossy().starts_with("identity."));
    assert_eq!(generations.filter(|entry| entry.path().is_dir()).count(), 1);
}

#[test]
fn enrolment_says_what_is_wrong() {
    let node = Node::enrolled();
    let check = |args: &[&str], stdin: &str, code: i32, expected: &str| {
        let output = node.call(args, stdin.as_bytes());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    };
    check(&["install-certificate"], "nonsense", 2, "error: the input has no certificate in PEM");
    let other = Node::enrolled();
    let pem = other.fleet.sign(&other.ok(&["enrol", "--node", "pi"], b"")) + &other.fleet.ca_pem;
    check(&["install-certificate"], &pem, 2, "error: the certificate is not for a key of this node");
    check(&["enrol", "--node", "Pi!"], "", 2, "error: --node: \"Pi!\" is not a node name");
    check(&["receive", "--digest", "md5:0", "--size", "1"], "", 2, "is not a digest");
    check(&["proxy"], "", 1, "error: the agent is not running");
    let nobody = tempfile::tempdir().expect("tempdir");
    let mut run = std::process::Command::new(crate::node::binary());
    let output = run.args(["start", "--data-dir"]).arg(nobody.path()).output().expect("ran");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("not enrolled") && stderr.contains("hint:"), "{stderr}");
}
