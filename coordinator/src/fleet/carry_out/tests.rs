//! What is said of a change by what its nodes say, and by what keeps this coordinator from asking them.

use std::io;

use modules::digest::Digest;

use super::*;
use crate::agents::AgentError;
use crate::blobs::BlobError;
use crate::domain::deployment::Progress as State;
use crate::domain::placement::Replicas;
use crate::fleet::keyring::KeyringError;
use crate::ssh::HostError;
use crate::store::StoreError;

const DIGEST: &str = "sha256:1";

#[test]
fn only_what_a_node_says_counts_against_a_release() {
    let says = |code| AgentError::Call {
        node: node("a"),
        operation: "apply",
        status: Box::new(tonic::Status::new(code, "no")),
    };
    let status =
        HostError::Status { host: "a".into(), what: "receiving", exit_code: 1, stderr: "full".into() };
    for (error, is_refusal) in [
        (says(tonic::Code::InvalidArgument).into(), true),
        (says(tonic::Code::Unavailable).into(), false),
        (status.into(), true),
        (no_package(), false),
        (BlobError::Full { place: "here".into() }.into(), false),
        (KeyringError::Damaged { name: "s".into() }.into(), false),
        (
            KeyringError::File { operation: "read", path: "k".into(), cause: io::Error::other("no") }.into(),
            false,
        ),
        (FleetError::NoSuchSecret { name: "s".into() }, false),
        (FleetError::NoSuchNode { name: "a".into(), similar: None }, false),
        (StoreError::Conflict { key: "/desired/a".into() }.into(), false),
    ] {
        let refused = matches!(trouble(&error), News::Refused { .. });
        assert_eq!(refused, is_refusal, "{error:?}");
    }
}

#[test]
fn what_this_coordinator_lacks_waits_and_says_so_while_the_others_count() {
    let seen = BTreeMap::from([(node("a"), healthy("web/0")), (node("b"), trouble(&no_package()))]);
    let Verdict::Waiting { nodes, is_proven } = verdict(&recorded(), &seen) else { panic!("it waits") };
    assert!(is_proven);
    assert_eq!(nodes.keys().collect::<Vec<_>>(), [&node("b")]);
    let reason = &nodes[&node("b")];
    assert!(reason.contains("does not have the package of web 2.0.0"), "{reason}");
    assert!(reason.contains("deploy it again"), "says what to do: {reason}");
}

#[test]
fn a_change_that_no_node_has_taken_is_not_proven() {
    let away = || News::Away { reason: "off".to_owned() };
    let seen = BTreeMap::from([(node("a"), away()), (node("b"), away())]);
    let Verdict::Waiting { is_proven, .. } = verdict(&recorded(), &seen) else { panic!("it waits") };
    assert!(!is_proven);
}

fn no_package() -> FleetError {
    let cause = BlobError::Missing { digest: Digest::of(b"x"), place: "here".to_owned() };
    FleetError::NoPackageHere { module: "web".to_owned(), version: "2.0.0".to_owned(), cause }
}

fn healthy(id: &str) -> News {
    let release = v1::Release { digest: DIGEST.to_owned(), ..Default::default() };
    let instance = v1::InstanceReport {
        id: id.to_owned(),
        attempt: 1,
        phase: v1::Phase::Running.into(),
        release: Some(release),
        ..Default::default()
    };
    News::Report(Box::new(v1::Report { instances: vec![instance], ..Default::default() }))
}

/// `web` on `a` and `b`.
fn recorded() -> Recorded {
    let mut record = DeploymentRecord::sample("web", "1", &[("web/0", "a"), ("web/1", "b")]);
    record.current.wish.replicas = Replicas::EveryNode;
    record.progress = State::Rolling;
    let touched = [node("a"), node("b")].into();
    Recorded { record, attempt: Some(1), touched, away: BTreeMap::new(), _hold: None }
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).expect("a name")
}
