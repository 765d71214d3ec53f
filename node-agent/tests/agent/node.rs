//! A node on this machine: a temporary data folder and the agent binary. Everything it started ends with it.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use proto::v1::apply_reply::Verdict;
use proto::v1::{
    ApplyRequest, InstanceReport, InstanceSpec, NodeSpec, ObserveRequest, Phase, Report, WatchRequest,
};
use tempfile::TempDir;

use crate::fleet::{Badge, Client, Fleet};
use crate::package::Package;

pub const LIMIT: Duration = Duration::from_secs(20);

pub struct Node {
    pub fleet: Fleet,
    pub dir: TempDir,
    agent: Option<Child>,
}

impl Node {
    /// Enrolled, the agent not running.
    pub fn enrolled() -> Self {
        Self::enrolled_in(tempfile::tempdir().expect("tempdir"))
    }

    pub fn enrolled_in(dir: TempDir) -> Self {
        let node = Self { fleet: Fleet::new(), dir, agent: None };
        let csr = node.ok(&["enrol", "--node", "pi"], b"");
        let pem = node.fleet.sign(&csr) + &node.fleet.ca_pem;
        node.ok(&["install-certificate"], pem.as_bytes());
        node
    }

    /// Enrolled, with a running agent and a client of it.
    pub async fn running() -> (Self, Client) {
        let mut node = Self::enrolled();
        node.run();
        let client = node.client().await;
        (node, client)
    }

    /// Runs the agent in the foreground and waits until it listens.
    pub fn run(&mut self) {
        let _ = std::fs::remove_file(self.path("agent.addr.seen"));
        let before = std::fs::metadata(self.path("agent.addr")).and_then(|meta| meta.modified()).ok();
        let child = self.command(&["run", "--listen", "127.0.0.1:0"]).spawn().expect("spawned");
        self.agent = Some(child);
        until("the agent listens", || {
            let now = std::fs::metadata(self.path("agent.addr")).and_then(|meta| meta.modified()).ok();
            now.is_some() && now != before
        });
    }

    /// `kill -9` of the agent that `run` started.
    pub fn kill(&mut self) {
        let mut agent = self.agent.take().expect("it runs");
        agent.kill().and_then(|()| agent.wait()).expect("killed");
    }

    pub fn terminate(&mut self) {
        let mut agent = self.agent.take().expect("it runs");
        signal(i32::try_from(agent.id()).expect("a pid"), libc::SIGTERM);
        assert!(agent.wait().expect("ended").success());
    }

    pub fn agent_pid(&self) -> i32 {
        i32::try_from(self.agent.as_ref().expect("it runs").id()).expect("a pid")
    }

    /// To the running agent, whoever started it.
    pub fn signal_agent(&self, number: i32) {
        let pid = std::fs::read_to_string(self.path("agent.lock")).expect("a lock");
        signal(pid.parse().expect("a pid"), number);
    }

    pub async fn client(&self) -> Client {
        let begin = Instant::now();
        loop {
            match self.connect(Badge::default()).await {
                Ok(client) => return client,
                // An agent that is just being killed may still take the connection.
                Err(error) => assert!(begin.elapsed() < LIMIT, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn connect(&self, badge: Badge) -> Result<Client, tonic::Status> {
        self.fleet.connect(&self.address(), "pi", badge).await
    }

    pub fn address(&self) -> String {
        std::fs::read_to_string(self.path("agent.addr")).expect("an address")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn receive(&self, package: &Package) -> String {
        let size = package.bytes.len().to_string();
        self.ok(&["receive", "--digest", &package.digest, "--size", &size], &package.bytes)
    }

    /// Runs a command of the agent, which must succeed; its stdout.
    pub fn ok(&self, args: &[&str], stdin: &[u8]) -> String {
        let output = self.call(args, stdin);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn call(&self, args: &[&str], stdin: &[u8]) -> Output {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("spawned");
        // What needs no input does not read it all.
        let _ = child.stdin.take().expect("piped").write_all(stdin);
        child.wait_with_output().expect("ended")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).arg("--data-dir").arg(self.dir.path());
        command
    }

    /// Those of `processes` that are no check: a check comes and goes as it likes.
    pub fn programs(&self) -> Vec<i32> {
        let is_check = |pid: &i32| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            // One that has just ended has no command line any more.
            line.is_empty() || line.contains("health.sh") || line.contains("test -e")
        };
        self.processes().into_iter().filter(|pid| !is_check(pid)).collect()
    }

    /// All processes that carry the mark of this node.
    pub fn processes(&self) -> Vec<i32> {
        let token = std::fs::read_to_string(self.path("token")).unwrap_or_default();
        let marks = ["", "-second"].map(|lane| format!("ORCHESTRATOR_AGENT={token}{lane}"));
        let entries = std::fs::read_dir("/proc").expect("proc").flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| {
                let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                !token.is_empty()
                    && environ
                        .split(|byte| *byte == 0)
                        .any(|var| marks.iter().any(|mark| var == mark.as_bytes()))
            })
            .collect()
    }
}

/// The agent that is tested: of another build where NODE_AGENT names one, such as the one that is shipped.
pub fn binary() -> PathBuf {
    std::env::var_os("NODE_AGENT").unwrap_or(env!("CARGO_BIN_EXE_node-agent").into()).into()
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.command(&["stop", "--instances"]).stderr(Stdio::null()).status();
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill().and_then(|()| agent.wait());
        }
    }
}

pub async fn apply(client: &mut Client, generation: u64, instances: &[InstanceSpec]) -> Verdict {
    let spec = node_spec(generation, instances);
    client.apply(ApplyRequest { spec: Some(spec) }).await.expect("applied").into_inner().verdict()
}

pub fn node_spec(generation: u64, instances: &[InstanceSpec]) -> NodeSpec {
    NodeSpec { node: "pi".into(), generation, instances: instances.to_vec(), ..Default::default() }
}

pub async fn observe(client: &mut Client) -> Report {
    client.observe(ObserveRequest {}).await.expect("observed").into_inner()
}

/// Follows the report stream until the only instance is as it should be.
pub async fn wait(
    client: &mut Client,
    what: &str,
    is_so: impl Fn(&InstanceReport) -> bool,
) -> InstanceReport {
    wait_report(client, what, |report| report.instances.first().is_some_and(&is_so)).await.instances.remove(0)
}

pub async fn wait_phase(client: &mut Client, phase: Phase, attempt: u64) -> InstanceReport {
    wait(client, &format!("{phase:?}"), |instance| instance.phase() == phase && instance.attempt == attempt)
        .await
}

pub async fn wait_report(client: &mut Client, what: &str, is_so: impl Fn(&Report) -> bool) -> Report {
    let mut last = Report::default();
    let found = tokio::time::timeout(LIMIT, async {
        let request = WatchRequest { heartbeat_ms: 500 };
        let mut stream = client.watch(request).await.expect("watching").into_inner();
        while let Some(report) = stream.message().await.expect("a report") {
            last = report;
            if is_so(&last) {
                return true;
            }
        }
        false
    });
    let is_found = found.await.unwrap_or(false);
    assert!(is_found, "waited for {what}, last was {:?}", last.instances);
    last
}

pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "waited for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    String::from_utf8_lossy(&stat).rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

pub fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes plain numbers.
    unsafe { libc::kill(pid, signal) };
}
