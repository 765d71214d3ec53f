//! This machine, with the same words as a remote one.

use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::ssh::{ByteStream, CommandOutput, FEED_LIMIT, Host, HostError, RUN_LIMIT, pump};

const NAME: &str = "this machine";

/// Runs commands as the current user.
pub struct Local;

/// A process group that ends when this is dropped.
struct Group {
    child: Child,
    leader: Option<Pid>,
}

impl Group {
    fn spawn(script: &str, stderr: Stdio) -> Result<Self, HostError> {
        let child = Command::new("sh")
            .arg("-c")
            .arg(script)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(failed)?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, leader })
    }

    /// What the script started in the background may stay.
    async fn wait(mut self) -> std::io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.leader = None;
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

fn failed(cause: std::io::Error) -> HostError {
    HostError::Run { host: NAME.to_owned(), cause: Arc::new(cause) }
}

async fn transfer(
    script: &str,
    input: impl AsyncRead + Send,
    sent: &(dyn Fn(u64) + Send + Sync),
    limit: Duration,
) -> Result<CommandOutput, HostError> {
    let mut group = Group::spawn(script, Stdio::piped())?;
    let (stdin, stdout) = (group.child.stdin.take(), group.child.stdout.take());
    let stderr = group.child.stderr.take();
    let (stdout, stderr) = pump::exchange(input, stdin, stdout, stderr, sent, limit)
        .await
        .map_err(|stall| stall.into_host_error(NAME.to_owned()))?;
    let status = tokio::time::timeout(limit, group.wait())
        .await
        .map_err(|_| HostError::TimedOut { host: NAME.to_owned(), after: limit })?
        .map_err(failed)?;
    let exit_code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255);
    Ok(CommandOutput { exit_code, stdout, stderr })
}

#[async_trait]
impl Host for Local {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    async fn run(&self, script: &str, stdin: &[u8]) -> Result<CommandOutput, HostError> {
        transfer(script, stdin, &|_| {}, RUN_LIMIT).await
    }

    async fn open(&self, script: &str) -> Result<Pin<Box<dyn ByteStream>>, HostError> {
        let mut group = Group::spawn(script, Stdio::null())?;
        let stdin = group.child.stdin.take();
        let stdout = group.child.stdout.take().expect("stdout is piped");
        Ok(Box::pin(Opened { stdin, stdout, _group: group }))
    }

    async fn feed(
        &self,
        script: &str,
        input: Pin<Box<dyn AsyncRead + Send>>,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<CommandOutput, HostError> {
        transfer(script, input, sent, FEED_LIMIT).await
    }
}

/// The stdin and stdout of an opened command.
struct Opened {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    _group: Group,
}

impl AsyncRead for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stdout).poll_read(cx, buf)
    }
}

impl AsyncWrite for Opened {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_write(cx, buf),
            None => Poll::Ready(Err(std::io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// The command sees the end of its input; a pipe has no other way to say so.
    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
