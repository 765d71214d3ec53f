//! The command line under test, run on a desk as a person would, with all that it says kept for the failure message.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::host::Host;

/// A command that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(120);

/// The folder of the binaries under test: next to the running test or tool.
pub fn binaries() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ORCHESTRATOR_E2E_BINARIES") {
        return Ok(PathBuf::from(folder));
    }
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a binary lies in a folder")?;
    let is_test = folder.file_name().is_some_and(|name| name == "deps");
    Ok(if is_test {
        folder.parent().context("deps lies in a folder")?.to_path_buf()
    } else {
        folder.to_path_buf()
    })
}

/// Runs `orchestrator` on a desk.
#[derive(Debug, Clone)]
pub struct Orchestrator {
    desk: Host,
    environment: Vec<(String, String)>,
    /// Another name for the desk.
    machine: Option<String>,
}

impl Orchestrator {
    pub fn on(desk: &Host) -> Result<Orchestrator> {
        let folder = binaries()?;
        for name in ["orchestrator", "node-agent"] {
            let path = folder.join(name);
            ensure!(
                path.exists(),
                "{} is missing: run `make build` (cargo build --workspace)",
                path.display()
            );
        }
        Ok(Orchestrator { desk: desk.clone(), environment: Vec::new(), machine: None })
    }

    /// Uses a store other than the default, e.g. that of [`crate::etcd::Etcd::store`].
    pub fn with_store(self, store: &str) -> Orchestrator {
        self.with("ORCHESTRATOR_STORE", store)
    }

    pub fn with(mut self, name: &str, value: &str) -> Orchestrator {
        self.environment.push((name.to_string(), value.to_string()));
        self
    }

    /// Seems to run on a machine of that name.
    pub fn on_machine(mut self, name: &str) -> Orchestrator {
        self.machine = Some(name.to_string());
        self
    }

    /// Starts `orchestrator <line>`; the line is read by sh, so it may quote and redirect.
    pub fn start(&self, line: &str) -> Running {
        let mut command = self.desk.command("sh");
        let program = match &self.machine {
            None => "orchestrator".to_string(),
            Some(name) => {
                format!(r#"unshare --uts sh -c 'hostname "$0"; exec orchestrator "$@"' {name}"#)
            }
        };
        command.args(["-c", &format!("cd /root && exec {program} {line}")]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.desk.spawn(command).expect("the desk is on");
        Running::watch(line, child)
    }

    /// Runs to the end, whatever that is.
    pub fn run(&self, line: &str) -> Outcome {
        self.start(line).wait()
    }

    /// Runs and insists on exit code 0.
    pub fn ok(&self, line: &str) -> Outcome {
        self.run(line).exits(0)
    }
}

/// A command that has not ended yet.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    started: Instant,
    said: Arc<Said>,
}

#[derive(Debug, Default)]
struct Said {
    words: Mutex<Words>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Words {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    closed: usize,
}

impl Running {
    fn watch(line: &str, mut child: Child) -> Running {
        let said = Arc::new(Said::default());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        listen(&said, stdout.expect("stdout is piped"), |words| &mut words.stdout);
        listen(&said, stderr.expect("stderr is piped"), |words| &mut words.stderr);
        Running { line: line.to_string(), child, started: Instant::now(), said }
    }

    /// The command's process, as this machine numbers it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the command has said `text`; panics when it ends without.
    pub fn await_said(&mut self, text: &str) {
        while !self.said(text) {
            let ended = self.child.try_wait().expect("the command is our child").is_some();
            if (ended && !self.said(text)) || self.started.elapsed() > DEADLINE {
                panic!("never said `{text}`\n{}", self.outcome(None));
            }
            self.pause();
        }
    }

    /// Says whether it has said `text` so far, on either stream.
    pub fn said(&self, text: &str) -> bool {
        let words = self.said.lock();
        [&words.stdout, &words.stderr].iter().any(|said| String::from_utf8_lossy(said).contains(text))
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the command is our child").is_some()
    }

    /// Waits for the end, and for both streams to be closed: a script that captures them would hang otherwise.
    pub fn wait(self) -> Outcome {
        self.wait_within(DEADLINE)
    }

    /// As [`Running::wait`], for what takes longer, such as installing packages from afar.
    pub fn wait_within(mut self, deadline: Duration) -> Outcome {
        let mut ended: Option<(ExitStatus, Instant)> = None;
        while ended.is_none() || self.said.lock().closed < 2 {
            if ended.is_none() {
                let status = self.child.try_wait().expect("the command is our child");
                ended = status.map(|status| (status, Instant::now()));
            }
            if ended.is_some_and(|(_, at)| at.elapsed() > Duration::from_secs(5)) {
                panic!("it ended, but something it started still holds its output\n{}", self.outcome(None));
            }
            if self.started.elapsed() > deadline {
                let _ = self.child.kill();
                panic!("it hangs\n{}", self.outcome(None));
            }
            self.pause();
        }
        self.outcome(ended.map(|(status, _)| status))
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Outcome {
        self.child.kill().expect("the command is our child");
        let status = self.child.wait().expect("the command is our child");
        self.outcome(Some(status))
    }

    /// Sends a signal, e.g. `libc::SIGINT`.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes two integers; the child has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Until something is said, or a little while: the end of a process wakes nobody.
    fn pause(&self) {
        let words = self.said.lock();
        let _ =
            self.said.changed.wait_timeout(words, Duration::from_millis(5)).expect("no panic while locked");
    }

    fn outcome(&self, status: Option<ExitStatus>) -> Outcome {
        let words = self.said.lock();
        Outcome {
            line: self.line.clone(),
            code: status.and_then(|status| status.code()),
            stdout: String::from_utf8_lossy(&words.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&words.stderr).into_owned(),
            took: self.started.elapsed(),
        }
    }
}

impl Said {
    fn lock(&self) -> MutexGuard<'_, Words> {
        self.words.lock().expect("no panic while locked")
    }
}

fn listen(said: &Arc<Said>, mut stream: impl Read + Send + 'static, pick: fn(&mut Words) -> &mut Vec<u8>) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut chunk = [0; 4096];
        loop {
            let read = stream.read(&mut chunk).unwrap_or(0);
            let mut words = said.lock();
            pick(&mut words).extend_from_slice(&chunk[..read]);
            words.closed += usize::from(read == 0);
            said.changed.notify_all();
            if read == 0 {
                return;
            }
        }
    });
}

/// What a command did. Its checks panic with everything that was said.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub line: String,
    /// `None` when a signal ended it, or when it had not ended.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Outcome {
    /// Insists on an exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Outcome {
        assert!(self.code == Some(code), "exit code {code} was expected\n{self}");
        self
    }

    /// Insists that stdout or stderr contains `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> Outcome {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "`{text}` was expected\n{self}");
        self
    }

    #[track_caller]
    pub fn says_nothing_of(self, text: &str) -> Outcome {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "`{text}` is unwanted\n{self}");
        self
    }

    /// Insists on a duration.
    #[track_caller]
    pub fn within(self, limit: Duration) -> Outcome {
        assert!(self.took <= limit, "{limit:?} was expected\n{self}");
        self
    }

    /// Reads stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.code.map_or("no exit code".to_string(), |code| format!("exit code {code}"));
        writeln!(f, "$ orchestrator {}\n{code} after {:?}", self.line, self.took)?;
        writeln!(f, "--- stdout\n{}\n--- stderr\n{}\n---", self.stdout.trim_end(), self.stderr.trim_end())
    }
}

/// Waits for a state, looking again and again.
#[track_caller]
pub fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Says where the repository is, for the files that tests read.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository")
}
