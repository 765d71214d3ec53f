use futures::poll;
use modules::digest::Digest;
use proto::v1::{InstanceSpec, ProcessRuntime, Release, instance_spec};

use super::*;

#[tokio::test]
async fn who_is_late_to_act_on_its_spec_acts_on_the_one_accepted_since() {
    let dir = tempfile::tempdir().expect("a folder");
    let agent = Agent::open(DataDir(dir.path().to_owned()), NodeName::parse("pi").expect("a name"));
    let agent = agent.expect("opened");
    let mut early = Box::pin(agent.apply(spec(1, &["web/0"])));
    assert!(poll!(&mut early).is_pending());
    while agent.ledger().spec().generation != 1 {
        tokio::task::yield_now().await;
    }
    // The first spec is accepted, and nobody has acted on it, when the second one comes and is acted on.
    agent.apply(spec(2, &["web/0", "web/1"])).await.expect("accepted");
    early.await.expect("accepted");
    let wishes = agent.wishes();
    let followed = wishes.iter().filter(|(_, wish)| wish.borrow().is_some());
    let followed: Vec<String> = followed.map(|(id, _)| id.to_string()).collect();
    assert_eq!(followed, ["web/0", "web/1"]);
}

#[tokio::test]
async fn a_lease_ends_with_the_spec_that_names_its_release_though_it_brings_nothing_new() {
    let dir = tempfile::tempdir().expect("a folder");
    let agent = Agent::open(DataDir(dir.path().to_owned()), NodeName::parse("pi").expect("a name"));
    let agent = agent.expect("opened");
    let digest = Digest::of(b"a package").to_string();
    let lease = agent.data.lease(&digest);
    for generation in [2, 2, 1] {
        std::fs::create_dir_all(agent.data.release(&digest)).expect("made");
        std::fs::write(&lease, "").expect("leased");
        agent.apply(spec(generation, &["web/0"])).await.expect("answered");
        assert!(!lease.exists(), "{generation}");
    }
}

fn spec(generation: u64, ids: &[&str]) -> NodeSpec {
    let instance = |id: &&str| InstanceSpec {
        id: (*id).to_owned(),
        deployment: "web".to_owned(),
        release: Some(Release {
            module: "web".to_owned(),
            version: "1.0.0".to_owned(),
            digest: Digest::of(b"a package").to_string(),
        }),
        attempt: 1,
        runtime: Some(instance_spec::Runtime::Process(ProcessRuntime {
            command: vec!["/bin/true".to_owned()],
            ..ProcessRuntime::default()
        })),
        ..InstanceSpec::default()
    };
    NodeSpec {
        node: "pi".to_owned(),
        generation,
        instances: ids.iter().map(instance).collect(),
        ..NodeSpec::default()
    }
}
