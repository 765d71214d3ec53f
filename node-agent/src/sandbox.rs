//! Running a program of a step in a sandbox. What a rung is made of is in `plan::sandbox`; here it is built, tried
//! with canaries at start, and refused where a part is not there.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use plan::sandbox::{Offer, Refused, Sandbox};
use proto::code::Code;
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

use crate::runtime::reaper::Exit;
use crate::runtime::spawn::SpawnError;
use crate::sandbox::child::Stage;
use crate::sandbox::egress::Egress;

mod account;
mod birth;
mod bubblewrap;
mod cgroup;
mod child;
pub mod egress;
mod fence;
mod keeper;
mod landlock;
mod launch;
mod network;
mod prepare;
mod probe;
mod scratch;
mod seccomp;
mod tree;

/// A program and all that confines it.
#[derive(Debug, Clone)]
pub struct Confined {
    pub argv: Vec<String>,
    /// What the policy lets a step set; the rest of the environment is the sandbox's own.
    pub env: BTreeMap<String, String>,
    /// What it reads on stdin.
    pub stdin: Vec<u8>,
    /// Where it runs; its scratch folder if not said.
    pub dir: Option<PathBuf>,
    /// Folders and files that it may change besides its scratch folder, as far as its account may.
    pub writable: Vec<PathBuf>,
    /// As [`Offer::decide`] has said.
    pub sandbox: Sandbox,
    /// Whom it may speak to, where its network is [`plan::sandbox::Network::Named`].
    pub egress: Option<Egress>,
    pub caps: Caps,
}

/// How much a program, with all that it starts, may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Of one file.
    pub file_bytes: u64,
    /// Of its scratch folder.
    pub scratch_bytes: u64,
    pub open_files: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            cpu_seconds: 300,
            processes: 64,
            file_bytes: 64 << 20,
            scratch_bytes: 256 << 20,
            open_files: 256,
        }
    }
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("this node cannot cut the network by a namespace: {0}")]
    NoNamespace(String),
    #[error("the network is for named domains, and none are named")]
    Domains,
    #[error(
        "{} cannot be writable: the agent's own data are in it, and could be reached; hint: use another folder as dir",
        .0.display()
    )]
    Exposes(PathBuf),
    #[error("the variable {0:?} may not be set for a program in a sandbox")]
    Variable(String),
    #[error(transparent)]
    Command(#[from] SpawnError),
    #[error("could not {action} for the sandbox")]
    System {
        action: &'static str,
        #[source]
        cause: io::Error,
    },
    #[error("could not {}", stage.action())]
    Child {
        stage: Stage,
        #[source]
        cause: io::Error,
    },
}

impl SandboxError {
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(_) | Self::NoNamespace(_) => Code::Denied,
            Self::Domains | Self::Variable(_) | Self::Exposes(_) | Self::Command(_) => Code::InvalidInput,
            Self::System { .. } | Self::Child { .. } => Code::Failed,
        }
    }
}

/// What a program used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Memory,
    Scratch,
}

/// How a program ended. Nothing of it is left then: no process, no scratch folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub exit: Exit,
    /// It was killed for using more than its cap.
    pub over: Option<Over>,
    /// Some process of it hangs in the kernel and could not be killed.
    pub is_stuck: bool,
}

/// A running program. Dropping it kills the program and all that it started.
#[derive(Debug)]
pub struct Child {
    output: Option<(pipe::Receiver, pipe::Receiver)>,
    end: oneshot::Receiver<Ended>,
    ended: Option<Ended>,
    kill: Option<oneshot::Sender<()>>,
}

impl Child {
    /// What it writes on stdout and on stderr; once.
    pub fn take_output(&mut self) -> Option<(pipe::Receiver, pipe::Receiver)> {
        self.output.take()
    }

    /// Its end, however often it is asked. Output may still be in the pipes then, but nobody writes to them any more.
    pub async fn wait(&mut self) -> Ended {
        if let Some(ended) = self.ended {
            return ended;
        }
        let unknown = Ended { exit: Exit::Unknown, over: None, is_stuck: true };
        let ended = (&mut self.end).await.unwrap_or(unknown);
        self.ended = Some(ended);
        ended
    }

    /// Kills it with all that it started, however far it has moved, and waits for that.
    pub async fn kill_tree(&mut self) -> Ended {
        self.kill = None;
        self.wait().await
    }
}

/// The sandboxes of this node.
pub struct Sandboxes {
    data: PathBuf,
    token: String,
    offer: watch::Sender<Option<Offer>>,
}

impl Sandboxes {
    /// Nothing is offered until [`Sandboxes::probe`] has ended.
    pub fn new(data: PathBuf, token: String) -> Self {
        Self { data, token, offer: watch::Sender::new(None) }
    }

    /// Clears away what a killed agent left, and tries each part with a canary that must be stopped.
    pub async fn probe(&self) {
        scratch::sweep(&self.token);
        let offer = probe::offer(self).await;
        self.offer.send_replace(Some(offer));
    }

    /// What was found; nothing while the probe runs.
    pub fn found(&self) -> Option<Offer> {
        self.offer.borrow().clone()
    }

    /// What was found, once it is.
    pub async fn offer(&self) -> Offer {
        let mut offer = self.offer.subscribe();
        let found = offer.wait_for(Option::is_some).await;
        found.ok().and_then(|found| found.clone()).unwrap_or_default()
    }

    /// Starts a program. To be called on the runtime, which then keeps it.
    ///
    /// # Errors
    /// When its sandbox is not offered here, or it could not be put into it; nothing runs then.
    pub async fn spawn(&self, confined: &Confined) -> Result<Child, SandboxError> {
        let offer = self.offer().await;
        prepare::check(confined, &offer)?;
        let rig = prepare::Rig::of(confined.sandbox.tier, confined.sandbox.network);
        let prepared = prepare::prepare(self, rig, &prepare::Goal::Program(confined))?;
        let prepare::Prepared { orders, place, stdout, stderr, proxy } = prepared;
        let started = match launch::launch(orders, &place) {
            Ok(started) => started,
            Err(error) => {
                place.clear(false).await;
                return Err(error);
            }
        };
        let way_out = proxy.map(|proxy| egress::listen(&proxy)).transpose();
        let (listener, failed) = match way_out {
            Ok(listener) => (listener, None),
            Err(cause) => (None, Some(SandboxError::System { action: "open the way out", cause })),
        };
        let (sender, end) = oneshot::channel();
        let (kill, killed) = oneshot::channel();
        let kept = keeper::Kept {
            place,
            pid: started.pid,
            exit: started.exit,
            caps: confined.caps,
            way_out: listener.zip(confined.egress.clone()),
        };
        tokio::spawn(kept.keep(killed, sender));
        match failed {
            // With this, the way to kill it goes, and so it is killed.
            Some(error) => Err(error),
            None => Ok(Child { output: Some((stdout, stderr)), end, ended: None, kill: Some(kill) }),
        }
    }
}
