//! Everything that can be deployed by name: the catalog, what was added or imported, and what other registries have.

use std::collections::BTreeMap;

use modules::spec::ModuleSpec;
use proto::v1::module_summary::Source;

use super::{ModuleRecord, Origin, precedence_of};
use crate::domain::deployment::Release;
use crate::fleet::{Fleet, FleetError, keys};
use crate::store::json::list_json;

/// A version of a module, and where it is from.
#[derive(Debug, Clone)]
pub struct Known {
    pub spec: ModuleSpec,
    /// Absent for what is built in and was not used yet.
    pub release: Option<Release>,
    pub source: Source,
    /// Its name, where `source` is one.
    pub registry: String,
    pub origin: Option<Origin>,
}

/// A module with its versions, the newest first.
#[derive(Debug)]
pub struct Module {
    pub versions: Vec<Known>,
}

impl Module {
    pub fn newest(&self) -> &Known {
        &self.versions[0]
    }
}

impl Fleet {
    pub(super) async fn known(&self) -> Result<Vec<Known>, FleetError> {
        self.finish_journal().await?;
        let added = list_json::<ModuleRecord>(self.store.as_ref(), keys::MODULES).await?.entries;
        let built_in = self.catalog.iter().map(|module| Known {
            spec: module.spec.clone(),
            release: None,
            source: Source::Catalog,
            registry: String::new(),
            origin: None,
        });
        let added = added.into_iter().map(|kept| kept.value).filter(|record| !record.is_builtin);
        let mut known: Vec<Known> = built_in.chain(added.map(Known::from)).collect();
        known.extend(self.known_to_registries().await?);
        Ok(known)
    }

    /// By name.
    pub(in crate::fleet) async fn known_modules(&self) -> Result<BTreeMap<String, Module>, FleetError> {
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        for known in self.known().await? {
            let module = modules.entry(known.spec.name.to_string());
            module.or_insert_with(|| Module { versions: Vec::new() }).versions.push(known);
        }
        for module in modules.values_mut() {
            let newest_first =
                |known: &Known| std::cmp::Reverse(precedence_of(&known.spec.version.to_string()));
            module.versions.sort_by_key(newest_first);
        }
        Ok(modules)
    }

    async fn known_to_registries(&self) -> Result<Vec<Known>, FleetError> {
        let registries = self.registries().await?;
        if registries.is_empty() {
            return Ok(Vec::new());
        }
        let releases = list_json::<ModuleRecord>(self.store.as_ref(), keys::RELEASES).await?.entries;
        let by_digest: BTreeMap<String, ModuleRecord> =
            releases.into_iter().map(|kept| (kept.value.release.digest.clone(), kept.value)).collect();
        let mut known = Vec::new();
        for registry in registries.into_iter().map(|kept| kept.value) {
            let records = registry.releases.iter().filter_map(|release| by_digest.get(&release.digest));
            known.extend(records.cloned().map(|record| Known {
                source: Source::Registry,
                registry: registry.name.clone(),
                ..Known::from(record)
            }));
        }
        Ok(known)
    }
}

impl From<ModuleRecord> for Known {
    fn from(record: ModuleRecord) -> Self {
        let source = match (record.is_builtin, &record.origin) {
            (true, _) => Source::Catalog,
            (false, Some(_)) => Source::Imported,
            (false, None) => Source::Added,
        };
        Self {
            spec: record.spec,
            release: Some(record.release),
            source,
            registry: String::new(),
            origin: record.origin,
        }
    }
}
