//! Packs a folder, or reads a package, and hands its bytes to the coordinator.

use std::path::Path;

use proto::v1;
use proto::v1::put_package_request::Part;

use super::Context;
use super::problem::Failure;
use crate::rpc::Client;

/// A package ready to be sent.
#[derive(Debug)]
pub struct Packed {
    pub digest: modules::digest::Digest,
    pub bytes: Vec<u8>,
}

const CHUNK: usize = 256 * 1024;

pub fn pack(_folder: &Path) -> Result<Packed, Failure> {
    Err(Failure::invalid("packing is not there yet"))
}

pub fn read(path: &Path) -> Result<Packed, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|cause| Failure::io(format!("could not read {}", path.display()), &cause))?;
    Ok(Packed { digest: modules::digest::Digest::of(&bytes), bytes })
}

/// Sends the package and gives `name@digest`, which names exactly these bytes.
pub async fn send(_context: &Context, client: &mut Client, packed: Packed) -> Result<String, Failure> {
    let part = |part| v1::PutPackageRequest { part: Some(part) };
    let first = part(Part::Digest(packed.digest.to_string()));
    let bytes = bytes::Bytes::from(packed.bytes);
    let starts = (0..bytes.len()).step_by(CHUNK);
    let chunks: Vec<_> = starts.map(|start| bytes.slice(start..bytes.len().min(start + CHUNK))).collect();
    let messages =
        std::iter::once(first).chain(chunks.into_iter().map(move |chunk| part(Part::Chunk(chunk.to_vec()))));
    let release = client.put_package(tokio_stream::iter(messages)).await?.into_inner();
    Ok(format!("{}@{}", release.module, release.digest))
}
