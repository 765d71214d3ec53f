//! What `serve` lets the store forget: old values of its keys, which nobody asks for and etcd keeps for ever otherwise.
//!
//! etcd has one history for all who use it, so this takes for granted that it is ours, or that the others do without what
//! is older, too: `[etcd] keep-history = "off"` where that is not so.

use std::time::Duration;

use tracing::{info, warn};

use super::{Fleet, keys};
use crate::store::{Revision, Store, StoreError};

impl Fleet {
    /// Never returns. Trouble is logged; the next round tries again.
    pub(super) async fn forget_history(&self) {
        let Some(kept) = self.keeps_history else { return std::future::pending().await };
        let mut before = None;
        loop {
            match round(self.store.as_ref(), &mut before).await {
                Ok(Some(revision)) => {
                    info!(revision = revision.0, "history of the store forgotten up to here")
                }
                Ok(None) => {}
                Err(error) => warn!(%error, "the history of the store stays"),
            }
            pause(kept).await;
        }
    }
}

async fn pause(kept: Duration) {
    tokio::time::sleep(kept).await;
}

/// Forgets what was history already in the round before; gives up to where. All newer than that stays, for watches and
/// lists that are under way.
async fn round(store: &dyn Store, before: &mut Option<Revision>) -> Result<Option<Revision>, StoreError> {
    let now = store.list(keys::CARRIERS).await?.revision;
    let Some(old) = before.replace(now).filter(|old| *old < now) else { return Ok(None) };
    match store.compact(old).await {
        Ok(()) => Ok(Some(old)),
        Err(error) => {
            *before = Some(old);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt as _;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::url::StoreUrl;
    use crate::store::{Op, Txn, connect};

    #[tokio::test]
    async fn only_what_was_old_in_the_round_before_is_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = StoreUrl::Sqlite(folder.path().join("store.db"));
        let store = connect(&url, Arc::new(SystemClock)).await.expect("a store");
        let write = async || {
            let put = Op::Put { key: "/nodes/attic".to_owned(), value: b"x".to_vec(), lease: None };
            store.commit(Txn::new().then(put)).await.expect("written")
        };
        let mut before = None;
        let first = write().await;
        assert_eq!(round(store.as_ref(), &mut before).await.expect("looked"), None);
        assert_eq!(round(store.as_ref(), &mut before).await.expect("looked"), None, "nothing has happened");
        let second = write().await;
        assert_eq!(round(store.as_ref(), &mut before).await.expect("forgot"), Some(first));
        let since = async |revision: Revision| {
            let mut events = store.watch("/nodes/", revision).await.expect("a watch");
            events.next().await.expect("an event").is_ok()
        };
        assert!(since(first).await, "{second:?} is still told");
        assert!(!since(Revision(0)).await, "{first:?} is forgotten");
        assert_eq!(store.list("/nodes/").await.expect("listed").entries.len(), 1, "what is stays");
    }
}
