//! `orchestrator serve`: one round of `reconcile` after another, for as long as the daemon lives. Only here a node is
//! watched for long enough to be called lost, and what it ran is placed anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proto::ids::NodeName;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Fleet;
use super::observe::Observed;
use super::snapshot::Snapshot;
use crate::domain::absence::{Absences, Look, Moment, News, Whereabouts};
use crate::ssh::Contact;

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(2);

impl Fleet {
    /// Keeps the fleet as wished until `stop`. Trouble with one round is logged; the next one tries again.
    pub async fn keep(self: &Arc<Self>, stop: CancellationToken) {
        self.deliveries.stay();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_as_wished(&stop) => {}
            () = self.forget_history() => {}
        }
    }

    async fn keep_as_wished(self: &Arc<Self>, stop: &CancellationToken) {
        let (began, mut absences) = (Instant::now(), Absences::default());
        let now = || Moment { awake: began.elapsed(), wall: self.clock.now() };
        loop {
            let round = async {
                match self.reconcile(&absences.lost(now())).await {
                    Ok(snapshot) => {
                        let looks = looks(&snapshot, &self.deliveries.taking());
                        tell(&absences.note(&looks, now()), &snapshot);
                    }
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

/// Who answered in this look, be it by taking what it is brought.
fn looks(snapshot: &Snapshot, taking: &BTreeSet<NodeName>) -> BTreeMap<NodeName, Look> {
    let look = |(node, observed): (&NodeName, &Observed)| {
        let contact = snapshot.nodes.get(node).map(|kept| &kept.value.contact);
        let whereabouts = match contact {
            Some(Contact::Local) => Whereabouts::ThisMachine,
            Some(Contact::Ssh { .. }) | None => Whereabouts::Elsewhere,
        };
        (node.clone(), Look { whereabouts, answers: observed.report().is_some() || taking.contains(node) })
    };
    snapshot.observed.iter().map(look).collect()
}

fn tell(news: &News, snapshot: &Snapshot) {
    for node in &news.back {
        info!(%node, "is there again");
    }
    for node in &news.silent {
        if let Some(Observed::Unreachable(error)) = snapshot.observed.get(node) {
            warn!(%node, %error, "does not answer");
        }
    }
    if news.is_cut_off {
        warn!("no node elsewhere answers: this machine may be cut off, so none is called lost");
    }
}
