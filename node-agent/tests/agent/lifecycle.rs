//! Starting and stopping: the agent, and everything an instance ever started.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use proto::v1::{Limits, Phase};

use crate::node::{Node, apply, is_alive, observe, until, wait, wait_phase, wait_report};
use crate::package::{HEALTHY, SLEEP, package, process, spec};

#[tokio::test]
async fn start_is_idempotent_also_when_asked_several_times_at_once_and_restarts_a_crashed_agent() {
    let node = Node::enrolled();
    let start = || {
        let mut command = node.command(&["start", "--listen", "127.0.0.1:0"]);
        command.stdout(Stdio::piped()).spawn().expect("spawned")
    };
    let children: Vec<_> = (0..4).map(|_| start()).collect();
    let addresses: BTreeSet<String> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().expect("ended");
            assert!(output.status.success());
            String::from_utf8(output.stdout).expect("text")
        })
        .collect();
    assert_eq!(addresses.len(), 1, "{addresses:?}");
    let pid = || std::fs::read_to_string(node.path("agent.lock")).ok()?.parse::<i32>().ok();
    let first = pid().expect("a pid");
    node.signal_agent(libc::SIGKILL);
    until("another agent runs", || pid().is_some_and(|pid| pid != first && is_alive(pid)));
    let again = node.ok(&["start", "--listen", "127.0.0.1:0"], b"");
    assert!(addresses.contains(&again), "the port is kept: {again}");
    assert_eq!(observe(&mut node.client().await).await.node, "pi");
    let last = pid().expect("a pid");
    node.ok(&["stop"], b"");
    assert!(!is_alive(last));
    node.ok(&["stop"], b"");
}

#[tokio::test]
async fn no_process_survives_a_stop_however_far_it_has_moved() {
    let (node, mut client) = Node::running().await;
    // The last of these wipes the mark off itself.
    let wiped = format!("1005.{}", std::process::id());
    let escape = "#!/bin/sh\n\
        setsid sh -c 'setsid sleep 1001 & sleep 1002' &\n\
        (env -i setsid sleep WIPED & sleep 1)\n\
        (trap '' TERM; sleep 1003; sleep 1004) &\n\
        trap '' TERM\nwhile :; do sleep 1; done\n";
    let release = package("1", &[("run.sh", &escape.replace("WIPED", &wiped)), HEALTHY]);
    node.receive(&release);
    let mut wish = spec(&release, 1);
    process(&mut wish).stop_timeout_ms = 300;
    apply(&mut client, 1, &[wish]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    until("they all run", || node.processes().len() >= 5 && runs(&wiped));
    // Long enough to be looked at once.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let family = node.processes();
    apply(&mut client, 2, &[]).await;
    wait_report(&mut client, "it is gone", |report| report.instances.is_empty()).await;
    assert_eq!(node.processes(), Vec::<i32>::new());
    let zombies = family.iter().filter(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(zombies.count(), 0, "all are reaped");
    assert!(!runs(&wiped));
}

/// Whether any process has this argument.
fn runs(argument: &str) -> bool {
    let entries = std::fs::read_dir("/proc").expect("proc").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.into_iter().any(|line| line.split(|byte| *byte == 0).any(|found| found == argument.as_bytes()))
}

#[tokio::test]
async fn stop_with_instances_ends_them_politely_and_the_next_start_brings_them_back() {
    let (mut node, mut client) = Node::running().await;
    let polite = "#!/bin/sh\ntrap 'echo bye; exit 0' TERM\necho up\nwhile :; do sleep 0.1; done\n";
    let release = package("1", &[("run.sh", polite), HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    let pid = wait_phase(&mut client, Phase::Running, 1).await.pid;
    let begin = Instant::now();
    node.ok(&["stop", "--instances"], b"");
    assert!(begin.elapsed() < Duration::from_secs(8) && !is_alive(pid));
    let log = std::fs::read_to_string(node.path("logs/web.0.log")).expect("a log");
    assert!(log.starts_with("up\n") && log.ends_with("bye\n"), "{log}");
    node.run();
    let again = wait_phase(&mut node.client().await, Phase::Running, 1).await;
    assert_ne!(again.pid, pid);
}

#[tokio::test]
async fn an_adopted_instance_is_stopped_with_all_it_started() {
    let (mut node, mut client) = Node::running().await;
    let family = "#!/bin/sh\nsetsid sleep 1001 &\nexec sleep 1002\n";
    let release = package("1", &[("run.sh", family), HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    node.kill();
    node.run();
    client = node.client().await;
    wait_phase(&mut client, Phase::Running, 1).await;
    let next = package("2", &[SLEEP, HEALTHY]);
    node.receive(&next);
    apply(&mut client, 2, &[spec(&next, 2)]).await;
    let running = wait_phase(&mut client, Phase::Running, 2).await;
    assert_eq!(node.programs(), [running.pid]);
}

#[tokio::test]
async fn an_instance_that_uses_more_than_its_memory_is_started_again() {
    let (node, mut client) = Node::running().await;
    // Each child stays below the limit; together they are above it.
    let hungry = "#!/bin/sh\nfor n in 1 2 3 4; do tail -c 20000000 /dev/zero | sleep 1000 & \n\
        head -c 20000000 /dev/zero | tail -n 1 | sleep 1000 & done\nwait\n";
    let release = package("1", &[("run.sh", hungry), HEALTHY]);
    node.receive(&release);
    let mut wish = spec(&release, 1);
    wish.limits = Some(Limits { memory_bytes: 40 << 20, ..Default::default() });
    apply(&mut client, 1, &[wish]).await;
    wait(&mut client, "it is noticed", |now| now.restarts > 0 && now.message.contains("its limit is 40 MiB"))
        .await;
}
