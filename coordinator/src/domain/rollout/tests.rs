//! Every phase a node can report, and what it means for the deployment.

use super::*;
use v1::Phase;

#[test]
fn an_instance_is_in_the_state_its_node_reports_for_the_wanted_attempt() {
    for (phase, state) in [
        (Phase::Unspecified, State::Unknown),
        (Phase::Waiting, State::Pending),
        (Phase::Installing, State::Starting),
        (Phase::Starting, State::Starting),
        (Phase::Running, State::Healthy),
        (Phase::Unhealthy, State::Unhealthy),
        (Phase::Backoff, State::Unhealthy),
        (Phase::Stopping, State::Starting),
        (Phase::Failed, State::Failed),
        (Phase::RolledBack, State::RolledBack),
    ] {
        check(&[ready("a", says(phase))], state);
        check(&[ready("a", v1::InstanceReport { attempt: 1, ..says(phase) })], State::Pending);
    }
    let old_runs = v1::InstanceReport { release: Some(release("old")), ..says(Phase::Running) };
    check(&[ready("a", old_runs)], State::Starting);
}

#[test]
fn what_cannot_be_reached_is_never_healthy() {
    let healthy = || says(Phase::Running);
    check(&[seen("a", Liveness::Unknown, Some(healthy()))], State::Unknown);
    check(&[seen("a", Liveness::Lost, Some(healthy()))], State::Lost);
    let before = v1::InstanceReport { attempt: 1, ..healthy() };
    check(&[seen("a", Liveness::Unknown, Some(before))], State::Waiting);
    check(&[seen("a", Liveness::Lost, None)], State::Waiting);
}

#[test]
fn a_deployment_is_in_the_state_of_its_worst_instance() {
    let progress = check(
        &[
            ready("a", says(Phase::Running)),
            ready("b", says(Phase::Starting)),
            ready("c", says(Phase::Backoff)),
        ],
        State::Unhealthy,
    );
    assert_eq!(progress.message, "1 of 3 unhealthy: web/2: because");
    let all_well =
        check(&[ready("a", says(Phase::Running)), ready("b", says(Phase::Running))], State::Healthy);
    assert_eq!((all_well.message.as_str(), all_well.verdict), ("", Verdict::Done));
    check(&[], State::Stopped);
}

#[test]
fn one_failed_instance_sends_the_whole_fleet_back() {
    let failed = |phase| v1::InstanceReport {
        failed_release: Some(release("new")),
        failed_reason: "health check answered 500".to_owned(),
        ..says(phase)
    };
    // Whatever the node does meanwhile to get the previous release back.
    for (phase, state) in [
        (Phase::RolledBack, State::RolledBack),
        (Phase::Failed, State::Failed),
        (Phase::Starting, State::Failed),
        (Phase::Backoff, State::Failed),
    ] {
        let progress = check(&[ready("a", says(Phase::Starting)), ready("b", failed(phase))], state);
        let reason = "health check answered 500".to_owned();
        let expected = Verdict::Failed { instance: id("web/1"), node: name("b"), reason };
        assert_eq!(progress.verdict, expected);
    }
    let gone = check(&[seen("a", Liveness::Unknown, Some(failed(Phase::Failed)))], State::Unknown);
    assert!(matches!(gone.verdict, Verdict::Failed { .. }));
    let earlier = v1::InstanceReport { attempt: 1, ..failed(Phase::Failed) };
    assert_eq!(check(&[ready("a", earlier)], State::Pending).verdict, Verdict::Progressing);
}

#[test]
fn waits_only_once_all_that_can_be_done_is_done() {
    let cut_off = || seen("c", Liveness::Unknown, None);
    let unfinished = [ready("a", says(Phase::Running)), ready("b", says(Phase::Starting)), cut_off()];
    assert_eq!(check(&unfinished, State::Waiting).verdict, Verdict::Progressing);
    let finished = [ready("a", says(Phase::Running)), ready("b", says(Phase::Running)), cut_off()];
    let progress = check(&finished, State::Waiting);
    let nodes = BTreeSet::from([name("c")]);
    assert_eq!(progress.verdict, Verdict::WaitingFor { nodes, unplaced: BTreeSet::new() });
    assert_eq!(progress.message, "1 of 3 waiting: web/2: c is not reachable, the change waits for it");
}

#[test]
fn an_instance_without_a_place_is_waited_for() {
    let wanted = [Wanted { instance: id("web/0"), node: None, digest: "new".to_owned(), attempt: 2 }];
    let progress = assess(&wanted, &[], &BTreeMap::new());
    let unplaced = BTreeSet::from([id("web/0")]);
    assert_eq!(progress.verdict, Verdict::WaitingFor { nodes: BTreeSet::new(), unplaced });
    assert_eq!(progress.state, State::Waiting);
}

#[test]
fn is_done_only_when_what_had_to_go_is_gone() {
    let leaving = [Leaving { instance: id("web/0"), node: name("a") }];
    let report = v1::Report { instances: vec![says(Phase::Stopping)], ..v1::Report::default() };
    let gone = v1::Report::default();
    let waiting = Verdict::WaitingFor { nodes: BTreeSet::from([name("a")]), unplaced: BTreeSet::new() };
    for (liveness, report, expected) in [
        (Liveness::Ready, Some(&report), Verdict::Progressing),
        (Liveness::Ready, Some(&gone), Verdict::Done),
        (Liveness::Ready, None, Verdict::Progressing),
        (Liveness::Lost, Some(&report), waiting.clone()),
        (Liveness::Unknown, None, waiting),
    ] {
        let nodes = BTreeMap::from([(name("a"), Observed { liveness, report })]);
        assert_eq!(assess(&[], &leaving, &nodes).verdict, expected);
    }
}

struct Node {
    name: NodeName,
    liveness: Liveness,
    report: v1::Report,
}

/// Instance `web/<n>` is wanted on the n-th node, with the release `new` in attempt 2.
fn check(nodes: &[Node], state: State) -> Progress {
    let mut wanted = Vec::new();
    let mut observed = BTreeMap::new();
    let mut reports = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let mut report = node.report.clone();
        for instance in &mut report.instances {
            instance.id = format!("web/{index}");
        }
        reports.push(report);
        wanted.push(Wanted {
            instance: id(&format!("web/{index}")),
            node: Some(node.name.clone()),
            digest: "new".to_owned(),
            attempt: 2,
        });
    }
    for (node, report) in nodes.iter().zip(&reports) {
        observed.insert(node.name.clone(), Observed { liveness: node.liveness, report: Some(report) });
    }
    let progress = assess(&wanted, &[], &observed);
    assert_eq!(progress.state, state, "{progress:?}");
    progress
}

fn ready(node: &str, says: v1::InstanceReport) -> Node {
    seen(node, Liveness::Ready, Some(says))
}

fn seen(node: &str, liveness: Liveness, says: Option<v1::InstanceReport>) -> Node {
    let report = v1::Report { instances: says.into_iter().collect(), ..v1::Report::default() };
    Node { name: name(node), liveness, report }
}

fn says(phase: Phase) -> v1::InstanceReport {
    v1::InstanceReport {
        id: "web/0".to_owned(),
        release: Some(release("new")),
        phase: phase.into(),
        message: "because".to_owned(),
        attempt: 2,
        ..v1::InstanceReport::default()
    }
}

fn release(digest: &str) -> v1::Release {
    v1::Release { digest: digest.to_owned(), ..v1::Release::default() }
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).expect("a node name")
}

fn id(text: &str) -> InstanceId {
    InstanceId::parse(text).expect("an instance id")
}
