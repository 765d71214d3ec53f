//! `module export|load`: modules with all their versions and pins as one file, for a registry that cannot be reached.
//! It is a tar.gz of `modules.json` and the packages by their digests. Nobody vouches for what is loaded but the keys
//! that signed the packages, whose signatures come along.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use modules::digest::Digest;
use modules::signature::Signature;
use proto::code::Code;
use proto::v1;
use proto::v1::load_modules_request::Curation;
use proto::v1::put_package_request::Options;
use serde::{Deserialize, Serialize};
use tokio_stream::StreamExt as _;

use crate::cli::problem::{Failure, Problem};
use crate::cli::{Context, json, package};
use crate::rpc::Client;

const CONTENTS: &str = "modules.json";
const FORMAT: u32 = 1;
/// Of the list of what is in it.
const CONTENTS_BYTES: u64 = 32 << 20;
const PACKAGE_BYTES: u64 = 4 << 30;
const PACKAGES: usize = 100_000;

/// What is in an archive, by name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    format: u32,
    releases: Vec<Release>,
    #[serde(default)]
    curations: BTreeMap<String, Said>,
    /// By the digests of what they sign, as in .minisig files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    signatures: BTreeMap<Digest, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    module: String,
    version: String,
    digest: Digest,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Said {
    pinned: String,
    deprecated: BTreeMap<String, String>,
}

pub async fn export(context: &Context, file: &Path, names: &[String]) -> Result<u8, Failure> {
    let mut client = context.connect().await?;
    let names = match names {
        [] => not_built_in(context, &mut client).await?,
        names => names.to_vec(),
    };
    let (curations, signatures) = Default::default();
    let mut contents = Contents { format: FORMAT, releases: Vec::new(), curations, signatures };
    let folder =
        tempfile::tempdir().map_err(|cause| Failure::io("could not make a temporary folder", &cause))?;
    for name in names {
        let request = context.request(v1::ShowModuleRequest { module: name });
        let detail = client.show_module(request).await?.into_inner();
        for entry in &detail.versions {
            let Some(release) = &entry.release else { continue };
            let digest =
                Digest::parse(&release.digest).map_err(|cause| Failure::new(Code::Internal, &cause))?;
            fetch(&mut client, release, &folder.path().join(digest.hex())).await?;
            let (module, version) = (release.module.clone(), release.version.clone());
            if !entry.signature.is_empty() {
                contents.signatures.insert(digest, entry.signature.clone());
            } else if !entry.signed_by.is_empty() {
                let said =
                    "was signed, but its signature was not kept then: add it again to export it signed";
                context.console.say(&format!("{module}@{version} {said}"));
            }
            contents.releases.push(Release { module, version, digest });
        }
        let said = said(&detail);
        if !said.pinned.is_empty() || !said.deprecated.is_empty() {
            let name = detail.summary.map(|summary| summary.name).unwrap_or_default();
            contents.curations.insert(name, said);
        }
    }
    let bytes = archive(&contents, folder.path())
        .map_err(|cause| Failure::io("could not write the archive", &cause))?;
    super::local::write(file, &bytes)?;
    context.print_or(&contents.releases, |_| {
        format!("{}: {} packages\n", file.display(), contents.releases.len())
    })?;
    Ok(0)
}

async fn not_built_in(context: &Context, client: &mut Client) -> Result<Vec<String>, Failure> {
    let request = context.request(v1::ListModulesRequest::default());
    let modules = client.list_modules(request).await?.into_inner().modules;
    let own = modules.into_iter().filter(|module| module.source() != v1::module_summary::Source::Catalog);
    let names: Vec<String> = own.map(|module| module.name).collect();
    if names.is_empty() {
        return Err(Failure::invalid("no module was added that could be exported")
            .with_hint("name built-in ones: `orchestrator module export FILE redis`"));
    }
    Ok(names)
}

fn said(detail: &v1::ModuleDetail) -> Said {
    let deprecated = detail.versions.iter().filter(|version| !version.deprecated.is_empty());
    Said {
        pinned: detail.summary.as_ref().map(|summary| summary.pinned.clone()).unwrap_or_default(),
        deprecated: deprecated
            .filter_map(|version| {
                Some((version.release.as_ref()?.version.clone(), version.deprecated.clone()))
            })
            .collect(),
    }
}

async fn fetch(client: &mut Client, release: &v1::Release, place: &Path) -> Result<(), Failure> {
    let request = v1::GetPackageRequest { module: package::exact_name(release) };
    let mut chunks = client.get_package(request).await?.into_inner();
    let failed = |cause| Failure::io(format!("could not write {}", place.display()), &cause);
    let mut file = File::create(place).map_err(failed)?;
    while let Some(chunk) = chunks.next().await {
        std::io::Write::write_all(&mut file, &chunk?.chunk).map_err(failed)?;
    }
    Ok(())
}

fn archive(contents: &Contents, packages: &Path) -> std::io::Result<Vec<u8>> {
    // Packages are compressed already.
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let header = |size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(size);
        header
    };
    let text = serde_json::to_vec_pretty(contents)?;
    archive.append_data(&mut header(text.len() as u64), CONTENTS, text.as_slice())?;
    let mut written = std::collections::BTreeSet::new();
    for release in contents.releases.iter().filter(|release| written.insert(release.digest.hex())) {
        let file = File::open(packages.join(release.digest.hex()))?;
        let size = file.metadata()?.len();
        archive.append_data(&mut header(size), path_of(&release.digest), file)?;
    }
    archive.into_inner()?.finish()
}

fn path_of(digest: &Digest) -> String {
    format!("packages/{}.tar.gz", digest.hex())
}

pub async fn load(context: &Context, file: &Path, accept: &[String]) -> Result<u8, Failure> {
    let folder =
        tempfile::tempdir().map_err(|cause| Failure::io("could not make a temporary folder", &cause))?;
    let contents = unpack(file, folder.path()).map_err(|failure| {
        failure.beneath(format!("{} was not loaded; the registry is as it was", file.display()))
    })?;
    let mut client = context.connect().await?;
    let trusted = client.trust(context.request(v1::TrustRequest { change: None })).await?.into_inner();
    for release in &contents.releases {
        let text = contents.signatures.get(&release.digest);
        let signature =
            text.map_or(Ok(Vec::new()), |text| to_be_checked(context, release, text, &trusted))?;
        let packed = package::read(&folder.path().join(format!("{}.tar.gz", release.digest.hex())))?;
        package::send_with(
            &mut client,
            packed,
            Options { staged: true, accept: accept.to_vec(), signature, ..Options::default() },
        )
        .await?;
    }
    let releases = contents.releases.iter().map(wire).collect();
    let curations = contents.curations.into_iter().map(|(module, said)| Curation {
        module,
        pinned: said.pinned,
        deprecated: said.deprecated,
    });
    let request = v1::LoadModulesRequest { releases, curations: curations.collect() };
    let reply = client.load_modules(context.request(request)).await?.into_inner();
    for note in &reply.notes {
        context.console.say(note);
    }
    let shapes: Vec<json::Release<'_>> = reply.added.iter().map(Into::into).collect();
    context.print_or(&shapes, |_| {
        let line = |release: &v1::Release| format!("added {}@{}\n", release.module, release.version);
        let added: String = reply.added.iter().map(line).collect();
        format!("{added}{} added, {} were there already\n", reply.added.len(), reply.present.len())
    })?;
    Ok(0)
}

/// The signature, for the coordinator to check. One by a key that is not trusted counts as none, where none is asked for.
fn to_be_checked(
    context: &Context,
    release: &Release,
    text: &str,
    trusted: &v1::TrustReply,
) -> Result<Vec<u8>, Failure> {
    let signer = Signature::parse(text)?.id.to_string();
    if trusted.refuses_unsigned || trusted.keys.iter().any(|key| key.id == signer) {
        return Ok(text.as_bytes().to_vec());
    }
    let Release { module, version, .. } = release;
    let said =
        format!("{module}@{version} is signed by {signer}, which is not trusted here: taken as unsigned");
    context.console.say(&said);
    Ok(Vec::new())
}

fn wire(release: &Release) -> v1::Release {
    let Release { module, version, digest } = release;
    v1::Release { module: module.clone(), version: version.clone(), digest: digest.to_string() }
}

/// Takes an archive apart into `folder`; checks that each package is the one that the contents name.
fn unpack(file: &Path, folder: &Path) -> Result<Contents, Failure> {
    let bad = |reason: String| {
        Failure::from(Problem::new(Code::InvalidInput, format!("it is no good archive: {reason}")))
    };
    let opened = File::open(file)
        .map_err(|cause| Failure::io(format!("could not open {}", file.display()), &cause))?;
    let mut archive = tar::Archive::new(GzDecoder::new(opened));
    let mut contents: Option<Contents> = None;
    let entries = archive.entries().map_err(|cause| bad(cause.to_string()))?;
    for (number, entry) in entries.enumerate() {
        let mut entry = entry.map_err(|cause| bad(cause.to_string()))?;
        let path = entry.path_bytes().into_owned();
        let path = String::from_utf8_lossy(&path).into_owned();
        if number > PACKAGES || !entry.header().entry_type().is_file() {
            return Err(bad(format!("{path:?} does not belong there")));
        }
        if number == 0 {
            contents = Some(read_contents(&mut entry, &path, &bad)?);
            continue;
        }
        let known = contents.iter().flat_map(|contents| &contents.releases);
        let Some(release) = known.into_iter().find(|release| path_of(&release.digest) == path) else {
            return Err(bad(format!("{path:?} is not among its contents")));
        };
        if entry.size() > PACKAGE_BYTES {
            return Err(bad(format!("{path:?} has more than {PACKAGE_BYTES} bytes")));
        }
        let place = folder.join(format!("{}.tar.gz", release.digest.hex()));
        let mut target =
            File::create(&place).map_err(|cause| Failure::io("could not write a temporary file", &cause))?;
        std::io::copy(&mut entry, &mut target).map_err(|cause| bad(cause.to_string()))?;
    }
    let contents = contents.ok_or_else(|| bad(format!("it has no {CONTENTS}")))?;
    contents.releases.iter().try_for_each(|release| check(release, folder, &bad))?;
    Ok(contents)
}

fn read_contents(
    entry: &mut impl std::io::Read,
    path: &str,
    bad: &impl Fn(String) -> Failure,
) -> Result<Contents, Failure> {
    if path != CONTENTS {
        return Err(bad(format!("it does not begin with {CONTENTS}")));
    }
    let mut text = Vec::new();
    entry.take(CONTENTS_BYTES).read_to_end(&mut text).map_err(|cause| bad(cause.to_string()))?;
    let contents: Contents =
        serde_json::from_slice(&text).map_err(|cause| bad(format!("{CONTENTS}: {cause}")))?;
    match contents.format {
        FORMAT => Ok(contents),
        other => Err(bad(format!("it has format {other}; this orchestrator knows {FORMAT}"))),
    }
}

/// The package is there, good, and the one that is named.
fn check(release: &Release, folder: &Path, bad: &impl Fn(String) -> Failure) -> Result<(), Failure> {
    let name = format!("{}@{}", release.module, release.version);
    let place = folder.join(format!("{}.tar.gz", release.digest.hex()));
    if !place.is_file() {
        return Err(bad(format!("the package of {name} is missing")));
    }
    let verified = modules::package::verify(&place)
        .map_err(|error| Failure::from(error).beneath(format!("the package of {name} is not good")))?;
    let found = format!("{}@{}", verified.spec.name, verified.spec.version);
    if verified.digest != release.digest || found != name {
        return Err(bad(format!("what should be {name} is {found} {}", verified.digest)));
    }
    Ok(())
}
