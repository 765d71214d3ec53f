//! `orchestrator node upgrade`: brings agents to the build beside the coordinator. All are asked first what they run; then
//! one node of each architecture goes ahead, and the others follow where it went well.

mod node;
mod survey;
mod trial;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use proto::ids::NodeName;
use proto::v1;
use proto::v1::upgrade_event::{Ended, Event, Outcome};
use tokio::sync::mpsc::Sender;

use self::survey::Ready;
use super::{Fleet, FleetError};
use crate::fault;

/// Nodes that are upgraded at the same time.
const AT_ONCE: usize = 8;
const CONFIRM_WITHIN: Duration = Duration::from_secs(60);

/// Who hears of it.
pub(super) struct Told<'a>(pub &'a Sender<Result<v1::UpgradeEvent, FleetError>>);

impl Told<'_> {
    /// Full or gone: the work does not wait for its audience.
    fn step(&self, node: &NodeName, step: String) {
        let _ = self.0.try_send(Ok(event(node, Event::Step(step))));
    }

    async fn ended(&self, node: &NodeName, ended: Ended) {
        tracing::info!(%node, outcome = ended.outcome().as_str_name(), ended.message, "upgrade ended");
        let _ = self.0.send(Ok(event(node, Event::Ended(ended)))).await;
    }
}

fn event(node: &NodeName, event: Event) -> v1::UpgradeEvent {
    v1::UpgradeEvent { node: node.to_string(), event: Some(event) }
}

impl Fleet {
    /// Tells of each node how it ended.
    ///
    /// # Errors
    /// When no node is asked for, or the store cannot be read.
    pub async fn upgrade_nodes(
        &self,
        request: &v1::UpgradeNodesRequest,
        events: &Sender<Result<v1::UpgradeEvent, FleetError>>,
    ) -> Result<(), FleetError> {
        let told = Told(events);
        let nodes = match request.all {
            true => self.recall().await?.nodes.into_values().map(|kept| kept.value).collect(),
            false => self.chosen(&request.nodes, &request.selector).await?,
        };
        let within = match request.confirm_within_ms {
            0 => CONFIRM_WITHIN,
            ms => Duration::from_millis(ms.into()),
        };
        let ready = self.survey(nodes, &told).await;
        fault::point("upgrade.surveyed");
        if request.dry_run {
            for node in ready {
                told.ended(&node.record.name, node.ended(Outcome::WouldUpgrade, "")).await;
            }
            return Ok(());
        }
        self.upgrade_all(by_build(ready), within, &told).await;
        Ok(())
    }

    async fn upgrade_all(&self, builds: Vec<Vec<Ready>>, within: Duration, told: &Told<'_>) {
        let mut failed = None;
        for nodes in builds {
            let mut nodes = nodes.into_iter();
            while failed.is_none()
                && let Some(first) = nodes.next()
            {
                let name = first.record.name.clone();
                match self.upgrade_node(first, within, told).await {
                    Outcome::Upgraded => break,
                    // It says nothing about the build.
                    Outcome::UpToDate | Outcome::Offline => {}
                    Outcome::Unspecified
                    | Outcome::WouldUpgrade
                    | Outcome::RolledBack
                    | Outcome::Failed
                    | Outcome::NotTried => failed = Some(name),
                }
            }
            match &failed {
                None => self.upgrade_at_once(nodes, within, told).await,
                Some(failed) => {
                    for node in nodes {
                        let why = format!("since {failed} failed");
                        told.ended(&node.record.name, node.ended(Outcome::NotTried, &why)).await;
                    }
                }
            }
        }
    }

    async fn upgrade_at_once(&self, nodes: impl Iterator<Item = Ready>, within: Duration, told: &Told<'_>) {
        let upgrade = |node| async move {
            self.upgrade_node(node, within, told).await;
        };
        stream::iter(nodes).for_each_concurrent(AT_ONCE, upgrade).await;
    }
}

fn by_build(ready: Vec<Ready>) -> Vec<Vec<Ready>> {
    let mut builds: BTreeMap<String, Vec<Ready>> = BTreeMap::new();
    for node in ready {
        builds.entry(node.binary.digest.clone()).or_default().push(node);
    }
    builds.into_values().collect()
}
