//! Secrets: sealed in the store, versioned, opened only when they are sent to the node that needs them.

use std::collections::{BTreeMap, BTreeSet};

use proto::v1;
use serde::{Deserialize, Serialize};

use super::keyring::{Keyring, Sealed, Secret};
use super::record::still;
use super::{Fleet, FleetError, keys};
use crate::clock::UnixMillis;
use crate::domain::deployment::{DeploymentRecord, SecretRef, Wish};
use crate::store::json::{get_json, list_json, put_json};
use crate::store::{Op, Store, StoreError, Txn};

/// Kept in the store under `/secrets/<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SecretRecord {
    name: String,
    /// Newest last.
    versions: Vec<SealedVersion>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SealedVersion {
    version: u64,
    sealed: Sealed,
    at: UnixMillis,
}

/// How many versions of a secret are kept, and more only where older ones are in use.
const KEPT: usize = 10;

impl SecretRecord {
    fn prune(&mut self, in_use: &BTreeSet<u64>) {
        let mut surplus = self.versions.len().saturating_sub(KEPT);
        self.versions.retain(|kept| {
            let goes = surplus > 0 && !in_use.contains(&kept.version);
            surplus -= usize::from(goes);
            !goes
        });
    }
}

impl Fleet {
    /// Stores `value` as the newest version of `name`; the same value again makes no new version.
    pub async fn set_secret(&self, name: &str, value: &[u8]) -> Result<SecretRef, FleetError> {
        check_name(name)?;
        let key = keys::secret(name);
        loop {
            let kept = get_json::<SecretRecord>(self.store.as_ref(), &key).await?;
            let mut record = match &kept {
                Some(kept) => kept.value.clone(),
                None => SecretRecord { name: name.to_owned(), versions: Vec::new() },
            };
            let last = record.versions.last();
            if let Some(last) = last
                && self.keyring.unseal(&sealed_name(name, last.version), &last.sealed)?.expose() == value
            {
                return Ok(SecretRef { name: name.to_owned(), version: last.version });
            }
            let version = last.map_or(0, |last| last.version) + 1;
            let sealed = self.keyring.seal(&sealed_name(name, version), &Secret::new(value))?;
            record.versions.push(SealedVersion { version, sealed, at: self.clock.now() });
            if record.versions.len() > KEPT {
                record.prune(&self.versions_in_use(name).await?);
            }
            let txn = Txn {
                preconditions: vec![still(key.clone(), kept.as_ref())],
                ops: vec![put_json(key.clone(), &record)?],
            };
            match self.store.commit(txn).await {
                Ok(_) => return Ok(SecretRef { name: name.to_owned(), version }),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Those that a deployment refers to, also when it goes back, or that a node is to be sent.
    async fn versions_in_use(&self, name: &str) -> Result<BTreeSet<u64>, FleetError> {
        let snapshot = self.recall().await?;
        let records = snapshot.deployments.values().map(|kept| &kept.value);
        let wishes = records.flat_map(|record| [Some(&record.current), record.previous.as_ref()]).flatten();
        let wished = wishes.flat_map(|placed| placed.wish.secrets.values());
        let wished = wished.filter(|secret| secret.name == name).map(|secret| secret.version);
        let sent = snapshot.wanted().flat_map(|instance| instance.secrets.values());
        let sent = sent.filter_map(|reference| {
            reference.rsplit_once('@').filter(|(sent, _)| *sent == name)?.1.parse().ok()
        });
        Ok(wished.chain(sent).collect())
    }

    /// The token for GitHub. No other secret is ever given to who asks for it.
    ///
    /// # Errors
    /// Where this coordinator's configuration does not name that secret, or it is not stored.
    pub async fn github_token(&self, name: &str) -> Result<String, FleetError> {
        if self.github_secret.as_deref() != Some(name) {
            return Err(FleetError::Invalid {
                message: format!("this coordinator does not give the secret {name} away"),
                hint: Some(format!("write `[github]` and `token-secret = \"{name}\"` into its config.toml")),
            });
        }
        let missing = || FleetError::NoSuchSecret { name: name.to_owned() };
        let kept = get_json::<SecretRecord>(self.store.as_ref(), &keys::secret(name)).await?;
        let last = kept.as_ref().and_then(|kept| kept.value.versions.last()).ok_or_else(missing)?;
        self.secret_value(&format!("{name}@{}", last.version)).await
    }

    pub async fn list_secrets(&self) -> Result<Vec<v1::list_secrets_reply::Secret>, FleetError> {
        let deployments = self.recall().await?.deployments;
        // Also what it would go back to.
        let wishes = |record: &DeploymentRecord| {
            let placed = [Some(&record.current), record.previous.as_ref()].into_iter().flatten();
            placed.map(|placed| placed.wish.clone()).collect::<Vec<_>>()
        };
        let mut secrets = Vec::new();
        for kept in list_json::<SecretRecord>(self.store.as_ref(), keys::SECRETS).await?.entries {
            let record = kept.value;
            let Some(last) = record.versions.last() else { continue };
            let uses = |wish: &Wish| wish.secrets.values().any(|secret| secret.name == record.name);
            let used_by = deployments.values().filter(|kept| wishes(&kept.value).iter().any(uses));
            secrets.push(v1::list_secrets_reply::Secret {
                name: record.name.clone(),
                version: last.version,
                updated_unix_ms: last.at,
                used_by: used_by.map(|kept| kept.value.name.to_string()).collect(),
            });
        }
        Ok(secrets)
    }

    pub async fn remove_secret(&self, name: &str) -> Result<(), FleetError> {
        let secrets = self.list_secrets().await?;
        let Some(secret) = secrets.into_iter().find(|secret| secret.name == name) else {
            return Err(FleetError::NoSuchSecret { name: name.to_owned() });
        };
        if !secret.used_by.is_empty() {
            return Err(FleetError::SecretInUse { name: name.to_owned(), by: secret.used_by });
        }
        let ops = vec![Op::Delete { key: keys::secret(name) }];
        self.store.commit(Txn { preconditions: Vec::new(), ops }).await?;
        Ok(())
    }

    /// Puts the values in the place of the references (`name@version`) that the wish holds.
    pub(super) async fn with_secret_values(
        &self,
        mut spec: v1::NodeSpec,
    ) -> Result<v1::NodeSpec, FleetError> {
        for instance in &mut spec.instances {
            for reference in instance.secrets.values_mut() {
                *reference = self.secret_value(reference).await?;
            }
        }
        Ok(spec)
    }

    /// The values behind references, for checks.
    pub(super) async fn open_secrets(
        &self,
        references: &BTreeMap<String, SecretRef>,
    ) -> Result<BTreeMap<String, modules::spec::resolve::Secret>, FleetError> {
        let mut values = BTreeMap::new();
        for (key, secret) in references {
            let value = self.secret_value(&reference(secret)).await?;
            values.insert(key.clone(), modules::spec::resolve::Secret::new(value));
        }
        Ok(values)
    }

    async fn secret_value(&self, reference: &str) -> Result<String, FleetError> {
        let missing = || FleetError::NoSuchSecret { name: reference.to_owned() };
        let (name, version) = reference.rsplit_once('@').ok_or_else(missing)?;
        let key = keys::secret(name);
        let record = get_json::<SecretRecord>(self.store.as_ref(), &key).await?.ok_or_else(missing)?.value;
        let found =
            record.versions.iter().find(|kept| kept.version.to_string() == version).ok_or_else(missing)?;
        let value = self.keyring.unseal(&sealed_name(name, found.version), &found.sealed)?;
        String::from_utf8(value.expose().to_vec()).map_err(|_| missing())
    }
}

/// The newest value of a secret of the fleet; None where there is no such secret.
pub(super) async fn newest(
    store: &dyn Store,
    keyring: &Keyring,
    name: &str,
) -> Result<Option<String>, FleetError> {
    let Some(record) = get_json::<SecretRecord>(store, &keys::secret(name)).await? else { return Ok(None) };
    let Some(last) = record.value.versions.last() else { return Ok(None) };
    let value = keyring.unseal(&sealed_name(name, last.version), &last.sealed)?;
    let text = String::from_utf8(value.expose().to_vec());
    text.map(Some).map_err(|cause| FleetError::Unreadable {
        what: format!("secret {name}"),
        cause: Box::new(cause.utf8_error()),
    })
}

/// As a node's spec refers to it.
pub fn reference(secret: &SecretRef) -> String {
    format!("{}@{}", secret.name, secret.version)
}

fn sealed_name(name: &str, version: u64) -> String {
    format!("secret/{name}/{version}")
}

fn check_name(name: &str) -> Result<(), FleetError> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.is_empty() && name.len() <= 128 && name.chars().all(is_fine) {
        return Ok(());
    }
    Err(FleetError::Invalid {
        message: format!("{name:?} cannot name a secret"),
        hint: Some("use up to 128 letters, digits, '-', '_' and '.'".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_in_use_is_never_dropped() {
        let sealed: Sealed = Keyring::open(tempfile::tempdir().expect("a folder").path())
            .expect("a keyring")
            .seal("s", &Secret::new(b"x"))
            .expect("sealed");
        let version = |version| SealedVersion { version, sealed: sealed.clone(), at: 0 };
        let mut record = SecretRecord { name: "s".to_owned(), versions: (1..=13).map(version).collect() };
        record.prune(&[1, 3].into());
        let left: Vec<u64> = record.versions.iter().map(|kept| kept.version).collect();
        assert_eq!(left, [1, 3, 6, 7, 8, 9, 10, 11, 12, 13]);
        record.prune(&[].into());
        assert_eq!(record.versions.len(), KEPT);
    }
}
