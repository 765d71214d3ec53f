//! The typed layer: values as JSON. What cannot be decoded is an error that names the key.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{LeaseId, Op, Precondition, Revision, Store, StoreError, Versioned};

/// A decoded value and the revision that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    pub key: String,
    pub value: T,
    pub revision: Revision,
}

impl<T> Stored<T> {
    /// Holds as long as nobody else wrote the key.
    pub fn unchanged(&self) -> Precondition {
        Precondition::Unchanged { key: self.key.clone(), revision: self.revision }
    }
}

/// Decoded entries, sorted by key, as they were at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<T> {
    pub entries: Vec<Stored<T>>,
    pub revision: Revision,
}

pub async fn get_json<T: DeserializeOwned>(
    store: &dyn Store,
    key: &str,
) -> Result<Option<Stored<T>>, StoreError> {
    let Some(found) = store.get(key).await? else { return Ok(None) };
    stored(key.into(), found).map(Some)
}

pub async fn list_json<T: DeserializeOwned>(
    store: &dyn Store,
    prefix: &str,
) -> Result<Decoded<T>, StoreError> {
    let listing = store.list(prefix).await?;
    let entries = listing.entries.into_iter().map(|(key, found)| stored(key, found));
    Ok(Decoded { entries: entries.collect::<Result<_, _>>()?, revision: listing.revision })
}

/// Builds the operation that puts `value` as JSON.
pub fn put_json<T: Serialize>(key: impl Into<String>, value: &T) -> Result<Op, StoreError> {
    put(key.into(), value, None)
}

/// Like `put_json`; the key vanishes with the lease.
pub fn put_json_leased<T: Serialize>(
    key: impl Into<String>,
    value: &T,
    lease: LeaseId,
) -> Result<Op, StoreError> {
    put(key.into(), value, Some(lease))
}

pub fn decode_json<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|cause| undecodable::<T>(key, cause))
}

fn stored<T: DeserializeOwned>(key: String, found: Versioned) -> Result<Stored<T>, StoreError> {
    let value = decode_json(&key, &found.value)?;
    Ok(Stored { key, value, revision: found.revision })
}

fn put<T: Serialize>(key: String, value: &T, lease: Option<LeaseId>) -> Result<Op, StoreError> {
    let value = serde_json::to_vec(value).map_err(|cause| undecodable::<T>(&key, cause))?;
    Ok(Op::Put { key, value, lease })
}

fn undecodable<T>(key: &str, cause: serde_json::Error) -> StoreError {
    let path = std::any::type_name::<T>();
    let expected = path.rsplit("::").next().unwrap_or(path);
    StoreError::Undecodable { key: key.into(), expected, cause }
}
