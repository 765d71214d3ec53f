//! The report stream: at once, with every change (gathered for 50 ms), and as a heartbeat.

use std::time::Duration;

use proto::v1::{Report, WatchRequest};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::clock;
use crate::rpc::{Rpc, Stream};

const GATHER: Duration = Duration::from_millis(50);
const HEARTBEAT: u32 = 2000;
const SHORTEST_HEARTBEAT: u32 = 100;

pub fn watch(rpc: Rpc, request: WatchRequest) -> Stream<Report> {
    let heartbeat = match request.heartbeat_ms {
        0 => HEARTBEAT,
        given => given.max(SHORTEST_HEARTBEAT),
    };
    // One report at most waits for a slow reader, so that it gets the newest next.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut changes = rpc.agent.board.changes();
        loop {
            let Ok(permit) = sender.reserve().await else { return };
            changes.borrow_and_update();
            permit.send(Ok(rpc.report()));
            let sent = clock::now();
            tokio::select! {
                () = sender.closed() => return,
                () = next(&mut changes, sent, Duration::from_millis(u64::from(heartbeat))) => {}
            }
        }
    });
    ReceiverStream::new(receiver)
}

async fn next(changes: &mut tokio::sync::watch::Receiver<u64>, sent: Instant, heartbeat: Duration) {
    if let Ok(Ok(())) = timeout(heartbeat, changes.changed()).await {
        sleep_until(sent + GATHER).await;
    }
}
