//! What changes for the agent when a container engine appears or vanishes.

use std::sync::Arc;

use proto::ids::InstanceId;

use crate::agent::Agent;
use crate::lane::Lane;
use crate::log;
use crate::runtime::engine::Kind;
use crate::runtime::group;

impl Agent {
    /// Tells the coordinator, and removes what an engine that was away kept of instances that are gone.
    pub(super) async fn mind_engines(self: Arc<Self>) {
        let mut changes = self.engines.changes();
        loop {
            for kind in [Kind::Docker, Kind::Podman] {
                let Some(engine) = self.engines.of(kind) else { continue };
                let is_known =
                    |id: &str| InstanceId::parse(id).is_ok_and(|id| self.wishes().contains_key(&id));
                for lane in Lane::BOTH {
                    if let Err(error) = group::sweep(&engine, self.token(lane), is_known).await {
                        tracing::warn!(engine = %kind, error = log::chain(&error), "left containers stay");
                    }
                }
            }
            self.board.touch();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}
