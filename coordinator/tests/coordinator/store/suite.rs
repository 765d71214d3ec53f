//! The contract of a store, case by case. A `Bed` opens any number of handles on the same data.

use std::sync::Arc;
use std::time::Duration;

use coordinator::store::json::{get_json, list_json, put_json};
use coordinator::store::{
    Event, LeaseId, MAX_OPS, MAX_TXN, MAX_VALUE, Op, Precondition, Revision, Store, StoreError, Txn,
};
use futures::StreamExt;
use futures::stream::BoxStream;

/// A lease that ends soon: etcd counts in seconds.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(60);
/// Longer than anything takes that must happen.
const PATIENCE: Duration = Duration::from_secs(15);

pub trait Bed {
    async fn open(&self) -> Arc<dyn Store>;
}

/// Makes a test of each case: `cases!(SqliteBed::new().await)`.
macro_rules! cases {
    ($bed:expr) => {
        cases!($bed;
            what_is_put_can_be_read, a_value_may_be_anything_up_to_its_limit, too_much_is_refused,
            odd_keys_are_refused, a_list_is_everything_under_a_prefix, a_list_is_of_one_revision,
            a_transaction_is_all_or_nothing, a_conflict_names_its_key, an_empty_transaction_checks,
            two_handles_lose_no_increment, a_watch_tells_everything_once_and_in_order,
            a_watch_resumes_where_told, a_watch_after_compaction_says_so, a_lease_that_ends_takes_its_keys,
            a_lease_kept_alive_stays, an_ended_lease_is_refused, one_candidate_leads, the_next_leads_after_the_lease,
            a_deposed_leader_writes_nothing, a_candidate_without_lease_gives_up, values_are_json_or_say_where_not,
        );
    };
    ($bed:expr; $($case:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let bed = $bed;
            super::suite::$case(&bed).await;
        })*
    };
}
pub(crate) use cases;

pub async fn what_is_put_can_be_read(bed: &impl Bed) {
    let store = bed.open().await;
    assert_eq!(store.get("/a").await.expect("get"), None);
    let first = put(&*store, "/a", "1").await;
    let second = put(&*store, "/a", "2").await;
    assert!(second > first);
    let got = bed.open().await.get("/a").await.expect("get").expect("is there");
    assert_eq!((got.value.as_slice(), got.revision), (&b"2"[..], second));
    let third =
        store.commit(Txn::new().then(Op::delete("/a")).then(Op::delete("/none"))).await.expect("delete");
    assert!(third > second);
    assert_eq!(store.get("/a").await.expect("get"), None);
}

pub async fn a_value_may_be_anything_up_to_its_limit(bed: &impl Bed) {
    let store = bed.open().await;
    let noise: Vec<u8> = (0..MAX_VALUE).map(|index| (index * 31 % 251) as u8).collect();
    for (key, value) in [("/empty", vec![]), ("/binary", vec![0, 255, 10, 0]), ("/large", noise)] {
        store.commit(Txn::new().then(Op::put(key, value.clone()))).await.expect(key);
        let got = store.get(key).await.expect(key).expect(key);
        assert!(got.value == value, "{key} came back changed");
    }
    assert_eq!(store.list("/").await.expect("list").entries.len(), 3);
}

pub async fn too_much_is_refused(bed: &impl Bed) {
    let store = bed.open().await;
    let full = Txn::new().then(Op::put("/a", "1")).then(Op::put("/b", vec![0; MAX_VALUE + 1]));
    refused(&*store, full, "/b holds more than 1048576 bytes").await;
    let half = vec![0; MAX_TXN / 2];
    let sum = Txn::new().then(Op::put("/a", half.clone())).then(Op::put("/b", half));
    refused(&*store, sum, "/b holds more than 1310720 bytes").await;
    let many = (0..=MAX_OPS).fold(Txn::new(), |txn, index| txn.then(Op::put(format!("/{index}"), "")));
    refused(&*store, many, "a transaction holds more than 120 operations or preconditions").await;
    let most = (0..MAX_OPS).fold(Txn::new(), |txn, index| {
        let key = format!("/{index}");
        txn.when(Precondition::Absent { key: key.clone() }).then(Op::put(key, ""))
    });
    store.commit(most).await.expect("as much as allowed");
}

pub async fn odd_keys_are_refused(bed: &impl Bed) {
    let store = bed.open().await;
    for (key, why) in [
        ("", "the key \"\" does not start with a slash"),
        ("a/b", "the key \"a/b\" does not start with a slash"),
        ("/a\0b", "the key \"/a\\0b\" contains a NUL"),
    ] {
        refused(&*store, Txn::new().then(Op::put(key, "1")), why).await;
        assert_eq!(store.get(key).await.expect_err(why).to_string(), why);
        if !key.is_empty() {
            assert_eq!(store.list(key).await.expect_err(why).to_string(), why);
        }
    }
    let twice = Txn::new().then(Op::put("/a", "1")).then(Op::delete("/a"));
    refused(&*store, twice, "the key \"/a\" is written twice").await;
}

pub async fn a_list_is_everything_under_a_prefix(bed: &impl Bed) {
    let store = bed.open().await;
    let keys = [
        "/nodes/",
        "/nodes/%",
        "/nodes/A",
        "/nodes/_",
        "/nodes/a",
        "/nodes/a/b",
        "/nodes/ab",
        "/nodes/é",
        "/nodes/日本",
        "/nodes/\u{10FFFF}",
        "/nodes0",
        "/node",
        "/nodes",
    ];
    for key in keys {
        put(&*store, key, key).await;
    }
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    for prefix in [
        "",
        "/",
        "/nodes",
        "/nodes/",
        "/nodes/a",
        "/nodes/a/",
        "/nodes/%",
        "/nodes/_",
        "/nodes/\u{10FFFF}",
        "/x",
    ] {
        let got = store.list(prefix).await.expect(prefix).entries;
        let got: Vec<&str> = got.iter().map(|(key, _)| key.as_str()).collect();
        let want: Vec<&str> = sorted.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(got, want, "{prefix}");
    }
}

pub async fn a_list_is_of_one_revision(bed: &impl Bed) {
    let (store, writer) = (bed.open().await, bed.open().await);
    let all =
        |value: &str| (0..100).fold(Txn::new(), |txn, index| txn.then(Op::put(format!("/k/{index}"), value)));
    writer.commit(all("0")).await.expect("commit");
    let writing = tokio::spawn(async move {
        for round in 1..30 {
            writer
                .commit((0..100).fold(Txn::new(), |txn, index| {
                    txn.then(Op::put(format!("/k/{index}"), round.to_string()))
                }))
                .await
                .expect("commit");
        }
    });
    while !writing.is_finished() {
        let listing = store.list("/k/").await.expect("list");
        assert_eq!(listing.entries.len(), 100);
        let first = &listing.entries[0].1;
        assert!(listing.entries.iter().all(|(_, entry)| entry == first), "two revisions in one list");
        assert!(listing.revision >= first.revision);
    }
    writing.await.expect("writer");
}

pub async fn a_transaction_is_all_or_nothing(bed: &impl Bed) {
    let store = bed.open().await;
    let seen = put(&*store, "/b", "old").await;
    put(&*store, "/b", "new").await;
    let txn = Txn::new()
        .when(Precondition::Absent { key: "/a".into() })
        .when(Precondition::Unchanged { key: "/b".into(), revision: seen })
        .then(Op::put("/a", "1"))
        .then(Op::delete("/b"));
    refused(&*store, txn, "/b was changed by someone else").await;
    let keys = store.list("/").await.expect("list").entries;
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(keys[0].1.value, b"new");
}

pub async fn a_conflict_names_its_key(bed: &impl Bed) {
    let store = bed.open().await;
    let seen = put(&*store, "/there", "1").await;
    let there = || Precondition::Unchanged { key: "/there".into(), revision: seen };
    let absent = |key: &str| Precondition::Absent { key: key.into() };
    let gone = Precondition::Unchanged { key: "/gone".into(), revision: seen };
    let stale = Precondition::Unchanged { key: "/there".into(), revision: Revision(seen.0 - 1) };
    for (preconditions, want) in [
        (vec![there(), absent("/none")], None),
        (vec![there(), absent("/there")], Some("/there")),
        (vec![there(), gone.clone()], Some("/gone")),
        (vec![there(), stale.clone(), gone], Some("/there")),
    ] {
        let txn = Txn { preconditions, ops: vec![Op::put("/other", "1")] };
        let got = match store.commit(txn).await {
            Ok(_) => None,
            Err(StoreError::Conflict { key }) => Some(key),
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(got.as_deref(), want);
    }
}

pub async fn an_empty_transaction_checks(bed: &impl Bed) {
    let store = bed.open().await;
    let seen = put(&*store, "/a", "1").await;
    let check = |revision| Txn::new().when(Precondition::Unchanged { key: "/a".into(), revision });
    assert_eq!(store.commit(check(seen)).await.expect("holds"), seen);
    refused(&*store, check(Revision(seen.0 + 1)), "/a was changed by someone else").await;
}

pub async fn two_handles_lose_no_increment(bed: &impl Bed) {
    let mut counting = Vec::new();
    for _ in 0..2 {
        let store = bed.open().await;
        counting.push(tokio::spawn(async move {
            for _ in 0..50 {
                increment(&*store, "/count").await;
            }
        }));
    }
    for counter in counting {
        counter.await.expect("counter");
    }
    let count = bed.open().await.get("/count").await.expect("get").expect("is there");
    assert_eq!(String::from_utf8(count.value).expect("a number"), "100");
}

pub async fn a_watch_tells_everything_once_and_in_order(bed: &impl Bed) {
    let (watcher, writer) = (bed.open().await, bed.open().await);
    let from = put(&*writer, "/w/0", "before").await;
    let mut watch = watcher.watch("/w/", from).await.expect("watch");
    let mut want = Vec::new();
    for round in 0..40 {
        let (key, value) = (format!("/w/{}", round % 3), format!("{round}"));
        put(&*writer, "/x", "not watched").await;
        let revision = put(&*writer, &key, &value).await;
        want.push(Event::Put { key: key.clone(), value: value.into_bytes(), revision });
        if round % 5 == 0 {
            let revision = writer.commit(Txn::new().then(Op::delete(&key))).await.expect("delete");
            want.push(Event::Deleted { key, revision });
        }
    }
    let txn = (0..100).fold(Txn::new(), |txn, index| txn.then(Op::put(format!("/w/many/{index:03}"), "")));
    let revision = writer.commit(txn).await.expect("commit");
    want.extend((0..100).map(|index| Event::Put {
        key: format!("/w/many/{index:03}"),
        value: vec![],
        revision,
    }));
    assert_eq!(take(&mut watch, want.len()).await, want);
}

pub async fn a_watch_resumes_where_told(bed: &impl Bed) {
    let store = bed.open().await;
    let mut revisions = vec![Revision(0)];
    for round in 0..5 {
        revisions.push(put(&*store, "/w", &round.to_string()).await);
    }
    for (skip, from) in revisions.iter().enumerate() {
        let mut watch = store.watch("/w", *from).await.expect("watch");
        let last = put(&*store, "/other", "1").await;
        assert!(last > revisions[5]);
        let got: Vec<Revision> = take(&mut watch, 5 - skip).await.iter().map(revision_of).collect();
        assert_eq!(got, revisions[skip + 1..]);
    }
}

pub async fn a_watch_after_compaction_says_so(bed: &impl Bed) {
    let store = bed.open().await;
    let first = put(&*store, "/w", "1").await;
    let second = put(&*store, "/w", "2").await;
    let third = put(&*store, "/w", "3").await;
    store.compact(second).await.expect("compact");
    store.compact(second).await.expect("compact again");
    store.compact(first).await.expect("what is forgotten stays so");
    let mut late = store.watch("/w", first).await.expect("watch");
    let told = next(&mut late).await.expect("an item").expect_err("is compacted");
    assert!(matches!(told, StoreError::Compacted { from } if from == first), "{told:?}");
    assert!(next(&mut late).await.is_none(), "an error ends the watch");
    let mut watch = store.watch("/w", second).await.expect("watch");
    assert_eq!(revision_of(&take(&mut watch, 1).await[0]), third);
    assert_eq!(store.get("/w").await.expect("get").expect("stays").value, b"3");
}

pub async fn a_lease_that_ends_takes_its_keys(bed: &impl Bed) {
    let (store, other) = (bed.open().await, bed.open().await);
    let lease = store.grant_lease(SHORT).await.expect("grant");
    let from = put_leased(&*store, "/l/a", lease).await;
    put_leased(&*store, "/l/b", lease).await;
    put(&*store, "/l/b", "no longer leased").await;
    let mut watch = other.watch("/l/", from).await.expect("watch");
    let events = take(&mut watch, 3).await;
    assert!(matches!(&events[2], Event::Deleted { key, .. } if key == "/l/a"), "{events:?}");
    let left = store.list("/l/").await.expect("list").entries;
    assert_eq!(left.len(), 1, "{left:?}");
    let revoked = store.grant_lease(LONG).await.expect("grant");
    put_leased(&*store, "/l/c", revoked).await;
    store.revoke_lease(revoked).await.expect("revoke");
    assert_eq!(other.get("/l/c").await.expect("get"), None);
    let events = take(&mut watch, 2).await;
    assert!(matches!(&events[1], Event::Deleted { key, .. } if key == "/l/c"), "{events:?}");
}

pub async fn a_lease_kept_alive_stays(bed: &impl Bed) {
    let store = bed.open().await;
    // The short one ends: the proof that time enough has passed for the kept one to have ended too.
    let kept = store.grant_lease(SHORT).await.expect("grant");
    put_leased(&*store, "/kept", kept).await;
    let short = store.grant_lease(SHORT).await.expect("grant");
    let from = put_leased(&*store, "/short", short).await;
    let mut watch = store.watch("/short", from).await.expect("watch");
    let mut beat = tokio::time::interval(SHORT / 5);
    loop {
        tokio::select! {
            ended = next(&mut watch) => break drop(ended.expect("an item").expect("an event")),
            _ = beat.tick() => store.keep_alive(kept).await.expect("keep alive"),
        }
    }
    assert!(store.get("/kept").await.expect("get").is_some());
}

pub async fn an_ended_lease_is_refused(bed: &impl Bed) {
    let store = bed.open().await;
    let lease = store.grant_lease(LONG).await.expect("grant");
    store.revoke_lease(lease).await.expect("revoke");
    let put = Op::Put { key: "/a".into(), value: vec![], lease: Some(lease) };
    let refusals = [
        store.keep_alive(lease).await.expect_err("keep alive"),
        store.revoke_lease(lease).await.expect_err("revoke"),
        store.commit(Txn::new().then(put)).await.expect_err("put"),
        store.campaign("e", "me", lease).await.expect_err("campaign"),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, StoreError::LeaseEnded { lease: ended } if ended == lease), "{refusal:?}");
    }
    assert_eq!(store.get("/a").await.expect("get"), None);
}

pub async fn one_candidate_leads(bed: &impl Bed) {
    let mut waiting = Vec::new();
    for candidate in ["a", "b", "c", "d"] {
        let store = bed.open().await;
        waiting.push(tokio::spawn(async move {
            let lease = store.grant_lease(LONG).await.expect("grant");
            let leadership = store.campaign("main", candidate, lease).await.expect("campaign");
            // Only one at a time may hold this key: nobody else puts it before it is deleted.
            let absent = Precondition::Absent { key: "/leads".into() };
            let fence = Precondition::Unchanged { key: leadership.key, revision: leadership.revision };
            let begin = Txn::new().when(fence.clone()).when(absent).then(Op::put("/leads", candidate));
            store.commit(begin).await.expect("leads alone");
            increment(&*store, "/terms").await;
            store.commit(Txn::new().when(fence).then(Op::delete("/leads"))).await.expect("still leads");
            store.revoke_lease(lease).await.expect("revoke");
        }));
    }
    for candidate in waiting {
        tokio::time::timeout(PATIENCE, candidate).await.expect("in time").expect("candidate");
    }
    let terms = bed.open().await.get("/terms").await.expect("get").expect("is there");
    assert_eq!(terms.value, b"4");
}

pub async fn the_next_leads_after_the_lease(bed: &impl Bed) {
    let (first, second) = (bed.open().await, bed.open().await);
    let short = first.grant_lease(SHORT).await.expect("grant");
    let leader = first.campaign("main", "first", short).await.expect("campaign");
    assert_eq!(first.campaign("main", "first", short).await.expect("campaign again"), leader);
    let other = first.grant_lease(LONG).await.expect("grant");
    first.campaign("other", "first", other).await.expect("another election is its own");
    drop(first);
    let lease = second.grant_lease(LONG).await.expect("grant");
    let next = tokio::time::timeout(PATIENCE, second.campaign("main", "second", lease)).await;
    let next = next.expect("in time").expect("campaign");
    assert_eq!(second.get(&next.key).await.expect("get").expect("is there").value, b"second");
    assert_eq!(second.get(&leader.key).await.expect("get"), None);
}

pub async fn a_deposed_leader_writes_nothing(bed: &impl Bed) {
    let store = bed.open().await;
    let lease = store.grant_lease(LONG).await.expect("grant");
    let leader = store.campaign("main", "me", lease).await.expect("campaign");
    let fence = Precondition::Unchanged { key: leader.key.clone(), revision: leader.revision };
    let write = |value: &str| Txn::new().when(fence.clone()).then(Op::put("/desired", value));
    store.commit(write("by the leader")).await.expect("leads");
    store.revoke_lease(lease).await.expect("revoke");
    refused(&*store, write("by the deposed"), &format!("{} was changed by someone else", leader.key)).await;
    assert_eq!(store.get("/desired").await.expect("get").expect("stays").value, b"by the leader");
}

pub async fn a_candidate_without_lease_gives_up(bed: &impl Bed) {
    let store = bed.open().await;
    let leading = store.grant_lease(LONG).await.expect("grant");
    store.campaign("main", "leader", leading).await.expect("campaign");
    let lease = store.grant_lease(SHORT).await.expect("grant");
    let waited =
        tokio::time::timeout(PATIENCE, store.campaign("main", "waiting", lease)).await.expect("in time");
    assert!(matches!(waited, Err(StoreError::LeaseEnded { .. })), "{waited:?}");
}

pub async fn values_are_json_or_say_where_not(bed: &impl Bed) {
    let store = bed.open().await;
    let txn = Txn::new()
        .then(put_json("/j/a", &vec![1, 2]).expect("json"))
        .then(put_json("/j/b", &[3]).expect("json"));
    let revision = store.commit(txn).await.expect("commit");
    let a = get_json::<Vec<i32>>(&*store, "/j/a").await.expect("get").expect("is there");
    assert_eq!((&a.value, a.revision), (&vec![1, 2], revision));
    let all = list_json::<Vec<i32>>(&*store, "/j/").await.expect("list");
    assert_eq!(all.entries.iter().map(|entry| entry.value.len()).collect::<Vec<_>>(), [2, 1]);
    store.commit(Txn::new().when(a.unchanged()).then(Op::put("/j/a", "{"))).await.expect("commit");
    let error = list_json::<Vec<i32>>(&*store, "/j/").await.expect_err("is no json");
    assert!(error.to_string().starts_with("/j/a in the store is not a valid "), "{error}");
}

/// Adds one to the number at `key`, however often it must try.
pub async fn increment(store: &dyn Store, key: &str) {
    loop {
        let found = store.get(key).await.expect("get");
        let revision = found.as_ref().map(|found| found.revision);
        let text = found.map(|found| String::from_utf8(found.value).expect("a number"));
        let count: u64 = text.map_or(0, |text| text.parse().expect("a number"));
        let put = Op::put(key, (count + 1).to_string());
        match store.commit(Txn::new().when(Precondition::as_seen(key, revision)).then(put)).await {
            Ok(_) => return,
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub async fn put(store: &dyn Store, key: &str, value: &str) -> Revision {
    store.commit(Txn::new().then(Op::put(key, value))).await.expect("put")
}

async fn put_leased(store: &dyn Store, key: &str, lease: LeaseId) -> Revision {
    let put = Op::Put { key: key.into(), value: b"leased".to_vec(), lease: Some(lease) };
    store.commit(Txn::new().then(put)).await.expect("put")
}

async fn refused(store: &dyn Store, txn: Txn, why: &str) {
    assert_eq!(store.commit(txn).await.expect_err(why).to_string(), why);
}

pub type Watch = BoxStream<'static, Result<Event, StoreError>>;

pub async fn next(watch: &mut Watch) -> Option<Result<Event, StoreError>> {
    tokio::time::timeout(PATIENCE, watch.next()).await.expect("the watch tells nothing")
}

pub async fn take(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        events.push(next(watch).await.expect("the watch goes on").expect("an event"));
    }
    events
}

pub fn revision_of(event: &Event) -> Revision {
    match event {
        Event::Put { revision, .. } | Event::Deleted { revision, .. } => *revision,
    }
}
