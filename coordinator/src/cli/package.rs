//! Packs a folder, or reads a package, and hands its bytes to the coordinator.

use std::path::Path;

use modules::digest::Digest;
use modules::spec::ModuleSpec;
use modules::unpack::{self, Fault, Limits, UnpackError};
use proto::code::Code;
use proto::v1;
use proto::v1::put_package_request::Part;

use super::problem::Failure;
use crate::rpc::Client;

/// A package ready to be sent, and what its MODULE.yaml says.
#[derive(Debug)]
pub struct Packed {
    pub spec: ModuleSpec,
    pub digest: Digest,
    pub bytes: Vec<u8>,
}

const CHUNK: usize = 256 * 1024;

pub fn pack(_folder: &Path) -> Result<Packed, Failure> {
    Err(Failure::invalid("packing is not there yet"))
}

/// Reads a package, and checks it the way a node will: by unpacking it.
pub fn read(path: &Path) -> Result<Packed, Failure> {
    let failed = |cause| Failure::io(format!("could not read {}", path.display()), &cause);
    let bytes = std::fs::read(path).map_err(failed)?;
    let digest = Digest::of(&bytes);
    let folder =
        tempfile::tempdir().map_err(|cause| Failure::io("could not make a temporary folder", &cause))?;
    unpack::unpack(bytes.as_slice(), &digest, bytes.len() as u64, folder.path(), &Limits::default())
        .map_err(|error| from_unpack(path, &error))?;
    let manifest = folder.path().join(digest.hex()).join(unpack::MANIFEST);
    let text = std::fs::read(&manifest).map_err(failed)?;
    let name = format!("{}:{}", path.display(), unpack::MANIFEST);
    let spec =
        ModuleSpec::parse_bytes(&name, &text).map_err(|error| Failure::new(Code::InvalidInput, &error))?;
    Ok(Packed { spec, digest, bytes })
}

fn from_unpack(path: &Path, error: &UnpackError) -> Failure {
    let code = match error.fault() {
        Fault::Package | Fault::Transfer => Code::InvalidInput,
        Fault::Disk => Code::Failed,
    };
    let failure = Failure::new(code, error).beneath(format!("{} is not a good package", path.display()));
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// Sends the package; the coordinator checks it and answers with its release.
pub async fn send(client: &mut Client, packed: Packed) -> Result<v1::Release, Failure> {
    let part = |part| v1::PutPackageRequest { part: Some(part) };
    let first = part(Part::Digest(packed.digest.to_string()));
    let chunks: Vec<_> = packed.bytes.chunks(CHUNK).map(|chunk| part(Part::Chunk(chunk.to_vec()))).collect();
    let messages = std::iter::once(first).chain(chunks);
    Ok(client.put_package(tokio_stream::iter(messages)).await?.into_inner())
}

/// `name@digest`, which names exactly these bytes.
pub fn exact_name(release: &v1::Release) -> String {
    format!("{}@{}", release.module, release.digest)
}
