//! `orchestrator module list|search|show|remove`.

use std::collections::BTreeMap;

use modules::search::{Hit, Index, Kind, Searchable};
use proto::v1;
use proto::v1::module_summary::Source;

use super::curation::Curation;
use super::known::{Known, Module};
use super::{ModuleRecord, precedence};
use crate::domain::deployment::{DeploymentRecord, Release};
use crate::fleet::{Fleet, FleetError, keys, wire};
use crate::store::json::{Stored, list_json};
use crate::store::{Op, Txn};

impl Fleet {
    /// Everything that can be deployed by name, ranked by how well it fits the query.
    pub async fn list_modules(
        &self,
        request: &v1::ListModulesRequest,
    ) -> Result<Vec<v1::ModuleSummary>, FleetError> {
        let modules: Vec<Module> = self.known_modules().await?.into_values().collect();
        let curations = self.curations().await?;
        let index = Index::new(modules.iter().map(|module| Searchable::from(&module.newest().spec)));
        let mut hits = index.search(&request.query);
        if request.limit > 0 {
            hits.truncate(request.limit as usize);
        }
        Ok(hits.iter().map(|hit| summary(&modules[hit.document], &curations, hit)).collect())
    }

    async fn curations(&self) -> Result<BTreeMap<String, Curation>, FleetError> {
        let kept = list_json::<Curation>(self.store.as_ref(), keys::CURATIONS).await?.entries;
        let name = |kept: &Stored<Curation>| kept.key[keys::CURATIONS.len()..].to_owned();
        Ok(kept.into_iter().map(|kept| (name(&kept), kept.value)).collect())
    }

    pub async fn show_module(&self, request: &v1::ShowModuleRequest) -> Result<v1::ModuleDetail, FleetError> {
        let module = self.resolve(&request.module).await?;
        let name = &module.release.module;
        let mut records = self.releases_of(name).await?;
        records.sort_by_key(|record| std::cmp::Reverse(precedence(record)));
        let curation = self.curation(name).await?.value;
        let known = self.known_modules().await?.remove(name);
        let known = known.map(|module| module.versions).unwrap_or_default();
        let own = records.iter().find(|record| record.release == module.release);
        let mut summary = wire::summary(&module.spec, Source::Added);
        summary.versions = records.iter().map(|record| record.release.version.clone()).collect();
        let mut versions = Vec::new();
        for record in &records {
            versions.push(self.version(record, &curation, &known).await?);
        }
        if let Some(shown) = versions.iter().find(|version| is_release(version, &module.release)) {
            summary.source = shown.source;
            summary.registry.clone_from(&shown.registry);
            summary.deprecated.clone_from(&shown.deprecated);
        }
        summary.pinned = curation.pinned.unwrap_or_default();
        let origin = own.and_then(|record| record.origin.as_ref());
        summary.draft = origin.is_some_and(|origin| origin.is_draft);
        let spec_json = serde_json::to_string(&module.spec)
            .map_err(|cause| FleetError::Unreadable { what: request.module.clone(), cause: cause.into() })?;
        Ok(v1::ModuleDetail {
            summary: Some(summary),
            release: Some(wire::release(&module.release)),
            spec_json,
            package_bytes: own.map_or(0, |record| record.package_bytes),
            versions,
            origin: origin.map(v1::ModuleOrigin::from),
            accepted: own.map(|record| record.accepted.clone()).unwrap_or_default(),
            notes: own.map(|record| record.notes.clone()).unwrap_or_default(),
            signed_by: own.and_then(|record| record.signed_by.clone()).unwrap_or_default(),
        })
    }

    async fn version(
        &self,
        record: &ModuleRecord,
        curation: &Curation,
        known: &[Known],
    ) -> Result<v1::module_detail::Version, FleetError> {
        let number = &record.release.version;
        let registry = known.iter().find(|known| known.release.as_ref() == Some(&record.release));
        let source = registry.map_or_else(|| Known::from(record.clone()).source, |known| known.source);
        Ok(v1::module_detail::Version {
            release: Some(wire::release(&record.release)),
            pinned: curation.pinned.as_ref() == Some(number),
            deprecated: curation.why_deprecated(number).unwrap_or_default().to_owned(),
            source: source.into(),
            registry: registry.map(|known| known.registry.clone()).unwrap_or_default(),
            added_unix_ms: record.added_at,
            used_by: self.users_of(std::slice::from_ref(&record.release)).await?,
            package_bytes: record.package_bytes,
            signed_by: record.signed_by.clone().unwrap_or_default(),
            signature: record.signature.clone().unwrap_or_default(),
        })
    }

    /// Forgets added versions that nothing runs. Their packages stay while a deployment could go back to them.
    pub async fn remove_module(
        &self,
        request: &v1::RemoveModuleRequest,
    ) -> Result<Vec<v1::Release>, FleetError> {
        let (name, version) = match request.module.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (request.module.as_str(), None),
        };
        self.finish_journal().await?;
        let entries = list_json::<ModuleRecord>(self.store.as_ref(), &keys::module(name)).await?.entries;
        let chosen: Vec<_> = entries
            .into_iter()
            .filter(|kept| !kept.value.is_builtin)
            .filter(|kept| version.is_none_or(|version| kept.value.release.version == version))
            .collect();
        if chosen.is_empty() {
            return Err(self.nothing_to_remove(name, version).await?);
        }
        let releases: Vec<Release> = chosen.iter().map(|kept| kept.value.release.clone()).collect();
        let by = self.users_of(&releases).await?;
        if !by.is_empty() {
            return Err(FleetError::ModuleInUse { module: name.to_owned(), by });
        }
        let preconditions = chosen.iter().map(Stored::unchanged).collect();
        let ops = chosen.iter().map(|kept| Op::Delete { key: kept.key.clone() }).collect();
        self.store.commit(Txn { preconditions, ops }).await?;
        Ok(releases.iter().map(wire::release).collect())
    }

    async fn nothing_to_remove(&self, name: &str, version: Option<&str>) -> Result<FleetError, FleetError> {
        if let Some(from) = self.of_registries(name).await?.first() {
            let known = self.known().await?;
            let holder = known.iter().find(|known| known.release.as_ref() == Some(&from.release));
            let registry = holder.map(|known| known.registry.clone()).unwrap_or_default();
            let message = format!("{name} comes from the registry {registry}");
            let hint = Some(format!("`orchestrator registry remove {registry}` removes all of it"));
            return Ok(FleetError::Invalid { message, hint });
        }
        let known = self.releases_of(name).await?;
        let (added, built_in): (Vec<_>, Vec<_>) = known.iter().partition(|record| !record.is_builtin);
        if let (Some(version), false) = (version, added.is_empty()) {
            return Ok(FleetError::NoSuchVersion {
                module: name.to_owned(),
                version: version.to_owned(),
                known: added.iter().map(|record| record.release.version.clone()).collect(),
            });
        }
        if !built_in.is_empty() {
            let message = format!("{name} is built in and cannot be removed");
            return Ok(FleetError::Invalid { message, hint: None });
        }
        self.no_such_module(name).await
    }

    /// The deployments that want one of these releases.
    pub(super) async fn users_of(&self, releases: &[Release]) -> Result<Vec<String>, FleetError> {
        let deployments =
            list_json::<DeploymentRecord>(self.store.as_ref(), keys::DEPLOYMENTS).await?.entries;
        let uses = |record: &DeploymentRecord| {
            releases.iter().any(|release| release.digest == record.current.wish.release.digest)
        };
        let users = deployments.iter().filter(|kept| uses(&kept.value));
        Ok(users.map(|kept| kept.value.name.to_string()).collect())
    }
}

fn is_release(version: &v1::module_detail::Version, release: &Release) -> bool {
    version.release.as_ref().is_some_and(|one| one.digest == release.digest)
}

fn summary(module: &Module, curations: &BTreeMap<String, Curation>, hit: &Hit) -> v1::ModuleSummary {
    let newest = module.newest();
    let curation = curations.get(newest.spec.name.as_str());
    let all = curation.and_then(|curation| curation.why_deprecated(&newest.spec.version.to_string()));
    v1::ModuleSummary {
        versions: module.versions.iter().map(|known| known.spec.version.to_string()).collect(),
        registry: newest.registry.clone(),
        pinned: curation.and_then(|curation| curation.pinned.clone()).unwrap_or_default(),
        deprecated: all.unwrap_or_default().to_owned(),
        draft: newest.origin.as_ref().is_some_and(|origin| origin.is_draft),
        matches: matches(hit),
        ..wire::summary(&newest.spec, newest.source)
    }
}

fn matches(hit: &Hit) -> Vec<String> {
    let text = |found: &modules::search::Match| {
        let field = found.field.as_str();
        match found.kind {
            Kind::Exact => format!("{field}: {}", found.word),
            Kind::Prefix | Kind::Typo => format!("{field}: {} for {}", found.found, found.word),
        }
    };
    hit.matches.iter().map(text).collect()
}
