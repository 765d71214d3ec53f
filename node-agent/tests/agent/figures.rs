//! The agent's size, speed and memory, read from /proc of the real thing. Not run with the tests, but by
//! `NODE_AGENT=target/agent/node-agent cargo test -p node-agent figures -- --ignored --nocapture`.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use proto::v1::{Phase, WatchRequest};

use crate::node::{Node, apply, wait_phase, wait_report};
use crate::package::{HEALTHY, SLEEP, package, spec, web_spec};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures a release build"]
async fn figures() {
    let binary = std::env::var("NODE_AGENT").expect("NODE_AGENT names a release build");
    let size = std::fs::metadata(&binary).expect("a binary").len();
    println!("binary                         {size:>9} bytes (at most 4,000,000)");
    let ready = ready();
    println!("exec to accepting              {:>9.2} ms (at most 10)", ready.as_secs_f64() * 1000.0);
    let (idle, ten, anonymous) = ten_instances().await;
    println!("resident, no instance          {idle:>9} kB");
    println!("resident, ten instances        {ten:>9} kB (at most 6,144), anonymous {anonymous} kB");
    let (before, after) = deploys(1000).await;
    println!("resident after 50 deploys      {before:>9} kB");
    println!("resident after 1,000 deploys   {after:>9} kB (at most 1,024 more)");
    assert!(size <= 4_000_000 && ready <= Duration::from_millis(10) && ten <= 6144 && after <= before + 1024);
}

/// The median of several starts.
fn ready() -> Duration {
    let node = Node::enrolled();
    let mut times: Vec<Duration> = (0..15)
        .map(|_| {
            let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
            let address = free.local_addr().expect("an address");
            drop(free);
            let begin = Instant::now();
            let mut agent =
                node.command(&["run", "--listen", &address.to_string()]).spawn().expect("spawned");
            while TcpStream::connect(address).is_err() {
                std::thread::sleep(Duration::from_micros(100));
            }
            let took = begin.elapsed();
            agent.kill().and_then(|()| agent.wait()).expect("killed");
            took
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

async fn ten_instances() -> (u64, u64, u64) {
    let (node, mut client) = Node::running().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = memory(&node, "VmRSS:");
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    let instances: Vec<_> = (0..10)
        .map(|index| {
            let mut wish = web_spec(&release, 1);
            wish.id = format!("web/{index}");
            wish
        })
        .collect();
    apply(&mut client, 1, &instances).await;
    wait_report(&mut client, "all ten run", |report| {
        report.instances.len() == 10 && report.instances.iter().all(|now| now.phase() == Phase::Running)
    })
    .await;
    let mut stream = client.watch(WatchRequest { heartbeat_ms: 500 }).await.expect("watching").into_inner();
    for _ in 0..10 {
        stream.message().await.expect("a report").expect("more");
    }
    (idle, memory(&node, "VmRSS:"), memory(&node, "RssAnon:"))
}

async fn deploys(count: u64) -> (u64, u64) {
    let (node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    let mut before = 0;
    for number in 1..=count {
        let mut wish = spec(&release, number);
        wish.restart = number;
        apply(&mut client, number, &[wish]).await;
        wait_phase(&mut client, Phase::Running, number).await;
        if number == 50 {
            before = memory(&node, "VmRSS:");
        }
    }
    (before, memory(&node, "VmRSS:"))
}

/// A line of the agent's /proc/<pid>/status, in kB.
fn memory(node: &Node, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.agent_pid())).expect("it runs");
    let value = status.lines().find_map(|found| found.strip_prefix(line)).expect("the line");
    value.trim().trim_end_matches(" kB").parse().expect("a number")
}
