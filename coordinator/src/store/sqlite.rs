//! The store in one SQLite file (WAL), which several processes may use at once. A thread of its own holds the
//! connection, so that no async thread waits for the disk; a commit that returned survives power loss.

mod fault;
mod history;
mod open;
mod session;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use tokio::sync::{oneshot, watch};

use crate::clock::Clock;
use crate::store::sqlite::fault::Fault;
use crate::store::sqlite::session::Session;
use crate::store::txn::{check_key, check_prefix};
use crate::store::{Event, LeaseId, Listing, OPEN, Revision, Store, StoreError, Txn, Versioned};

/// How late a watch may notice what another process wrote, and that a lease has ended.
const POLL: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce(&mut Session) + Send>;

pub struct SqliteStore {
    worker: Worker,
}

/// The way to the connection's thread, which ends with the last clone.
#[derive(Clone)]
struct Worker {
    name: Arc<str>,
    /// Unbounded, yet short: every caller waits for its answer.
    jobs: mpsc::Sender<Job>,
    /// The newest revision known here; the thread looks for foreign changes as long as somebody subscribes.
    head: Arc<watch::Sender<Revision>>,
}

impl SqliteStore {
    /// Opens the file, and makes it (0600) and its folder (0700) where they are missing.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<SqliteStore, StoreError> {
        let name: Arc<str> = format!("sqlite:{}", path.display()).into();
        let head = Arc::new(watch::Sender::new(Revision::default()));
        let (jobs, queue) = mpsc::channel();
        let (opened, is_open) = oneshot::channel();
        let worker = Worker { name, jobs, head: Arc::clone(&head) };
        let path = path.to_owned();
        let thread = thread::Builder::new().name("store".into());
        let spawned = thread.spawn(move || match open::open(&path) {
            Ok(connection) => {
                let mut session = Session { connection, clock, head };
                // The file is usable whether or not the caller still waits.
                let _ = opened.send(Ok(()));
                serve(&queue, &mut session);
            }
            Err(fault) => {
                let _ = opened.send(Err(fault));
            }
        });
        spawned.map_err(|cause| worker.failed("start a thread", Fault::Io(cause)))?;
        match is_open.await {
            Ok(opened) => opened.map_err(|fault| worker.failed(OPEN, fault))?,
            Err(_) => return Err(worker.failed(OPEN, Fault::Gone)),
        }
        Ok(SqliteStore { worker })
    }
}

/// Works on jobs until the last sender is gone.
fn serve(queue: &Receiver<Job>, session: &mut Session) {
    loop {
        let next = if session.is_watched() {
            queue.recv_timeout(POLL)
        } else {
            queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match next {
            Ok(job) => job(session),
            Err(RecvTimeoutError::Timeout) => session.look_for_changes(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Worker {
    async fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        job: impl FnOnce(&mut Session) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |session| {
            // Nobody waits any more when the caller was cancelled.
            let _ = answer.send(job(session));
        });
        if self.jobs.send(job).is_err() {
            return Err(self.failed(operation, Fault::Gone));
        }
        let outcome = answered.await.unwrap_or(Err(Fault::Gone));
        outcome.map_err(|fault| self.failed(operation, fault))
    }

    fn failed(&self, operation: &'static str, fault: Fault) -> StoreError {
        fault.into_error(&self.name, operation)
    }
}

impl ToSql for Revision {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // SQLite counts to 2^63; one commit a microsecond gets there in 292,000 years.
        Ok(self.0.cast_signed().into())
    }
}

impl FromSql for Revision {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Revision> {
        value.as_i64().map(|revision| Revision(revision.cast_unsigned()))
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn name(&self) -> String {
        self.worker.name.to_string()
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        check_key(key)?;
        let key = key.to_owned();
        self.worker.call("read", move |session| session.get(&key)).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        check_prefix(prefix)?;
        let prefix = prefix.to_owned();
        self.worker.call("list", move |session| session.list(&prefix)).await
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, StoreError> {
        txn.check()?;
        self.worker.call("write", move |session| session.commit(&txn)).await
    }

    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Event, StoreError>>, StoreError> {
        check_prefix(prefix)?;
        Ok(history::watch(self.worker.clone(), prefix.to_owned(), from))
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.worker.call("grant a lease", move |session| session.grant_lease(ttl)).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.worker.call("keep a lease alive", move |session| session.keep_alive(lease)).await
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.worker.call("revoke a lease", move |session| session.revoke_lease(lease)).await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        self.worker.call("compact", move |session| session.compact(revision)).await
    }
}
