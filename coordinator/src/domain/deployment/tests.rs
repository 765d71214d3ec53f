//! What a change that fails goes back to, and what `rollback` may choose.

use super::*;

const V1: &str = "1.0.0";
const V2: &str = "2.0.0";

#[test]
fn a_node_that_is_away_does_not_make_an_older_release_the_one_to_go_back_to() {
    for (progress, is_proven, expected) in [
        (Progress::Settled, false, Some(V2)),
        (Progress::Rolling, true, Some(V2)),
        (Progress::Rolling, false, Some(V1)),
        (Progress::Failed { reason: String::new() }, false, Some(V1)),
    ] {
        let record = DeploymentRecord { progress, is_proven, ..record() };
        let good = record.last_good().map(|placed| placed.wish.release.version.as_str());
        assert_eq!(good, expected, "{record:?}");
    }
    let first = DeploymentRecord { previous: None, is_proven: true, ..record() };
    assert_eq!(first.last_good(), Some(&first.current), "also of the first one");
}

#[test]
fn the_same_once_more_is_not_its_own_past() {
    let record = DeploymentRecord { is_proven: true, ..record() };
    let Placed { wish, placements, .. } = &record.current;
    assert_eq!(record.good_before(wish, placements), record.previous.as_ref());
    // Where it was healthy is something to go back to, once it is elsewhere.
    let moved = [(instance("web/0"), node("b"))].into();
    assert_eq!(record.good_before(wish, &moved), Some(&record.current));
    assert_eq!(record.good_before(&placed(3, "3.0.0").wish, placements), Some(&record.current));
}

#[test]
fn only_what_was_seen_healthy_may_be_rolled_back_to() {
    use OutcomeWord::{Failed, Healthy, RolledBack, Waiting};
    for (word, is_proven, expected) in [
        (Healthy, false, true),
        (Waiting, true, true),
        (Waiting, false, false),
        // It was, before it reached the last node.
        (RolledBack, true, false),
        (Failed, true, false),
    ] {
        let outcome = Some(Outcome { word, message: String::new(), at: 0, is_proven });
        let entry = HistoryEntry { outcome, ..entry() };
        assert_eq!(entry.was_healthy(), expected, "{entry:?}");
    }
    assert!(!entry().was_healthy());
}

#[test]
fn records_of_before_are_read_as_not_proven() {
    let stored = serde_json::to_value(record()).expect("it serializes");
    assert!(stored.get("is_proven").is_none(), "and written as before");
    let outcome: Outcome = serde_json::from_str(r#"{"word":"waiting","message":"","at":1}"#).expect("reads");
    assert!(!outcome.is_proven);
}

fn record() -> DeploymentRecord {
    DeploymentRecord {
        current: placed(2, V2),
        previous: Some(placed(1, V1)),
        progress: Progress::Rolling,
        attempt: 2,
        ..DeploymentRecord::sample("web", V2, &[])
    }
}

fn placed(generation: u64, version: &str) -> Placed {
    let placed = DeploymentRecord::sample("web", version, &[("web/0", "a")]).current;
    Placed { generation: Generation(generation), ..placed }
}

fn entry() -> HistoryEntry {
    let (by, placed) = ("me".to_owned(), placed(1, V1));
    HistoryEntry { action: Action::Deploy, placed, outcome: None, by, started_at: 0 }
}

fn instance(id: &str) -> InstanceId {
    InstanceId::parse(id).expect("an id")
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).expect("a name")
}

#[test]
fn what_waits_only_for_a_node_that_is_away_is_calm_and_a_change_under_way_is_not() {
    for (progress, is_proven, expected) in [
        (Progress::Settled, false, true),
        (Progress::Rolling, false, false),
        (Progress::Rolling, true, true),
        (Progress::Failed { reason: String::new() }, true, false),
    ] {
        let sample = DeploymentRecord::sample("web", V1, &[("web/0", "attic")]);
        let record = DeploymentRecord { progress, is_proven, ..sample };
        assert_eq!(record.is_calm(), expected, "{:?} {is_proven}", record.progress);
    }
}

#[test]
fn the_instances_that_wait_for_a_place_are_those_that_are_wanted_and_have_none() {
    let mut placed = DeploymentRecord::sample("web", V1, &[("web/0", "a"), ("web/2", "b")]).current;
    let unplaced = |placed: &Placed| placed.unplaced().iter().map(ToString::to_string).collect::<Vec<_>>();
    placed.wish.replicas = Replicas::Count(4);
    assert_eq!(unplaced(&placed), ["web/1", "web/3"]);
    placed.wish.replicas = Replicas::Count(1);
    assert!(unplaced(&placed).is_empty());
    placed.wish.replicas = Replicas::EveryNode;
    assert!(unplaced(&placed).is_empty());
}
