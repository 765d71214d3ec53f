//! `orchestrator history`: every change of a deployment and how it ended.

use modules::suggest;
use proto::ids::DeploymentName;
use proto::v1;
use proto::v1::history_reply::Entry;

use super::snapshot::Snapshot;
use super::{Fleet, FleetError, keys, wire};
use crate::domain::deployment::{DeploymentRecord, HistoryEntry};
use crate::store::json::{Stored, get_json, list_json};

impl Fleet {
    /// Newest first.
    pub async fn history(&self, request: &v1::HistoryRequest) -> Result<Vec<Entry>, FleetError> {
        let name = DeploymentName::parse(&request.deployment)?;
        self.deployment(&name).await?;
        let entries = list_json::<HistoryEntry>(self.store.as_ref(), &keys::history(&name)).await?.entries;
        Ok(told(entries.into_iter().map(|kept| kept.value).collect()))
    }

    pub(super) async fn deployment(
        &self,
        name: &DeploymentName,
    ) -> Result<Stored<DeploymentRecord>, FleetError> {
        match get_json(self.store.as_ref(), &keys::deployment(name)).await? {
            Some(kept) => Ok(kept),
            None => Err(self.no_such_deployment(name, &self.recall().await?)),
        }
    }

    pub(super) fn no_such_deployment(&self, name: &DeploymentName, snapshot: &Snapshot) -> FleetError {
        let known = snapshot.deployments.keys().map(DeploymentName::as_str);
        FleetError::NoSuchDeployment {
            name: name.clone(),
            similar: suggest::closest(name.as_str(), known).map(str::to_owned),
        }
    }
}

/// From oldest first to newest first. What had no outcome when the next change came will have none any more.
fn told(entries: Vec<HistoryEntry>) -> Vec<Entry> {
    let nexts: Vec<_> = entries.iter().skip(1).map(|next| Some(next.started_at)).chain([None]).collect();
    let entries = entries.into_iter().zip(nexts).map(|(kept, next)| match (&kept.outcome, next) {
        (None, Some(finished_unix_ms)) => {
            Entry { outcome: "superseded".to_owned(), finished_unix_ms, ..entry(kept) }
        }
        _ => entry(kept),
    });
    entries.rev().collect()
}

fn entry(entry: HistoryEntry) -> Entry {
    let outcome = entry.outcome.as_ref();
    Entry {
        generation: entry.placed.generation.0,
        release: Some(wire::release(&entry.placed.wish.release)),
        action: entry.action.as_str().to_owned(),
        outcome: outcome.map_or("in progress", |outcome| outcome.word.as_str()).to_owned(),
        message: outcome.map(|outcome| outcome.message.clone()).unwrap_or_default(),
        started_unix_ms: entry.started_at,
        finished_unix_ms: outcome.map_or(0, |outcome| outcome.at),
        by: entry.by,
    }
}
