use super::*;
use crate::store::Revision;

/// Instances, the generation that the agent holds, and that of the spec in the store.
fn is_behind(placed: bool, told: Option<u64>, runs: &[&str], wanted: Option<u64>) -> bool {
    let attic = node("attic");
    let mut snapshot = empty();
    let kept = stored(keys::node(&attic), NodeRecord::sample("attic"));
    snapshot.nodes.insert(attic.clone(), kept);
    if placed {
        let record = DeploymentRecord::sample("web", "1.0.0", &[("web/0", "attic")]);
        snapshot.deployments.insert(record.name.clone(), stored("/deployments/web".to_owned(), record));
    }
    if let Some(generation) = wanted {
        let spec = v1::NodeSpec { generation, ..Default::default() };
        snapshot.desired.insert(attic.clone(), stored(keys::desired(&attic), spec));
    }
    if let Some(generation) = told {
        let instance = |id: &&str| v1::InstanceReport { id: (*id).to_owned(), ..Default::default() };
        let instances = runs.iter().map(instance).collect();
        let report = Box::new(v1::Report { generation, instances, ..Default::default() });
        snapshot.observed.insert(attic.clone(), Observed::Report { report, is_tunnelled: false });
    }
    snapshot.behind().contains(&attic)
}

#[test]
fn an_agent_that_remembers_what_the_fleet_has_forgotten_is_behind() {
    assert!(!is_behind(false, Some(0), &[], None), "a new node has nothing to hear");
    assert!(is_behind(false, Some(7), &["web/0"], None), "it goes on with its last spec");
    assert!(is_behind(false, Some(7), &[], None));
    assert!(is_behind(true, Some(0), &[], None), "set up anew, and a deployment counts on it");
    assert!(!is_behind(true, None, &[], None), "what it has is not known");
    assert!(!is_behind(false, Some(7), &["web/0"], Some(7)));
    assert!(is_behind(false, Some(7), &[], Some(8)));
    assert!(is_behind(false, None, &[], Some(8)));
}

fn empty() -> Snapshot {
    Snapshot {
        nodes: BTreeMap::new(),
        deployments: BTreeMap::new(),
        desired: BTreeMap::new(),
        observed: BTreeMap::new(),
        lost: BTreeSet::new(),
        at: 0,
        carriers: BTreeSet::new(),
    }
}

fn stored<T>(key: String, value: T) -> Stored<T> {
    Stored { key, value, revision: Revision(1) }
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).expect("a name")
}

#[test]
fn a_node_without_the_package_of_the_next_release_is_behind_while_the_former_one_runs() {
    let release = |digest: &str| v1::Release { digest: digest.to_owned(), ..Default::default() };
    let report = |phase: v1::Phase, releases: &[&str]| v1::Report {
        instances: vec![v1::InstanceReport {
            id: "web/0".to_owned(),
            release: Some(release("old")),
            phase: phase.into(),
            ..Default::default()
        }],
        releases: releases.iter().map(|digest| (*digest).to_owned()).collect(),
        ..Default::default()
    };
    let instance =
        v1::InstanceSpec { id: "web/0".to_owned(), release: Some(release("new")), ..Default::default() };
    let wanted = v1::NodeSpec { instances: vec![instance], ..Default::default() };
    assert!(lacks_package(&report(v1::Phase::Waiting, &["old"]), Some(&wanted)));
    assert!(lacks_package(&report(v1::Phase::Waiting, &["new"]), Some(&wanted)), "nor can it go back");
    assert!(!lacks_package(&report(v1::Phase::Waiting, &["old", "new"]), Some(&wanted)));
    assert!(!lacks_package(&report(v1::Phase::Running, &["old"]), Some(&wanted)), "it waits for nothing");
    assert!(!lacks_package(&report(v1::Phase::Waiting, &["old"]), None));
}
