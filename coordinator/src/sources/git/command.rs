//! Runs git: without prompts, hooks, submodules and the user's own settings of protocols, and not for ever.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::sources::SourceError;

/// What one copy of a repository may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub time: Duration,
    /// On the disk.
    pub bytes: u64,
    /// Of what git prints.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(120), bytes: 512 << 20, output: 64 << 20 }
    }
}

#[derive(Debug)]
pub struct Git {
    folder: PathBuf,
    address: String,
    limits: Limits,
}

/// How often the size of the copy is looked at.
const LOOK: Duration = Duration::from_millis(200);

impl Git {
    pub fn new(folder: PathBuf, address: String, limits: Limits) -> Self {
        Self { folder, address, limits }
    }

    /// Runs git and gives what it prints.
    pub async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, SourceError> {
        let mut child = self.command(arguments).spawn().map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => SourceError::NoGit,
            _ => SourceError::Read { what: self.address.clone(), cause },
        })?;
        // Also its helpers end with us, whatever ends us.
        let _group = Group::of(&child);
        let stdout = child.stdout.take().expect("piped");
        let stderr = child.stderr.take().expect("piped");
        let failed = |cause| SourceError::Read { what: self.address.clone(), cause };
        let (mut output, mut said) = (Vec::new(), Vec::new());
        let limit = self.limits.output;
        let work = async {
            let mut stdout = stdout.take(limit + 1);
            let mut stderr = stderr.take(64 << 10);
            let read = tokio::try_join!(stdout.read_to_end(&mut output), stderr.read_to_end(&mut said));
            read.map_err(failed)?;
            child.wait().await.map_err(failed)
        };
        let status = tokio::select! {
            status = tokio::time::timeout(self.limits.time, work) => match status {
                Ok(status) => status?,
                Err(_) => return Err(SourceError::GitTimedOut { address: self.address.clone(), after: self.limits.time }),
            },
            () = self.outgrown() => {
                return Err(SourceError::TooBig { what: self.address.clone(), limit: self.limits.bytes });
            }
        };
        if output.len() as u64 > limit {
            return Err(SourceError::TooBig { what: self.address.clone(), limit });
        }
        if status.success() { Ok(output) } else { Err(self.failure(&said)) }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(&self.folder)
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.askPass="])
            .args(["-c", "fetch.recurseSubmodules=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args([
                "-c",
                "http.lowSpeedLimit=100",
                "-c",
                "http.lowSpeedTime=30",
                "-c",
                "fetch.fsckObjects=false",
            ])
            .args(arguments)
            .env("GIT_ALLOW_PROTOCOL", "https:http:ssh:git:file")
            .env("GIT_PROTOCOL_FROM_USER", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "/bin/false")
            .env("SSH_ASKPASS", "/bin/false")
            .env("GCM_INTERACTIVE", "never")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if std::env::var_os("GIT_SSH_COMMAND").is_none() {
            command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
        }
        for name in
            ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_EXTERNAL_DIFF"]
        {
            command.env_remove(name);
        }
        command
    }

    /// Ends when the copy takes more than it may.
    async fn outgrown(&self) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            look.tick().await;
            if size_of(&self.folder) > self.limits.bytes {
                return;
            }
        }
    }

    fn failure(&self, said: &[u8]) -> SourceError {
        let text = String::from_utf8_lossy(said);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let telling = lines.clone().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
        let message = telling.or_else(|| lines.clone().next_back()).unwrap_or("nothing");
        let message = message.trim_start_matches("fatal: ").trim_start_matches("error: ").to_owned();
        SourceError::Git { address: self.address.clone(), message }
    }
}

fn size_of(folder: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let sizes = entries.filter_map(Result::ok).map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// The processes of one run; those that are left when it is dropped are killed.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Self(pid.and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}
