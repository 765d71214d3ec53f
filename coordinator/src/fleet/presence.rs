//! That this process carries out changes, for coordinators on other machines to see: a key in the store that vanishes
//! soon after the process has died.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tracing::warn;

use super::{FleetError, Holds, keys};
use crate::domain::deployment::Carrier;
use crate::store::{LeaseId, Op, Store, StoreError, Txn};

/// After this long without a sign of life others carry on what a process began.
const TTL: Duration = Duration::from_secs(12);
const SIGN: Duration = Duration::from_secs(3);

/// Whether the key is there and kept.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    is_shown: Arc<Mutex<bool>>,
}

impl Presence {
    /// Shows that `carrier` is at work, until nothing is held any more. Whoever calls this holds something.
    pub async fn show(
        &self,
        store: &Arc<dyn Store>,
        carrier: &Carrier,
        holds: &Holds,
    ) -> Result<(), FleetError> {
        let mut is_shown = self.is_shown.lock().await;
        if *is_shown {
            return Ok(());
        }
        let key = keys::carrier(carrier);
        let lease = put(store.as_ref(), &key).await?;
        *is_shown = true;
        tokio::spawn(keep(self.clone(), Arc::clone(store), holds.clone(), key, lease));
        Ok(())
    }
}

async fn put(store: &dyn Store, key: &str) -> Result<LeaseId, StoreError> {
    let lease = store.grant_lease(TTL).await?;
    let ops = vec![Op::Put { key: key.to_owned(), value: Vec::new(), lease: Some(lease) }];
    store.commit(Txn { preconditions: Vec::new(), ops }).await?;
    Ok(lease)
}

async fn keep(presence: Presence, store: Arc<dyn Store>, holds: Holds, key: String, mut lease: LeaseId) {
    loop {
        tokio::time::sleep(SIGN).await;
        let mut is_shown = presence.is_shown.lock().await;
        if holds.is_empty() {
            *is_shown = false;
            // It ends by itself otherwise.
            let _ = store.revoke_lease(lease).await;
            return;
        }
        drop(is_shown);
        match store.keep_alive(lease).await {
            Ok(()) => {}
            Err(StoreError::LeaseEnded { .. }) => match put(store.as_ref(), &key).await {
                Ok(again) => lease = again,
                Err(error) => warn!(%error, "could not show that a change is being carried out"),
            },
            Err(error) => warn!(%error, "could not show that a change is still being carried out"),
        }
    }
}
