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

/// How long a round waits for its deliveries; most are done by then, and it can tell what came of them.
const BRIEF: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub struct Deliveries {
    /// One at a time for each node; cancelled is who has ended.
    begun: Mutex<BTreeMap<NodeName, CancellationToken>>,
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

    /// Waits until all have ended, or for a moment, as [`Deliveries::stay`] tells.
    pub async fn bring<W>(&self, deliveries: BTreeMap<NodeName, W>)
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let mine: Vec<_> = deliveries.into_iter().map(|(node, work)| self.begin(node, work)).collect();
        let all = join_all(mine.iter().map(CancellationToken::cancelled));
        if self.outlives_a_round.load(Ordering::Relaxed) {
            let _ = timeout(BRIEF, all).await;
        } else {
            all.await;
        }
    }

    fn begin(&self, node: NodeName, work: impl Future<Output = ()> + Send + 'static) -> CancellationToken {
        let mut begun = self.begun.lock().expect("no panic while held");
        if let Some(present) = begun.get(&node).filter(|ended| !ended.is_cancelled()) {
            return present.clone();
        }
        let ended = CancellationToken::new();
        let at_last = ended.clone().drop_guard();
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
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_left_behind_by_who_stays_and_is_not_begun_twice() {
        let (deliveries, gate) = (Deliveries::default(), Arc::new(Notify::new()));
        let node = NodeName::parse("pi").expect("a name");
        let slow = || {
            let gate = Arc::clone(&gate);
            BTreeMap::from([(node.clone(), async move { gate.notified().await })])
        };
        deliveries.stay();
        let began = Instant::now();
        deliveries.bring(slow()).await;
        assert_eq!(began.elapsed(), BRIEF);
        deliveries.bring(slow()).await;
        assert_eq!(deliveries.under_way(), BTreeSet::from([node.clone()]));
        // One that waited besides would go on waiting.
        gate.notify_one();
        while !deliveries.under_way().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.notify_one();
        deliveries.bring(slow()).await;
        assert_eq!(deliveries.under_way(), BTreeSet::new());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_ends_with_its_command_waits() {
        let deliveries = Deliveries::default();
        let node = NodeName::parse("pi").expect("a name");
        let began = Instant::now();
        let slow = async { tokio::time::sleep(BRIEF * 10).await };
        deliveries.bring(BTreeMap::from([(node, slow)])).await;
        assert_eq!(began.elapsed(), BRIEF * 10);
    }
}
