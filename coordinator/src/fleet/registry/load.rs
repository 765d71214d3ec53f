//! Many releases at once, all or none: what is decided is written down first, in one key, and carried out then. Who
//! comes next after a crash carries on, before looking at the registry.

use std::collections::BTreeMap;

use futures::stream::{self, BoxStream, StreamExt as _};
use proto::v1;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use super::curation::Curation;
use super::{ModuleRecord, parse_digest};
use crate::domain::deployment::Release;
use crate::fault;
use crate::fleet::{Fleet, FleetError, keys, wire};
use crate::store::json::{Stored, get_json, put_json};
use crate::store::{Op, Precondition, Revision, StoreError, Txn};

/// Kept while a change is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Journal {
    releases: Vec<Release>,
    curations: BTreeMap<String, Curation>,
}

/// Written at once; far below what a transaction takes.
const BATCH: usize = 8;
const CHUNK: usize = 256 << 10;

impl Fleet {
    /// Names releases that were staged.
    pub async fn load_modules(
        &self,
        request: &v1::LoadModulesRequest,
    ) -> Result<v1::LoadModulesReply, FleetError> {
        self.finish_journal().await?;
        let mut reply = v1::LoadModulesReply::default();
        let mut journal = Journal::default();
        for release in &request.releases {
            let record = self.staged(release).await?;
            match self.named(&record.release).await? {
                Some(kept) if kept.digest == record.release.digest => {
                    // Who signed it may be known only now.
                    self.register(&record).await?;
                    reply.present.push(release.clone());
                }
                Some(_) => return Err(other_content(&record.release)),
                None => {
                    reply.added.push(release.clone());
                    journal.releases.push(record.release);
                }
            }
        }
        for said in &request.curations {
            let pinned = Some(said.pinned.clone()).filter(|pinned| !pinned.is_empty());
            let curation = Curation { pinned, deprecated: said.deprecated.clone() };
            let is_loaded = request.releases.iter().any(|release| release.module == said.module);
            let own = self.curation(&said.module).await?.value;
            match taken(&said.module, is_loaded, &own, &curation) {
                Ok(true) => drop(journal.curations.insert(said.module.clone(), curation)),
                Ok(false) => {}
                Err(note) => reply.notes.push(note),
            }
        }
        self.decide(&journal).await?;
        fault::point("registry.decided");
        self.finish_journal().await?;
        Ok(reply)
    }

    async fn decide(&self, journal: &Journal) -> Result<(), FleetError> {
        let key = keys::REGISTRY_JOURNAL.to_owned();
        let txn = Txn::new().when(Precondition::Absent { key: key.clone() }).then(put_json(key, journal)?);
        match self.store.commit(txn).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { .. }) => {
                let message = "somebody else changes the registry just now".to_owned();
                Err(FleetError::Invalid { message, hint: Some("try again".to_owned()) })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Carries out what was decided; nothing to do nearly always.
    pub(super) async fn finish_journal(&self) -> Result<(), FleetError> {
        let journal = get_json::<Journal>(self.store.as_ref(), keys::REGISTRY_JOURNAL).await?;
        let Some(journal) = journal else { return Ok(()) };
        for releases in journal.value.releases.chunks(BATCH) {
            let mut txn = Txn::new();
            for release in releases {
                if self.named(release).await?.is_none()
                    && let Some(record) =
                        get_json::<ModuleRecord>(self.store.as_ref(), &keys::release(&release.digest)).await?
                {
                    txn = txn.then(put_json(
                        keys::module_version(&release.module, &release.version),
                        &record.value,
                    )?);
                }
            }
            if !txn.ops.is_empty() {
                self.store.commit(txn).await?;
            }
            fault::point("registry.batch");
        }
        let mut last = Txn::new().when(journal.unchanged());
        for (module, curation) in &journal.value.curations {
            let own = self.curation(module).await?;
            // What a person said meanwhile stays.
            if own.value.is_empty() {
                let seen = Some(own.revision).filter(|revision| *revision != Revision(0));
                let key = keys::curation(module);
                last = last.when(Precondition::as_seen(key.clone(), seen)).then(put_json(key, curation)?);
            }
        }
        match self.store.commit(last.then(Op::delete(keys::REGISTRY_JOURNAL))).await {
            // Somebody else carried it out at the same time.
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What a version means now, where something was added under it.
    async fn named(&self, release: &Release) -> Result<Option<Release>, FleetError> {
        let key = keys::module_version(&release.module, &release.version);
        let kept: Option<Stored<ModuleRecord>> = get_json(self.store.as_ref(), &key).await?;
        Ok(kept.map(|kept| kept.value.release))
    }

    /// A release whose package is here, whether it has a name or not.
    pub(super) async fn staged(&self, release: &v1::Release) -> Result<ModuleRecord, FleetError> {
        let kept = get_json::<ModuleRecord>(self.store.as_ref(), &keys::release(&release.digest)).await?;
        let record = kept.map(|kept| kept.value).filter(|record| wire::release(&record.release) == *release);
        record.ok_or_else(|| FleetError::Invalid {
            message: format!("the package of {}@{} was not sent", release.module, release.version),
            hint: Some("send it again".to_owned()),
        })
    }

    /// The bytes of a package, for another registry.
    pub async fn get_package(
        &self,
        request: &v1::GetPackageRequest,
    ) -> Result<BoxStream<'static, Result<v1::PackageChunk, FleetError>>, FleetError> {
        let module = self.resolve(&request.module).await?;
        let fetched = self.blobs.fetch(&parse_digest(&module.release.digest)?).await?;
        let unreadable =
            |cause| FleetError::Unreadable { what: "the package".to_owned(), cause: Box::new(cause) };
        let file = tokio::fs::File::open(fetched.path()).await.map_err(unreadable)?;
        let chunks = stream::try_unfold((file, fetched), move |(mut file, fetched)| async move {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).await.map_err(unreadable)?;
            chunk.truncate(read);
            Ok((read > 0).then_some((v1::PackageChunk { chunk }, (file, fetched))))
        });
        Ok(chunks.boxed())
    }
}

/// Whether what an archive says of a module is taken; or why not, for the person who loads it.
fn taken(module: &str, is_loaded: bool, own: &Curation, said: &Curation) -> Result<bool, String> {
    if !is_loaded {
        return Err(format!("what the archive says of {module} is left out: {module} is not in it"));
    }
    if own.is_empty() || own == said {
        return Ok(own != said);
    }
    Err(format!(
        "{module} keeps the pin and deprecations it has here; the archive has others \
         (`orchestrator module versions {module}`)"
    ))
}

fn other_content(release: &Release) -> FleetError {
    FleetError::OtherContent { module: release.module.clone(), version: release.version.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_says_something_of_its_own_modules_where_nobody_here_has() {
        let pinned = |version: &str| Curation { pinned: Some(version.to_owned()), ..Curation::default() };
        let nothing = Curation::default();
        let check = |is_loaded, own: &Curation, expected: Result<bool, &str>| {
            let found = taken("tea", is_loaded, own, &pinned("1.0.0"));
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected),
                (Err(note), Err(words)) => assert!(note.contains(words), "{note}"),
                _ => panic!("{found:?}"),
            }
        };
        check(true, &nothing, Ok(true));
        check(true, &pinned("1.0.0"), Ok(false));
        check(true, &pinned("2.0.0"), Err("keeps the pin"));
        check(false, &nothing, Err("is not in it"));
    }
}
