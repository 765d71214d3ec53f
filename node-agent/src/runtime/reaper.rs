//! The one place that waits for child processes: ours, and the orphans that come to us because the agent is a
//! subreaper. Nobody else may call `waitpid`, or an exit status would be lost.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

static WAITING: Mutex<BTreeMap<i32, oneshot::Sender<Exit>>> = Mutex::new(BTreeMap::new());

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// It was not our child, so nobody told us.
    Unknown,
}

impl Exit {
    /// As a shell says it: the code, or 128 + signal.
    pub fn shell_code(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
            Exit::Unknown => 255,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with code {code}"),
            Exit::Signal(signal) => write!(f, "killed by signal {signal}"),
            Exit::Unknown => f.write_str("exited"),
        }
    }
}

/// Makes orphans of our instances come to us, and reaps all children from now on.
///
/// # Errors
/// When the signal handler cannot be installed.
pub fn start() -> io::Result<()> {
    // SAFETY: no pointers involved; an old kernel refuses, and then orphans go to init.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    let mut children = signal(SignalKind::child())?;
    tokio::spawn(async move {
        reap();
        while children.recv().await.is_some() {
            reap();
        }
    });
    Ok(())
}

/// Forks by `fork` and registers the child before anybody can reap it.
pub fn register(fork: impl FnOnce() -> io::Result<i32>) -> io::Result<(i32, oneshot::Receiver<Exit>)> {
    let mut waiting = waiting();
    let pid = fork()?;
    let (sender, receiver) = oneshot::channel();
    waiting.insert(pid, sender);
    Ok((pid, receiver))
}

fn reap() {
    loop {
        let mut status = 0;
        let mut waiting = waiting();
        // SAFETY: status is a valid place for the result.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if pid <= 0 {
            return;
        }
        if let Some(sender) = waiting.remove(&pid) {
            // Whoever started it may have lost interest.
            let _ = sender.send(exit_of(status));
        }
    }
}

fn exit_of(status: i32) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    }
}

fn waiting() -> MutexGuard<'static, BTreeMap<i32, oneshot::Sender<Exit>>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}
