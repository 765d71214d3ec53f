//! A real etcd server on a stage, which can be stopped, killed, frozen and started again on the same data.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::stage::{Stage, record_process};

const START_DEADLINE: Duration = Duration::from_secs(20);

/// One member with its data in the stage's folder.
#[derive(Debug)]
pub struct Etcd {
    address: Ipv4Addr,
    stage_folder: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    child: Option<Child>,
    /// Held when the server has the stage for itself.
    _stage: Option<Stage>,
}

impl Etcd {
    /// Starts a server for this machine only.
    pub fn start() -> Result<Etcd> {
        let stage = Stage::claim()?;
        let mut etcd = Etcd::start_on(&stage, stage.loopback())?;
        etcd._stage = Some(stage);
        Ok(etcd)
    }

    /// Starts a server as part of a stage.
    pub fn start_on(stage: &Stage, address: Ipv4Addr) -> Result<Etcd> {
        let stage_folder = stage.folder();
        let folder = stage_folder.join("etcd");
        fs::create_dir_all(&folder)?;
        // In memory: flushing the disk, as engines of containers do, would hold up the store for seconds.
        let data = stage.memory();
        fs::create_dir_all(&data)?;
        let mut etcd = Etcd { address, stage_folder, folder, data, child: None, _stage: None };
        etcd.spawn()?;
        etcd.await_health()?;
        Ok(etcd)
    }

    /// `10.213.7.1:2379`
    pub fn endpoint(&self) -> String {
        format!("{}:2379", self.address)
    }

    /// What the command line takes as `--store`.
    pub fn store(&self) -> String {
        format!("etcd://{}", self.endpoint())
    }

    /// Starts it again on the same data.
    pub fn restart(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "etcd is running");
        self.spawn()?;
        self.await_health()
    }

    /// Ends it in order.
    pub fn stop(&mut self) -> Result<()> {
        self.end(libc::SIGTERM)
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.end(libc::SIGKILL)
    }

    /// Lets it hang: connections stay open, nothing is answered.
    pub fn freeze(&self) -> Result<()> {
        self.signal(libc::SIGSTOP)?;
        // A thread that runs on another processor stops a moment later.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.has_stopped()? {
            ensure!(Instant::now() < deadline, "etcd does not stop");
            std::thread::yield_now();
        }
        Ok(())
    }

    fn has_stopped(&self) -> Result<bool> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid()?))?;
        Ok(tasks
            .flatten()
            .all(|task| fs::read_to_string(task.path().join("stat")).is_ok_and(|stat| stat.contains(") T "))))
    }

    pub fn thaw(&self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// Runs `etcdctl`, where it is installed.
    pub fn control(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.endpoint()]).args(arguments);
        let output = command.output().context("could not run etcdctl: install etcd-client")?;
        ensure!(output.status.success(), "etcdctl: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn spawn(&mut self) -> Result<()> {
        let (client, peer) = (format!("http://{}", self.endpoint()), format!("http://{}:2380", self.address));
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(self.data.join("etcd"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        // Elects itself in a tenth of the usual second.
        command.args(["--heartbeat-interval", "10", "--election-timeout", "100"]);
        // A group of its own: Ctrl-C at the terminal is for the one who started it.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("could not run etcd: install etcd-server")?);
        record_process(&self.stage_folder, "etcd", self.pid()?)
    }

    fn await_health(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        while !self.is_healthy() {
            let ended = self.child.as_mut().context("etcd is stopped")?.try_wait()?.is_some();
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            ensure!(!ended && Instant::now() < deadline, "etcd did not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn is_healthy(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let address = SocketAddr::from((self.address, 2379));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.contains("\"true\""))
    }

    fn pid(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("etcd is stopped")?.id())
    }

    fn signal(&self, signal: i32) -> Result<()> {
        let pid = self.pid()?;
        // SAFETY: kill takes two integers; the child has not been waited for, so the pid is ours.
        unsafe { libc::kill(pid as i32, signal) };
        Ok(())
    }

    fn end(&mut self, signal: i32) -> Result<()> {
        self.signal(signal)?;
        let mut child = self.child.take().context("etcd is stopped")?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}
