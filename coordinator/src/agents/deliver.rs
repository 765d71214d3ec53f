//! Brings a package, or a build of the agent, to an agent over the connection that stands with it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use proto::v1::ReceiveRequest;
use proto::v1::agent_client::AgentClient;
use proto::v1::receive_request::{self as wire, Part};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

/// No byte may be stuck for longer, nor the answer: the node unpacks and syncs, perhaps to an SD card.
const LIMIT: Duration = Duration::from_secs(180);

const CHUNK: usize = 64 << 10;
/// Chunks that are read ahead.
const QUEUE: usize = 4;

/// What is brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cargo {
    Package,
    Agent,
}

/// It, on its way.
pub struct Parcel {
    pub digest: String,
    pub size: u64,
    pub content: Pin<Box<dyn AsyncRead + Send>>,
}

/// Why it was not delivered.
#[derive(Debug)]
pub enum Trouble {
    Answer(Box<Status>),
    Content(io::Error),
    Silent(Duration),
}

/// Returns once the agent has stored it.
pub async fn deliver(
    mut client: AgentClient<Channel>,
    cargo: Cargo,
    parcel: Parcel,
    sent: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), Trouble> {
    let (parts, queue) = mpsc::channel(QUEUE);
    let answer = async {
        match cargo {
            Cargo::Package => client.receive(ReceiverStream::new(queue)).await,
            Cargo::Agent => client.receive_agent(ReceiverStream::new(queue)).await,
        }
    };
    tokio::select! {
        answer = answer => answer.map(drop).map_err(|status| Trouble::Answer(Box::new(status))),
        trouble = send(parcel, parts, sent) => trouble.map(|never| match never {}),
    }
}

/// Sends all, then waits for the answer that ends this; only trouble comes back from here.
async fn send(
    parcel: Parcel,
    parts: mpsc::Sender<ReceiveRequest>,
    sent: &(dyn Fn(u64) + Send + Sync),
) -> Result<Infallible, Trouble> {
    let Parcel { digest, size, mut content } = parcel;
    let mut next = Part::Parcel(wire::Parcel { digest, size });
    let mut total = 0;
    loop {
        let is_taken = timeout(LIMIT, parts.send(ReceiveRequest { part: Some(next) })).await;
        if is_taken.map_err(|_| Trouble::Silent(LIMIT))?.is_err() {
            break;
        }
        let mut chunk = Vec::with_capacity(CHUNK);
        let count = (&mut content).take(CHUNK as u64).read_to_end(&mut chunk).await;
        let count = count.map_err(Trouble::Content)?;
        if count == 0 {
            break;
        }
        total += count as u64;
        sent(total);
        next = Part::Chunk(chunk);
    }
    drop(parts);
    sleep(LIMIT).await;
    Err(Trouble::Silent(LIMIT))
}
