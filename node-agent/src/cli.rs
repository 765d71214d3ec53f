//! What the commands do. Their errors are what a person sees.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use modules::digest::Digest;
use modules::unpack::{self, Limits, Outcome, UnpackError};
use proto::code::Code;

use crate::app::{self, AppError};
use crate::config::{self, Command, DataDir};
use crate::disk::{self, DiskError, Lock};
use crate::fault;
use crate::identity::{self, IdentityError};
use crate::ledger::LedgerError;
use crate::runtime::kill;
use crate::sandbox::SandboxError;
use crate::upgrade::UpgradeError;

mod proxy;
mod receive_agent;
mod sandbox;
mod start;
mod stop;
pub mod supervise;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    #[error("{text:?} is not a digest: sha256:<64 hex digits>")]
    Digest { text: String },
    #[error("could not store the package")]
    Unpack(#[source] UnpackError),
    #[error("the agent did not arrive whole")]
    NotWhole,
    #[error("the agent does not run here: {said}")]
    DoesNotRun { said: String },
    #[error("the agent is running already{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    AlreadyRunning { pid: Option<i32>, is_supervised: bool },
    #[error("the agent did not start within {0:?}")]
    NotStarted(Duration),
    #[error("the agent is not running")]
    NotRunning,
    #[error("could not connect to the agent at {address}")]
    Connect {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    #[error("the agent does not end")]
    NotStopped,
    #[error("not all that runs could be ended: {0}")]
    InstancesLeft(String),
    #[error("could not {action}")]
    System {
        action: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl CliError {
    pub fn code(&self) -> Code {
        match self {
            Self::Identity(error) => error.code(),
            Self::Ledger(error) => error.code(),
            Self::Digest { .. } | Self::NotWhole => Code::InvalidInput,
            Self::Upgrade(error) => error.code(),
            Self::Sandbox(error) => error.code(),
            Self::AlreadyRunning { .. } => Code::Conflict,
            Self::NotRunning | Self::Connect { .. } => Code::Unreachable,
            Self::NotStarted(_) | Self::NotStopped => Code::TimedOut,
            Self::Disk(_)
            | Self::App(_)
            | Self::Unpack(_)
            | Self::DoesNotRun { .. }
            | Self::InstancesLeft(_)
            | Self::System { .. } => Code::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Identity(error) => error.hint(),
            Self::Ledger(error) => error.hint(),
            Self::App(error) => error.hint(),
            Self::Unpack(error) => error.hint().map(str::to_owned),
            Self::Disk(error) if error.is_full() => Some("free some disk space".to_owned()),
            Self::NotRunning => Some("start it with `node-agent start`".to_owned()),
            Self::NotStarted(_) => Some("see agent.log in the data folder".to_owned()),
            _ => None,
        }
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// When it could not be done.
pub fn run(command: Command, data: &DataDir) -> Result<ExitCode, CliError> {
    match command {
        Command::Sandbox(wanted) => sandbox::sandbox(data, &wanted),
        other => execute(other, data).map(|()| ExitCode::SUCCESS),
    }
}

fn execute(command: Command, data: &DataDir) -> Result<(), CliError> {
    match command {
        Command::Enrol { node } => say(identity::request(data, Some(&node))?.trim_end()),
        Command::InstallCertificate => install_certificate(data),
        Command::Run { listen, is_supervised } => app::run(data, listen, is_supervised),
        Command::Start { listen } => say(&start::start(data, listen)?),
        Command::Stop { instances } => stop::stop(data, instances),
        Command::Receive { digest, size } => receive(data, &digest, size),
        Command::ReceiveAgent { digest, size } => receive_agent::receive_agent(data, &digest, size),
        Command::Proxy => proxy::proxy(data),
        Command::Sandbox(wanted) => sandbox::sandbox(data, &wanted).map(drop),
        Command::Version => say(env!("CARGO_PKG_VERSION")),
        Command::Help => say(config::USAGE),
    }
}

fn say(line: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let said = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    said.map_err(|cause| CliError::System { action: "write to stdout", cause })
}

fn install_certificate(data: &DataDir) -> Result<(), CliError> {
    let mut pem = Vec::new();
    let read = io::stdin().lock().take(1 << 20).read_to_end(&mut pem);
    read.map_err(|cause| CliError::System { action: "read stdin", cause })?;
    identity::install(data, &pem)?;
    // A running agent takes it up without a restart.
    if let Some(pid) = Lock::holder(&data.agent_lock())? {
        kill::signal(pid, libc::SIGHUP);
    }
    Ok(())
}

fn receive(data: &DataDir, text: &str, size: u64) -> Result<(), CliError> {
    let digest = Digest::parse(text).map_err(|_| CliError::Digest { text: text.to_owned() })?;
    disk::make_dir(&data.releases(), 0o755)?;
    fault::point("receive.before");
    // What is there must not be swept away before the spec that refers to it comes.
    let _ = std::fs::write(data.lease(text), "");
    let package = Package { reader: io::stdin().lock(), left: size };
    let outcome = unpack::unpack(package, &digest, size, &data.releases(), &Limits::default());
    fault::point("receive.after_rename");
    match outcome.map_err(CliError::Unpack)? {
        Outcome::Stored => say("stored"),
        Outcome::Present => say("present"),
    }
}

/// The package on stdin, with the points at which a test cuts it.
struct Package<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Package<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.left = self.left.saturating_sub(count as u64);
        fault::point(if self.left == 0 { "receive.before_rename" } else { "receive.mid" });
        Ok(count)
    }
}
