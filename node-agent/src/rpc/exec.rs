//! Running a command for the coordinator. It ends, with its whole process group, when its time is over or the
//! caller goes.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use proto::v1::exec_output::Event;
use proto::v1::{ExecOutput, ExecRequest};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::rpc::{QUEUE, Stream};
use crate::runtime::once::Running;
use crate::runtime::spawn::{self, Launch, SpawnError};

pub type Sender = mpsc::Sender<Result<ExecOutput, Status>>;

const BLOCK: usize = 16 << 10;
/// As coreutils' `timeout` says it.
pub const TIMED_OUT: i32 = 124;
/// As shells say that a command could not be begun.
pub const NOT_RUN: i32 = 126;
/// How long output is still read after the command has ended, for what it left behind holds the pipes open.
const DRAIN: Duration = Duration::from_millis(500);

pub fn exec(request: &ExecRequest) -> Result<Stream<ExecOutput>, SpawnError> {
    let launch = |stdout, stderr| Launch {
        argv: request.argv.clone(),
        env: environment(),
        cwd: std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from),
        stdout,
        stderr,
        account: None,
        limits: Vec::new(),
        may_gain_privileges: true,
    };
    let limit = match request.timeout_ms {
        0 => Duration::MAX,
        ms => Duration::from_millis(u64::from(ms)),
    };
    stream(launch, limit)
}

/// Our own, but for what is meant for us alone; what is no text cannot be passed on.
fn environment() -> Vec<(String, String)> {
    let texts = std::env::vars_os().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        (!name.starts_with("ORCHESTRATOR_")).then_some((name, value))
    });
    texts.collect()
}

/// What a command writes, as it comes, and how it ends.
pub fn stream(
    launch: impl FnOnce(OwnedFd, OwnedFd) -> Launch,
    limit: Duration,
) -> Result<Stream<ExecOutput>, SpawnError> {
    let pipe = || spawn::pipe().map_err(|cause| SpawnError::System { action: "open a pipe", cause });
    let ((out, stdout), (err, stderr)) = (pipe()?, pipe()?);
    let launch = launch(stdout, stderr);
    let running = Running::start(&launch)?;
    drop(launch);
    let (sender, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = run(running, out, err, &sender, limit) => {}
        }
    });
    Ok(ReceiverStream::new(receiver))
}

async fn run(mut running: Running, out: OwnedFd, err: OwnedFd, sender: &Sender, limit: Duration) {
    let drained = async {
        tokio::join!(copy(out, Event::Stdout, sender), copy(err, Event::Stderr, sender));
    };
    tokio::pin!(drained);
    let mut is_drained = false;
    let ended = async {
        loop {
            tokio::select! {
                exit = running.exited() => return exit.shell_code(),
                () = &mut drained, if !is_drained => is_drained = true,
            }
        }
    };
    let code = timeout(limit.min(Duration::from_secs(u64::from(u32::MAX))), ended).await;
    if code.is_err() {
        drop(running);
    }
    if !is_drained {
        tokio::select! {
            () = &mut drained => {}
            () = sleep(DRAIN) => {}
        }
    }
    let event = Event::ExitCode(code.unwrap_or(TIMED_OUT));
    let _ = sender.send(Ok(output(event))).await;
}

async fn copy(from: OwnedFd, event: fn(Vec<u8>) -> Event, sender: &Sender) {
    let Ok(mut pipe) = nonblocking(from) else { return };
    let mut block = vec![0; BLOCK];
    while let Ok(count @ 1..) = pipe.read(&mut block).await {
        if sender.send(Ok(output(event(block[..count].to_vec())))).await.is_err() {
            return;
        }
    }
}

fn nonblocking(fd: OwnedFd) -> std::io::Result<Receiver> {
    Receiver::from_owned_fd(fd)
}

pub fn output(event: Event) -> ExecOutput {
    ExecOutput { event: Some(event), ..Default::default() }
}
