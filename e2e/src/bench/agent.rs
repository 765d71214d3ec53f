//! Measures the agent and the idle coordinator as they run on a host: size, start, memory, what they do when there is
//! nothing to do. Everything is read from /proc of the release binaries while they serve a real fleet of one node.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::figures::{Bound, Figures, median, worst};
use super::process::{Idle, Memory, Process};
use crate::fleet::Fleet;
use crate::host::Host;
use crate::orchestrator::{Orchestrator, Running, binaries};
use crate::scene::DATA;

const MB: f64 = 1e6;
const PORT: u16 = 7644;
const INSTANCES: u32 = 10;
const IDLE_SPAN: Duration = Duration::from_secs(10);
const START_LIMIT: Duration = Duration::from_secs(5);

/// What is measured.
#[derive(Debug, Clone)]
pub struct Wish {
    pub starts: u32,
    pub deploys: u32,
}

pub fn agent(wish: &Wish, figures: &mut Figures) -> Result<()> {
    figures.heading("the agent, and the coordinator beside it");
    size(figures)?;
    let fleet = Fleet::up(1)?;
    let cli = Orchestrator::on(fleet.desk())?;
    cli.ok("node add a --ssh a");
    let host = fleet.host("a");
    starts(host, wish.starts, "exec to ready", figures)?;
    let serve = start_serve(&cli, fleet.desk());
    for number in 0..INSTANCES {
        cli.ok(&format!("deploy hello-web --name web{number}"));
    }
    let outcome = running(&fleet, &cli, wish, figures);
    serve.kill();
    outcome?;
    starts(host, wish.starts, "exec to ready, adopting ten instances", figures)
}

/// What is measured while ten instances run and the coordinator follows their reports.
fn running(fleet: &Fleet, cli: &Orchestrator, wish: &Wish, figures: &mut Figures) -> Result<()> {
    let host = fleet.host("a");
    let agent = Process::find(host, &["node-agent run"])?;
    let serve = Process::find(fleet.desk(), &["orchestrator serve"])?;
    // A stream of reports stays open all the time, as the coordinator's during a deploy.
    let logs = cli.start("logs web0 --follow");
    let before = agent.memory()?;
    let most = Bound::AtMost(6.0);
    figures.note("agent: RSS, connected, ten instances", before.resident / MB, "MB", most);
    figures.note("agent: of that anonymous", before.anonymous / MB, "MB", Bound::None);
    for supervisor in Process::find_all(host, &["node-agent start"])? {
        let memory = supervisor.memory()?;
        figures.note(
            "its supervisor, where there is no systemd: RSS",
            memory.resident / MB,
            "MB",
            Bound::None,
        );
    }
    note_idle("agent", agent.idle(IDLE_SPAN)?, figures);
    let memory = serve.memory()?;
    figures.note("orchestrator serve: RSS", memory.resident / MB, "MB", Bound::AtMost(40.0));
    note_idle("orchestrator serve", serve.idle(IDLE_SPAN)?, figures);
    redeploy(cli, wish.deploys);
    ensure!(Process::find(host, &["node-agent run"])?.pid == agent.pid, "the agent was restarted meanwhile");
    note_growth(wish.deploys, before, agent.memory()?, figures);
    let memory = serve.memory()?;
    let what = format!("orchestrator serve: RSS after {} deploys", wish.deploys);
    figures.note(what, memory.resident / MB, "MB", Bound::AtMost(40.0));
    logs.kill();
    Ok(())
}

fn size(figures: &mut Figures) -> Result<()> {
    let path = binaries()?.join("node-agent");
    let bytes = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
    figures.note("agent: bytes on disk, stripped", bytes as f64 / MB, "MB", Bound::AtMost(4.0));
    Ok(())
}

/// Starts the agent again and again in the foreground, as systemd does, and asks for its port all the time.
fn starts(host: &Host, count: u32, what: &str, figures: &mut Figures) -> Result<()> {
    host.run(&format!("{DATA}/bin/node-agent stop --data-dir {DATA}"))?;
    let mut times = Vec::new();
    for _ in 0..count {
        let (child, took) = start(host)?;
        times.push(took.as_secs_f64() * 1e3);
        end(child)?;
    }
    figures.note(format!("agent: {what}, median of {count}"), median(&times), "ms", Bound::AtMost(10.0));
    figures.note(format!("agent: {what}, worst of {count}"), worst(&times), "ms", Bound::None);
    Ok(())
}

fn start(host: &Host) -> Result<(Child, Duration)> {
    let mut command = host.command(&format!("{DATA}/bin/node-agent"));
    command.args(["run", "--listen", &format!("0.0.0.0:{PORT}"), "--data-dir", DATA]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let address = SocketAddr::from((host.address(), PORT));
    let started = Instant::now();
    let child = host.spawn(command)?;
    while !answers(address) {
        ensure!(started.elapsed() < START_LIMIT, "the agent does not answer");
        std::thread::sleep(Duration::from_micros(100));
    }
    Ok((child, started.elapsed()))
}

/// Not the kernel but the agent itself must say something: its TLS refuses what is no handshake.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"are you there?\r\n")?;
        Ok(stream.read(&mut [0; 16])? > 0)
    };
    ask().unwrap_or(false)
}

fn end(mut child: Child) -> Result<()> {
    // SAFETY: kill takes two integers; the child has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    child.wait()?;
    Ok(())
}

fn start_serve(cli: &Orchestrator, desk: &Host) -> Running {
    let serve = cli.start("serve");
    crate::orchestrator::eventually("the coordinator serves", START_LIMIT, || {
        desk.try_run("test -S /root/.local/share/orchestrator/orchestrator.sock")
            .is_ok_and(|output| output.status.success())
    });
    serve
}

/// Each deploy changes one instance, which is stopped, started and awaited.
fn redeploy(cli: &Orchestrator, count: u32) {
    for number in 0..count {
        let name = number % INSTANCES;
        cli.ok(&format!("deploy hello-web --name web{name} --set greeting=Hello-{number}"));
        if number % 100 == 99 {
            println!("  {} of {count} deploys", number + 1);
        }
    }
}

fn note_growth(deploys: u32, before: Memory, after: Memory, figures: &mut Figures) {
    let resident = (after.resident - before.resident) / MB;
    let anonymous = (after.anonymous - before.anonymous) / MB;
    figures.note(format!("agent: RSS more after {deploys} deploys"), resident, "MB", Bound::AtMost(1.0));
    figures.note("agent: of that anonymous", anonymous, "MB", Bound::None);
}

fn note_idle(who: &str, idle: Idle, figures: &mut Figures) {
    figures.note(format!("{who}: idle, of one processor"), idle.cpu_percent, "%", Bound::None);
    figures.note(format!("{who}: idle, written"), idle.written_bytes, "B/s", Bound::None);
    match idle.syncs {
        Some(syncs) => figures.note(format!("{who}: idle, syncs"), syncs, "/s", Bound::AtMost(1.0)),
        None => println!("strace is missing: the syncs of {who} are not counted"),
    }
}
