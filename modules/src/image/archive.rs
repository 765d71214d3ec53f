//! What is in an archive of images, as `docker save` and OCI tools write them: the names that loading it would set,
//! and which processors the images are for. Nothing is loaded, and nothing of the archive is believed twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tar::{Archive, Entries, Entry, EntryType};

use super::ImageName;
use super::platform::Platform;
use crate::digest::Digest;
use crate::unpack::UnpackError;
use crate::unpack::archive::TEXT_LIMIT;
use crate::unpack::pax::{self, Pax};

/// Of one text in the archive, and of all of them.
const TEXT_BYTES: u64 = 1 << 20;
const TEXTS_BYTES: u64 = 16 << 20;
const ENTRIES: usize = 100_000;
/// Images in images, as indexes have them.
const DEPTH: usize = 4;
const IMAGES: usize = 256;
/// Files that engines take names from; each may be there once.
const CONTENTS: [&str; 3] = ["manifest.json", "index.json", "repositories"];

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("it could not be read")]
    Read {
        #[source]
        cause: io::Error,
    },
    #[error(
        "it is compressed with {with}, which cannot be looked into: compress it with gzip, or not at all"
    )]
    Compression { with: &'static str },
    #[error("one of its headers is no good")]
    Header {
        #[source]
        cause: UnpackError,
    },
    #[error("its {file} {reason}")]
    Bad { file: String, reason: &'static str },
    #[error("it is too large to be looked into: more than {limit} {what}")]
    TooMuch { limit: u64, what: &'static str },
    #[error("there is no image in it: neither manifest.json nor index.json")]
    NoImage,
    #[error(
        "it would also set {}, which other modules may use: save it as {wanted} alone",
        names.join(", ")
    )]
    OtherNames { names: Vec<String>, wanted: String },
    #[error(
        "it does not hold {digest}, which the image's name asks for: save it with its registry's digest \
         (`skopeo copy docker://… oci-archive:…`), or leave the digest out of the name"
    )]
    OtherDigest { digest: String },
}

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageArchive {
    /// That engines would give the images.
    names: BTreeSet<String>,
    texts: BTreeMap<String, Vec<u8>>,
}

/// Looks into a stream, to its end.
///
/// # Errors
/// Where it is no archive of images, or too large.
pub fn read(mut reader: impl Read) -> Result<ImageArchive, ArchiveError> {
    let mut begin = Vec::new();
    reader.by_ref().take(6).read_to_end(&mut begin).map_err(unreadable)?;
    let whole = io::Cursor::new(begin.clone()).chain(reader);
    if is_gzip(&begin)? {
        let mut archive = Archive::new(MultiGzDecoder::new(whole));
        gather(archive.entries().map_err(unreadable)?)
    } else {
        let mut archive = Archive::new(whole);
        gather(archive.entries().map_err(unreadable)?)
    }
}

/// The same for a file, of which layers are stepped over where they are not compressed.
///
/// # Errors
/// As [`read`] has them.
pub fn read_file(mut file: File) -> Result<ImageArchive, ArchiveError> {
    let mut begin = Vec::new();
    file.by_ref().take(6).read_to_end(&mut begin).map_err(unreadable)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    if is_gzip(&begin)? {
        return read(file);
    }
    let mut archive = Archive::new(file);
    gather(archive.entries_with_seek().map_err(unreadable)?)
}

fn is_gzip(begin: &[u8]) -> Result<bool, ArchiveError> {
    let others: [(&[u8], &str); 3] =
        [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2")];
    match others.iter().find(|(magic, _)| begin.starts_with(magic)) {
        Some((_, with)) => Err(ArchiveError::Compression { with }),
        None => Ok(begin.starts_with(b"\x1f\x8b")),
    }
}

fn unreadable(cause: io::Error) -> ArchiveError {
    ArchiveError::Read { cause }
}

/// Long names and extended headers are read here, because `tar` would hold each in memory however long it is.
fn gather<R: Read>(entries: Entries<'_, R>) -> Result<ImageArchive, ArchiveError> {
    let mut found = ImageArchive::default();
    let (mut sum, mut named) = (0, None);
    for (number, entry) in entries.raw(true).enumerate() {
        let mut entry = entry.map_err(unreadable)?;
        if number == ENTRIES {
            return Err(ArchiveError::TooMuch { limit: ENTRIES as u64, what: "files" });
        }
        if let Some(said) = said_of_next(&mut entry)? {
            let is_second = said.is_some() && named.is_some();
            named = said.or(named);
            if is_second {
                return Err(header("two long names for one entry"));
            }
            continue;
        }
        let raw = named.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let Some(path) = plain(&String::from_utf8_lossy(&raw)) else { continue };
        let bad = |reason| ArchiveError::Bad { file: path.clone(), reason };
        let is_contents = CONTENTS.contains(&path.as_str());
        if !entry.header().entry_type().is_file() {
            if is_contents {
                return Err(bad("is no plain file"));
            }
            continue;
        }
        if entry.size() > TEXT_BYTES {
            if is_contents {
                return Err(bad("is too large"));
            }
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text).map_err(unreadable)?;
        if !text.starts_with(b"{") && !text.starts_with(b"[") && !is_contents {
            continue;
        }
        sum += text.len() as u64;
        if sum > TEXTS_BYTES {
            return Err(ArchiveError::TooMuch { limit: TEXTS_BYTES, what: "bytes of text" });
        }
        // Engines differ in which of two they take.
        if found.texts.insert(path.clone(), text).is_some() {
            return Err(bad("is there twice"));
        }
    }
    found.names = found.all_names()?;
    Ok(found)
}

/// Of an entry that is there only for the next one: the name of that, where it says one.
fn said_of_next<R: Read>(entry: &mut Entry<'_, R>) -> Result<Option<Option<Vec<u8>>>, ArchiveError> {
    let kind = entry.header().entry_type();
    match kind {
        EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader => {}
        // It has more header than says how long it is.
        EntryType::GNUSparse => return Err(header("a sparse file")),
        _ => return Ok(None),
    }
    if entry.size() > TEXT_LIMIT {
        return Err(header("an extended header or name of more than 64 KiB"));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(unreadable)?;
    let path = match kind {
        EntryType::GNULongName => Some(pax::until_nul(text)),
        EntryType::GNULongLink => None,
        _ => {
            let Pax { path, .. } = pax::read(&text).map_err(|cause| ArchiveError::Header { cause })?;
            path
        }
    };
    match path {
        Some(_) if kind == EntryType::XGlobalHeader => Err(header("a path for all entries")),
        path => Ok(Some(path)),
    }
}

fn header(reason: &'static str) -> ArchiveError {
    ArchiveError::Header { cause: UnpackError::Header { reason } }
}

/// A path in the archive without dots; nothing where it is the folder itself.
fn plain(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

impl ImageArchive {
    /// Refuses an archive that would set other names than the wanted ones, or that has not what their digests pin.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, wanted: &[ImageName]) -> Result<(), ArchiveError> {
        let is_wanted = |name: &&String| wanted.iter().any(|wanted| may_set(wanted, name));
        let others: Vec<String> = self.names.iter().filter(|name| !is_wanted(name)).cloned().collect();
        if !others.is_empty() {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            return Err(ArchiveError::OtherNames { names: others, wanted: wanted.join(", ") });
        }
        wanted.iter().try_for_each(|wanted| self.pinned(wanted).map(|_| ()))
    }

    /// The ids that an engine may give the image that is pinned; nothing where none is.
    ///
    /// # Errors
    /// When it is not in the archive.
    pub fn pinned(&self, wanted: &ImageName) -> Result<Option<BTreeSet<String>>, ArchiveError> {
        let Some(digest) = &wanted.digest else { return Ok(None) };
        let mut ids = BTreeSet::new();
        self.follow(digest, 0, &mut ids);
        match ids.is_empty() {
            true => Err(ArchiveError::OtherDigest { digest: digest.clone() }),
            false => Ok(Some(ids)),
        }
    }

    /// A manifest or index, and all it names, as far as its bytes are what its digest says.
    fn follow(&self, digest: &str, depth: usize, ids: &mut BTreeSet<String>) {
        let Some(document) = self.verified(digest).filter(|_| depth < DEPTH && ids.len() < IMAGES) else {
            return;
        };
        ids.insert(digest.to_owned());
        if let Some(config) = document["config"]["digest"].as_str() {
            ids.insert(config.to_owned());
        }
        for inner in list(&document["manifests"]).iter().filter_map(|inner| inner["digest"].as_str()) {
            self.follow(inner, depth + 1, ids);
        }
    }

    fn verified(&self, digest: &str) -> Option<Value> {
        let text = self.blob(digest)?;
        (Digest::of(text).to_string() == digest).then(|| serde_json::from_slice(text).ok())?
    }

    fn blob(&self, digest: &str) -> Option<&[u8]> {
        self.texts.get(&format!("blobs/{}", digest.replacen(':', "/", 1))).map(Vec::as_slice)
    }

    fn json(&self, path: &str) -> Result<Option<Value>, ArchiveError> {
        let Some(text) = self.texts.get(path) else { return Ok(None) };
        let bad = |_| ArchiveError::Bad { file: path.to_owned(), reason: "is no JSON" };
        serde_json::from_slice(text).map(Some).map_err(bad)
    }

    fn all_names(&self) -> Result<BTreeSet<String>, ArchiveError> {
        let mut names = BTreeSet::new();
        let [manifest, index, repositories] = CONTENTS.map(|path| self.json(path));
        let (manifest, index, repositories) = (manifest?, index?, repositories?);
        if manifest.is_none() && index.is_none() {
            return Err(ArchiveError::NoImage);
        }
        for image in list(&manifest.unwrap_or_default()) {
            names.extend(list(&field(image, "RepoTags")).iter().filter_map(Value::as_str).map(str::to_owned));
        }
        for image in list(&field(&index.unwrap_or_default(), "manifests")) {
            let annotations = field(image, "annotations");
            names.extend(annotations["io.containerd.image.name"].as_str().map(str::to_owned));
            // Alone it is but a tag.
            let name = annotations["org.opencontainers.image.ref.name"].as_str();
            names.extend(name.filter(|name| name.contains([':', '/'])).map(str::to_owned));
        }
        for (repository, tags) in repositories.as_ref().and_then(Value::as_object).into_iter().flatten() {
            let tags = tags.as_object().into_iter().flatten();
            names.extend(tags.map(|(tag, _)| format!("{repository}:{tag}")));
        }
        Ok(names)
    }

    /// What its images are for, as far as they say it.
    pub fn platforms(&self) -> BTreeSet<Platform> {
        let mut found = BTreeSet::new();
        let manifest = self.json(CONTENTS[0]).ok().flatten().unwrap_or_default();
        for image in list(&manifest) {
            let path = field(image, "Config");
            let config = path.as_str().and_then(plain).and_then(|path| self.json(&path).ok().flatten());
            found.extend(config.as_ref().and_then(Platform::of_json));
        }
        let index = self.json(CONTENTS[1]).ok().flatten().unwrap_or_default();
        self.platforms_of(&index, 0, &mut found);
        found
    }

    fn platforms_of(&self, index: &Value, depth: usize, found: &mut BTreeSet<Platform>) {
        for image in list(&index["manifests"]).iter().take(IMAGES) {
            let inner: Option<Value> = image["digest"]
                .as_str()
                .and_then(|digest| self.blob(digest))
                .and_then(|text| serde_json::from_slice(text).ok());
            let Some(inner) = inner.filter(|_| depth < DEPTH) else { continue };
            let config = inner["config"]["digest"].as_str().and_then(|digest| self.blob(digest));
            let config = config.and_then(|text| serde_json::from_slice::<Value>(text).ok());
            found.extend(config.as_ref().and_then(Platform::of_json));
            self.platforms_of(&inner, depth + 1, found);
        }
    }
}

/// Go reads the names of fields whatever their case, so the archive's names are read so too.
fn field(object: &Value, name: &str) -> Value {
    let fields = object.as_object().into_iter().flatten();
    let mut fits = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (fits.next(), fits.next()) {
        (Some(only), None) => only.clone(),
        (Some(Value::Array(one)), Some(other)) => {
            let rest = std::iter::once(other).chain(fits).filter_map(Value::as_array).flatten();
            Value::Array(one.iter().chain(rest).cloned().collect())
        }
        (Some(one), Some(_)) => one.clone(),
        (None, _) => Value::Null,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether an engine that sets the name `found` sets what `wanted` asks for, and nothing else.
fn may_set(wanted: &ImageName, found: &str) -> bool {
    let Ok(found) = ImageName::parse(found) else { return false };
    let tag = |name: &ImageName| match (&name.tag, &name.digest) {
        (Some(tag), _) => Some(tag.clone()),
        (None, Some(_)) => None,
        (None, None) => Some("latest".to_owned()),
    };
    let named = |name: &ImageName| ImageName { tag: None, digest: None, ..name.clone() }.canonical();
    // Podman calls what was built here so.
    let is_local = found.registry.as_deref() == Some("localhost")
        && wanted.registry.is_none()
        && found.repository == wanted.repository;
    (named(wanted) == named(&found) || is_local)
        && (tag(&found).is_none() && found.digest == wanted.digest || tag(&found) == tag(wanted))
}

#[cfg(test)]
mod tests;
