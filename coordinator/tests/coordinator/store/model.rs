//! Random commits against a map that does the same: whatever the order, store and map agree.

use std::collections::BTreeMap;

use coordinator::store::{Event, Op, Precondition, Revision, Store, StoreError, Txn};
use proptest::collection::vec;
use proptest::prelude::*;

use super::suite::take;

type Model = BTreeMap<String, (Vec<u8>, Revision)>;

/// Index of a key, and what is done to it.
#[derive(Debug, Clone)]
enum Step {
    Put(usize, Vec<u8>),
    Delete(usize),
}

#[derive(Debug, Clone)]
enum Check {
    AsItIs(usize),
    Absent(usize),
    Stale(usize),
}

#[derive(Debug, Clone)]
pub struct Commit {
    checks: Vec<Check>,
    steps: Vec<Step>,
}

const KEYS: [&str; 6] = ["/a", "/a/", "/a/b", "/a%", "/ab", "/é"];

pub fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let key = 0..KEYS.len();
    let check = prop_oneof![
        6 => key.clone().prop_map(Check::AsItIs),
        1 => key.clone().prop_map(Check::Absent),
        1 => key.clone().prop_map(Check::Stale),
    ];
    let step = prop_oneof![
        3 => (key.clone(), vec(any::<u8>(), 0..9)).prop_map(|(key, value)| Step::Put(key, value)),
        1 => key.prop_map(Step::Delete),
    ];
    let commit = (vec(check, 0..3), vec(step, 1..4)).prop_map(|(checks, steps)| Commit { checks, steps });
    vec(commit, 1..25)
}

/// Runs the commits on the store and on the map; a watch must tell just what the map saw.
pub async fn agrees(store: &dyn Store, commits: &[Commit]) {
    let start = store.list("/").await.expect("list");
    let clear = start.entries.iter().fold(Txn::new(), |txn, (key, _)| txn.then(Op::delete(key)));
    let from = store.commit(clear).await.expect("clear");
    let mut watch = store.watch("/", from).await.expect("watch");
    let (mut model, mut events) = (Model::new(), Vec::new());
    for commit in commits {
        let txn = commit.txn(&model);
        let want =
            txn.preconditions.iter().find(|check| !holds(&model, check)).map(|check| check.key().to_owned());
        match (store.commit(txn.clone()).await, want) {
            (Ok(revision), None) => apply(&mut model, &txn, revision, &mut events),
            (Err(StoreError::Conflict { key }), Some(want)) => assert_eq!(key, want),
            (got, want) => panic!("got {got:?}, want a conflict: {want:?}"),
        }
    }
    let listing = store.list("/a").await.expect("list");
    let got = listing.entries.into_iter().map(|(key, entry)| (key, (entry.value, entry.revision)));
    let want = model.into_iter().filter(|(key, _)| key.starts_with("/a"));
    assert_eq!(got.collect::<Model>(), want.collect::<Model>());
    assert_eq!(take(&mut watch, events.len()).await, events);
}

impl Commit {
    fn txn(&self, model: &Model) -> Txn {
        let mut txn = Txn::new();
        for check in &self.checks {
            txn = txn.when(match check {
                Check::AsItIs(key) => {
                    Precondition::as_seen(KEYS[*key], model.get(KEYS[*key]).map(|(_, revision)| *revision))
                }
                Check::Absent(key) => Precondition::Absent { key: KEYS[*key].into() },
                Check::Stale(key) => {
                    Precondition::Unchanged { key: KEYS[*key].into(), revision: Revision(1) }
                }
            });
        }
        let steps: BTreeMap<usize, Op> = self.steps.iter().map(Step::op).collect();
        Txn { ops: steps.into_values().collect(), ..txn }
    }
}

impl Step {
    fn op(&self) -> (usize, Op) {
        match self {
            Step::Put(key, value) => (*key, Op::put(KEYS[*key], value.clone())),
            Step::Delete(key) => (*key, Op::delete(KEYS[*key])),
        }
    }
}

fn holds(model: &Model, check: &Precondition) -> bool {
    let found = model.get(check.key()).map(|(_, revision)| *revision);
    match check {
        Precondition::Absent { .. } => found.is_none(),
        Precondition::Unchanged { revision, .. } => found == Some(*revision),
    }
}

fn apply(model: &mut Model, txn: &Txn, revision: Revision, events: &mut Vec<Event>) {
    for op in &txn.ops {
        match op.clone() {
            Op::Put { key, value, .. } => {
                model.insert(key.clone(), (value.clone(), revision));
                events.push(Event::Put { key, value, revision });
            }
            Op::Delete { key } => {
                if model.remove(&key).is_some() {
                    events.push(Event::Deleted { key, revision });
                }
            }
        }
    }
}
