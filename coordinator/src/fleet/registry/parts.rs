//! What another registry has may be more than one value of the store takes. Then its releases are written in parts first,
//! under the digest of all of them, where nobody sees them; the record that names the parts is one write, as ever.

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::registries::RegistryRecord;
use crate::domain::deployment::Release;
use crate::fault;
use crate::fleet::{Fleet, FleetError, keys, wire};
use crate::store::json::{Stored, get_json, list_json, put_json};
use crate::store::{Op, Store, StoreError, Txn};

/// Of about 140 bytes each: well below what a value may have.
const PART: usize = 4000;
/// How often a record is read anew whose parts went while they were read: somebody synced it.
const TRIES: usize = 3;

impl Fleet {
    /// All other registries, with their releases.
    pub(super) async fn registries(&self) -> Result<Vec<Stored<RegistryRecord>>, FleetError> {
        let kept = list_json::<RegistryRecord>(self.store.as_ref(), keys::REGISTRIES).await?.entries;
        let mut registries = Vec::new();
        for kept in kept {
            registries.extend(whole(self.store.as_ref(), kept).await?);
        }
        Ok(registries)
    }

    pub(super) async fn registry(&self, name: &str) -> Result<Option<Stored<RegistryRecord>>, FleetError> {
        match get_json(self.store.as_ref(), &keys::registry(name)).await? {
            Some(kept) => whole(self.store.as_ref(), kept).await,
            None => Ok(None),
        }
    }
}

/// A record with all its releases; none where it was removed meanwhile.
async fn whole(
    store: &dyn Store,
    mut kept: Stored<RegistryRecord>,
) -> Result<Option<Stored<RegistryRecord>>, FleetError> {
    for _ in 0..TRIES {
        if let Some(releases) = parts(store, &kept.value).await? {
            kept.value.releases.extend(releases);
            return Ok(Some(kept));
        }
        match get_json(store, &kept.key).await? {
            Some(newer) => kept = newer,
            None => return Ok(None),
        }
    }
    Err(FleetError::RegistryMoved { name: kept.value.name })
}

/// None where one of them is gone.
async fn parts(store: &dyn Store, record: &RegistryRecord) -> Result<Option<Vec<Release>>, StoreError> {
    let mut releases = Vec::new();
    for number in 0..record.parts.count {
        let key = keys::registry_part(&record.name, &record.parts.digest, number);
        match get_json::<Vec<Release>>(store, &key).await? {
            Some(part) => releases.extend(part.value),
            None => return Ok(None),
        }
    }
    Ok(Some(releases))
}

/// Writes what the record has no room for, and makes it name that.
pub async fn set_apart(store: &dyn Store, record: &mut RegistryRecord) -> Result<(), StoreError> {
    let most = fault::batch(PART);
    if record.releases.len() <= most {
        return Ok(());
    }
    let releases = std::mem::take(&mut record.releases);
    record.parts.digest = digest(&releases);
    for part in releases.chunks(most) {
        let key = keys::registry_part(&record.name, &record.parts.digest, record.parts.count);
        store.commit(Txn::new().then(put_json(key, &part)?)).await?;
        record.parts.count += 1;
        fault::point("registry.part");
    }
    Ok(())
}

/// Removes the parts that the record does not name (any more). Who is just writing others loses them, but loses to the
/// record, too.
pub async fn sweep(store: &dyn Store, name: &str, named: &str) -> Result<(), StoreError> {
    let all = store.list(&keys::registry_parts(name)).await?.entries;
    let named = format!("{}{named}/", keys::registry_parts(name));
    for (key, _) in all.into_iter().filter(|(key, _)| !key.starts_with(&named)) {
        store.commit(Txn::new().then(Op::delete(key))).await?;
    }
    Ok(())
}

fn digest(releases: &[Release]) -> String {
    let mut hash = Sha256::new();
    for release in releases {
        hash.update(wire::release(release).encode_length_delimited_to_vec());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::store::connect;
    use crate::store::url::StoreUrl;

    #[tokio::test]
    async fn a_registry_of_any_size_is_kept_and_only_the_last_state_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = StoreUrl::Sqlite(folder.path().join("store.db"));
        let store = connect(&url, Arc::new(SystemClock)).await.expect("a store");
        let store = store.as_ref();
        for (count, parts) in [(20_001, 6), (9_000, 3), (3, 0), (PART, 0), (PART + 1, 2)] {
            let before = record(count);
            let mut written = before.clone();
            set_apart(store, &mut written).await.expect("written");
            let put = put_json(keys::registry("friends"), &written).expect("small enough");
            store.commit(Txn::new().then(put)).await.expect("written");
            sweep(store, "friends", &written.parts.digest).await.expect("swept");
            let kept = get_json(store, &keys::registry("friends")).await.expect("read").expect("there");
            let whole = whole(store, kept).await.expect("read").expect("there").value;
            assert_eq!(whole.releases, before.releases, "{count}");
            let left = store.list(&keys::registry_parts("friends")).await.expect("listed").entries;
            assert_eq!(left.len(), parts, "{count}");
        }
        // A record whose parts are gone for good is no empty registry.
        let kept = get_json(store, &keys::registry("friends")).await.expect("read").expect("there");
        sweep(store, "friends", "another").await.expect("swept");
        assert!(whole(store, kept).await.is_err());
    }

    fn record(count: usize) -> RegistryRecord {
        let release = |number: usize| Release {
            module: format!("module-{number}"),
            version: "1.0.0".to_owned(),
            digest: format!("sha256:{number:064x}"),
        };
        RegistryRecord {
            name: "friends".to_owned(),
            url: "https://example.org/modules.git".to_owned(),
            revision: String::new(),
            commit: "a".repeat(40),
            synced_at: 0,
            releases: (0..count).map(release).collect(),
            parts: super::super::registries::Parts::default(),
        }
    }
}
