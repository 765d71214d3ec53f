//! How transactions are built, and what no backend takes.

use std::collections::BTreeSet;

use crate::store::{MAX_KEY, MAX_OPS, MAX_TXN, MAX_VALUE, Op, Precondition, Revision, StoreError, Txn};

impl Precondition {
    /// What must hold for a key last seen at `revision`, or not at all.
    pub fn as_seen(key: impl Into<String>, revision: Option<Revision>) -> Precondition {
        match revision {
            Some(revision) => Precondition::Unchanged { key: key.into(), revision },
            None => Precondition::Absent { key: key.into() },
        }
    }

    pub fn key(&self) -> &str {
        match self {
            Precondition::Absent { key } | Precondition::Unchanged { key, .. } => key,
        }
    }
}

impl Op {
    pub fn put(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Op {
        Op::Put { key: key.into(), value: value.into(), lease: None }
    }

    pub fn delete(key: impl Into<String>) -> Op {
        Op::Delete { key: key.into() }
    }

    pub fn key(&self) -> &str {
        match self {
            Op::Put { key, .. } | Op::Delete { key } => key,
        }
    }
}

impl Txn {
    pub fn new() -> Txn {
        Txn::default()
    }

    #[must_use]
    pub fn when(mut self, precondition: Precondition) -> Txn {
        self.preconditions.push(precondition);
        self
    }

    #[must_use]
    pub fn then(mut self, op: Op) -> Txn {
        self.ops.push(op);
        self
    }

    /// Refuses what one of the backends could not take, so that all of them refuse the same.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.preconditions.len() > MAX_OPS || self.ops.len() > MAX_OPS {
            return Err(StoreError::TooMany { max: MAX_OPS });
        }
        let keys = self.preconditions.iter().map(Precondition::key);
        keys.chain(self.ops.iter().map(Op::key)).try_for_each(check_key)?;
        let (mut written, mut total) = (BTreeSet::new(), 0);
        for op in &self.ops {
            if !written.insert(op.key()) {
                return Err(StoreError::InvalidKey { key: op.key().into(), reason: "is written twice" });
            }
            let Op::Put { key, value, .. } = op else { continue };
            total += key.len() + value.len();
            if value.len() > MAX_VALUE {
                return Err(StoreError::TooLarge { key: key.clone(), max: MAX_VALUE });
            }
            if total > MAX_TXN {
                return Err(StoreError::TooLarge { key: key.clone(), max: MAX_TXN });
            }
        }
        Ok(())
    }
}

pub(crate) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    if prefix.is_empty() { Ok(()) } else { check_key(prefix) }
}

pub(crate) fn check_key(key: &str) -> Result<(), StoreError> {
    let reason = match key {
        _ if !key.starts_with('/') => "does not start with a slash",
        _ if key.len() > MAX_KEY => "is too long",
        _ if key.contains('\0') => "contains a NUL",
        _ => return Ok(()),
    };
    Err(StoreError::InvalidKey { key: key.chars().take(80).collect(), reason })
}
