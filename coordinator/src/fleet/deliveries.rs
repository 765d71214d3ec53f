//! What the reconcile loop brings to nodes, beside everything else: a package on a slow line holds up no other node, and
//! nobody who only wants to look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use proto::ids::NodeName;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How long a round waits for its deliveries; most are done by then, and it can tell what came of them.
const BRIEF: Duration = Duration::from_secs(3);
/// How long it waits where they end with the command: what is half brought is lost then.
const PATIENCE: Duration = Duration::from_secs(40);
/// Who took a piece so lately is there, although a line full of pieces lets nothing else through; what was taken from
/// here may still be on its way there.
const LATELY: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Deliveries {
    /// One at a time for each node; cancelled once it has ended, one way or the other.
    begun: Mutex<BTreeMap<NodeName, CancellationToken>>,
    /// When nodes last took a piece of a package, whoever brings it.
    moved: Mutex<BTreeMap<NodeName, Instant>>,
    outlives_a_round: AtomicBool,
}

impl Deliveries {
    /// From now on a round leaves behind what takes long: this process is there to end it.
    pub fn stay(&self) {
        self.outlives_a_round.store(true, Ordering::Relaxed);
    }

    pub fn under_way(&self) -> BTreeSet<NodeName> {
        let mut begun = self.begun.lock().expect("no panic while held");
        begun.retain(|_, ended| !ended.is_cancelled());
        begun.keys().cloned().collect()
    }

    /// The node has taken a piece of a package.
    pub fn note(&self, node: &NodeName) {
        let mut moved = self.moved.lock().expect("no panic while held");
        match moved.get_mut(node) {
            Some(last) => *last = Instant::now(),
            None => drop(moved.insert(node.clone(), Instant::now())),
        }
    }

    /// Nodes that have taken a piece of a package just now.
    pub fn taking(&self) -> BTreeSet<NodeName> {
        let mut moved = self.moved.lock().expect("no panic while held");
        moved.retain(|_, last| last.elapsed() < LATELY);
        moved.keys().cloned().collect()
    }

    /// Begins what is not under way already, and waits for all of it, but not for long.
    pub async fn bring<W>(&self, nodes: BTreeSet<NodeName>, work: impl Fn(NodeName) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mine: Vec<_> = nodes.into_iter().map(|node| self.begin(node, &work)).collect();
        let limit = if self.outlives_a_round.load(Ordering::Relaxed) { BRIEF } else { PATIENCE };
        let _ = timeout(limit, join_all(mine.iter().map(CancellationToken::cancelled))).await;
    }

    fn begin<W>(&self, node: NodeName, work: impl Fn(NodeName) -> W) -> CancellationToken
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mut begun = self.begun.lock().expect("no panic while held");
        if let Some(present) = begun.get(&node).filter(|ended| !ended.is_cancelled()) {
            return present.clone();
        }
        let ended = CancellationToken::new();
        let (at_last, work) = (ended.clone().drop_guard(), work(node.clone()));
        tokio::spawn(async move {
            let _at_last = at_last;
            work.await;
        });
        begun.insert(node, ended.clone());
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    fn pi() -> BTreeSet<NodeName> {
        BTreeSet::from([NodeName::parse("pi").expect("a name")])
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_left_behind_and_is_not_begun_twice() {
        let (deliveries, gate) = (Deliveries::default(), Arc::new(Notify::new()));
        let slow = |_| {
            let gate = Arc::clone(&gate);
            async move { gate.notified().await }
        };
        let began = Instant::now();
        deliveries.bring(pi(), slow).await;
        assert_eq!(began.elapsed(), PATIENCE, "it ends with this command");
        deliveries.stay();
        deliveries.bring(pi(), slow).await;
        assert_eq!(began.elapsed(), PATIENCE + BRIEF);
        assert_eq!(deliveries.under_way(), pi());
        // One that waited besides would go on waiting.
        gate.notify_one();
        while !deliveries.under_way().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        deliveries.bring(pi(), slow).await;
        assert_eq!(deliveries.under_way(), BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_just_taken_a_piece_is_there() {
        let deliveries = Deliveries::default();
        pi().iter().for_each(|node| deliveries.note(node));
        assert_eq!(deliveries.taking(), pi());
        tokio::time::advance(LATELY).await;
        assert_eq!(deliveries.taking(), BTreeSet::new());
    }
}
