//! The connection and what is done on it, one call at a time.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::watch;

use crate::clock::{Clock, UnixMillis};
use crate::store::sqlite::fault::Fault;
use crate::store::sqlite::history;
use crate::store::{LeaseId, Listing, Op, Precondition, Revision, StoreError, Txn, Versioned};

pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) head: Arc<watch::Sender<Revision>>,
}

impl Session {
    pub(super) fn is_watched(&self) -> bool {
        self.head.receiver_count() > 0
    }

    /// Tells the watches what other processes wrote and which leases have ended.
    pub(super) fn look_for_changes(&mut self) {
        // What fails here fails again, and is told, in the next call.
        if self.end_leases().is_ok()
            && let Ok(revision) = history::head(&self.connection)
        {
            self.announce(revision);
        }
    }

    fn announce(&self, revision: Revision) {
        self.head.send_if_modified(|head| std::mem::replace(head, revision) != revision);
    }

    pub(super) fn get(&mut self, key: &str) -> Result<Option<Versioned>, Fault> {
        self.end_leases()?;
        let mut query =
            self.connection.prepare_cached("SELECT value, revision FROM entries WHERE key = ?1")?;
        let found = query.query_row([key], |row| Ok(Versioned { value: row.get(0)?, revision: row.get(1)? }));
        Ok(found.optional()?)
    }

    pub(super) fn list(&mut self, prefix: &str) -> Result<Listing, Fault> {
        self.end_leases()?;
        let transaction = self.connection.transaction()?;
        let mut listing = Listing { entries: Vec::new(), revision: history::head(&transaction)? };
        let mut query = transaction
            .prepare_cached("SELECT key, value, revision FROM entries WHERE key >= ?1 ORDER BY key")?;
        let mut rows = query.query([prefix])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(0)?;
            // Keys with a prefix stand together, in the order of their bytes, from the prefix itself on.
            if !key.starts_with(prefix) {
                break;
            }
            let entry = Versioned { value: row.get(1)?, revision: row.get(2)? };
            listing.entries.push((key, entry));
        }
        Ok(listing)
    }

    pub(super) fn commit(&mut self, txn: &Txn) -> Result<Revision, Fault> {
        self.end_leases()?;
        let transaction = self.write()?;
        for precondition in &txn.preconditions {
            check(&transaction, precondition)?;
        }
        if txn.ops.is_empty() {
            return Ok(history::head(&transaction)?);
        }
        let revision = history::next_revision(&transaction)?;
        for op in &txn.ops {
            apply(&transaction, op, revision)?;
        }
        history::prune(&transaction, revision)?;
        transaction.commit()?;
        self.announce(revision);
        Ok(revision)
    }

    pub(super) fn grant_lease(&mut self, ttl: Duration) -> Result<LeaseId, Fault> {
        let (now, ttl) = (self.clock.now(), millis(ttl));
        let transaction = self.write()?;
        transaction
            .execute("INSERT INTO leases (ttl, ends) VALUES (?1, ?2)", [ttl, now.saturating_add(ttl)])?;
        let lease = LeaseId(transaction.last_insert_rowid());
        transaction.commit()?;
        Ok(lease)
    }

    pub(super) fn keep_alive(&mut self, lease: LeaseId) -> Result<(), Fault> {
        self.end_leases()?;
        let now = self.clock.now();
        let transaction = self.write()?;
        let kept = transaction.execute("UPDATE leases SET ends = ttl + ?2 WHERE id = ?1", [lease.0, now])?;
        if kept == 0 {
            return Err(StoreError::LeaseEnded { lease }.into());
        }
        Ok(transaction.commit()?)
    }

    pub(super) fn revoke_lease(&mut self, lease: LeaseId) -> Result<(), Fault> {
        self.end_leases()?;
        let transaction = self.write()?;
        if !lives(&transaction, lease)? {
            return Err(StoreError::LeaseEnded { lease }.into());
        }
        let revision = end_lease(&transaction, lease.0)?;
        transaction.commit()?;
        self.announce(revision);
        Ok(())
    }

    pub(super) fn compact(&mut self, revision: Revision) -> Result<(), Fault> {
        let transaction = self.write()?;
        let revision = revision.min(history::head(&transaction)?);
        history::forget(&transaction, revision)?;
        Ok(transaction.commit()?)
    }

    /// Removes the leases whose time is over, and their keys. Writes only where there are some.
    fn end_leases(&mut self) -> Result<(), Fault> {
        let now = self.clock.now();
        if ended_lease(&self.connection, now)?.is_none() {
            return Ok(());
        }
        let transaction = self.write()?;
        let mut revision = history::head(&transaction)?;
        while let Some(lease) = ended_lease(&transaction, now)? {
            revision = end_lease(&transaction, lease)?;
        }
        transaction.commit()?;
        self.announce(revision);
        Ok(())
    }

    /// Takes the write lock at once: a reader that becomes a writer could not wait for another writer.
    fn write(&mut self) -> Result<Transaction<'_>, rusqlite::Error> {
        self.connection.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

fn check(connection: &Connection, precondition: &Precondition) -> Result<(), Fault> {
    let key = precondition.key();
    let mut query = connection.prepare_cached("SELECT revision FROM entries WHERE key = ?1")?;
    let found: Option<Revision> = query.query_row([key], |row| row.get(0)).optional()?;
    let wanted = match precondition {
        Precondition::Absent { .. } => None,
        Precondition::Unchanged { revision, .. } => Some(*revision),
    };
    if found == wanted { Ok(()) } else { Err(StoreError::Conflict { key: key.into() }.into()) }
}

fn apply(connection: &Connection, op: &Op, revision: Revision) -> Result<(), Fault> {
    match op {
        Op::Put { key, value, lease } => {
            if let Some(lease) = lease
                && !lives(connection, *lease)?
            {
                return Err(StoreError::LeaseEnded { lease: *lease }.into());
            }
            let lease = lease.map(|lease| lease.0);
            connection
                .prepare_cached(
                    "INSERT INTO entries (key, value, revision, lease) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key)
                     DO UPDATE SET value = excluded.value, revision = excluded.revision, lease = excluded.lease",
                )?
                .execute(params![key, value, revision, lease])?;
            history::record(connection, revision, key, Some(value))?;
        }
        Op::Delete { key } => delete(connection, key, revision)?,
    }
    Ok(())
}

fn delete(connection: &Connection, key: &str, revision: Revision) -> Result<(), rusqlite::Error> {
    match connection.prepare_cached("DELETE FROM entries WHERE key = ?1")?.execute([key])? {
        0 => Ok(()),
        _ => history::record(connection, revision, key, None),
    }
}

fn lives(connection: &Connection, lease: LeaseId) -> Result<bool, rusqlite::Error> {
    connection.prepare_cached("SELECT 1 FROM leases WHERE id = ?1")?.exists([lease.0])
}

fn ended_lease(connection: &Connection, now: UnixMillis) -> Result<Option<i64>, rusqlite::Error> {
    let mut query =
        connection.prepare_cached("SELECT id FROM leases WHERE ends <= ?1 ORDER BY ends LIMIT 1")?;
    query.query_row([now], |row| row.get(0)).optional()
}

/// Returns the revision in which the keys of the lease went.
fn end_lease(connection: &Connection, lease: i64) -> Result<Revision, rusqlite::Error> {
    connection.execute("DELETE FROM leases WHERE id = ?1", [lease])?;
    let mut query = connection.prepare_cached("SELECT key FROM entries WHERE lease = ?1 ORDER BY key")?;
    let keys = query.query_map([lease], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    if keys.is_empty() {
        return history::head(connection);
    }
    let revision = history::next_revision(connection)?;
    for key in &keys {
        delete(connection, key, revision)?;
    }
    Ok(revision)
}

fn millis(ttl: Duration) -> UnixMillis {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}
