//! From a spec to a verdict.

use std::time::{Duration, Instant};

use proto::v1::Phase;
use proto::v1::apply_reply::Verdict;

use crate::node::{Node, apply, wait, wait_phase, wait_report};
use crate::package::{HEALTHY, SICK, SLEEP, package, process, run_step, spec, web_spec};

#[tokio::test]
async fn a_deploy_becomes_healthy_and_the_same_again_changes_nothing() {
    let (node, mut client) = Node::running().await;
    let first = package("1", &[]);
    assert_eq!(node.receive(&first), "stored\n");
    assert_eq!(node.receive(&first), "present\n");
    let wish = web_spec(&first, 1);
    assert_eq!(apply(&mut client, 5, std::slice::from_ref(&wish)).await, Verdict::Accepted);
    let running = wait_phase(&mut client, Phase::Running, 1).await;
    let port = running.ports[0].port;
    let page = std::net::TcpStream::connect(("127.0.0.1", u16::try_from(port).expect("a port")));
    assert!(page.is_ok() && running.pid > 0 && running.message.is_empty());

    assert_eq!(apply(&mut client, 5, std::slice::from_ref(&wish)).await, Verdict::Unchanged);
    assert_eq!(apply(&mut client, 4, std::slice::from_ref(&wish)).await, Verdict::Stale);
    assert_eq!(apply(&mut client, 5, &[]).await, Verdict::Conflict);
    let mut again = wish.clone();
    again.attempt = 2;
    assert_eq!(apply(&mut client, 6, &[again]).await, Verdict::Accepted);
    let same = wait_phase(&mut client, Phase::Running, 2).await;
    assert_eq!(
        (same.pid, same.restarts),
        (running.pid, 0),
        "a new attempt with the same content restarts nothing"
    );

    let mut restarted = wish;
    restarted.restart = 1;
    restarted.attempt = 3;
    apply(&mut client, 7, &[restarted]).await;
    let other = wait_phase(&mut client, Phase::Running, 3).await;
    assert!(other.pid != running.pid && other.ports[0].port == port, "restarted on the same port");

    apply(&mut client, 8, &[]).await;
    let report = wait_report(&mut client, "nothing is left", |report| {
        report.instances.is_empty() && report.releases.is_empty()
    });
    assert_eq!(report.await.generation, 8);
    assert_eq!(node.processes(), Vec::<i32>::new());
    for folder in ["instances", "logs", "releases"] {
        assert_eq!(std::fs::read_dir(node.path(folder)).expect("list").count(), 0, "{folder}");
    }
}

#[tokio::test]
async fn a_release_that_fails_its_check_is_rolled_back_at_once() {
    let (node, mut client) = Node::running().await;
    let (good, bad) = (package("1", &[SLEEP, HEALTHY]), package("2", &[SLEEP, SICK]));
    node.receive(&good);
    node.receive(&bad);
    apply(&mut client, 1, &[spec(&good, 1)]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    // Ends only when it must.
    let mut stubborn = spec(&bad, 2);
    process(&mut stubborn).command =
        ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"].map(String::from).to_vec();
    process(&mut stubborn).stop_timeout_ms = 30_000;
    apply(&mut client, 2, &[stubborn]).await;
    let begin = Instant::now();
    let back = wait_phase(&mut client, Phase::RolledBack, 2).await;
    // Two checks have to fail, 200 ms apart, and other tests run beside this one; being polite would take longer.
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(back.release.expect("runs").digest, good.digest);
    assert_eq!(back.failed_release.expect("failed").digest, bad.digest);
    assert!(back.failed_reason.contains("health check failed"), "{}", back.failed_reason);
    let why = "exited with code 4: the belt is torn";
    assert!(back.failed_reason.contains(why), "{}", back.failed_reason);
    assert_eq!(node.programs().len(), 1);

    apply(&mut client, 3, &[spec(&good, 3)]).await;
    let running = wait_phase(&mut client, Phase::Running, 3).await;
    assert_eq!((running.pid, running.failed_release), (back.pid, None), "going back restarts nothing");
}

#[tokio::test]
async fn a_release_that_cannot_be_installed_leaves_the_former_one_healthy_and_looked_at() {
    let (node, mut client) = Node::running().await;
    let well = node.path("well");
    let check = format!("#!/bin/sh\ntest -e {}\n", well.display());
    std::fs::write(&well, "").expect("written");
    let (good, bad) = (package("1", &[SLEEP, ("health.sh", &check)]), package("2", &[SLEEP, HEALTHY]));
    node.receive(&good);
    node.receive(&bad);
    apply(&mut client, 1, &[spec(&good, 1)]).await;
    let before = wait_phase(&mut client, Phase::Running, 1).await;
    let mut wish = spec(&bad, 2);
    wish.install = vec![run_step(&["false"])];
    apply(&mut client, 2, &[wish]).await;
    let back = wait_phase(&mut client, Phase::RolledBack, 2).await;
    assert_eq!((back.pid, back.restarts), (before.pid, 0));
    std::fs::remove_file(&well).expect("was there");
    wait(&mut client, "its check still counts", |now| now.restarts > 0 && now.pid != before.pid).await;
}

#[tokio::test]
async fn a_first_release_that_fails_ends_and_says_why() {
    let (node, mut client) = Node::running().await;
    let exits = package("1", &[("run.sh", "#!/bin/sh\nexit 3\n"), HEALTHY]);
    node.receive(&exits);
    let mut wish = spec(&exits, 1);
    wish.health = None;
    apply(&mut client, 1, &[wish.clone()]).await;
    let failed = wait_phase(&mut client, Phase::Failed, 1).await;
    assert_eq!(failed.message, "exited 3 times while starting; last: exited with code 3");

    process(&mut wish).command = vec!["./missing".into()];
    wish.attempt = 2;
    apply(&mut client, 2, &[wish.clone()]).await;
    let failed = wait_phase(&mut client, Phase::Failed, 2).await;
    assert!(failed.message.contains("could not execute ./missing"), "{}", failed.message);

    wish.install = vec![run_step(&["sh", "-c", "echo went wrong; exit 9"])];
    wish.attempt = 3;
    apply(&mut client, 3, &[wish]).await;
    let failed = wait_phase(&mut client, Phase::Failed, 3).await;
    assert!(
        failed.message.contains("install step 1") && failed.message.contains("code 9"),
        "{}",
        failed.message
    );
    assert_eq!(node.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn a_release_is_waited_for_and_its_install_steps_run_once_before_the_old_one_ends() {
    let (node, mut client) = Node::running().await;
    let (old, new) = (package("1", &[SLEEP, HEALTHY]), package("2", &[SLEEP, HEALTHY]));
    node.receive(&old);
    apply(&mut client, 1, &[spec(&old, 1)]).await;
    let before = wait_phase(&mut client, Phase::Running, 1).await;
    let mut wish = spec(&new, 2);
    wish.install = vec![run_step(&["sh", "-c", "echo installing; echo x >> count"])];
    apply(&mut client, 2, &[wish.clone()]).await;
    let waiting = wait_phase(&mut client, Phase::Waiting, 2).await;
    assert_eq!(waiting.pid, before.pid, "the old one serves on");
    node.receive(&new);
    let running = wait_phase(&mut client, Phase::Running, 2).await;
    assert_ne!(running.pid, before.pid);
    wish.restart = 1;
    apply(&mut client, 3, &[wish]).await;
    wait(&mut client, "restarted", |now| now.phase() == Phase::Running && now.pid != running.pid).await;
    let release = node.path("releases").join(new.digest.trim_start_matches("sha256:"));
    assert_eq!(std::fs::read_to_string(release.join("count")).expect("ran"), "x\n");
    wait_report(&mut client, "nobody needs the old one", |report| report.releases == [new.digest.clone()])
        .await;
}

#[tokio::test]
async fn a_port_that_somebody_else_has_fails_the_release_and_is_named() {
    let (node, mut client) = Node::running().await;
    let web = package("1", &[]);
    node.receive(&web);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("an address").port();
    let mut wish = web_spec(&web, 1);
    wish.config.insert("port".into(), port.to_string());
    apply(&mut client, 1, &[wish]).await;
    let failed = wait_phase(&mut client, Phase::Failed, 1).await;
    let me = std::process::id().to_string();
    assert!(failed.message.contains(&port.to_string()) && failed.message.contains(&me), "{}", failed.message);
}

#[tokio::test]
async fn a_crash_is_followed_by_a_restart_and_never_by_a_rollback() {
    let (node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    let mut pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    for restarts in 1..=4 {
        crate::node::signal(pid, libc::SIGKILL);
        let again = wait(&mut client, "running again", |now| {
            now.phase() == Phase::Running && now.restarts == restarts && now.pid != pid
        });
        pid = again.await.pid;
    }
}
