//! The store in etcd (v3 API), one or several endpoints. Keys get a prefix, so that fleets can share one etcd.

mod commit;
mod fault;
mod members;
mod watch;

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Client, Error, GetOptions, GetResponse, KeyValue};
use futures::stream::BoxStream;

use crate::store::etcd::commit::Marker;
use crate::store::etcd::fault::Trouble;
use crate::store::etcd::members::Members;
use crate::store::txn::{check_key, check_prefix};
use crate::store::url::EtcdUrl;
use crate::store::{Event, LeaseId, Listing, Revision, Store, StoreError, Txn, Versioned};

/// How many entries a list asks for at once.
const PAGE: i64 = 500;
/// How often a list begins anew because its revision was compacted between two pages.
const RESTARTS: usize = 3;

pub struct EtcdStore {
    members: Members,
    prefix: String,
    marker: Marker,
}

impl EtcdStore {
    /// Connects and asks once, so that a wrong address or password is told here.
    pub async fn connect(url: &EtcdUrl) -> Result<EtcdStore, StoreError> {
        let members = Members::new(url).await?;
        let marker = Marker::new(&url.prefix)?;
        let store = EtcdStore { members, prefix: url.prefix.clone(), marker };
        store.marker.read(&store.members).await.map_err(|trouble| store.failed("connect", trouble))?;
        Ok(store)
    }

    fn full(&self, key: &str) -> Vec<u8> {
        full(&self.prefix, key)
    }

    fn failed(&self, operation: &'static str, trouble: Trouble) -> StoreError {
        trouble.into_error(self.members.name(), operation)
    }

    /// `None` where the revision of the first page was compacted before the last one came.
    async fn pages(&self, prefix: &str) -> Result<Option<Listing>, StoreError> {
        let (start, end) = range(&self.prefix, prefix);
        let mut listing = Listing::default();
        let mut cursor = start;
        loop {
            let mut options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
            if listing.revision > Revision(0) {
                options = options.with_revision(signed(listing.revision));
            }
            let page = match self.members.call(|client| get(client, cursor.clone(), options.clone())).await {
                Ok(page) => page,
                Err(trouble) if trouble.is_compacted() => return Ok(None),
                Err(trouble) => return Err(self.failed("list", trouble)),
            };
            if listing.revision == Revision(0) {
                listing.revision = head(&page);
            }
            for found in page.kvs() {
                listing.entries.push((short(&self.prefix, found.key()), versioned(found)));
            }
            match page.kvs().last() {
                Some(last) if page.more() => cursor = [last.key(), b"\0"].concat(),
                Some(_) | None => return Ok(Some(listing)),
            }
        }
    }
}

#[async_trait]
impl Store for EtcdStore {
    fn name(&self) -> String {
        self.members.name().into()
    }

    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        check_key(key)?;
        let key = self.full(key);
        let answer = self.members.call(|client| get(client, key.clone(), GetOptions::new())).await;
        let answer = answer.map_err(|trouble| self.failed("read", trouble))?;
        Ok(answer.kvs().first().map(versioned))
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        check_prefix(prefix)?;
        for _ in 0..RESTARTS {
            if let Some(listing) = self.pages(prefix).await? {
                return Ok(listing);
            }
        }
        let cause = "its history is compacted faster than the list can be read".into();
        Err(StoreError::Backend { operation: "list", store: self.name(), cause })
    }

    async fn commit(&self, txn: Txn) -> Result<Revision, StoreError> {
        txn.check()?;
        commit::commit(self, &txn).await
    }

    async fn watch(
        &self,
        prefix: &str,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Event, StoreError>>, StoreError> {
        check_prefix(prefix)?;
        Ok(watch::watch(self.members.clone(), &self.prefix, prefix, from))
    }

    async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        // Whole seconds, rounded up; etcd raises what is shorter than its election.
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let seconds = i64::try_from(seconds.max(1)).unwrap_or(i64::MAX);
        let granted =
            self.members.call(|mut client| async move { client.lease_grant(seconds, None).await }).await;
        granted.map(|lease| LeaseId(lease.id())).map_err(|trouble| self.failed("grant a lease", trouble))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let kept =
            self.members.call(|mut client| async move { client.lease_keep_alive(lease.0).await }).await;
        kept.map(drop).map_err(|trouble| self.lease_failed("keep a lease alive", lease, trouble))
    }

    async fn revoke_lease(&self, lease: LeaseId) -> Result<(), StoreError> {
        let revoked = self.members.call(|mut client| async move { client.lease_revoke(lease.0).await }).await;
        revoked.map(drop).map_err(|trouble| self.lease_failed("revoke a lease", lease, trouble))
    }

    async fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let at = signed(revision);
        match self.members.call(|mut client| async move { client.compact(at, None).await }).await {
            Ok(_) => Ok(()),
            Err(trouble) if trouble.is_compacted() => Ok(()),
            Err(trouble) => Err(self.failed("compact", trouble)),
        }
    }
}

impl EtcdStore {
    fn lease_failed(&self, operation: &'static str, lease: LeaseId, trouble: Trouble) -> StoreError {
        if trouble.is_lease_ended() {
            StoreError::LeaseEnded { lease }
        } else {
            self.failed(operation, trouble)
        }
    }
}

async fn get(client: Client, key: Vec<u8>, options: GetOptions) -> Result<GetResponse, Error> {
    // A page may be as large as its values make it; etcd itself sets no limit.
    client.kv_client().max_decoding_message_size(usize::MAX).get(key, Some(options)).await
}

fn full(prefix: &str, key: &str) -> Vec<u8> {
    [prefix.as_bytes(), key.as_bytes()].concat()
}

/// From the first key with the prefix to the first one after all of them.
fn range(store_prefix: &str, prefix: &str) -> (Vec<u8>, Vec<u8>) {
    let start = full(store_prefix, if prefix.is_empty() { "/" } else { prefix });
    let mut end = start.clone();
    // UTF-8 has no byte 0xff, so the last byte can always be raised.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (start, end)
}

fn short(store_prefix: &str, key: &[u8]) -> String {
    let key = key.strip_prefix(store_prefix.as_bytes()).unwrap_or(key);
    String::from_utf8_lossy(key).into_owned()
}

fn versioned(found: &KeyValue) -> Versioned {
    Versioned { value: found.value().to_vec(), revision: revision(found.mod_revision()) }
}

fn head(answer: &GetResponse) -> Revision {
    revision(answer.header().map_or(0, etcd_client::ResponseHeader::revision))
}

/// etcd counts in `i64`, never below 0.
fn revision(number: i64) -> Revision {
    Revision(number.cast_unsigned())
}

fn signed(revision: Revision) -> i64 {
    revision.0.cast_signed()
}
