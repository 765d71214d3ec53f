//! Leader election on any store: each candidate puts a key under its lease, the oldest key leads.

use futures::StreamExt;

use crate::store::{Event, Leadership, LeaseId, Listing, Op, Precondition, Revision, Store, StoreError, Txn};

/// Waits until the key of `candidate` is the oldest one of the election `name`.
pub async fn campaign<S: Store + ?Sized>(
    store: &S,
    name: &str,
    candidate: &str,
    lease: LeaseId,
) -> Result<Leadership, StoreError> {
    let prefix = format!("/elections/{name}/");
    let key = format!("{prefix}{:016x}", lease.0);
    let revision = stand(store, &key, candidate, lease).await?;
    loop {
        let listing = store.list(&prefix).await?;
        if !listing.entries.iter().any(|(other, _)| *other == key) {
            return Err(StoreError::LeaseEnded { lease });
        }
        if is_oldest(&listing, revision) {
            return Ok(Leadership { key, revision, lease });
        }
        await_departure(store, &prefix, listing.revision).await?;
    }
}

/// Puts the candidate's key, once; its revision is the place in the queue.
async fn stand<S: Store + ?Sized>(
    store: &S,
    key: &str,
    candidate: &str,
    lease: LeaseId,
) -> Result<Revision, StoreError> {
    let put = Op::Put { key: key.into(), value: candidate.into(), lease: Some(lease) };
    let txn = Txn::new().when(Precondition::Absent { key: key.into() }).then(put);
    match store.commit(txn).await {
        // The key bears the number of our lease: whatever is there is ours, from a campaign that was cut short.
        Err(StoreError::Conflict { .. }) => {
            let own = store.get(key).await?;
            own.map(|own| own.revision).ok_or(StoreError::LeaseEnded { lease })
        }
        committed => committed,
    }
}

fn is_oldest(listing: &Listing, revision: Revision) -> bool {
    listing.entries.iter().all(|(_, entry)| entry.revision >= revision)
}

async fn await_departure<S: Store + ?Sized>(
    store: &S,
    prefix: &str,
    from: Revision,
) -> Result<(), StoreError> {
    let mut changes = store.watch(prefix, from).await?;
    while let Some(change) = changes.next().await {
        match change {
            Ok(Event::Deleted { .. }) | Err(StoreError::Compacted { .. }) => return Ok(()),
            Ok(Event::Put { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
