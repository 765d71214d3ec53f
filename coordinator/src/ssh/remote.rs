//! A machine reached by the system's ssh, so that people's keys, `~/.ssh/config`, jump hosts and known_hosts count.
//! One connection per machine, made on first use, shared by all commands and made anew when it has died.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use openssh::{Child, ChildStdin, ChildStdout, Error as SshError, Session, Stdio};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ssh::flight::Flight;
use crate::ssh::master::Client;
use crate::ssh::{ByteStream, CommandOutput, Contact, Host, HostError, NewHostKeys, shell};
use crate::ssh::{FEED_LIMIT, RUN_LIMIT, pump};

/// sshd allows ten sessions on a connection; some are left to other coordinators that share it.
const SESSIONS: usize = 8;

/// See the module's words.
pub struct Remote {
    contact: Contact,
    new_keys: NewHostKeys,
    client: Arc<Client>,
    session: Arc<Session>,
    sessions: Arc<Semaphore>,
    /// All who find the connection dead wait for the same attempt to make it anew.
    connecting: Flight<Result<(), HostError>>,
}

/// A command that runs on the machine, and its place among the sessions of the connection.
struct Running {
    child: Child<Arc<Session>>,
    _permit: OwnedSemaphorePermit,
}

impl Remote {
    pub fn new(client: Arc<Client>, contact: Contact, new_keys: NewHostKeys) -> Self {
        let socket = client.socket(&contact).into_boxed_path();
        Self {
            contact,
            new_keys,
            client,
            session: Arc::new(Session::resume_mux(socket, None)),
            sessions: Arc::new(Semaphore::new(SESSIONS)),
            connecting: Flight::default(),
        }
    }

    async fn spawn(&self, command: &str) -> Result<Running, HostError> {
        let sessions = Arc::clone(&self.sessions);
        let permit = sessions.acquire_owned().await.expect("the semaphore is never closed");
        let child = match self.try_spawn(command).await {
            Err(cause) if is_disconnected(&cause) => {
                self.connect().await?;
                self.try_spawn(command).await
            }
            tried => tried,
        };
        let child = child.map_err(|cause| self.failed(cause))?;
        Ok(Running { child, _permit: permit })
    }

    async fn try_spawn(&self, command: &str) -> Result<Child<Arc<Session>>, SshError> {
        let mut ssh = Arc::clone(&self.session).arc_raw_command(command);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().await
    }

    /// Makes the connection, or waits for the attempt that is under way.
    async fn connect(&self) -> Result<(), HostError> {
        let (client, contact, new_keys) = (Arc::clone(&self.client), self.contact.clone(), self.new_keys);
        self.connecting.join(|| async move { client.connect(&contact, new_keys).await }.boxed()).await
    }

    fn failed(&self, cause: SshError) -> HostError {
        let host = self.contact.to_string();
        match cause {
            cause if is_disconnected(&cause) => HostError::Lost { host },
            cause => HostError::Run { host, cause: Arc::new(cause) },
        }
    }

    /// Waits for the end of a command whose output has been read.
    async fn exit_code(&self, running: Running) -> Result<i32, HostError> {
        match running.child.wait().await {
            Ok(status) => Ok(status.code().unwrap_or(255)),
            // The crate's reading of status 127.
            Err(SshError::Remote(_)) => Ok(127),
            // The master says nothing when the link is cut, and nothing when a signal ends the shell itself.
            Err(SshError::RemoteProcessTerminated) if self.session.check().await.is_ok() => Ok(255),
            Err(SshError::RemoteProcessTerminated | SshError::Disconnected) => {
                Err(HostError::Lost { host: self.contact.to_string() })
            }
            Err(cause) => Err(self.failed(cause)),
        }
    }

    async fn transfer(
        &self,
        script: &str,
        input: impl AsyncRead + Send,
        sent: &(dyn Fn(u64) + Send + Sync),
        limit: Duration,
    ) -> Result<CommandOutput, HostError> {
        let mut running = self.spawn(&shell::login_command(script)).await?;
        let stdin = running.child.stdin().take();
        let stdout = running.child.stdout().take();
        let stderr = running.child.stderr().take();
        let (stdout, stderr) = pump::exchange(input, stdin, stdout, stderr, sent, limit)
            .await
            .map_err(|stall| stall.into_host_error(self.contact.to_string()))?;
        let exit_code = tokio::time::timeout(limit, self.exit_code(running))
            .await
            .map_err(|_| HostError::TimedOut { host: self.contact.to_string(), after: limit })??;
        Ok(CommandOutput { exit_code, stdout, stderr })
    }
}

#[async_trait]
impl Host for Remote {
    fn name(&self) -> String {
        self.contact.to_string()
    }

    async fn run(&self, script: &str, stdin: &[u8]) -> Result<CommandOutput, HostError> {
        self.transfer(script, stdin, &|_| {}, RUN_LIMIT).await
    }

    async fn open(&self, script: &str) -> Result<Pin<Box<dyn ByteStream>>, HostError> {
        let mut running = self.spawn(&shell::killable_login_command(script)).await?;
        let stdin = running.child.stdin().take().expect("stdin is piped");
        let stdout = running.child.stdout().take().expect("stdout is piped");
        let stderr = running.child.stderr().take().expect("stderr is piped");
        let mut stdout = BufReader::new(stdout);
        let read = tokio::time::timeout(RUN_LIMIT, read_whom(&mut stdout))
            .await
            .map_err(|_| HostError::TimedOut { host: self.name(), after: RUN_LIMIT })?;
        let Some(whom) = read else {
            let exit_code = self.exit_code(running).await?;
            let stderr = "it ended at once".to_owned();
            return Err(HostError::Status { host: self.name(), what: "the shell", exit_code, stderr });
        };
        tokio::spawn(drain(stderr, self.name()));
        let end = Ending { session: Arc::clone(&self.session), whom, running };
        Ok(Box::pin(Opened { stdin: Some(stdin), stdout, has_ended: AtomicBool::new(false), end: Some(end) }))
    }

    async fn feed(
        &self,
        script: &str,
        input: Pin<Box<dyn AsyncRead + Send>>,
        sent: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<CommandOutput, HostError> {
        self.transfer(script, input, sent, FEED_LIMIT).await
    }
}

/// Says whether the connection was dead before the command was started. A machine that lost its power tells so only
/// when it is asked for a session, and then the master ends instead of answering.
fn is_disconnected(cause: &SshError) -> bool {
    let SshError::SshMux(cause) = cause else { return matches!(cause, SshError::Disconnected) };
    let failure = cause.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    failure.is_some_and(|io| matches!(io.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe))
}

/// Finds the line that says whom to kill; start-up files of the login shell may have said something before.
async fn read_whom(stdout: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = Vec::new();
    while stdout.read_until(b'\n', &mut line).await.is_ok_and(|count| count > 0) {
        if let Some(whom) = String::from_utf8_lossy(&line).trim_end().strip_prefix(shell::WHOM) {
            return Some(whom.to_owned());
        }
        line.clear();
    }
    None
}

/// Nobody reads the errors of an opened command; they must not fill the pipe either.
async fn drain(mut stderr: openssh::ChildStderr, host: String) {
    let mut said = vec![0; 4096];
    while let Ok(count) = stderr.read(&mut said).await {
        if count == 0 {
            return;
        }
        tracing::debug!(host, stderr = %String::from_utf8_lossy(&said[..count]), "opened command");
    }
}

/// What it takes to end an opened command.
struct Ending {
    session: Arc<Session>,
    whom: String,
    running: Running,
}

impl Ending {
    async fn kill(self) {
        let mut ssh =
            Arc::clone(&self.session).arc_raw_command(shell::login_command(&shell::kill_script(&self.whom)));
        // Errors mean that the connection is gone, and with it the input of the command, which ends it as well.
        let _ = tokio::time::timeout(RUN_LIMIT, ssh.output()).await;
        drop(self.running);
    }
}

/// The stdin and stdout of an opened command.
struct Opened {
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    has_ended: AtomicBool,
    end: Option<Ending>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let Some(end) = self.end.take() else { return };
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        // Without a runtime the process is about to end, which closes the command's input.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(end.kill());
        }
    }
}

impl AsyncRead for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stdout).poll_read(cx, buf);
        if matches!(polled, Poll::Ready(Ok(()))) && buf.remaining() > 0 && buf.filled().len() == before {
            self.has_ended.store(true, Ordering::Relaxed);
        }
        polled
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
