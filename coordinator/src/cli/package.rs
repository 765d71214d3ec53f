//! Packs a folder, or reads a package, and hands its bytes to the coordinator.

use std::path::Path;

use modules::compose::module::ComposeFiles;
use modules::digest::Digest;
use modules::package::{self, PackageError};
use modules::safety::{self, Finding};
use modules::spec::ModuleSpec;
use modules::spec::error::SpecErrors;
use proto::code::Code;
use proto::v1;
use proto::v1::put_package_request::{Options, Part};

use super::Context;
use super::problem::{Failure, Problem};
use crate::fleet::look_over;
use crate::rpc::Client;

/// A package ready to be sent, and what its MODULE.yaml says.
#[derive(Debug)]
pub struct Packed {
    pub spec: ModuleSpec,
    pub digest: Digest,
    pub bytes: Vec<u8>,
    /// What its compose file needs, if it has one.
    pub compose: Option<ComposeFiles>,
}

impl Packed {
    /// What people should know of how its compose file is read.
    pub fn notes(&self) -> &[String] {
        self.compose.as_ref().map_or(&[], |compose| &compose.notes)
    }
}

const CHUNK: usize = 256 * 1024;

pub fn pack(folder: &Path) -> Result<Packed, Failure> {
    let packed = package::pack(folder)?;
    let (spec, digest) = (packed.spec.clone(), packed.digest);
    let compose = packed.compose.clone();
    let bytes =
        packed.into_bytes().map_err(|cause| Failure::io("could not read back the package", &cause))?;
    Ok(Packed { spec, digest, bytes, compose })
}

/// Reads a package, and checks it the way a node will.
pub fn read(path: &Path) -> Result<Packed, Failure> {
    let verified = package::verify(path)?;
    let failed = |cause| Failure::io(format!("could not read {}", path.display()), &cause);
    let bytes = std::fs::read(path).map_err(failed)?;
    if Digest::of(&bytes) != verified.digest {
        return Err(Failure::invalid(format!("{} changed while it was read", path.display())));
    }
    let (spec, digest, compose) = (verified.spec, verified.digest, verified.compose);
    Ok(Packed { spec, digest, bytes, compose })
}

impl From<PackageError> for Failure {
    fn from(error: PackageError) -> Self {
        let failure = match &error {
            PackageError::Spec(mistakes) => {
                Failure::new(Code::InvalidInput, mistakes).beneath(count(mistakes))
            }
            other => Failure::new(code(other), other),
        };
        match error.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

fn count(mistakes: &SpecErrors) -> String {
    match mistakes.errors.len() + mistakes.omitted {
        1 => "the module has a mistake".into(),
        many => format!("the module has {many} mistakes"),
    }
}

fn code(error: &PackageError) -> Code {
    match error {
        PackageError::Walk { .. } | PackageError::Changed { .. } | PackageError::Write { .. } => Code::Failed,
        PackageError::Read { cause, .. } if cause.kind() != std::io::ErrorKind::NotFound => Code::Failed,
        PackageError::Read { .. }
        | PackageError::NoManifest { .. }
        | PackageError::Spec(_)
        | PackageError::Special { .. }
        | PackageError::SpecialMode { .. }
        | PackageError::NotUtf8 { .. }
        | PackageError::TooBig { .. }
        | PackageError::Image { .. }
        | PackageError::ImageArch { .. }
        | PackageError::Refused { .. }
        | PackageError::Bad { .. } => Code::InvalidInput,
    }
}

/// Sends the package, and what is to be said of it; the coordinator checks it and answers with its release.
pub async fn send_with(
    client: &mut Client,
    packed: Packed,
    options: Options,
) -> Result<v1::Release, Failure> {
    let part = |part| v1::PutPackageRequest { part: Some(part) };
    let first = [part(Part::Digest(packed.digest.to_string())), part(Part::Options(options))];
    let size = packed.bytes.len();
    let chunk = move |start: usize| part(Part::Chunk(packed.bytes[start..size.min(start + CHUNK)].to_vec()));
    let messages = first.into_iter().chain((0..size).step_by(CHUNK).map(chunk));
    Ok(client.put_package(tokio_stream::iter(messages)).await?.into_inner())
}

/// What the safety check says of the package.
pub fn findings(packed: &Packed) -> Result<Vec<Finding>, Failure> {
    let failed = |cause| Failure::io("could not write a temporary file", &cause);
    let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
    std::io::Write::write_all(&mut file, &packed.bytes).map_err(failed)?;
    let contents = modules::package::contents(file.path())?;
    look_over(&contents, packed.compose.as_ref()).map_err(|mistakes| PackageError::from(mistakes).into())
}

/// The signature beside a package or a folder, where there is one: `web-1.0.0.tar.gz.minisig`.
pub fn signature(path: &Path) -> Result<Vec<u8>, Failure> {
    let beside = signature_path(path);
    match std::fs::read(&beside) {
        Ok(bytes) => Ok(bytes),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(cause) => Err(Failure::io(format!("could not read {}", beside.display()), &cause)),
    }
}

pub fn signature_path(path: &Path) -> std::path::PathBuf {
    let path = path.components().as_path();
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// That a version means what was just sent, and not other content that was there before.
pub async fn check_named(
    context: &Context,
    client: &mut Client,
    release: &v1::Release,
) -> Result<(), Failure> {
    let name = format!("{}@{}", release.module, release.version);
    let request = context.request(v1::ShowModuleRequest { module: name.clone() });
    let known = client.show_module(request).await?.into_inner().release.unwrap_or_default();
    if known.digest == release.digest {
        return Ok(());
    }
    let message = format!("{name} is in the registry already, with other content");
    let hint = format!("raise the version, or `orchestrator module remove {name}` first");
    Err(Failure::from(Problem::new(Code::Conflict, message)).with_hint(hint))
}

/// What a dry run needs of it.
pub fn unregistered(
    packed: &Packed,
    accept: &[String],
    signature: &[u8],
) -> Result<v1::UnregisteredModule, Failure> {
    use v1::unregistered_module::Finding as Open;
    let findings = findings(packed)?;
    let open = safety::unaccepted(&findings, accept);
    let open = open.into_iter().map(|finding| Open { id: finding.id.clone(), text: finding.to_string() });
    let spec_json = serde_json::to_string(&packed.spec)
        .map_err(|cause| Failure::invalid(format!("the module cannot be sent: {cause}")))?;
    Ok(v1::UnregisteredModule {
        spec_json,
        digest: packed.digest.to_string(),
        open_findings: open.collect(),
        is_signed: !signature.is_empty(),
    })
}

/// `name@digest`, which names exactly these bytes.
pub fn exact_name(release: &v1::Release) -> String {
    format!("{}@{}", release.module, release.digest)
}
