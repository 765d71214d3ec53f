//! The seam to a machine on which we can run commands: over SSH, or this machine itself.

use std::pin::Pin;

use async_trait::async_trait;
use proto::code::Code;
use tokio::io::{AsyncRead, AsyncWrite};

/// How to reach a machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Contact {
    Local,
    Ssh {
        /// `[user@]host`, or a Host of `~/.ssh/config`.
        destination: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        identity: Option<std::path::PathBuf>,
    },
}

/// What a finished command left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// 128 + signal where a signal ended it.
    pub exit_code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

pub trait ByteStream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> ByteStream for T {}

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("could not reach {host} over SSH")]
    Connect {
        host: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{host} refused our SSH key")]
    KeyRefused {
        host: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the host key of {host} is not known; it offers {offered}")]
    UnknownHostKey { host: String, offered: String },
    #[error("the host key of {host} has changed: known is {known}, offered is {offered}")]
    ChangedHostKey { host: String, known: String, offered: String },
    #[error("could not run a command on {host}")]
    Run {
        host: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{what} on {host} failed with status {exit_code}: {stderr}")]
    Status { host: String, what: &'static str, exit_code: i32, stderr: String },
    #[error("{host} did not answer within {seconds} s")]
    TimedOut { host: String, seconds: u64 },
}

impl HostError {
    pub fn code(&self) -> Code {
        match self {
            HostError::Connect { .. } | HostError::TimedOut { .. } => Code::Unreachable,
            HostError::KeyRefused { .. }
            | HostError::UnknownHostKey { .. }
            | HostError::ChangedHostKey { .. } => Code::Denied,
            HostError::Run { .. } | HostError::Status { .. } => Code::Failed,
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

    /// Starts a POSIX sh script and gives its stdin and stdout as one stream; dropping the stream ends it.
    async fn open(&self, script: &str) -> Result<Pin<Box<dyn ByteStream>>, HostError>;

    /// Runs `script` while feeding it `input`, telling how many bytes have gone.
    async fn feed(
        &self,
        script: &str,
        input: Pin<Box<dyn AsyncRead + Send>>,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<CommandOutput, HostError>;
}
