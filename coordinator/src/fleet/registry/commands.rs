//! `orchestrator module list|show|remove`.

use modules::spec::ModuleSpec;
use proto::v1;
use proto::v1::module_summary::Source;

use super::{ModuleRecord, precedence, precedence_of};
use crate::domain::deployment::DeploymentRecord;
use crate::fleet::{Fleet, FleetError, keys, wire};
use crate::store::json::{Stored, list_json};
use crate::store::{Op, Txn};

impl Fleet {
    /// Everything that can be deployed by name, ranked by how well it fits the query.
    pub async fn list_modules(
        &self,
        request: &v1::ListModulesRequest,
    ) -> Result<Vec<v1::ModuleSummary>, FleetError> {
        let added = self.added().await?;
        let mut specs: Vec<(ModuleSpec, bool)> =
            self.catalog.iter().map(|module| (module.spec.clone(), true)).collect();
        let new = added.into_iter().map(|kept| (kept.value.spec, kept.value.is_builtin));
        specs.extend(new.filter(|(_, is_builtin)| !is_builtin));
        let found = modules::search::search(specs.iter().map(|(spec, _)| spec), &request.query);
        let mut summaries: Vec<v1::ModuleSummary> = Vec::new();
        for spec in found {
            let known = summaries.iter_mut().find(|summary| summary.name == spec.name.as_str());
            let is_builtin = specs.iter().any(|(one, is_builtin)| *is_builtin && std::ptr::eq(one, spec));
            match known {
                Some(summary) => summary.versions.push(spec.version.to_string()),
                None if is_builtin => summaries.push(wire::summary(spec, Source::Catalog)),
                None => summaries.push(wire::summary(spec, Source::Added)),
            }
        }
        for summary in &mut summaries {
            summary.versions.sort_by_key(|version| std::cmp::Reverse(precedence_of(version)));
        }
        Ok(summaries)
    }

    pub async fn show_module(&self, request: &v1::ShowModuleRequest) -> Result<v1::ModuleDetail, FleetError> {
        let module = self.resolve(&request.module).await?;
        let versions = self.releases_of(&module.release.module).await?;
        let package_bytes =
            versions.iter().find(|one| one.release == module.release).map_or(0, |one| one.package_bytes);
        let is_builtin = versions.iter().any(|one| one.release == module.release && one.is_builtin);
        let mut numbers: Vec<_> = versions.iter().collect();
        numbers.sort_by_key(|record| std::cmp::Reverse(precedence(record)));
        let source = if is_builtin { Source::Catalog } else { Source::Added };
        let mut summary = wire::summary(&module.spec, source);
        summary.versions = numbers.iter().map(|record| record.release.version.clone()).collect();
        let spec_json = serde_json::to_string(&module.spec)
            .map_err(|cause| FleetError::Unreadable { what: request.module.clone(), cause: cause.into() })?;
        Ok(v1::ModuleDetail {
            summary: Some(summary),
            release: Some(wire::release(&module.release)),
            spec_json,
            package_bytes,
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
        let entries = list_json::<ModuleRecord>(self.store.as_ref(), &keys::module(name)).await?.entries;
        let chosen: Vec<_> = entries
            .into_iter()
            .filter(|kept| !kept.value.is_builtin)
            .filter(|kept| version.is_none_or(|version| kept.value.release.version == version))
            .collect();
        if chosen.is_empty() {
            return Err(self.nothing_to_remove(name).await?);
        }
        self.check_unused(name, &chosen).await?;
        let preconditions = chosen.iter().map(Stored::unchanged).collect();
        let ops = chosen.iter().map(|kept| Op::Delete { key: kept.key.clone() }).collect();
        self.store.commit(Txn { preconditions, ops }).await?;
        Ok(chosen.iter().map(|kept| wire::release(&kept.value.release)).collect())
    }

    async fn nothing_to_remove(&self, name: &str) -> Result<FleetError, FleetError> {
        if self.built_in(name).is_some() {
            let message = format!("{name} is built in and cannot be removed");
            return Ok(FleetError::Invalid { message, hint: None });
        }
        self.no_such_module(name).await
    }

    async fn check_unused(&self, name: &str, chosen: &[Stored<ModuleRecord>]) -> Result<(), FleetError> {
        let deployments = self.recall().await?.deployments;
        let uses = |record: &DeploymentRecord| {
            chosen.iter().any(|kept| kept.value.release.digest == record.current.wish.release.digest)
        };
        let users = deployments.values().filter(|kept| uses(&kept.value));
        let by: Vec<_> = users.map(|kept| kept.value.name.to_string()).collect();
        if by.is_empty() { Ok(()) } else { Err(FleetError::ModuleInUse { module: name.to_owned(), by }) }
    }
}
