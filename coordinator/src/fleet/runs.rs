//! Runs of plans over the fleet: begun, followed, cancelled, shown. What a node does is its agent's; which nodes begin
//! when is decided here, by whoever carries the run.

mod advance;
mod archive;
mod attend;
mod drive;
mod events;
mod forget;
mod live;
mod modules;
mod needs;
mod questions;
mod receipts;
mod records;
mod shown;
mod start;
mod verify;
mod words;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use proto::v1;

use super::plans::PlansError;
use super::{Fleet, FleetError, keys};
use crate::domain::runs::{RunId, RunRecord};
use crate::store::json::{Stored, list_json, put_json};
use crate::store::{StoreError, Txn};
use live::LiveRun;
pub(super) use questions::remembered_id;

/// Shorter beginnings of a name are no name of a run.
const LEAST_PREFIX: usize = 3;

/// The runs that this process follows.
#[derive(Default)]
pub struct Runs(Mutex<BTreeMap<RunId, Arc<LiveRun>>>);

impl Runs {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<LiveRun>>> {
        self.0.lock().expect("no panic while held")
    }
}

impl Fleet {
    /// All runs, the newest first.
    pub async fn list_runs(self: &Arc<Self>) -> Result<Vec<v1::RunSummary>, FleetError> {
        self.carry_on_runs().await?;
        let kept = list_json::<RunRecord>(self.store.as_ref(), keys::RUNS).await?.entries;
        // Runs that look for another one are shown with that.
        let own = kept.into_iter().map(|kept| kept.value).filter(|record| record.looks_after.is_none());
        let mut records: Vec<RunRecord> = own.collect();
        records.sort_by(|a, b| (b.begun_at, &b.id).cmp(&(a.begun_at, &a.id)));
        let mut runs = Vec::with_capacity(records.len());
        for record in &records {
            runs.push(self.run_summary(record).await?);
        }
        Ok(runs)
    }

    /// Writes down that the run is to end. Whoever carries it tells the nodes; those that can be reached are told now.
    ///
    /// # Errors
    /// Where there is no such run, or it has ended.
    pub async fn cancel_run(
        self: &Arc<Self>,
        request: &v1::CancelRunRequest,
    ) -> Result<v1::RunSummary, FleetError> {
        loop {
            let kept = self.find_run(&request.run).await?;
            if kept.value.ended.is_some() {
                return Err(PlansError::RunEnded { run: kept.value.id }.into());
            }
            let cancelled_by = Some(kept.value.cancelled_by.clone().unwrap_or_else(|| self.by.clone()));
            let record = RunRecord { cancelled_by, ..kept.value.clone() };
            let put = put_json(kept.key.clone(), &record)?;
            match self.store.commit(Txn::new().when(kept.unchanged()).then(put)).await {
                Ok(_) => {
                    crate::fault::point("run.cancelled");
                    let live = self.follow_here(&record.id).await?;
                    live.settled(CANCEL_LIMIT).await;
                    let record = self.find_run(record.id.as_str()).await?.value;
                    return self.run_summary(&record).await;
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The run that is called so: its name, or the beginning of it.
    pub(super) async fn find_run(&self, name: &str) -> Result<Stored<RunRecord>, FleetError> {
        let unknown = || PlansError::NoSuchRun { name: name.chars().take(80).collect() };
        let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if !is_plain || name.len() < LEAST_PREFIX {
            return Err(unknown().into());
        }
        let prefix = format!("{}{name}", keys::RUNS);
        let mut found = list_json::<RunRecord>(self.store.as_ref(), &prefix).await?.entries;
        match (found.pop(), found.len()) {
            (Some(only), 0) => Ok(only),
            (Some(_), others) => {
                Err(PlansError::SeveralRuns { name: name.to_owned(), count: others + 1 }.into())
            }
            (None, _) => Err(unknown().into()),
        }
    }
}

/// How long a cancelled run is waited for: nodes kill what runs at once.
const CANCEL_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);
