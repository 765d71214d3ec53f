//! Runs that ended long ago are forgotten with all that is kept of them: every command looks through the runs there are.

use crate::domain::runs::RunRecord;
use crate::fleet::{Fleet, keys};
use crate::store::json::{Stored, get_json, list_json};
use crate::store::{MAX_OPS, Op, StoreError, Txn};

use super::modules::Deed;
use super::start::is_conflict;

/// Ended runs that are kept; what looked at them comes besides.
const KEPT: usize = 500;

impl Fleet {
    /// Forgets the oldest ended runs beyond those that are kept.
    ///
    /// # Errors
    /// Where the store fails; the next one goes on then.
    pub(super) async fn forget_old_runs(&self) -> Result<(), StoreError> {
        let runs = list_json::<RunRecord>(self.store.as_ref(), keys::RUNS).await?.entries;
        let old = beyond(runs, KEPT);
        if old.is_empty() {
            return Ok(());
        }
        // What only a run leads to goes before it.
        self.forget_deeds(&old).await?;
        for run in &old {
            if let Some(look) = &run.value.looked_at_by
                && let Some(look) = get_json::<RunRecord>(self.store.as_ref(), &keys::run(look)).await?
            {
                self.forget_run(&look).await?;
            }
            self.forget_run(run).await?;
        }
        Ok(())
    }

    /// The record goes last: what a crash leaves is found by it.
    async fn forget_run(&self, run: &Stored<RunRecord>) -> Result<(), StoreError> {
        let id = &run.value.id;
        for prefix in [keys::run_journals(id), keys::run_nodes(id)] {
            let kept = self.store.list(&prefix).await?.entries;
            self.delete(kept.into_iter().map(|(key, _)| key).collect()).await?;
        }
        let gone = Txn::new().when(run.unchanged()).then(Op::Delete { key: run.key.clone() });
        match self.store.commit(gone).await {
            Ok(_) => Ok(()),
            // Somebody else forgets it as well.
            Err(error) if is_conflict(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn forget_deeds(&self, runs: &[Stored<RunRecord>]) -> Result<(), StoreError> {
        let deeds = list_json::<Deed>(self.store.as_ref(), keys::RUN_DEEDS).await?.entries;
        let of_these = deeds.into_iter().filter(|deed| runs.iter().any(|run| run.value.id == deed.value.run));
        self.delete(of_these.map(|deed| deed.key).collect()).await
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), StoreError> {
        for keys in keys.chunks(MAX_OPS) {
            let ops = keys.iter().map(|key| Op::Delete { key: key.clone() });
            self.store.commit(ops.fold(Txn::new(), Txn::then)).await?;
        }
        Ok(())
    }
}

/// The ended runs of people beyond the newest `kept`.
fn beyond(runs: Vec<Stored<RunRecord>>, kept: usize) -> Vec<Stored<RunRecord>> {
    let is_old = |run: &Stored<RunRecord>| run.value.ended.is_some() && run.value.looks_after.is_none();
    let mut ended: Vec<Stored<RunRecord>> = runs.into_iter().filter(is_old).collect();
    ended.sort_by(|a, b| (b.value.begun_at, &b.value.id).cmp(&(a.value.begun_at, &a.value.id)));
    ended.split_off(kept.min(ended.len()))
}
