//! A program that a step started: its output is taken in as it comes, capped and without secrets, and when its time is
//! over it ends with all that it started.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plan::output::{Capped, Kept};
use plan::redact::Redactor;
use proto::ids::InstanceId;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Errand, Outcome};
use crate::lane::Lane;
use crate::log;
use crate::runs::live::Printed;
use crate::runs::resume::execute_token;

use crate::runtime::account::Account;
use crate::runtime::kill::{Family, INSTANCE_VARIABLE, TOKEN_VARIABLE};
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::{self, Launch};
use crate::sandbox::{self, Over};

const BLOCK: usize = 16 << 10;
/// How long output is still read after the end.
const DRAIN: Duration = Duration::from_millis(500);

/// How a program ended, and what it wrote.
pub struct Finished {
    pub exit: Exit,
    pub stdout: Kept,
    pub stderr: Kept,
    /// It was ended for using more than it may.
    pub over: Option<Over>,
}

/// A program of the system or of a module, outside any sandbox.
pub struct Plain {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub dir: PathBuf,
    pub account: Option<Account>,
    /// The instance that it runs beside.
    pub beside: Option<InstanceId>,
}

/// A program that runs.
enum Process {
    Confined(sandbox::Child),
    Plain { pid: i32, exit: oneshot::Receiver<Exit>, id: InstanceId, token: String },
}

impl Errand {
    /// Runs a program of the system or of a module to its end.
    ///
    /// # Errors
    /// What became of the call where the program did not come to its end.
    pub async fn run_plain(&self, plain: Plain) -> Result<Finished, Outcome> {
        let failed = |error: &dyn std::error::Error| Outcome::Failed(log::chain(error));
        let (out, stdout) = spawn::pipe().map_err(|error| failed(&error))?;
        let (err, stderr) = spawn::pipe().map_err(|error| failed(&error))?;
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let token = format!("{}-{number}", execute_token(&self.runs.agent.token));
        let id = plain.beside.unwrap_or_else(|| mark(number));
        let mut env = plain.env;
        env.retain(|(name, _)| name != INSTANCE_VARIABLE && name != TOKEN_VARIABLE);
        env.push((INSTANCE_VARIABLE.to_owned(), id.to_string()));
        env.push((TOKEN_VARIABLE.to_owned(), token.clone()));
        let launch = Launch {
            argv: plain.argv,
            env,
            cwd: plain.dir,
            stdout,
            stderr,
            account: plain.account,
            limits: vec![(libc::RLIMIT_CORE as i32, 0)],
            may_gain_privileges: false,
        };
        let child = spawn::launch(&launch, |_| Ok(())).map_err(|error| failed(&error))?;
        drop(launch);
        let output = receiver(out).and_then(|out| Ok((out, receiver(err)?)));
        let process = Process::Plain { pid: child.pid, exit: child.exit, id, token };
        self.watch(process, output.ok()).await
    }

    /// Takes in what a confined program writes, to its end.
    ///
    /// # Errors
    /// What became of the call where the program did not come to its end.
    pub async fn watch_confined(&self, mut child: sandbox::Child) -> Result<Finished, Outcome> {
        let output = child.take_output();
        self.watch(Process::Confined(child), output).await
    }

    async fn watch(
        &self,
        mut process: Process,
        output: Option<(Receiver, Receiver)>,
    ) -> Result<Finished, Outcome> {
        let Some((out, err)) = output else {
            process.kill().await;
            return Err(self.lost("its output could not be read"));
        };
        let (kept_out, kept_err) = Written::both(self);
        let mut out = Stream::new(out, kept_out);
        let mut err = Stream::new(err, kept_err);
        let (exit, over) = loop {
            tokio::select! {
                ended = process.ended() => break ended,
                () = out.read() => {}
                () = err.read() => {}
                why = self.stop.over() => {
                    process.kill().await;
                    return Err(self.lost(why));
                }
            }
        };
        let drained = async {
            while out.is_open || err.is_open {
                tokio::select! {
                    () = out.read() => {}
                    () = err.read() => {}
                }
            }
        };
        let _ = timeout(DRAIN, drained).await;
        process.kill().await;
        Ok(Finished { exit, stdout: out.written.finish(), stderr: err.written.finish(), over })
    }
}

impl Finished {
    /// As the tools that run programs give it.
    pub fn out(self) -> Value {
        json!({
            "exit": self.exit.shell_code(),
            "stdout": self.stdout.text,
            "stderr": self.stderr.text,
            "truncated": self.stdout.is_truncated || self.stderr.is_truncated,
        })
    }
}

impl Process {
    async fn ended(&mut self) -> (Exit, Option<Over>) {
        match self {
            Process::Confined(child) => {
                let ended = child.wait().await;
                (ended.exit, ended.over)
            }
            Process::Plain { exit, .. } => (exit.await.unwrap_or(Exit::Unknown), None),
        }
    }

    /// Ends it with all that it started; what has ended leaves nothing behind.
    async fn kill(&mut self) {
        match self {
            Process::Confined(child) => drop(child.kill_tree().await),
            Process::Plain { pid, id, token, .. } => {
                crate::runtime::kill::signal_group(*pid, libc::SIGKILL);
                let family = Family { id, lane: Lane::First, token, cgroups: None };
                if !family.end(&[]).await {
                    tracing::error!(pid, "processes of a step cannot be ended");
                }
            }
        }
    }
}

/// One of the two outputs.
struct Stream<'e> {
    pipe: Receiver,
    is_open: bool,
    written: Written<'e>,
}

/// What is kept of an output, and shown to whoever watches.
pub struct Written<'e> {
    capped: Capped,
    shown: Redactor,
    errand: &'e Errand,
}

impl<'e> Written<'e> {
    pub fn new(cap: u32, errand: &'e Errand) -> Self {
        let capped = Capped::new(cap, errand.redactor.clone());
        Self { capped, shown: errand.redactor.clone(), errand }
    }

    /// One for each output: most of what may be kept is for what it was run for.
    pub fn both(errand: &'e Errand) -> (Self, Self) {
        let cap = errand.step.output_cap;
        (Self::new(cap - cap / 4, errand), Self::new(cap / 4, errand))
    }

    pub fn take(&mut self, bytes: &[u8]) {
        self.capped.push(bytes);
        let clean = self.shown.push(bytes);
        if self.errand.live.printed.receiver_count() > 0 && !clean.is_empty() {
            let text = String::from_utf8_lossy(&clean).into_owned();
            let _ = self.errand.live.printed.send(Printed { step: self.errand.step.id.clone(), text });
        }
    }

    pub fn finish(self) -> Kept {
        self.capped.finish()
    }
}

impl<'e> Stream<'e> {
    fn new(pipe: Receiver, written: Written<'e>) -> Self {
        Self { pipe, is_open: true, written }
    }

    /// Takes what comes next; never returns once nothing can come any more.
    async fn read(&mut self) {
        if !self.is_open {
            std::future::pending().await
        }
        let mut block = vec![0; BLOCK];
        match self.pipe.read(&mut block).await {
            Ok(count @ 1..) => self.written.take(&block[..count]),
            Ok(0) | Err(_) => self.is_open = false,
        }
    }
}

fn receiver(pipe: OwnedFd) -> std::io::Result<Receiver> {
    Receiver::from_owned_fd(pipe)
}

/// Tells the programs of one call from those of all others.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// What a program takes itself for that runs beside no instance.
fn mark(number: u64) -> InstanceId {
    InstanceId::parse(&format!("step-{number}/0")).expect("the name is plain")
}
