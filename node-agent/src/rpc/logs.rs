//! An instance's log as a stream: what its processes wrote, and what the agent did with it.

use std::path::PathBuf;
use std::time::Duration;

use proto::ids::InstanceId;
use proto::v1::log_line::Stream as Source;
use proto::v1::{AgentLogsRequest, LogLine};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::agent::Agent;
use crate::clock;
use crate::logs::{self, Follower};
use crate::rpc::{QUEUE, Stream};

/// Followers look at the file this often; nobody else does.
const POLL: Duration = Duration::from_millis(100);

pub fn logs(agent: &Agent, id: InstanceId, request: &AgentLogsRequest) -> Stream<LogLine> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let reader = Reader {
        process: agent.data.instance_log(&id),
        agent: agent.data.instance_agent_log(&id),
        id: id.to_string(),
        sender,
    };
    let (tail, follow) = (usize::try_from(request.tail).unwrap_or(usize::MAX), request.follow);
    tokio::spawn(async move { reader.run(tail, follow).await });
    ReceiverStream::new(receiver)
}

struct Reader {
    id: String,
    process: PathBuf,
    agent: PathBuf,
    sender: mpsc::Sender<Result<LogLine, Status>>,
}

impl Reader {
    /// Ends when all is sent, or nobody reads any more.
    async fn run(self, tail: usize, follow: bool) -> Option<()> {
        let mut followers = [
            (Source::Agent, Follower::at_end(&self.agent)),
            (Source::Stdout, Follower::at_end(&self.process)),
        ];
        for (source, line) in self.kept(tail) {
            self.send(source, line, 0).await?;
        }
        if !follow {
            return None;
        }
        loop {
            for (source, follower) in &mut followers {
                for line in follower.read() {
                    self.send(*source, line, clock::unix_ms()).await?;
                }
            }
            tokio::select! {
                () = self.sender.closed() => return None,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// What the processes wrote has no times, so the agent's words come first; a short tail is for the former.
    fn kept(&self, tail: usize) -> Vec<(Source, Vec<u8>)> {
        let written = logs::tail(&self.process, tail);
        let room = if tail == 0 { usize::MAX } else { tail - written.len() };
        let mut said = if room == 0 { Vec::new() } else { logs::tail(&self.agent, tail) };
        let extra = said.len().saturating_sub(room);
        said.drain(..extra);
        let said = said.into_iter().map(|line| (Source::Agent, line));
        said.chain(written.into_iter().map(|line| (Source::Stdout, line))).collect()
    }

    async fn send(&self, source: Source, line: Vec<u8>, now: i64) -> Option<()> {
        let (unix_ms, text) = match source {
            Source::Agent => timed(&line).unwrap_or((now, line)),
            Source::Stdout | Source::Stderr => (now, line),
        };
        let line =
            LogLine { instance: self.id.clone(), unix_ms, stream: source.into(), text, node: String::new() };
        self.sender.send(Ok(line)).await.ok()
    }
}

/// The agent's lines begin with their time; what install steps print does not.
fn timed(line: &[u8]) -> Option<(i64, Vec<u8>)> {
    const DIGITS: usize = 13;
    let (time, text) = line.split_at_checked(DIGITS)?;
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    Some((time, text.strip_prefix(b" ")?.to_vec()))
}
