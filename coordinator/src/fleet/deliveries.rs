//! What the reconcile loop brings to nodes, beside everything else: a package on a slow line holds up no other node, and
//! nobody who only wants to look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use proto::ids::NodeName;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Progress;

/// How long a round waits for its deliveries; most are done by then, and it can tell what came of them.
const BRIEF: Duration = Duration::from_secs(3);
/// How long it waits where they end with the command: what is half brought is lost then.
const PATIENCE: Duration = Duration::from_secs(10);
/// Who took a piece so lately is there, although a line full of pieces lets nothing else through.
const LATELY: Duration = Duration::from_secs(8);

#[derive(Default)]
pub struct Deliveries {
    /// One at a time for each node.
    begun: Mutex<BTreeMap<NodeName, Delivery>>,
    outlives_a_round: AtomicBool,
}

struct Delivery {
    /// Cancelled once it has ended, one way or the other.
    ended: CancellationToken,
    progress: Progress,
}

impl Deliveries {
    /// From now on a round leaves behind what takes long: this process is there to end it.
    pub fn stay(&self) {
        self.outlives_a_round.store(true, Ordering::Relaxed);
    }

    pub fn under_way(&self) -> BTreeSet<NodeName> {
        let mut begun = self.begun.lock().expect("no panic while held");
        begun.retain(|_, delivery| !delivery.ended.is_cancelled());
        begun.keys().cloned().collect()
    }

    /// Nodes that have taken a piece of their package just now.
    pub fn taking(&self) -> BTreeSet<NodeName> {
        let begun = self.begun.lock().expect("no panic while held");
        let is_taking = |delivery: &Delivery| {
            delivery.progress.last_moved().is_some_and(|moved| moved.elapsed() < LATELY)
        };
        begun.iter().filter(|(_, delivery)| is_taking(delivery)).map(|(node, _)| node.clone()).collect()
    }

    /// Begins what is not under way already, and waits for all of it, but not for long.
    pub async fn bring<W>(&self, nodes: BTreeSet<NodeName>, work: impl Fn(NodeName, Progress) -> W)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mine: Vec<_> = nodes.into_iter().map(|node| self.begin(node, &work)).collect();
        let limit = if self.outlives_a_round.load(Ordering::Relaxed) { BRIEF } else { PATIENCE };
        let _ = timeout(limit, join_all(mine.iter().map(CancellationToken::cancelled))).await;
    }

    fn begin<W>(&self, node: NodeName, work: impl Fn(NodeName, Progress) -> W) -> CancellationToken
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mut begun = self.begun.lock().expect("no panic while held");
        if let Some(present) = begun.get(&node).filter(|delivery| !delivery.ended.is_cancelled()) {
            return present.ended.clone();
        }
        let (ended, progress) = (CancellationToken::new(), Progress::timed());
        let (at_last, work) = (ended.clone().drop_guard(), work(node.clone(), progress.clone()));
        tokio::spawn(async move {
            let _at_last = at_last;
            work.await;
        });
        begun.insert(node, Delivery { ended: ended.clone(), progress });
        ended
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;

    fn pi() -> BTreeSet<NodeName> {
        BTreeSet::from([NodeName::parse("pi").expect("a name")])
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_left_behind_and_is_not_begun_twice() {
        let (deliveries, gate) = (Deliveries::default(), Arc::new(Notify::new()));
        let slow = |_, progress: Progress| {
            let gate = Arc::clone(&gate);
            async move {
                progress.transfer("pi", 1, 9);
                gate.notified().await;
            }
        };
        let began = Instant::now();
        deliveries.bring(pi(), slow).await;
        assert_eq!(began.elapsed(), PATIENCE, "it ends with this command");
        deliveries.stay();
        deliveries.bring(pi(), slow).await;
        assert_eq!(began.elapsed(), PATIENCE + BRIEF);
        assert_eq!((deliveries.under_way(), deliveries.taking()), (pi(), BTreeSet::new()), "nothing moves");
        // One that waited besides would go on waiting.
        gate.notify_one();
        while !deliveries.under_way().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        deliveries.bring(pi(), slow).await;
        assert_eq!((deliveries.taking(), deliveries.under_way()), (pi(), BTreeSet::new()));
    }
}
