//! How changes ended, as the record and the history keep it.

use super::{Fleet, FleetError, keys};
use crate::domain::deployment::{DeploymentRecord, HistoryEntry, Outcome, OutcomeWord, Progress as State};
use crate::fault;
use crate::store::json::{get_json, put_json};
use crate::store::{Op, Precondition, StoreError, Txn};

impl Fleet {
    /// Ends the change in the record and in the history, unless somebody has changed the deployment since.
    pub(super) async fn conclude(
        &self,
        record: &DeploymentRecord,
        state: State,
        word: OutcomeWord,
        message: &str,
    ) -> Result<(), FleetError> {
        let Some(kept) = self.kept(&record.name).await? else { return Ok(()) };
        let is_ours = kept.value.attempt == record.attempt;
        if !is_ours || kept.value.progress != State::Rolling {
            return Ok(());
        }
        let mut after = kept.value.clone();
        after.progress = state;
        after.is_proven = false;
        after.leaving.clear();
        let outcome = self.outcome_op(record, word, message).await?;
        fault::point("settle.before");
        self.amend(&kept, &after, outcome.map(|(_, op)| op)).await?;
        fault::point("settle.after");
        Ok(())
    }

    /// Remembers of a change that waits for nodes that all the others are healthy: it is what a later one goes back to.
    pub(super) async fn note_proven(
        &self,
        record: &DeploymentRecord,
        message: &str,
    ) -> Result<(), FleetError> {
        let Some(kept) = self.kept(&record.name).await? else { return Ok(()) };
        let is_ours = kept.value.attempt == record.attempt && kept.value.progress == State::Rolling;
        if !is_ours || kept.value.is_proven {
            return Ok(());
        }
        let after = DeploymentRecord { is_proven: true, ..kept.value.clone() };
        let outcome = self.outcome_op(&after, OutcomeWord::Waiting, message).await?;
        self.amend(&kept, &after, outcome.map(|(_, op)| op)).await?;
        Ok(())
    }

    /// Of a deployment that is removed meanwhile nothing is noted: its history is gone.
    pub(super) async fn note_outcome(
        &self,
        record: &DeploymentRecord,
        word: OutcomeWord,
        message: &str,
    ) -> Result<(), FleetError> {
        while let Some((unchanged, op)) = self.outcome_op(record, word, message).await? {
            match self.store.commit(Txn { preconditions: vec![unchanged], ops: vec![op] }).await {
                Ok(_) => break,
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Writes how a change ended into its history, where it is still as it was found.
    pub(super) async fn outcome_op(
        &self,
        record: &DeploymentRecord,
        word: OutcomeWord,
        message: &str,
    ) -> Result<Option<(Precondition, Op)>, FleetError> {
        let key = keys::history_entry(&record.name, record.current.generation);
        let Some(kept) = get_json::<HistoryEntry>(self.store.as_ref(), &key).await? else { return Ok(None) };
        // After a removal another life may have begun, whose generations count from one again.
        if kept.value.started_at != record.changed_at {
            return Ok(None);
        }
        let mut entry = kept.value.clone();
        let (message, at) = (message.to_owned(), self.clock.now());
        entry.outcome = Some(Outcome { word, message, at, is_proven: record.is_proven });
        Ok(Some((kept.unchanged(), put_json(key, &entry)?)))
    }
}
