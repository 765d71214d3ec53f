//! The seam to where the wish is kept: versioned keys, transactions with preconditions, watches, leases.
//! Two real backends, SQLite and etcd, pass one contract suite (`tests/coordinator/store/suite.rs`).

pub mod election;
pub mod etcd;
pub mod json;
pub mod sqlite;
mod txn;
pub mod url;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use proto::code::Code;

use crate::clock::Clock;
use crate::store::etcd::EtcdStore;
use crate::store::sqlite::SqliteStore;
use crate::store::url::StoreUrl;

/// A point in the store's history; every commit makes a larger one. 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A value and the revision that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    pub value: Vec<u8>,
    pub revision: Revision,
}

/// Everything under a prefix at one revision, sorted by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    pub entries: Vec<(String, Versioned)>,
    pub revision: Revision,
}

/// What must still hold when a transaction commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    Absent {
        key: String,
    },
    /// The key was last written by exactly this revision.
    Unchanged {
        key: String,
        revision: Revision,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Put { key: String, value: Vec<u8>, lease: Option<LeaseId> },
    Delete { key: String },
}

/// Commits all of `ops` or, where a precondition fails, none of them. A key may appear in one op only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    pub preconditions: Vec<Precondition>,
    pub ops: Vec<Op>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Put { key: String, value: Vec<u8>, revision: Revision },
    Deleted { key: String, revision: Revision },
}

/// The right to lead until the lease ends. Fences writes: `Precondition::Unchanged` on its key and revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    pub key: String,
    pub revision: Revision,
    pub lease: LeaseId,
}

pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The operation that fails where the database cannot be opened at all.
const OPEN: &str = "open the database";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{key} was changed by someone else")]
    Conflict { key: String },
    #[error("the history since revision {from} is gone")]
    Compacted { from: Revision },
    #[error("lease {} has ended", lease.0)]
    LeaseEnded { lease: LeaseId },
    #[error("could not reach the store {store}")]
    Unreachable {
        store: String,
        #[source]
        cause: Cause,
    },
    #[error("the store {store} refused us")]
    Denied {
        store: String,
        #[source]
        cause: Cause,
    },
    /// The answer to a commit got lost: it may have happened. Look before trying again.
    #[error("the store {store} did not say whether it committed")]
    Uncertain {
        store: String,
        #[source]
        cause: Cause,
    },
    #[error("another process keeps the store {store} locked")]
    Locked { store: String },
    #[error("the store {store} cannot be written: its disk is full")]
    Full { store: String },
    #[error("the store {store} cannot be written")]
    ReadOnly {
        store: String,
        #[source]
        cause: Cause,
    },
    #[error("the store {store} is damaged")]
    Damaged {
        store: String,
        #[source]
        cause: Cause,
    },
    #[error("the store {store} has format {found}; this orchestrator knows up to {known}")]
    Newer { store: String, found: i64, known: i64 },
    #[error("could not {operation} in the store {store}")]
    Backend {
        operation: &'static str,
        store: String,
        #[source]
        cause: Cause,
    },
    #[error("could not read {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{key} holds more than {max} bytes")]
    TooLarge { key: String, max: usize },
    #[error("a transaction holds more than {max} operations or preconditions")]
    TooMany { max: usize },
    #[error("the key {key:?} {reason}")]
    InvalidKey { key: String, reason: &'static str },
    #[error("{key} in the store is not a valid {expected}")]
    Undecodable {
        key: String,
        expected: &'static str,
        #[source]
        cause: serde_json::Error,
    },
}

impl StoreError {
    pub fn code(&self) -> Code {
        match self {
            StoreError::Conflict { .. } | StoreError::Compacted { .. } | StoreError::LeaseEnded { .. } => {
                Code::Conflict
            }
            StoreError::Unreachable { .. } => Code::Unreachable,
            StoreError::Locked { .. } => Code::TimedOut,
            StoreError::Denied { .. } | StoreError::ReadOnly { .. } => Code::Denied,
            StoreError::Uncertain { .. } | StoreError::Full { .. } | StoreError::Damaged { .. } => {
                Code::Failed
            }
            StoreError::Backend { .. } | StoreError::Undecodable { .. } => Code::Internal,
            StoreError::File { .. }
            | StoreError::TooLarge { .. }
            | StoreError::TooMany { .. }
            | StoreError::InvalidKey { .. }
            | StoreError::Newer { .. } => Code::InvalidInput,
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            StoreError::Unreachable { .. } => "check that it runs, and the endpoints given by --store",
            StoreError::Denied { .. } => "check user, password and certificates given by --store",
            StoreError::Uncertain { .. } => "look at `orchestrator status` before you try again",
            StoreError::Locked { .. } => "find the process with `fuser` on the file, or try again",
            StoreError::Full { .. } => "free some space on its disk and try again; nothing was changed",
            StoreError::ReadOnly { .. } => {
                "check the owner and mode of file and folder, or choose another --store"
            }
            StoreError::Damaged { .. } => "move the file away and restore a backup of it",
            StoreError::Newer { .. } => "install the newer orchestrator that wrote it",
            StoreError::Backend { operation: OPEN, .. } => "choose another place for it with --store",
            StoreError::Conflict { .. }
            | StoreError::Compacted { .. }
            | StoreError::LeaseEnded { .. }
            | StoreError::Backend { .. }
            | StoreError::File { .. }
            | StoreError::TooLarge { .. }
            | StoreError::TooMany { .. }
            | StoreError::InvalidKey { .. }
            | StoreError::Undecodable { .. } => return None,
        };
        Some(hint.into())
    }
}

/// Opens the store behind `url`; the clock decides when the leases of SQLite end.
pub async fn connect(url: &StoreUrl, clock: Arc<dyn Clock>) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        StoreUrl::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path, clock).await?)),
        StoreUrl::Etcd(etcd) => Ok(Arc::new(EtcdStore::connect(etcd).await?)),
    }
}

/// Largest value a backend must take, in bytes; package bytes live in the blob store.
pub const MAX_VALUE: usize = 1 << 20;
/// Most bytes of keys and values that one transaction writes: etcd takes requests of up to 1.5 MiB.
pub const MAX_TXN: usize = MAX_VALUE + (256 << 10);
/// Most operations, and most preconditions, of one transaction: etcd takes 128.
pub const MAX_OPS: usize = 120;
/// Longest key, in bytes.
pub const MAX_KEY: usize = 1 << 10;

/// Keys are UTF-8 paths like `/nodes/attic`; values are small. `/elections/` belongs to `campaign`.
#[async_trait]
pub trait Store: Send + Sync {
    /// Where the data is, for messages: `sqlite:/home/…/orchestrator.db`, `etcd://10.0.0.1:2379`.
    fn name(&self) -> String;

    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// All entries whose key starts with `prefix`, as they were at one revision: `/nodes/a` finds `/nodes/ab`
    /// too, `/nodes/a/` does not. The empty prefix finds all.
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError>;

    /// # Errors
    /// `Conflict` with the first key whose precondition fails; nothing was written then. `Uncertain` where the
    /// answer got lost and could not be found out; after any other error nothing was written.
    async fn commit(&self, txn: Txn) -> Result<Revision, StoreError>;

    /// Every change under `prefix` after `from`, once and in order, until dropped. An outage of the store is
    /// waited for; an error ends the stream: `Compacted`, where `from` is too old.
    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Event, StoreError>>, StoreError>;

    /// Keys put with a lease vanish when it is not kept alive for `ttl`.
    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Forgets the history up to `revision`; the present values stay.
    async fn compact(&self, revision: Revision) -> Result<(), StoreError>;

    /// Waits until `candidate` leads the election `name`. The caller keeps the lease alive meanwhile, and revokes
    /// it to step down or to give up waiting.
    async fn campaign(&self, name: &str, candidate: &str, lease: LeaseId) -> Result<Leadership, StoreError> {
        election::campaign(self, name, candidate, lease).await
    }
}
