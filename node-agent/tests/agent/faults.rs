//! The agent dies at every named point of a deploy. Whatever the point, the next agent and the next command
//! bring the node to exactly one of: old release healthy, new release healthy. Built with feature `fault`.

use proto::v1::apply_reply::Verdict;
use proto::v1::update::Strategy;
use proto::v1::{ApplyRequest, NodeSpec, Phase};

use crate::node::{Node, apply, node_spec, observe, until, wait};
use crate::package::{HEALTHY, SICK, SLEEP, package, run_step, spec};

const IN_AGENT: [&str; 16] = [
    "ledger.before_rename",
    "ledger.after_rename",
    "apply.after_ledger",
    "install.before",
    "install.mid",
    "install.after",
    "stop.before",
    "stop.after",
    "spawn.before",
    "spawn.before_gate",
    "spawn.after",
    "settle.before",
    "settle.after",
    "fail.after",
    "start.opened",
    "start.listening",
];
const IN_RECEIVE: [&str; 4] =
    ["receive.before", "receive.mid", "receive.before_rename", "receive.after_rename"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_may_die_at_any_point_of_a_deploy_that_succeeds() {
    for point in IN_AGENT {
        check(point, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_may_die_at_any_point_of_a_deploy_that_fails() {
    for point in IN_AGENT {
        check(point, false).await;
    }
}

/// With start-first there are two more points, and both releases run for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_may_die_at_any_point_while_two_releases_run() {
    for point in IN_AGENT.into_iter().chain(["handover.before", "handover.stopped"]) {
        for is_good in [true, false] {
            check_with(point, is_good, Strategy::StartFirst).await;
        }
    }
}

async fn check(point: &str, is_good: bool) {
    check_with(point, is_good, Strategy::StopFirst).await;
}

async fn check_with(point: &str, is_good: bool, strategy: Strategy) {
    let node = Node::enrolled();
    let start = ["start", "--listen", "127.0.0.1:0"];
    node.ok(&start, b"");
    let mut client = node.client().await;
    let old = package("1", &[SLEEP, HEALTHY]);
    let new = package("2", &[SLEEP, if is_good { HEALTHY } else { SICK }]);
    node.receive(&old);
    node.receive(&new);
    apply(&mut client, 1, &[spec(&old, 1)]).await;
    wait(&mut client, "the old one", |now| now.phase() == Phase::Running).await;

    std::fs::write(node.path("fault"), point).expect("written");
    let mut wish = spec(&new, 2);
    wish.install = vec![run_step(&["sh", "-c", "echo x >> count"])];
    wish.update.get_or_insert_default().strategy = strategy.into();
    let sent = node_spec(2, std::slice::from_ref(&wish));
    let _ = client.apply(proto::v1::ApplyRequest { spec: Some(sent) }).await;
    if point.starts_with("start.") {
        node.signal_agent(libc::SIGKILL);
    }
    let is_passed = match is_good {
        true => point != "fail.after",
        false => !point.starts_with("settle.") && !point.starts_with("handover."),
    };
    if is_passed {
        until(&format!("it dies at {point}"), || !node.path("fault").exists());
    }
    // The coordinator comes again: the same spec, until it is taken.
    let expected = if is_good { Phase::Running } else { Phase::RolledBack };
    node.ok(&start, b"");
    client = node.client().await;
    apply(&mut client, 2, &[wish]).await;
    let what = format!("{expected:?} after dying at {point}");
    let now = wait(&mut client, &what, |now| now.phase() == expected && now.attempt == 2).await;
    let runs = if is_good { &new } else { &old };
    assert_eq!(now.release.expect("runs").digest, runs.digest, "{point}");
    match strategy {
        Strategy::StopFirst => {
            assert_eq!(node.programs(), [now.pid], "nothing runs twice after dying at {point}");
        }
        // It is told as healthy just before the former one is stopped.
        Strategy::StartFirst => {
            until(&format!("the other one ends after {point}"), || node.programs() == [now.pid]);
        }
    }
    assert_clean(&node, point);
    assert_eq!(observe(&mut client).await.generation, 2);
    node.ok(&["stop", "--instances"], b"");
    assert_eq!(node.processes(), Vec::<i32>::new(), "{point}");
}

#[tokio::test]
async fn an_upload_may_die_at_any_point() {
    let (node, _client) = Node::running().await;
    for (number, point) in IN_RECEIVE.into_iter().enumerate() {
        // Long enough to come in several pieces.
        let noise: String =
            (0..20_000).map(|n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        let package = package(&number.to_string(), &[SLEEP, HEALTHY, ("noise", &noise)]);
        let size = package.bytes.len().to_string();
        let args = ["receive", "--digest", &package.digest, "--size", &size];
        std::fs::write(node.path("fault"), point).expect("written");
        let died = node.call(&args, &package.bytes);
        assert!(!died.status.success(), "{point}");
        let again = node.ok(&args, &package.bytes);
        assert_eq!(again, if point == "receive.after_rename" { "present\n" } else { "stored\n" });
    }
    let mut node = node;
    node.kill();
    node.run();
    assert_clean(&node, "the uploads");
}

/// No temporary file stays anywhere; what is just being removed may take its time.
fn assert_clean(node: &Node, point: &str) {
    until(&format!("no temporary file is left after {point}"), || !has_temporary(node.dir.path()));
}

fn has_temporary(folder: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_temporary =
            name.ends_with(".tmp") || name.starts_with(".incoming") || name.starts_with(".removing");
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_temporary || (is_folder && has_temporary(&entry.path()))
    })
}

#[tokio::test]
async fn a_release_that_was_given_up_right_before_a_death_is_removed_by_the_next_agent() {
    let node = Node::enrolled();
    let start = ["start", "--listen", "127.0.0.1:0"];
    node.ok(&start, b"");
    let mut client = node.client().await;
    let kept = package("1", &[SLEEP, HEALTHY]);
    node.receive(&kept);
    let retaining = NodeSpec { retain: vec![kept.digest.clone()], ..node_spec(1, &[]) };
    let accepted = client.apply(ApplyRequest { spec: Some(retaining) }).await.expect("applied");
    assert_eq!(accepted.into_inner().verdict(), Verdict::Accepted);
    assert_eq!(observe(&mut client).await.releases, [kept.digest]);

    std::fs::write(node.path("fault"), "ledger.after_rename").expect("written");
    let died = client.apply(ApplyRequest { spec: Some(node_spec(2, &[])) }).await;

    assert!(died.is_err() && !node.path("fault").exists(), "{died:?}");
    node.ok(&start, b"");
    until("nothing is left", || std::fs::read_dir(node.path("releases")).expect("list").count() == 0);
    node.ok(&["stop", "--instances"], b"");
}
