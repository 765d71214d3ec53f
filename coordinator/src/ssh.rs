//! The seam to a machine on which we can run commands: over SSH, or this machine itself.

mod attempt;
pub mod diagnosis;
pub mod flight;
pub mod hosts;
pub mod local;
pub mod master;
mod pump;
pub mod remote;
pub mod shell;
#[cfg(test)]
pub(crate) mod sshd;
#[cfg(test)]
mod suite;

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proto::code::Code;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::ssh::diagnosis::ConnectFailure;

/// A command, or an opened one's start, may be silent for this long.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// The end of an upload may take longer: the node unpacks and syncs, perhaps to an SD card.
const FEED_LIMIT: Duration = Duration::from_secs(180);

/// How to reach a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Contact {
    Local,
    Ssh {
        /// `[user@]host`, or a Host of `~/.ssh/config`.
        destination: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<PathBuf>,
    },
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contact::Local => f.pad("this machine"),
            Contact::Ssh { destination, port: None, .. } => f.pad(destination),
            Contact::Ssh { destination, port: Some(port), .. } => f.pad(&format!("{destination}:{port}")),
        }
    }
}

/// What to do with a machine whose host key we have never seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NewHostKeys {
    /// As `~/.ssh/config` says; ssh's own default is to refuse where nobody can be asked.
    AsConfigured,
    Accept,
}

/// What a finished command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// 128 + signal where a signal ended it.
    pub exit_code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl CommandOutput {
    /// Makes a status other than 0 an error that carries the last words of the command.
    pub fn checked(self, host: &dyn Host, what: &'static str) -> Result<Self, HostError> {
        if self.exit_code == 0 {
            return Ok(self);
        }
        let stderr = String::from_utf8_lossy(&self.stderr).trim().to_owned();
        Err(HostError::Status { host: host.name(), what, exit_code: self.exit_code, stderr })
    }

    /// Standard output as text, without the newline at its end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

pub trait ByteStream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> ByteStream for T {}

/// Shared, so that all who wait for one connection learn why it failed.
pub type Cause = Arc<dyn Error + Send + Sync>;

#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    #[error("could not reach {host} over SSH")]
    Connect {
        host: String,
        #[source]
        cause: ConnectFailure,
    },
    #[error("{host} refused our SSH key")]
    KeyRefused {
        host: String,
        #[source]
        cause: diagnosis::Refusal,
    },
    #[error("the host key of {host} is not known; it offers {offered}")]
    UnknownHostKey { host: String, offered: String },
    #[error("the host key of {host} has changed: known is {known}, offered is {offered}")]
    ChangedHostKey { host: String, known: String, offered: String },
    #[error("the connection to {host} was lost")]
    Lost { host: String },
    #[error("could not run a command on {host}")]
    Run {
        host: String,
        #[source]
        cause: Cause,
    },
    #[error("{what} on {host} failed with status {exit_code}: {stderr}")]
    Status { host: String, what: &'static str, exit_code: i32, stderr: String },
    #[error("{host} did not answer within {} s", after.as_secs_f32())]
    TimedOut { host: String, after: Duration },
}

impl HostError {
    pub fn code(&self) -> Code {
        match self {
            HostError::Connect { .. } | HostError::Lost { .. } | HostError::TimedOut { .. } => {
                Code::Unreachable
            }
            HostError::KeyRefused { .. }
            | HostError::UnknownHostKey { .. }
            | HostError::ChangedHostKey { .. } => Code::Denied,
            HostError::Run { .. } | HostError::Status { .. } => Code::Failed,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            HostError::Connect { host, cause } => cause.hint(host),
            HostError::KeyRefused { host, cause } => Some(cause.hint(host)),
            HostError::UnknownHostKey { .. } => Some(
                "compare the fingerprint with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the machine, \
                 then repeat with --accept-new-host-key"
                    .into(),
            ),
            HostError::ChangedHostKey { host, .. } => Some(format!(
                "if the machine was reinstalled, forget its old key with `ssh-keygen -R '{}'`; otherwise someone \
                 may be listening in",
                diagnosis::known_hosts_name(host)
            )),
            HostError::TimedOut { .. } | HostError::Lost { .. } => {
                Some("check that the machine is on and its network is up".into())
            }
            HostError::Run { .. } | HostError::Status { .. } => None,
        }
    }
}

/// A machine. One `Host` is one connection, made on first use and shared by all its commands.
#[async_trait]
pub trait Host: Send + Sync {
    /// For messages: `pi@attic:22`, `this machine`.
    fn name(&self) -> String;

    /// Runs a POSIX sh script to its end, with `stdin` as its input. A status other than 0 is not an error.
    async fn run(&self, script: &str, stdin: &[u8]) -> Result<CommandOutput, HostError>;

    /// Starts a POSIX sh script and gives its stdin and stdout as one stream; dropping the stream ends it
    /// with all processes it started.
    async fn open(&self, script: &str) -> Result<Pin<Box<dyn ByteStream>>, HostError>;

    /// Runs `script` while feeding it `input`, telling how many bytes have gone.
    async fn feed(
        &self,
        script: &str,
        input: Pin<Box<dyn AsyncRead + Send>>,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<CommandOutput, HostError>;
}
