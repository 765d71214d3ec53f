//! A watch that outlives connections and endpoints: it remembers the last revision it told and goes on from there.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_client::{Error, EventType, GetOptions, WatchOptions, WatchResponse, WatchStream};
use futures::stream::{self, BoxStream, StreamExt};
use tokio::time::{sleep, timeout};

use crate::store::etcd::fault::{Kind, Trouble};
use crate::store::etcd::members::{DEADLINE, Members};
use crate::store::etcd::{get, range, revision, short, signed};
use crate::store::{Event, Revision, StoreError};

/// Between attempts to reach an etcd that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) fn watch(
    members: Members,
    store_prefix: &str,
    prefix: &str,
    from: Revision,
) -> BoxStream<'static, Result<Event, StoreError>> {
    let watch = Watch {
        members,
        store_prefix: store_prefix.into(),
        range: range(store_prefix, prefix),
        seen: from,
        stream: None,
        turn: 0,
        pause: FIRST_PAUSE,
        ready: VecDeque::new(),
        is_over: false,
    };
    stream::unfold(watch, Watch::next).boxed()
}

struct Watch {
    members: Members,
    store_prefix: String,
    range: (Vec<u8>, Vec<u8>),
    /// Everything up to here is told or `ready`.
    seen: Revision,
    stream: Option<WatchStream>,
    /// Which endpoint is next.
    turn: usize,
    pause: Duration,
    ready: VecDeque<Event>,
    is_over: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Event, StoreError>, Watch)> {
        while !self.is_over {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            match self.step().await {
                Ok(()) => {}
                Err(trouble) if trouble.is_passing() => self.fall_back().await,
                Err(trouble) => {
                    self.is_over = true;
                    return Some((Err(self.failed(trouble)), self));
                }
            }
        }
        None
    }

    async fn step(&mut self) -> Result<(), Trouble> {
        let Some(stream) = &mut self.stream else {
            self.stream = Some(self.open().await?);
            return Ok(());
        };
        // Waits as long as it takes: pings find out when the connection is dead.
        match stream.message().await {
            Ok(Some(answer)) => self.take(&answer),
            Ok(None) => Err(Trouble { kind: Kind::Lost, text: "the watch ended".into() }),
            Err(error) => Err(Trouble::from_error(&error)),
        }
    }

    async fn fall_back(&mut self) {
        self.stream = None;
        self.turn += 1;
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    async fn open(&self) -> Result<WatchStream, Trouble> {
        let client = self.members.for_stream(self.turn).await?;
        let (start, end) = self.range.clone();
        let options = WatchOptions::new().with_range(end).with_start_revision(signed(self.seen) + 1);
        let probe = GetOptions::new().with_revision(signed(self.seen).max(1)).with_count_only();
        let opened = timeout(DEADLINE, async {
            let mut watches = client.watch_client().max_decoding_message_size(usize::MAX);
            let stream = watches.watch(start.clone(), Some(options)).await?;
            // etcd itself lets a watch begin at the very revision that was compacted, of which it has forgotten
            // the deletions. Reading the revision before fails then.
            match get(client, start, probe).await {
                Err(Error::GRpcStatus(status)) if status.message().contains("future revision") => Ok(stream),
                probed => probed.map(|_| stream),
            }
        });
        let opened = opened.await.map_err(|_| Trouble::timed_out())?;
        opened.map_err(|error| Trouble::from_error(&error))
    }

    /// An answer holds whole revisions: etcd splits none, as we do not ask for fragments.
    fn take(&mut self, answer: &WatchResponse) -> Result<(), Trouble> {
        if answer.compact_revision() != 0 {
            return Err(Trouble { kind: Kind::Compacted, text: String::new() });
        }
        if answer.canceled() {
            let text = answer.cancel_reason().to_owned();
            let kind = if text.contains("permission denied") { Kind::Denied } else { Kind::Lost };
            return Err(Trouble { kind, text });
        }
        self.pause = FIRST_PAUSE;
        for event in answer.events() {
            let Some(found) = event.kv() else { continue };
            let (key, revision) = (short(&self.store_prefix, found.key()), revision(found.mod_revision()));
            self.seen = self.seen.max(revision);
            self.ready.push_back(match event.event_type() {
                EventType::Put => Event::Put { key, value: found.value().to_vec(), revision },
                EventType::Delete => Event::Deleted { key, revision },
            });
        }
        Ok(())
    }

    fn failed(&self, trouble: Trouble) -> StoreError {
        match trouble.kind {
            Kind::Compacted => StoreError::Compacted { from: self.seen },
            _ => trouble.into_error(self.members.name(), "watch"),
        }
    }
}
