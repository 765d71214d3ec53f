//! Drives one run from this process until it ends: store → what to do → do it → look again. Where another process
//! carries the run, this one only follows, until that one has died.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::ids::NodeName;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::attend;
use super::live::LiveRun;
use crate::fleet::hold::Hold;
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::{Event, StoreError};

/// How often the run is looked at although nothing is heard: nodes come back, carriers die, time runs out.
const TICK: Duration = Duration::from_secs(2);

/// What comes within this is looked at together.
const BREATH: Duration = Duration::from_millis(50);

type Watch = BoxStream<'static, Result<Event, StoreError>>;

/// Drives it beside whatever else is done. No future here holds the driver's own, which may begin further runs.
pub fn begin(fleet: &Arc<Fleet>, live: &Arc<LiveRun>, hold: Option<Hold>) {
    tokio::spawn(drive(Arc::clone(fleet), Arc::clone(live), hold));
}

/// Until the run has ended, and all its nodes have been heard out.
async fn drive(fleet: Arc<Fleet>, live: Arc<LiveRun>, hold: Option<Hold>) {
    let id = live.record().id;
    let mut driver = Driver { fleet, live, hold, tasks: JoinSet::new(), attended: BTreeSet::new() };
    let mut changes = driver.live.changes();
    let mut watch = driver.watch().await;
    loop {
        changes.borrow_and_update();
        match driver.round().await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => warn!(run = %id, %error, "could not carry a run"),
        }
        tokio::time::sleep(BREATH).await;
        tokio::select! {
            _ = changes.changed() => {}
            () = next(&mut watch) => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }
    info!(run = %id, "the run has ended");
    driver.fleet.runs.lock().remove(&id);
}

struct Driver {
    fleet: Arc<Fleet>,
    live: Arc<LiveRun>,
    hold: Option<Hold>,
    /// One for each node that was begun and is not over; they end with the driver.
    tasks: JoinSet<NodeName>,
    attended: BTreeSet<NodeName>,
}

impl Driver {
    /// Whether the run has ended.
    async fn round(&mut self) -> Result<bool, FleetError> {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok(node) = ended {
                self.attended.remove(&node);
            }
        }
        let kept = self.fleet.refresh(&self.live).await?;
        if kept.value.ended.is_some() {
            return Ok(true);
        }
        if self.hold.is_none() && !self.fleet.is_run_in_other_hands(&kept.value).await? {
            self.hold = Some(self.fleet.holds.take_run(&kept.value.id));
            self.fleet.presence.show(&self.fleet.store, &self.fleet.carrier, &self.fleet.holds).await?;
        }
        let is_ours = self.hold.is_some() && self.fleet.take_on(&kept).await?;
        if !is_ours {
            self.hold = None;
        }
        self.live.take(is_ours);
        self.attend();
        if is_ours && kept.value.carrier == self.fleet.carrier {
            return self.fleet.advance(&self.live, &kept).await;
        }
        // Just taken on: the next round has the record as it is now.
        if is_ours {
            self.live.change(|_| ());
        }
        Ok(false)
    }

    /// Follows every node that was begun and is not followed yet.
    fn attend(&mut self) {
        let begun: Vec<NodeName> = self.live.see(|state| {
            let goes_on = state.nodes.iter().filter(|(_, node)| node.kept.is_some() && !node.is_over());
            goes_on.map(|(name, _)| name.clone()).collect()
        });
        for node in begun {
            if self.attended.insert(node.clone()) {
                let (fleet, live) = (Arc::clone(&self.fleet), Arc::clone(&self.live));
                self.tasks.spawn(async move {
                    attend::attend(&fleet, &live, &node).await;
                    node
                });
            }
        }
    }

    /// What others write of this run; nothing where the store cannot tell, and then the clock does.
    async fn watch(&self) -> Option<Watch> {
        let id = self.live.record().id;
        let store = &self.fleet.store;
        let from = store.list(&keys::run(&id)).await.ok()?.revision;
        store.watch(&keys::run(&id), from).await.ok()
    }
}

async fn next(watch: &mut Option<Watch>) {
    let Some(stream) = watch else { return std::future::pending().await };
    if !matches!(stream.next().await, Some(Ok(_))) {
        *watch = None;
    }
}
