//! Storing a package for the coordinator. Its bytes go to a `node-agent receive` of their own: what nobody vouches for
//! is unpacked by a process that may fail, and whose memory goes with it. When the caller or the agent goes, that
//! process meets the end of its input too early, and leaves nothing.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use proto::code::Code;
use proto::v1::ReceiveRequest;
use proto::v1::receive_request::{Parcel, Part};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use tonic::{Status, Streaming};

use crate::config::DataDir;
use crate::runtime::reaper::{self, Exit};

use super::status;

/// What a failed command says is cut off here.
const MESSAGE: u64 = 4 << 10;

/// The commands that store what comes: a package, a build of the agent.
pub const PACKAGE: &str = "receive";
pub const AGENT: &str = "receive-agent";

/// A command that stores a package.
struct Storing {
    package: Sender,
    errors: Receiver,
    exit: oneshot::Receiver<Exit>,
}

pub async fn receive(
    data: &DataDir,
    command: &'static str,
    mut parts: Streaming<ReceiveRequest>,
) -> Result<(), Status> {
    let parcel = match parts.message().await?.and_then(|first| first.part) {
        Some(Part::Parcel(parcel)) => parcel,
        Some(Part::Chunk(_)) | None => {
            return Err(status(Code::InvalidInput, "the first message does not say what comes".to_owned()));
        }
    };
    let Storing { package, errors, exit } = start(data, command, &parcel)
        .map_err(|cause| status(Code::Failed, format!("could not run the agent's own program: {cause}")))?;
    let (fed, said) = tokio::join!(feed(package, parts), read(errors));
    let exit = exit.await.unwrap_or(Exit::Unknown);
    fed?;
    match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) if code == i32::from(Code::InvalidInput.exit()) => {
            Err(status(Code::InvalidInput, in_one_line(&said, exit)))
        }
        exit => Err(status(Code::Failed, in_one_line(&said, exit))),
    }
}

fn start(data: &DataDir, word: &str, parcel: &Parcel) -> io::Result<Storing> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("node-agent").args([word, &format!("--digest={}", parcel.digest)]);
    command.args([format!("--size={}", parcel.size), "--data-dir".to_owned()]).arg(&data.0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child: Option<Child> = None;
    let (_, exit) = reaper::register(|| {
        let started = child.insert(command.spawn()?);
        i32::try_from(started.id()).map_err(io::Error::other)
    })?;
    let mut child = child.ok_or(io::ErrorKind::BrokenPipe)?;
    let (stdin, stderr) = child.stdin.take().zip(child.stderr.take()).ok_or(io::ErrorKind::BrokenPipe)?;
    let (package, errors) = (OwnedFd::from(stdin), OwnedFd::from(stderr));
    Ok(Storing { package: Sender::from_owned_fd(package)?, errors: Receiver::from_owned_fd(errors)?, exit })
}

/// A command that ends before it has read all says itself why.
async fn feed(mut package: Sender, mut parts: Streaming<ReceiveRequest>) -> Result<(), Status> {
    while let Some(next) = parts.message().await? {
        match next.part {
            Some(Part::Chunk(bytes)) => {
                if package.write_all(&bytes).await.is_err() {
                    return Ok(());
                }
            }
            Some(Part::Parcel(_)) | None => {
                return Err(status(Code::InvalidInput, "a second package in one call".to_owned()));
            }
        }
    }
    Ok(())
}

async fn read(errors: Receiver) -> String {
    let mut said = Vec::new();
    // What could be read is all there is to tell.
    let _ = errors.take(MESSAGE).read_to_end(&mut said).await;
    String::from_utf8_lossy(&said).into_owned()
}

/// The error and its hint, as a person is to read them.
fn in_one_line(said: &str, exit: Exit) -> String {
    let lines = said.lines().map(|line| {
        line.strip_prefix("error: ").or_else(|| line.strip_prefix("hint: ")).unwrap_or(line).trim()
    });
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { format!("storing it {exit}") } else { lines.join("; ") }
}
