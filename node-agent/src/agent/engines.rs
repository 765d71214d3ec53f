//! What changes for the agent when a container engine appears or vanishes.

use std::sync::Arc;
use std::time::Duration;

use proto::ids::InstanceId;
use tokio::time::timeout;

use crate::agent::Agent;
use crate::lane::Lane;
use crate::log;
use crate::runtime::engine::Kind;
use crate::runtime::group;
use crate::runtime::record::{self, Record};

/// An engine that was too slow to end something may be as it was, to all appearance, when it is not any more.
const AGAIN: Duration = Duration::from_secs(30);

impl Agent {
    /// Tells the coordinator, and removes what an engine that was away kept: of instances that are gone, or that run
    /// elsewhere by now, or are to run no more.
    pub(super) async fn mind_engines(self: Arc<Self>) {
        let mut changes = self.engines.changes();
        loop {
            for kind in [Kind::Docker, Kind::Podman] {
                for lane in Lane::BOTH {
                    self.sweep_engine(kind, lane).await;
                }
            }
            self.board.touch();
            let changed = changes.changed();
            let is_over = match self.has_left() {
                true => matches!(timeout(AGAIN, changed).await, Ok(Err(_))),
                false => changed.await.is_err(),
            };
            if is_over {
                return;
            }
        }
    }

    async fn sweep_engine(&self, kind: Kind, lane: Lane) {
        let Some(engine) = self.engines.of(kind) else { return };
        let is_known = |id: &str| {
            let id = InstanceId::parse(id).ok().filter(|id| self.wishes().contains_key(id));
            // What is on no record is taken over, or removed, by what starts next.
            id.is_some_and(|id| {
                record::read(&lane.records(&self.data, &id)).is_none_or(|record| record.is_in(kind))
            })
        };
        if let Err(error) = group::sweep(&engine, self.token(lane), is_known).await {
            tracing::warn!(engine = %kind, error = log::chain(&error), "left containers stay");
            return;
        }
        for (id, of) in Lane::left(&self.data) {
            let records = of.records(&self.data, &id);
            let is_clean = |record: Record| record.is_left() && Kind::parse(&record.engine) == Some(kind);
            if of == lane && record::read(&records).is_some_and(is_clean) {
                record::clear(&records);
            }
        }
    }

    /// Whether an engine may still run what it is not to.
    fn has_left(&self) -> bool {
        let mut left = Lane::left(&self.data).into_iter();
        left.any(|(id, lane)| {
            record::read(&lane.records(&self.data, &id)).is_some_and(|record| record.is_left())
        })
    }
}
