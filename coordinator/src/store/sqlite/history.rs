//! Revisions, the log of changes, and the watches that follow it. Old changes are forgotten, so that the log
//! stays small; who wants them gets `Compacted`.

use std::collections::VecDeque;

use futures::stream::{self, BoxStream, StreamExt};
use rusqlite::{Connection, params};
use tokio::sync::watch;

use crate::store::sqlite::Worker;
use crate::store::sqlite::fault::Fault;
use crate::store::{Event, Revision, StoreError};

/// The log keeps this many changes, or fewer where they are big.
const KEEP_CHANGES: i64 = 4096;
const KEEP_BYTES: i64 = 32 << 20;
/// Every so many revisions the log is looked over.
const PRUNE_EVERY: u64 = 64;
/// How many changes a watch reads at once.
const BATCH: i64 = 128;

pub(super) fn head(connection: &Connection) -> Result<Revision, rusqlite::Error> {
    let mut query = connection.prepare_cached("SELECT revision FROM counter")?;
    query.query_row([], |row| row.get(0))
}

pub(super) fn next_revision(connection: &Connection) -> Result<Revision, rusqlite::Error> {
    let mut update =
        connection.prepare_cached("UPDATE counter SET revision = revision + 1 RETURNING revision")?;
    update.query_row([], |row| row.get(0))
}

/// Adds a change to the log; no value is a deletion.
pub(super) fn record(
    connection: &Connection,
    revision: Revision,
    key: &str,
    value: Option<&[u8]>,
) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached("INSERT INTO changes (revision, key, value) VALUES (?1, ?2, ?3)")?
        .execute(params![revision, key, value])?;
    Ok(())
}

/// Now and then forgets what is more than the log should keep.
pub(super) fn prune(connection: &Connection, revision: Revision) -> Result<(), rusqlite::Error> {
    if !revision.0.is_multiple_of(PRUNE_EVERY) {
        return Ok(());
    }
    let mut query = connection
        .prepare_cached("SELECT revision, ifnull(length(value), 0) FROM changes ORDER BY id DESC")?;
    let mut rows = query.query([])?;
    let (mut changes, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        changes += 1;
        bytes += row.get::<_, i64>(1)?;
        if changes > KEEP_CHANGES || bytes > KEEP_BYTES {
            return forget(connection, row.get(0)?);
        }
    }
    Ok(())
}

/// Forgets the changes up to `revision`.
pub(super) fn forget(connection: &Connection, revision: Revision) -> Result<(), rusqlite::Error> {
    connection.execute("DELETE FROM changes WHERE revision <= ?1", [revision])?;
    connection.execute("UPDATE counter SET compacted = max(compacted, ?1)", [revision])?;
    Ok(())
}

/// Follows the changes under `prefix` after `from`.
pub(super) fn watch(
    worker: Worker,
    prefix: String,
    from: Revision,
) -> BoxStream<'static, Result<Event, StoreError>> {
    let head = worker.head.subscribe();
    let place = Place { seen: from, last_id: 0 };
    let watch = Watch { worker, prefix, place, head, ready: VecDeque::new(), is_over: false };
    stream::unfold(watch, Watch::next).boxed()
}

struct Watch {
    worker: Worker,
    prefix: String,
    place: Place,
    head: watch::Receiver<Revision>,
    ready: VecDeque<Event>,
    is_over: bool,
}

/// How far a watch has read: all of revision `seen`, and of the later ones what is up to `last_id`.
#[derive(Clone, Copy)]
struct Place {
    seen: Revision,
    last_id: i64,
}

struct Batch {
    events: Vec<Event>,
    place: Place,
    is_last: bool,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<Event, StoreError>, Watch)> {
        while !self.is_over {
            if let Some(event) = self.ready.pop_front() {
                return Some((Ok(event), self));
            }
            // Marked as seen before reading, so that a change during the read wakes us again.
            self.head.borrow_and_update();
            if let Err(error) = self.read().await {
                self.is_over = true;
                return Some((Err(error), self));
            }
        }
        None
    }

    /// Reads one batch; where there is nothing more, waits until there may be.
    async fn read(&mut self) -> Result<(), StoreError> {
        let (place, prefix) = (self.place, self.prefix.clone());
        let batch =
            self.worker.call("watch", move |session| read_batch(&mut session.connection, place, &prefix));
        let batch = batch.await?;
        self.place = batch.place;
        self.ready.extend(batch.events);
        if self.ready.is_empty() && batch.is_last {
            // The sender lives as long as our worker: this cannot fail.
            let _ = self.head.changed().await;
        }
        Ok(())
    }
}

fn read_batch(connection: &mut Connection, place: Place, prefix: &str) -> Result<Batch, Fault> {
    let transaction = connection.transaction()?;
    let mut query = transaction.prepare_cached("SELECT revision, compacted FROM counter")?;
    let (head, compacted): (Revision, Revision) =
        query.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if compacted > place.seen {
        return Err(StoreError::Compacted { from: place.seen }.into());
    }
    let mut query = transaction.prepare_cached(
        "SELECT id, revision, key, value FROM changes WHERE revision > ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let mut rows = query.query(params![place.seen, place.last_id, BATCH])?;
    let mut batch = Batch { events: Vec::new(), place, is_last: true };
    let mut read = 0;
    while let Some(row) = rows.next()? {
        read += 1;
        batch.place.last_id = row.get(0)?;
        let (revision, key) = (row.get::<_, Revision>(1)?, row.get::<_, String>(2)?);
        // The revision before this one has been read to its end.
        batch.place.seen = batch.place.seen.max(Revision(revision.0 - 1));
        if key.starts_with(prefix) {
            batch.events.push(match row.get(3)? {
                Some(value) => Event::Put { key, value, revision },
                None => Event::Deleted { key, revision },
            });
        }
    }
    batch.is_last = read < BATCH;
    if batch.is_last {
        batch.place.seen = batch.place.seen.max(head);
    }
    Ok(batch)
}
