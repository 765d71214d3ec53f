//! `orchestrator serve`: one round of `reconcile` after another, for as long as the daemon lives. Only here a node is
//! watched for long enough to be called lost, and what it ran is placed anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::ids::NodeName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Fleet;
use super::observe::Observed;
use super::snapshot::Snapshot;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// A node that was not heard of for this long is lost.
const LEASE: Duration = Duration::from_secs(10);
/// One that has not answered is asked again before that, even where it was not asked for long.
const DOUBT: Duration = Duration::from_secs(4);

impl Fleet {
    /// Keeps the fleet as wished until `stop`. Trouble with one round is logged; the next one tries again.
    pub async fn keep(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_as_wished(&stop) => {}
            () = self.forget_history() => {}
        }
    }

    async fn keep_as_wished(&self, stop: &CancellationToken) {
        let mut absences = Absences::default();
        loop {
            let round = async {
                match self.reconcile(&absences.lost()).await {
                    Ok(snapshot) => absences.note(&snapshot),
                    Err(error) => warn!(%error, "could not look after the fleet"),
                }
                tokio::time::sleep(PAUSE).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = round => {}
            }
        }
    }
}

/// When nodes were last heard of, and since when they have not answered.
#[derive(Default)]
struct Absences {
    heard: BTreeMap<NodeName, Instant>,
    since: BTreeMap<NodeName, Instant>,
}

impl Absences {
    fn lost(&self) -> BTreeSet<NodeName> {
        let is_lost = |node: &NodeName, since: &Instant| {
            since.elapsed() >= DOUBT && self.heard.get(node).unwrap_or(since).elapsed() >= LEASE
        };
        self.since.iter().filter(|(node, since)| is_lost(node, since)).map(|(node, _)| node.clone()).collect()
    }

    fn note(&mut self, snapshot: &Snapshot) {
        for (node, observed) in &snapshot.observed {
            match observed {
                Observed::Report { .. } => {
                    self.heard.insert(node.clone(), Instant::now());
                    if self.since.remove(node).is_some() {
                        info!(%node, "answers again");
                    }
                }
                Observed::Unreachable(error) => {
                    self.since.entry(node.clone()).or_insert_with(|| {
                        warn!(%node, %error, "does not answer");
                        Instant::now()
                    });
                }
            }
        }
        self.since.retain(|node, _| snapshot.nodes.contains_key(node));
        self.heard.retain(|node, _| snapshot.nodes.contains_key(node));
    }
}
