//! A new release starts beside the former one, which serves until the new one is healthy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::v1::update::Strategy;
use proto::v1::{InstanceSpec, Phase};

use crate::fleet::Client;
use crate::node::{Node, apply, is_alive, observe, until, wait, wait_phase};
use crate::package::{Package, package, process, web_spec};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_throughout_an_update_and_the_way_back() {
    let (node, mut client) = Node::running().await;
    let releases = [package("1", &[]), package("2", &[])];
    node.receive(&releases[0]);
    apply(&mut client, 1, &[wish("kept", &releases[0], 1)]).await;
    let first = wait_phase(&mut client, Phase::Running, 1).await;
    let visitor = Visitor::start(node.client().await);
    let mut before = first.clone();
    for attempt in 2..=5 {
        let release = &releases[usize::from(attempt % 2 == 0)];
        node.receive(release);
        apply(&mut client, attempt, &[wish("kept", release, attempt)]).await;
        let now = wait_phase(&mut client, Phase::Running, attempt).await;
        assert_eq!(now.release.expect("runs").digest, release.digest);
        assert_ne!((now.pid, now.ports[0].port), (before.pid, before.ports[0].port), "in the other place");
        until("the former one ends", || node.programs() == [now.pid]);
        before = wait_phase(&mut client, Phase::Running, attempt).await;
    }
    assert_eq!(before.ports[0].port, first.ports[0].port, "each place keeps its port");
    let answers = visitor.stop().await;
    assert!(answers > 4, "{answers} requests were made"); // At least one for each update.
    apply(&mut client, 6, &[]).await;
    until("nothing is left", || std::fs::read_dir(node.path("instances")).expect("list").count() == 0);
    assert_eq!(node.processes(), Vec::<i32>::new());
}

#[tokio::test]
async fn a_release_that_fails_beside_the_former_one_leaves_it_untouched() {
    let (node, mut client) = Node::running().await;
    let [good, bad] = [package("1", &[]), package("2", &[])];
    node.receive(&good);
    node.receive(&bad);
    apply(&mut client, 1, &[wish("failing", &good, 1)]).await;
    let before = wait_phase(&mut client, Phase::Running, 1).await;
    let mut broken = wish("failing", &bad, 2);
    process(&mut broken).env.insert("BROKEN".to_owned(), "1".to_owned());
    apply(&mut client, 2, &[broken]).await;
    let beside =
        wait(&mut client, "both run", |now| now.message.contains("beside") && now.attempt == 2).await;
    assert_eq!((beside.pid, &beside.ports), (before.pid, &before.ports), "the former one is the instance");
    let back = wait_phase(&mut client, Phase::RolledBack, 2).await;
    assert_eq!((back.pid, back.ports, back.restarts), (before.pid, before.ports, 0));
    assert!(back.failed_reason.contains("503"), "{}", back.failed_reason);
    until("the failed one ends", || node.programs() == [before.pid]);
}

#[tokio::test]
async fn both_are_adopted_by_the_next_agent_and_the_update_goes_on() {
    let (mut node, mut client) = Node::running().await;
    let [old, new] = [package("1", &[]), package("2", &[])];
    node.receive(&old);
    node.receive(&new);
    apply(&mut client, 1, &[wish("adopted", &old, 1)]).await;
    let before = wait_phase(&mut client, Phase::Running, 1).await;
    // Not healthy before somebody says so.
    let gate = node.path("gate");
    let mut slow = wish("adopted", &new, 2);
    let check = format!("test -e {}", gate.display());
    let command = proto::v1::Command { argv: ["sh", "-c", &check].map(String::from).to_vec() };
    let health = slow.health.as_mut().expect("has one");
    health.check = Some(proto::v1::health::Check::Exec(command));
    health.start_period_ms = 60_000;
    apply(&mut client, 2, &[slow]).await;
    until("both run", || node.programs().len() == 2);
    let both = node.programs();
    node.kill();
    node.run();
    client = node.client().await;
    let adopted = wait(&mut client, "it is on trial", |now| now.message.contains("beside")).await;
    assert_eq!(adopted.pid, before.pid);
    assert_eq!(node.programs(), both, "nothing was started or ended");
    std::fs::write(gate, "").expect("written");
    let now = wait_phase(&mut client, Phase::Running, 2).await;
    assert!(both.contains(&now.pid) && now.pid != before.pid);
    until("the former one ends", || !is_alive(before.pid));
    assert_eq!(node.programs(), [now.pid]);
}

#[tokio::test]
async fn a_wish_that_is_given_up_while_two_run_ends_the_new_one() {
    let (node, mut client) = Node::running().await;
    let [old, new] = [package("1", &[]), package("2", &[])];
    node.receive(&old);
    node.receive(&new);
    let first = wish("given-up", &old, 1);
    apply(&mut client, 1, std::slice::from_ref(&first)).await;
    let before = wait_phase(&mut client, Phase::Running, 1).await;
    let mut never = wish("given-up", &new, 2);
    never.health.as_mut().expect("has one").start_period_ms = 60_000;
    process(&mut never).env.insert("BROKEN".to_owned(), "1".to_owned());
    apply(&mut client, 2, &[never.clone()]).await;
    until("both run", || node.programs().len() == 2);
    apply(&mut client, 3, &[InstanceSpec { attempt: 3, ..first }]).await;
    let now = wait_phase(&mut client, Phase::Running, 3).await;
    assert_eq!(now.pid, before.pid);
    until("the new one ends", || node.programs() == [before.pid]);
    node.receive(&new);
    never.attempt = 4;
    apply(&mut client, 4, &[never]).await;
    until("both run again", || node.programs().len() == 2);
    apply(&mut client, 5, &[]).await;
    until("nothing runs", || node.processes().is_empty());
    until("nothing is left", || std::fs::read_dir(node.path("instances")).expect("list").count() == 0);
}

/// Tests that run at the same time have instances of other names, so that they do not choose the same ports.
fn wish(name: &str, package: &Package, attempt: u64) -> InstanceSpec {
    let mut spec = web_spec(package, attempt);
    (spec.id, spec.deployment) = (format!("{name}/0"), name.to_owned());
    spec.update.get_or_insert_default().strategy = Strategy::StartFirst.into();
    spec
}

/// Fetches the page again and again from where the node says that it is.
struct Visitor {
    is_over: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<u32>,
}

impl Visitor {
    fn start(mut client: Client) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let task = tokio::spawn(async move {
            let mut answers = 0;
            while !over.load(Ordering::Relaxed) {
                let port = port(&mut client).await;
                if !answers_at(port).await {
                    // It has moved since it was asked for: then it answers there.
                    let moved = self::port(&mut client).await;
                    assert_ne!(moved, port, "nobody answers where the instance is");
                    assert!(answers_at(moved).await, "nobody answers where the instance has moved to");
                }
                answers += 1;
            }
            answers
        });
        Self { is_over, task }
    }

    /// How many requests were made; all were answered.
    async fn stop(self) -> u32 {
        self.is_over.store(true, Ordering::Relaxed);
        self.task.await.expect("every request was answered")
    }
}

async fn port(client: &mut Client) -> u32 {
    observe(client).await.instances[0].ports[0].port
}

async fn answers_at(port: u32) -> bool {
    tokio::task::spawn_blocking(move || fetch(port).is_ok_and(|page| page.starts_with("HTTP/1.1 200")))
        .await
        .expect("asked")
}

fn fetch(port: u32) -> std::io::Result<String> {
    let port = u16::try_from(port).expect("a port");
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}
