//! The seam to where the wish is kept: versioned keys, transactions with preconditions, watches, leases.
//! Two real backends, SQLite and etcd, pass one contract suite (`store::suite`).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use proto::code::Code;

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

/// Commits all of `ops` or, where a precondition fails, none of them.
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
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the store {store} refused us")]
    Denied {
        store: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("could not {operation} in the store {store}")]
    Backend {
        operation: &'static str,
        store: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{key} holds more than {max} bytes")]
    TooLarge { key: String, max: usize },
}

impl StoreError {
    pub fn code(&self) -> Code {
        match self {
            StoreError::Conflict { .. } | StoreError::Compacted { .. } | StoreError::LeaseEnded { .. } => {
                Code::Conflict
            }
            StoreError::Unreachable { .. } => Code::Unreachable,
            StoreError::Denied { .. } => Code::Denied,
            StoreError::Backend { .. } => Code::Internal,
            StoreError::TooLarge { .. } => Code::InvalidInput,
        }
    }
}

/// Largest value a backend must take, in bytes; package bytes live in the blob store.
pub const MAX_VALUE: usize = 1 << 20;

/// Keys are UTF-8 paths like `/nodes/attic`; values are small.
#[async_trait]
pub trait Store: Send + Sync {
    /// Where the data is, for messages: `sqlite:/home/…/orchestrator.db`, `etcd://10.0.0.1:2379`.
    fn name(&self) -> String;

    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// All entries whose key starts with `prefix`, as they were at one revision.
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError>;

    /// # Errors
    /// `Conflict` with the first key whose precondition fails; nothing was written then.
    async fn commit(&self, txn: Txn) -> Result<Revision, StoreError>;

    /// Every change under `prefix` after `from`, in order, until dropped. `Compacted` where `from` is too old.
    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Event, StoreError>>, StoreError>;

    /// Keys put with a lease vanish when it is not kept alive for `ttl`.
    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError>;

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Waits until `candidate` leads the election `name`. Cancel by dropping. The holder keeps its lease alive.
    async fn campaign(&self, name: &str, candidate: &str, lease: LeaseId) -> Result<Leadership, StoreError>;
}
