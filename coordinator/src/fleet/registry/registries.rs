//! Other places that modules come from: repositories with many modules. What one has is one record, so that a sync is
//! one write; packages were staged before, and what is staged only is not seen.

use std::collections::BTreeMap;

use modules::name::ModuleName;
use proto::v1;
use serde::{Deserialize, Serialize};

use super::{ModuleRecord, parts};
use crate::clock::UnixMillis;
use crate::domain::deployment::Release;
use crate::fault;
use crate::fleet::{Fleet, FleetError, keys, wire};
use crate::store::json::{Stored, get_json, put_json};
use crate::store::{Op, Precondition, Txn};

/// Kept under `/registries/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryRecord {
    pub name: String,
    pub url: String,
    pub revision: String,
    /// The state that `releases` are of.
    pub commit: String,
    pub synced_at: UnixMillis,
    /// As many as it has room for.
    pub releases: Vec<Release>,
    /// The others.
    #[serde(default, skip_serializing_if = "Parts::is_none")]
    pub parts: Parts,
}

/// Where releases are that a record has no room for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Parts {
    pub digest: String,
    pub count: u32,
}

impl Parts {
    fn is_none(&self) -> bool {
        self.count == 0
    }
}

impl Fleet {
    pub async fn list_registries(&self) -> Result<Vec<v1::Registry>, FleetError> {
        let kept = self.registries().await?;
        Ok(kept.into_iter().map(|kept| v1::Registry::from(&kept.value)).collect())
    }

    /// Makes a registry have exactly these releases, which were staged before.
    pub async fn sync_registry(&self, request: &v1::SyncRegistryRequest) -> Result<v1::Registry, FleetError> {
        let asked = request.registry.clone().unwrap_or_default();
        let invalid = |message: String| FleetError::Invalid { message, hint: None };
        ModuleName::parse(&asked.name).map_err(|cause| {
            invalid(
                format!("{:?} is no name of a registry: {cause}", asked.name)
                    .replace("module's", "registry's"),
            )
        })?;
        let key = keys::registry(&asked.name);
        let kept = get_json::<RegistryRecord>(self.store.as_ref(), &key).await?;
        if kept.as_ref().map_or("", |kept| kept.value.commit.as_str()) != request.from_commit {
            return Err(FleetError::RegistryMoved { name: asked.name });
        }
        let taken = self.names_elsewhere(&asked.name).await?;
        let mut releases = Vec::new();
        for release in &asked.releases {
            if let Some(holder) = taken.get(&release.module) {
                return Err(invalid(format!(
                    "{} is the name of a module of {holder} already",
                    release.module
                )));
            }
            releases.push(self.staged(release).await?.release);
        }
        fault::point("registry.staged");
        let mut record = RegistryRecord {
            name: asked.name,
            url: asked.url,
            revision: asked.revision,
            commit: asked.commit,
            synced_at: self.clock.now(),
            releases,
            parts: Parts::default(),
        };
        let shown = v1::Registry::from(&record);
        parts::set_apart(self.store.as_ref(), &mut record).await?;
        let seen = Precondition::as_seen(key.clone(), kept.map(|kept| kept.revision));
        self.store.commit(Txn::new().when(seen).then(put_json(key, &record)?)).await?;
        parts::sweep(self.store.as_ref(), &record.name, &record.parts.digest).await?;
        Ok(shown)
    }

    /// Forgets a registry and what only it has.
    pub async fn remove_registry(&self, name: &str) -> Result<v1::Registry, FleetError> {
        let Some(kept) = self.registry(name).await? else {
            let message = format!("no registry is named {name}");
            let hint = Some("`orchestrator registry list` shows all".to_owned());
            return Err(FleetError::Invalid { message, hint });
        };
        let by = self.users_of(&kept.value.releases).await?;
        if !by.is_empty() {
            return Err(FleetError::ModuleInUse { module: format!("a module of {name}"), by });
        }
        let txn = Txn::new().when(kept.unchanged()).then(Op::delete(kept.key.clone()));
        self.store.commit(txn).await?;
        parts::sweep(self.store.as_ref(), name, "none").await?;
        Ok(v1::Registry::from(&kept.value))
    }

    /// Every name that a module has, and whose it is; without those of one registry.
    async fn names_elsewhere(&self, registry: &str) -> Result<BTreeMap<String, String>, FleetError> {
        let known = self.known().await?;
        let others = known.into_iter().filter(|known| known.registry != registry);
        Ok(others
            .map(|known| {
                let holder = match known.registry.as_str() {
                    "" if known.release.is_none() => "the catalog".to_owned(),
                    "" => "this registry".to_owned(),
                    name => format!("the registry {name}"),
                };
                (known.spec.name.to_string(), holder)
            })
            .collect())
    }

    /// The releases that registries have of one module.
    pub(super) async fn of_registries(&self, module: &str) -> Result<Vec<ModuleRecord>, FleetError> {
        let registries = self.registries().await?;
        let releases = registries.iter().flat_map(|kept| &kept.value.releases);
        let mut records = Vec::new();
        for release in releases.filter(|release| release.module == module) {
            let kept: Option<Stored<ModuleRecord>> =
                get_json(self.store.as_ref(), &keys::release(&release.digest)).await?;
            records.extend(kept.map(|kept| kept.value));
        }
        Ok(records)
    }
}

impl From<&RegistryRecord> for v1::Registry {
    fn from(record: &RegistryRecord) -> Self {
        Self {
            name: record.name.clone(),
            url: record.url.clone(),
            revision: record.revision.clone(),
            commit: record.commit.clone(),
            synced_unix_ms: record.synced_at,
            releases: record.releases.iter().map(wire::release).collect(),
        }
    }
}
