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
    let tail = (!request.only_new).then(|| usize::try_from(request.tail).unwrap_or(usize::MAX));
    let follow = request.follow;
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
    /// Ends when all is sent, or nobody reads any more. Without `tail`, what was said before is left out.
    async fn run(self, tail: Option<usize>, follow: bool) -> Option<()> {
        let mut followers = [
            (Source::Agent, Follower::at_end(&self.agent)),
            (Source::Stdout, Follower::at_end(&self.process)),
        ];
        for (source, unix_ms, text) in tail.map_or_else(Vec::new, |tail| self.kept(tail)) {
            self.send(source, unix_ms, text).await?;
        }
        if !follow {
            return None;
        }
        loop {
            for (source, follower) in &mut followers {
                for line in follower.read() {
                    let now = clock::unix_ms();
                    let (unix_ms, text) = match source {
                        Source::Agent => timed(&line).unwrap_or((now, line)),
                        Source::Stdout | Source::Stderr => (now, line),
                    };
                    self.send(*source, unix_ms, text).await?;
                }
            }
            tokio::select! {
                () = self.sender.closed() => return None,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// The last lines of both, in the order in which they were said.
    fn kept(&self, tail: usize) -> Vec<(Source, i64, Vec<u8>)> {
        let written = logs::timed_tail(&self.process, tail);
        let mut lines: Vec<_> =
            written.into_iter().map(|(time, line)| (Source::Stdout, time, line)).collect();
        let mut latest = 0;
        for line in logs::tail(&self.agent, tail) {
            let (time, text) = timed(&line).unwrap_or((latest, line));
            latest = time;
            lines.push((Source::Agent, time, text));
        }
        lines.sort_by_key(|(_, time, _)| *time);
        let extra = if tail == 0 { 0 } else { lines.len().saturating_sub(tail) };
        lines.drain(..extra);
        lines
    }

    async fn send(&self, source: Source, unix_ms: i64, text: Vec<u8>) -> Option<()> {
        let (source, text) = match text.split_first() {
            Some((&logs::STDERR_MARK, text)) if source == Source::Stdout => (Source::Stderr, text.to_vec()),
            Some(_) | None => (source, text),
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
