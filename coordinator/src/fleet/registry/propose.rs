//! Modules that a model would like there to be: packed, looked over and kept as drafts, like imported ones. To deploy one
//! is for people alone.

use std::path::Path;

use proto::v1;
use proto::v1::ask_event::ModuleDrafted;

use crate::fleet::{Fleet, FleetError};

/// Bytes of a MODULE.yaml that a model wrote.
const MOST: usize = 64 << 10;

impl Fleet {
    /// Keeps a draft, or tells why it is not kept. What the safety check finds is accepted by nobody here, so a draft that
    /// asks for much is not kept.
    ///
    /// # Errors
    /// Where the store or the disk fails.
    pub(in crate::fleet) async fn keep_draft(&self, yaml: &str) -> Result<ModuleDrafted, FleetError> {
        let refused = |problem: String| ModuleDrafted { problem, ..ModuleDrafted::default() };
        if yaml.len() > MOST {
            return Ok(refused(format!("its MODULE.yaml has {} bytes, more than {MOST}", yaml.len())));
        }
        let text = yaml.to_owned();
        let packed = tokio::task::spawn_blocking(move || pack(&text)).await.expect("packing does not panic");
        let packed = match packed {
            Ok(packed) => packed,
            Err(problem) => return Ok(refused(problem)),
        };
        let (module, version) = (packed.module.clone(), packed.version.clone());
        if self.known_modules().await?.contains_key(&module) {
            return Ok(ModuleDrafted {
                module,
                version,
                problem: "there is a module of that name".to_owned(),
            });
        }
        let arrived = self.blobs.arrival().await?;
        tokio::fs::write(arrived.path(), &packed.bytes)
            .await
            .map_err(|cause| FleetError::Unwritable { what: "a drafted module", cause })?;
        let origin =
            v1::ModuleOrigin { source: SOURCE.to_owned(), draft: true, ..v1::ModuleOrigin::default() };
        let options = v1::put_package_request::Options { origin: Some(origin), ..Default::default() };
        match self.take_in(arrived, &packed.digest, options).await {
            Ok(release) => {
                Ok(ModuleDrafted { module: release.module, version: release.version, problem: String::new() })
            }
            Err(FleetError::Store(error)) => Err(error.into()),
            Err(FleetError::Blob(error)) => Err(error.into()),
            Err(error) => Ok(ModuleDrafted { module, version, problem: error.to_string() }),
        }
    }
}

/// What `module show` says of where it came from.
const SOURCE: &str = "drafted by a model";

struct Packed {
    module: String,
    version: String,
    digest: String,
    bytes: Vec<u8>,
}

/// Packs a MODULE.yaml alone; whatever is wrong with it is told as text.
fn pack(yaml: &str) -> Result<Packed, String> {
    let told = |error: &dyn std::error::Error| {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    let folder = tempfile::tempdir().map_err(|cause| told(&cause))?;
    std::fs::write(folder.path().join("MODULE.yaml"), yaml).map_err(|cause| told(&cause))?;
    pack_folder(folder.path()).map_err(|cause| told(cause.as_ref()))
}

fn pack_folder(folder: &Path) -> Result<Packed, Box<dyn std::error::Error>> {
    let package = modules::package::pack(folder)?;
    let release = package.release();
    let (module, version, digest) =
        (release.module.to_string(), release.version.to_string(), release.digest.to_string());
    Ok(Packed { module, version, digest, bytes: package.into_bytes()? })
}
