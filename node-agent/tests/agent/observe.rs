//! What the agent tells: reports, logs, output of commands.

use std::time::{Duration, Instant};

use proto::v1::exec_output::Event;
use proto::v1::log_line::Stream;
use proto::v1::{AgentLogsRequest, ExecRequest, LogLine, Phase, Report, WatchRequest};

use crate::fleet::Client;
use crate::node::{LIMIT, Node, apply, is_alive, until, wait_phase, wait_report};
use crate::package::{HEALTHY, SLEEP, package, spec};

#[tokio::test]
async fn a_report_tells_facts_load_and_what_instances_use() {
    let (node, mut client) = Node::running().await;
    let busy = package("1", &[("run.sh", "#!/bin/sh\nwhile :; do :; done\n"), HEALTHY]);
    node.receive(&busy);
    apply(&mut client, 1, &[spec(&busy, 1)]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    let mut stream = client.watch(WatchRequest { heartbeat_ms: 1000 }).await.expect("watching").into_inner();
    let report = loop {
        let report = stream.message().await.expect("a report").expect("more");
        if report.instances[0].cpu_cores > 0.2 {
            break report;
        }
    };
    let (facts, load) = (report.facts.expect("facts"), report.load.expect("load"));
    assert_eq!(facts.arch, std::env::consts::ARCH);
    assert!(facts.cpu_cores >= 1.0 && facts.memory_bytes > 1 << 20 && facts.disk_bytes > 0);
    assert!(load.cpu_busy_cores > 0.2 && load.memory_available_bytes > 0 && load.disk_free_bytes > 0);
    let port = node.address().rsplit_once(':').expect("a port").1.parse().expect("a number");
    assert!(load.listening_ports.contains(&port));
    assert!(report.instances[0].memory_bytes > 100_000, "{:?}", report.instances[0]);
    assert_eq!(report.releases, [busy.digest]);
}

#[tokio::test]
async fn logs_are_read_from_their_end_and_followed_over_rotation() {
    let (node, mut client) = Node::running().await;
    let chatty = "#!/bin/sh\necho one\necho two >&2\n\
        while [ ! -e $HOME/go ]; do sleep 0.05; done\n\
        i=0; while [ $i -lt 3 ]; do i=$((i+1)); head -c 700000 /dev/zero | tr '\\0' x; echo; echo part $i; sleep 0.8; done\n\
        exec sleep 1000\n";
    let release = package("1", &[("run.sh", chatty), HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    let all = read(&mut client, 0, false, usize::MAX).await;
    assert_eq!(written(&all), ["one", "two"]);
    assert!(all.iter().any(|line| line.stream() == Stream::Agent), "{all:?}");
    assert!(all[0].unix_ms > 0 && all.is_sorted_by_key(|line| line.unix_ms), "{all:?}");
    assert_eq!(read(&mut client, 3, false, usize::MAX).await, all[all.len() - 3..]);
    std::fs::write(node.path("instances/web.0/go"), "").expect("written");
    let followed = read(&mut client, 1, true, 150).await;
    let parts: Vec<String> = written(&followed).into_iter().filter(|line| line.starts_with("part")).collect();
    assert_eq!(parts, ["part 1", "part 2", "part 3"]);
    assert!(followed.iter().all(|line| line.text.len() <= 16 << 10));
    until("the log is rotated", || node.path("logs/web.0.log.1").exists());
    let size = std::fs::metadata(node.path("logs/web.0.log")).expect("a log").len();
    assert!(size <= 1 << 20, "{size}");
}

#[tokio::test]
async fn what_was_said_before_is_left_out_on_request() {
    let (node, mut client) = Node::running().await;
    let waiting =
        "#!/bin/sh\necho old\nwhile [ ! -e $HOME/go ]; do sleep 0.05; done\necho new\nexec sleep 1000\n";
    let release = package("1", &[("run.sh", waiting), HEALTHY]);
    node.receive(&release);
    apply(&mut client, 1, &[spec(&release, 1)]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    until("it has begun", || std::fs::read(node.path("logs/web.0.log")).is_ok_and(|log| log == b"old\n"));
    let asked = |follow| AgentLogsRequest { instance: "web/0".into(), tail: 1, follow, only_new: true };
    assert_eq!(ask(&mut client, asked(false), usize::MAX).await, []);
    let mut stream = client.logs(asked(true)).await.expect("logs").into_inner();
    std::fs::write(node.path("instances/web.0/go"), "").expect("written");
    let first = tokio::time::timeout(LIMIT, stream.message()).await.expect("in time").expect("a line");
    assert_eq!(first.map(|line| line.text), Some(b"new".to_vec()));
}

/// Reads until so many lines came, or the stream ends, or "part 3" was seen.
async fn read(client: &mut Client, tail: u32, follow: bool, count: usize) -> Vec<LogLine> {
    let request = AgentLogsRequest { instance: "web/0".into(), tail, follow, only_new: false };
    ask(client, request, count).await
}

async fn ask(client: &mut Client, request: AgentLogsRequest, count: usize) -> Vec<LogLine> {
    let mut stream = client.logs(request).await.expect("logs").into_inner();
    let mut lines: Vec<LogLine> = Vec::new();
    let read = tokio::time::timeout(LIMIT, async {
        while lines.len() < count {
            let Some(line) = stream.message().await.expect("a line") else { break };
            let is_last = line.text == b"part 3";
            lines.push(line);
            if is_last {
                break;
            }
        }
    });
    read.await.expect("in time");
    lines
}

fn written(lines: &[LogLine]) -> Vec<String> {
    let lines = lines.iter().filter(|line| line.stream() == Stream::Stdout);
    lines.map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_streams_its_output_and_ends_with_its_group() {
    let (_node, mut client) = Node::running().await;
    let (out, code) = exec(&mut client, &["sh", "-c", "echo out; echo err >&2; exit 7"], 0).await;
    assert_eq!((out.as_str(), code), ("err\nout\n", 7));
    let begin = Instant::now();
    let (out, code) = exec(&mut client, &["sh", "-c", "sleep 1000 & echo $!; sleep 1000"], 300).await;
    assert_eq!(code, 124);
    assert!(begin.elapsed() < Duration::from_secs(15));
    let child: i32 = out.trim().parse().expect("a pid");
    until("the group is gone", || !is_alive(child));

    let request =
        ExecRequest { argv: ["sh", "-c", "echo $$; sleep 1000"].map(String::from).to_vec(), timeout_ms: 0 };
    let mut stream = client.exec(request).await.expect("runs").into_inner();
    let Some(Event::Stdout(pid)) = stream.message().await.expect("output").and_then(|output| output.event)
    else {
        panic!("no output");
    };
    let pid: i32 = String::from_utf8_lossy(&pid).trim().parse().expect("a pid");
    drop(stream);
    until("a cancelled command is gone", || !is_alive(pid));
    let missing = ExecRequest { argv: vec!["/no/such".into()], timeout_ms: 0 };
    let refused = client.exec(missing).await.expect_err("not there");
    assert!(refused.message().contains("/no/such"), "{refused}");
}

async fn exec(client: &mut Client, argv: &[&str], timeout_ms: u32) -> (String, i32) {
    let argv = argv.iter().map(|arg| (*arg).to_owned()).collect();
    let mut stream = client.exec(ExecRequest { argv, timeout_ms }).await.expect("runs").into_inner();
    let (mut lines, mut code) = (Vec::new(), -1);
    while let Some(output) = stream.message().await.expect("output") {
        match output.event.expect("an event") {
            Event::Stdout(text) | Event::Stderr(text) => {
                lines.push(String::from_utf8_lossy(&text).into_owned());
            }
            Event::ExitCode(found) => code = found,
        }
    }
    lines.sort();
    (lines.concat(), code)
}

#[tokio::test]
async fn an_idle_agent_uses_next_to_no_cpu() {
    let (node, mut client) = Node::running().await;
    let release = package("1", &[SLEEP, HEALTHY]);
    node.receive(&release);
    let mut wish = spec(&release, 1);
    wish.health = None;
    apply(&mut client, 1, &[wish]).await;
    wait_phase(&mut client, Phase::Running, 1).await;
    let is_known =
        |report: &Report| report.facts.as_ref().is_some_and(|facts| !facts.agent_digest.is_empty());
    wait_report(&mut client, "the binary's digest, which takes a while in a debug build", is_known).await;
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", node.agent_pid())).expect("it runs");
        let fields: Vec<_> = stat.rsplit_once(") ").expect("fields").1.split(' ').collect();
        fields[11].parse::<u64>().expect("ticks") + fields[12].parse::<u64>().expect("ticks")
    };
    let before = ticks();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(ticks() - before <= 3, "more than 1 % of a CPU, in a debug build");
}
