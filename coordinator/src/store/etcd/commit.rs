//! Commits. Each one that writes also writes a marker, the same key for all, so that a commit whose answer got
//! lost can be found in the marker's history.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::{
    Compare, CompareOp, Error, GetOptions, PutOptions, Txn as EtcdTxn, TxnOp, TxnOpResponse, TxnResponse,
    WatchOptions,
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::time::timeout;

use crate::store::etcd::fault::{Kind, Trouble};
use crate::store::etcd::members::Members;
use crate::store::etcd::{EtcdStore, full, get, head, revision, signed};
use crate::store::{LeaseId, Op, Precondition, Revision, StoreError, Txn};

/// How long a lost answer is looked for.
const LOOK_BACK: Duration = Duration::from_secs(3);

pub(super) struct Marker {
    key: Vec<u8>,
    /// Tells our commits from those of all other processes.
    origin: [u8; 16],
    count: AtomicU64,
    /// A revision that all our later commits come after.
    seen: AtomicU64,
}

impl Marker {
    pub(super) fn new(prefix: &str) -> Result<Marker, StoreError> {
        let mut origin = [0; 16];
        SystemRandom::new().fill(&mut origin).map_err(|_| StoreError::Backend {
            operation: "draw a random number",
            store: prefix.into(),
            cause: "the system gave none".into(),
        })?;
        let key = format!("{prefix}.commit").into_bytes();
        Ok(Marker { key, origin, count: AtomicU64::new(0), seen: AtomicU64::new(0) })
    }

    /// The last commit of anybody, and its revision; remembers how far the store is.
    pub(super) async fn read(&self, members: &Members) -> Result<Option<(Vec<u8>, Revision)>, Trouble> {
        let answer = members.call(|client| get(client, self.key.clone(), GetOptions::new())).await?;
        self.seen.fetch_max(head(&answer).0, Ordering::Relaxed);
        Ok(answer.kvs().first().map(|found| (found.value().to_vec(), revision(found.mod_revision()))))
    }

    fn next(&self) -> Vec<u8> {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        [&self.origin[..], &count.to_be_bytes()].concat()
    }

    /// The revision of the commit marked `mark`, if it is among those after `after`.
    async fn find(&self, members: &Members, mark: &[u8], after: u64) -> Result<Option<Revision>, Trouble> {
        let Some((last, at)) = self.read(members).await? else { return Ok(None) };
        if last == mark {
            return Ok(Some(at));
        }
        if at.0 <= after {
            return Ok(None);
        }
        let start = signed(Revision(after + 1));
        members.call(|client| history(client, self.key.clone(), start, at, mark.to_vec())).await
    }
}

/// Looks for `mark` among the values that `key` had from `start` to `end`.
async fn history(
    client: etcd_client::Client,
    key: Vec<u8>,
    start: i64,
    end: Revision,
    mark: Vec<u8>,
) -> Result<Option<Revision>, Error> {
    let options = WatchOptions::new().with_start_revision(start);
    let mut stream = client.watch_client().watch(key, Some(options)).await?;
    while let Some(answer) = stream.message().await? {
        if answer.canceled() {
            return Err(Error::WatchError(answer.cancel_reason().into()));
        }
        for found in answer.events().iter().filter_map(etcd_client::Event::kv) {
            let at = revision(found.mod_revision());
            if found.value() == mark {
                return Ok(Some(at));
            }
            if at >= end {
                return Ok(None);
            }
        }
    }
    Err(Error::WatchError("the history ended early".into()))
}

pub(super) async fn commit(store: &EtcdStore, txn: &Txn) -> Result<Revision, StoreError> {
    let mark = store.marker.next();
    let after = store.marker.seen.load(Ordering::Relaxed);
    let request = request(store, txn, &mark);
    match send(store, &request).await {
        Ok(answer) if answer.succeeded() => Ok(committed(store, &answer)),
        Ok(answer) => Err(StoreError::Conflict { key: conflict(txn, &answer) }),
        Err(trouble) if trouble.kind == Kind::Lost && !txn.ops.is_empty() => {
            let resolved = timeout(LOOK_BACK, resolve(store, txn, &request, &mark, after)).await;
            let uncertain =
                StoreError::Uncertain { store: store.members.name().into(), cause: trouble.text.into() };
            resolved.ok().flatten().unwrap_or(Err(uncertain))
        }
        Err(trouble) => match lease_of(txn) {
            Some(lease) => Err(store.lease_failed("write", lease, trouble)),
            None => Err(store.failed("write", trouble)),
        },
    }
}

async fn send(store: &EtcdStore, request: &EtcdTxn) -> Result<TxnResponse, Trouble> {
    let sent = store.members.call_once(|mut client| {
        let request = request.clone();
        async move { client.txn(request).await }
    });
    sent.await
}

fn committed(store: &EtcdStore, answer: &TxnResponse) -> Revision {
    let committed = revision(answer.header().map_or(0, etcd_client::ResponseHeader::revision));
    store.marker.seen.fetch_max(committed.0, Ordering::Relaxed);
    committed
}

/// Finds out whether a commit happened whose answer got lost; `None` where that cannot be known.
async fn resolve(
    store: &EtcdStore,
    txn: &Txn,
    request: &EtcdTxn,
    mark: &[u8],
    after: u64,
) -> Option<Result<Revision, StoreError>> {
    let mut refused = None;
    loop {
        match store.marker.find(&store.members, mark, after).await {
            Ok(Some(revision)) => return Some(Ok(revision)),
            Err(trouble) if trouble.is_passing() => continue,
            Err(_) => return None,
            Ok(None) => {}
        }
        // Refused, and looked for after that: it neither happened nor can it still happen.
        if let Some(conflict) = refused {
            return Some(Err(conflict));
        }
        if !happens_once(txn) {
            return None;
        }
        match send(store, request).await {
            Ok(answer) if answer.succeeded() => return Some(Ok(committed(store, &answer))),
            Ok(answer) => {
                let key = conflict(txn, &answer);
                // A key that is there may be absent again when the first request gets through.
                if txn.preconditions.contains(&Precondition::Absent { key: key.clone() }) {
                    return None;
                }
                refused = Some(StoreError::Conflict { key });
            }
            Err(trouble) if trouble.is_passing() => {}
            Err(_) => return None,
        }
    }
}

/// Whether the first success makes every later one impossible, so that it may be sent twice: it overwrites the
/// very revision that it depends on, and no revision ever comes back. An absent key does.
fn happens_once(txn: &Txn) -> bool {
    txn.preconditions.iter().any(|precondition| match precondition {
        Precondition::Unchanged { key, .. } => txn.ops.iter().any(|op| op.key() == key),
        Precondition::Absent { .. } => false,
    })
}

fn request(store: &EtcdStore, txn: &Txn, mark: &[u8]) -> EtcdTxn {
    let full = |key: &str| full(&store.prefix, key);
    let compares = txn.preconditions.iter().map(|precondition| match precondition {
        Precondition::Absent { key } => Compare::create_revision(full(key), CompareOp::Equal, 0),
        Precondition::Unchanged { key, revision } => {
            Compare::mod_revision(full(key), CompareOp::Equal, signed(*revision))
        }
    });
    let mut writes: Vec<TxnOp> = txn
        .ops
        .iter()
        .map(|op| match op {
            Op::Put { key, value, lease } => {
                let options = lease.map(|lease| PutOptions::new().with_lease(lease.0));
                TxnOp::put(full(key), value.clone(), options)
            }
            Op::Delete { key } => TxnOp::delete(full(key), None),
        })
        .collect();
    if !writes.is_empty() {
        writes.push(TxnOp::put(store.marker.key.clone(), mark, None));
    }
    let keys_only = || Some(GetOptions::new().with_keys_only());
    let looks =
        txn.preconditions.iter().map(|precondition| TxnOp::get(full(precondition.key()), keys_only()));
    EtcdTxn::new().when(compares.collect::<Vec<_>>()).and_then(writes).or_else(looks.collect::<Vec<_>>())
}

/// The first key whose precondition fails, as read in the same transaction.
fn conflict(txn: &Txn, answer: &TxnResponse) -> String {
    let looks = answer.op_responses();
    let failed = txn.preconditions.iter().zip(&looks).find(|(precondition, look)| {
        let TxnOpResponse::Get(found) = look else { return false };
        let found = found.kvs().first().map(|found| revision(found.mod_revision()));
        match precondition {
            Precondition::Absent { .. } => found.is_some(),
            Precondition::Unchanged { revision, .. } => found != Some(*revision),
        }
    });
    // etcd took the other branch, so one of them must have failed.
    failed.map_or_else(String::new, |(precondition, _)| precondition.key().into())
}

fn lease_of(txn: &Txn) -> Option<LeaseId> {
    txn.ops.iter().find_map(|op| match op {
        Op::Put { lease, .. } => *lease,
        Op::Delete { .. } => None,
    })
}
