//! The state of the gate in the store: one key, changed only from what was read, so that coordinators that work at the
//! same time lose nothing of each other.

use std::sync::Arc;

use async_trait::async_trait;
use llm::keeper::{Change, Changed, State, Vault};
use tokio::sync::Semaphore;

use crate::fault;
use crate::fleet::keys;
use crate::store::json::{get_json, put_json};
use crate::store::{Precondition, Store, StoreError, Txn};

/// Each time that somebody else was quicker, somebody got on; more than this is no fair race.
const TRIES: usize = 100;

pub struct StoreVault {
    store: Arc<dyn Store>,
    /// Requests of this process take turns, instead of racing each other in the store.
    turn: Semaphore,
}

impl StoreVault {
    pub fn new(store: Arc<dyn Store>) -> StoreVault {
        StoreVault { store, turn: Semaphore::new(1) }
    }

    /// Whether it was stored; not where somebody else was quicker.
    async fn try_change(&self, change: &mut Change<'_>) -> Result<bool, StoreError> {
        let kept = get_json::<State>(self.store.as_ref(), keys::LLM_STATE).await?;
        let revision = kept.as_ref().map(|kept| kept.revision);
        let mut state = kept.map(|kept| kept.value).unwrap_or_default();
        if change(&mut state) == Changed::No {
            return Ok(true);
        }
        let still = Precondition::as_seen(keys::LLM_STATE, revision);
        let txn = Txn::new().when(still).then(put_json(keys::LLM_STATE, &state)?);
        match self.store.commit(txn).await {
            Ok(_) => {
                fault::point("llm.stored");
                Ok(true)
            }
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Vault for StoreVault {
    async fn change(&self, change: &mut Change<'_>) -> Result<(), String> {
        let _turn = self.turn.acquire().await.expect("it is never closed");
        for _ in 0..TRIES {
            match self.try_change(change).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("others keep changing it".to_owned())
    }
}
