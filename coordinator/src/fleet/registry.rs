//! The registry of modules: releases that were added, and the built-in catalog. A release is kept under its digest
//! for good, so what runs can always be described; a version names one of them.

mod commands;
mod curation;
mod gaps;
pub(in crate::fleet) mod known;
mod load;
mod origin;
mod parts;
mod propose;
mod record;
mod registries;
mod suggest;
pub mod vetting;

use futures::StreamExt as _;
use modules::catalog::CatalogModule;
use modules::compose::module::ComposeFiles;
use modules::digest::Digest;
use modules::name::ModuleName;
use modules::package::PackageError;
use modules::registry::Wanted;
use modules::spec::ModuleSpec;
use modules::suggest::closest;
use modules::version::Version;
use prost::Message as _;
use proto::v1;
use proto::v1::put_package_request::{Options, Part};
use tokio::io::AsyncWriteExt as _;
use tonic::Streaming;

use super::spec::Resolved;
use super::{Fleet, FleetError, compose, keys, wire};
use crate::blobs::{Arrival, Fetched};
use crate::domain::deployment::Release;
use crate::fault;
use crate::store::json::{get_json, list_json, put_json};
use crate::store::{Precondition, StoreError, Txn};

pub use origin::Origin;
use record::ModuleRecord;

/// Largest package that is taken, in bytes.
const MAX_PACKAGE: u64 = 4 << 30;

/// What for a module is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Deploy,
    DryRun,
}

/// What is said of a package before its bytes.
#[derive(Debug, Default)]
struct Announced {
    digest: Option<String>,
    options: Options,
}

impl Fleet {
    /// What `name`, `name@version` or `name@sha256:…` means. What is built in is taken into the registry with that.
    pub(super) async fn resolve(&self, reference: &str) -> Result<Resolved, FleetError> {
        self.find(reference, Use::Deploy).await
    }

    /// The same for a dry run, which writes nothing.
    pub(super) async fn resolve_untouched(&self, reference: &str) -> Result<Resolved, FleetError> {
        self.find(reference, Use::DryRun).await
    }

    async fn find(&self, reference: &str, purpose: Use) -> Result<Resolved, FleetError> {
        let (name, wanted) = match reference.split_once('@') {
            Some((name, wanted)) => (name, Some(wanted)),
            None => (reference, None),
        };
        if name.is_empty() || wanted == Some("") {
            return Err(FleetError::Invalid {
                message: format!("{reference:?} is no module: it is written NAME or NAME@VERSION"),
                hint: Some("`orchestrator module list` shows all that are known".to_owned()),
            });
        }
        if let Some(digest) = wanted.filter(|wanted| wanted.starts_with("sha256:")) {
            let release =
                Release { module: name.to_owned(), version: String::new(), digest: digest.to_owned() };
            return self.release(&release).await;
        }
        let mut records = self.releases_for(name, purpose).await?;
        records.sort_by_key(precedence);
        let unknown = |version: &str| FleetError::NoSuchVersion {
            module: name.to_owned(),
            version: version.to_owned(),
            known: records.iter().rev().map(|record| record.release.version.clone()).collect(),
        };
        let asked = wanted
            .map_or(Ok(Wanted::Latest), Wanted::parse)
            .map_err(|_| unknown(wanted.unwrap_or_default()))?;
        let curation = self.curation(name).await?.value;
        let all: Vec<&Version> = records.iter().map(|record| &record.spec.version).collect();
        let version = match wanted {
            None => curation.choose(&all),
            Some(_) => asked.choose(all.iter().copied()),
        };
        let chosen = records.iter().find(|record| Some(&record.spec.version) == version);
        match (chosen, wanted) {
            (Some(record), _) => Ok(resolved(record.clone())),
            (None, Some(version)) if !records.is_empty() => Err(unknown(version)),
            (None, _) => Err(self.no_such_module(name).await?),
        }
    }

    /// A release that is known already, by its digest.
    pub(super) async fn release(&self, release: &Release) -> Result<Resolved, FleetError> {
        match get_json::<ModuleRecord>(self.store.as_ref(), &keys::release(&release.digest)).await? {
            Some(kept) => Ok(resolved(kept.value)),
            None => Err(FleetError::NoSuchVersion {
                module: release.module.clone(),
                version: release.digest.clone(),
                known: Vec::new(),
            }),
        }
    }

    /// The bytes of a package, for a node, which compares them with the digest.
    pub(super) async fn package(&self, digest: &str) -> Result<Fetched, FleetError> {
        Ok(self.blobs.open(&parse_digest(digest)?).await?)
    }

    /// Sets a package aside where its bytes are not what its digest says, and says so.
    pub(super) async fn check_package(&self, digest: &str) -> Result<(), FleetError> {
        self.blobs.fetch(&parse_digest(digest)?).await?;
        Ok(())
    }

    /// Takes a package in, checks it, and registers its release. Its version comes to mean it, unless that version
    /// already means other content; then only its digest names it.
    pub async fn put_package(
        &self,
        mut parts: Streaming<v1::PutPackageRequest>,
    ) -> Result<v1::Release, FleetError> {
        let arrived = self.blobs.arrival().await?;
        let announced = receive(&mut parts, arrived.reopen().map_err(unwritable)?).await?;
        fault::point("package.arrived");
        self.take_in(arrived, &announced.digest.unwrap_or_default(), announced.options).await
    }

    /// Checks a package that arrived, and registers its release.
    pub(super) async fn take_in(
        &self,
        arrived: Arrival,
        digest: &str,
        options: Options,
    ) -> Result<v1::Release, FleetError> {
        let path = arrived.path().to_owned();
        let verified = tokio::task::spawn_blocking(move || modules::package::verify(&path)).await;
        let verified = verified.expect("verifying does not panic").map_err(bad_package)?;
        let containers = containers(&verified.spec, verified.compose.as_ref())?;
        if verified.digest.to_string() != digest {
            let message = "the package arrived damaged: its digest is not the one announced".to_owned();
            return Err(FleetError::Invalid { message, hint: Some("send it again".to_owned()) });
        }
        let vetted = self.vet(arrived.path(), digest, verified.compose, &options).await?;
        self.blobs.put_file(&verified.digest, arrived.path()).await?;
        fault::point("package.stored");
        let record = ModuleRecord {
            origin: options.origin.map(Origin::from),
            accepted: vetted.accepted,
            signed_by: vetted.signed_by,
            signature: vetted.signature,
            ..self.record_of(verified.spec, containers, verified.digest, verified.size, false)
        };
        match options.staged {
            true => drop(self.stage(&record).await?),
            false => self.register(&record).await?,
        }
        Ok(wire::release(&record.release))
    }

    fn record_of(
        &self,
        spec: ModuleSpec,
        (containers, notes): (Vec<u8>, Vec<String>),
        digest: Digest,
        package_bytes: u64,
        is_builtin: bool,
    ) -> ModuleRecord {
        let release = Release {
            module: spec.name.to_string(),
            version: spec.version.to_string(),
            digest: digest.to_string(),
        };
        ModuleRecord {
            release,
            spec,
            containers,
            notes,
            package_bytes,
            is_builtin,
            added_at: self.clock.now(),
            origin: None,
            accepted: Vec::new(),
            signed_by: None,
            signature: None,
        }
    }

    /// Keeps a release under its digest, by which alone it is known then; gives all that is known of it.
    async fn stage(&self, record: &ModuleRecord) -> Result<ModuleRecord, FleetError> {
        let key = keys::release(&record.release.digest);
        let mut record = record.clone();
        if let Some(known) = get_json::<ModuleRecord>(self.store.as_ref(), &key).await? {
            record.learn(&known.value);
        }
        let by_digest = put_json(key, &record)?;
        self.store.commit(Txn { preconditions: Vec::new(), ops: vec![by_digest] }).await?;
        fault::point("package.registered");
        Ok(record)
    }

    async fn register(&self, record: &ModuleRecord) -> Result<(), FleetError> {
        let mut record = self.stage(record).await?;
        let key = keys::module_version(&record.release.module, &record.release.version);
        let kept = get_json::<ModuleRecord>(self.store.as_ref(), &key).await?;
        // What is built in follows the program; what was added never changes.
        let precondition = match kept {
            Some(kept) if kept.value.is_builtin && kept.value.release != record.release => kept.unchanged(),
            // But who signed it may have become known.
            Some(kept) if kept.value.release == record.release => {
                let ModuleRecord { signed_by, signature, .. } = record;
                record = ModuleRecord { signed_by, signature, ..kept.value.clone() };
                record.learn(&kept.value);
                if record == kept.value {
                    return Ok(());
                }
                kept.unchanged()
            }
            Some(_) => return Ok(()),
            None => Precondition::Absent { key: key.clone() },
        };
        let txn = Txn { preconditions: vec![precondition], ops: vec![put_json(key, &record)?] };
        match self.store.commit(txn).await {
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All releases of one module: added ones, and the built-in one, which is taken into the registry on first use.
    async fn releases_of(&self, name: &str) -> Result<Vec<ModuleRecord>, FleetError> {
        self.releases_for(name, Use::Deploy).await
    }

    async fn releases_for(&self, name: &str, purpose: Use) -> Result<Vec<ModuleRecord>, FleetError> {
        let built_in = match self.built_in(name) {
            Some(module) => self.take_built_in(name, module, purpose).await?,
            None => None,
        };
        self.finish_journal().await?;
        let kept = list_json::<ModuleRecord>(self.store.as_ref(), &keys::module(name)).await?.entries;
        let mut records: Vec<ModuleRecord> = kept.into_iter().map(|kept| kept.value).collect();
        if let Some(built_in) = built_in {
            // What a former program had under this version gives way, as it does when it is deployed.
            records.retain(|record| record.release.version != built_in.release.version);
            records.push(built_in);
        }
        if records.is_empty() {
            records = self.of_registries(name).await?;
        }
        Ok(records)
    }

    /// Registers what is built in, where that is new; for a dry run it gives what would be registered instead.
    async fn take_built_in(
        &self,
        name: &str,
        module: &CatalogModule,
        purpose: Use,
    ) -> Result<Option<ModuleRecord>, FleetError> {
        let key = keys::module_version(name, &module.spec.version.to_string());
        let known = get_json::<ModuleRecord>(self.store.as_ref(), &key).await?;
        let package = module.pack().map_err(bad_package)?;
        let digest = package.digest;
        let is_known = known
            .is_some_and(|kept| kept.value.release.digest == digest.to_string() || !kept.value.is_builtin);
        if is_known && (purpose == Use::DryRun || self.blobs.has(&digest).await?) {
            return Ok(None);
        }
        let (spec, size, compose) = (package.spec.clone(), package.size, package.compose.clone());
        let bytes = package.into_bytes().map_err(unwritable)?;
        let containers = containers(&spec, compose.as_ref())?;
        let record = self.record_of(spec, containers, digest, size, true);
        if purpose == Use::DryRun {
            return Ok(Some(record));
        }
        self.blobs.put(&digest, bytes.as_slice()).await?;
        self.register(&record).await?;
        Ok(None)
    }

    fn built_in(&self, name: &str) -> Option<&'static CatalogModule> {
        self.catalog.get(&ModuleName::parse(name).ok()?)
    }

    async fn no_such_module(&self, name: &str) -> Result<FleetError, FleetError> {
        let known = self.known().await?;
        let names = known.iter().map(|known| known.spec.name.as_str());
        Ok(FleetError::NoSuchModule {
            name: name.to_owned(),
            similar: closest(name, names).map(str::to_owned),
        })
    }
}

fn parse_digest(digest: &str) -> Result<Digest, FleetError> {
    Digest::parse(digest)
        .map_err(|cause| FleetError::Unreadable { what: digest.to_owned(), cause: cause.into() })
}

fn resolved(record: ModuleRecord) -> Resolved {
    let containers = (!record.containers.is_empty())
        .then(|| v1::ContainerGroup::decode(record.containers.as_slice()).ok())
        .flatten();
    Resolved { release: record.release, spec: record.spec, containers }
}

/// What a module's compose file comes to, and the notes on it; nothing for other runtimes.
fn containers(
    spec: &ModuleSpec,
    compose: Option<&ComposeFiles>,
) -> Result<(Vec<u8>, Vec<String>), FleetError> {
    let Some(files) = compose else { return Ok(Default::default()) };
    let carried = compose::group(spec, files)?;
    Ok((carried.group.encode_to_vec(), carried.notes))
}

/// Higher versions come later; a pre-release comes before all that are none.
fn precedence(record: &ModuleRecord) -> (bool, Option<Version>) {
    precedence_of(&record.release.version)
}

fn precedence_of(version: &str) -> (bool, Option<Version>) {
    let version = Version::parse(version).ok();
    (version.as_ref().is_some_and(|version| !version.is_prerelease()), version)
}

fn bad_package(error: PackageError) -> FleetError {
    let hint = error.hint();
    FleetError::BadPackage { hint, cause: Box::new(error) }
}

/// Writes what arrives to `file`; gives what was said before.
async fn receive(
    parts: &mut Streaming<v1::PutPackageRequest>,
    file: std::fs::File,
) -> Result<Announced, FleetError> {
    let mut file = tokio::fs::File::from_std(file);
    let mut announced = Announced::default();
    let mut size = 0;
    while let Some(part) = parts.next().await {
        match part.map_err(|status| interrupted(&status))?.part {
            Some(Part::Digest(digest)) => announced.digest = Some(digest),
            Some(Part::Options(options)) => announced.options = options,
            Some(Part::Chunk(chunk)) => {
                size += chunk.len() as u64;
                if size > MAX_PACKAGE {
                    let message = format!("the package has more than {MAX_PACKAGE} bytes");
                    return Err(FleetError::Invalid { message, hint: None });
                }
                file.write_all(&chunk).await.map_err(unwritable)?;
            }
            None => {}
        }
    }
    file.flush().await.map_err(unwritable)?;
    Ok(announced)
}

fn unwritable(cause: std::io::Error) -> FleetError {
    FleetError::Unwritable { what: "the package", cause }
}

fn interrupted(status: &tonic::Status) -> FleetError {
    FleetError::Invalid {
        message: format!("the package did not arrive whole: {}", status.message()),
        hint: None,
    }
}
