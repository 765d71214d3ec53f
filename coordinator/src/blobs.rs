//! Package bytes by their digest, on `object_store`: a local folder now; a bucket takes the same calls. What is
//! there under its digest is whole: it was compared on its way in, and is again before it is shipped.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use futures::TryStreamExt;
use modules::digest::{Digest, Hasher};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use proto::code::Code;
use tempfile::{NamedTempFile, TempPath};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tracing::warn;

use crate::fault;

/// Buckets want parts of one size, of more than 5 MiB.
const PART: usize = 8 << 20;
const SET_ASIDE: &str = "damaged";
/// With the mark of what is not whole.
const ARRIVING: &str = "arriving#";

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("there is no package {digest} in {place}")]
    Missing { digest: Digest, place: String },
    #[error("the package {digest} in {place} is damaged: its bytes are {found}; it was set aside")]
    Damaged { digest: Digest, found: Digest, place: String },
    #[error("what should be stored as {digest} is {found}")]
    OtherContent { digest: Digest, found: Digest },
    #[error("{place} cannot be written: its disk is full")]
    Full { place: String },
    #[error("could not {operation} in {place}")]
    Backend {
        operation: &'static str,
        place: String,
        #[source]
        cause: Cause,
    },
}

impl BlobError {
    pub fn code(&self) -> Code {
        match self {
            BlobError::Missing { .. } => Code::NotFound,
            BlobError::Damaged { .. } | BlobError::Full { .. } => Code::Failed,
            BlobError::OtherContent { .. } => Code::InvalidInput,
            BlobError::Backend { .. } => Code::Internal,
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            BlobError::Missing { .. } | BlobError::Damaged { .. } => {
                "deploy it again from its folder or package file to store it anew"
            }
            BlobError::Full { .. } => "free some space and try again; nothing was changed",
            BlobError::OtherContent { .. } | BlobError::Backend { .. } => return None,
        };
        Some(hint.into())
    }
}

/// A blob ready to be shipped: a file whose content is what its digest says.
pub struct Fetched {
    path: PathBuf,
    pub size: u64,
    /// A copy of what is not on this machine, gone with us.
    _copy: Option<TempPath>,
}

impl Fetched {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A file for a package that arrives, gone with us.
pub struct Arrival {
    file: NamedTempFile,
    _claim: Option<File>,
}

impl Arrival {
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub fn reopen(&self) -> io::Result<File> {
        self.file.reopen()
    }
}

#[derive(Clone)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    place: String,
    folder: Option<PathBuf>,
}

impl Blobs {
    /// Blobs in a folder, which is made (0700) where it is missing. What a killed upload left there goes.
    pub fn local(folder: &Path) -> Result<Blobs, BlobError> {
        let place = folder.display().to_string();
        let failed = |cause| failure("open the folder of packages", &place, cause);
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        sweep(folder).map_err(failed)?;
        let objects = LocalFileSystem::new_with_prefix(folder);
        let objects = objects.map_err(|cause| failure("open the folder of packages", &place, cause))?;
        let objects = Arc::new(objects.with_fsync(true));
        Ok(Blobs { objects, place, folder: Some(folder.to_owned()) })
    }

    /// Blobs behind any other `object_store`.
    pub fn remote(objects: Arc<dyn ObjectStore>, place: String) -> Blobs {
        Blobs { objects, place, folder: None }
    }

    pub async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        match self.objects.head(&object(digest)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(cause) => Err(self.failed("look for a package", cause)),
        }
    }

    /// Makes room for a package that arrives: beside the others, so that what a killed command leaves is swept, too.
    pub async fn arrival(&self) -> Result<Arrival, BlobError> {
        let claim = self.claim().await?;
        let place = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let file = tempfile::Builder::new().prefix(ARRIVING).tempfile_in(&place);
        let file = file.map_err(|cause| failure("store a package", &place.display().to_string(), cause))?;
        Ok(Arrival { file, _claim: claim })
    }

    /// Stores what `content` gives, all or nothing. What is there already is not written again.
    pub async fn put(
        &self,
        digest: &Digest,
        mut content: impl AsyncRead + Unpin + Send,
    ) -> Result<(), BlobError> {
        if self.has(digest).await? {
            return Ok(());
        }
        let _claim = self.claim().await?;
        let upload = self.objects.put_multipart(&object(digest)).await;
        let mut upload = upload.map_err(|cause| self.failed("store a package", cause))?;
        let stored = self.upload(digest, &mut content, &mut *upload).await;
        if stored.is_err() {
            // The first error is the one to tell.
            let _ = upload.abort().await;
        }
        stored
    }

    pub async fn put_file(&self, digest: &Digest, path: &Path) -> Result<(), BlobError> {
        let file = tokio::fs::File::open(path).await;
        let file = file.map_err(|cause| failure("open", &path.display().to_string(), cause))?;
        self.put(digest, file).await
    }

    async fn upload(
        &self,
        digest: &Digest,
        content: &mut (impl AsyncRead + Unpin + Send),
        upload: &mut dyn MultipartUpload,
    ) -> Result<(), BlobError> {
        let mut hasher = Hasher::default();
        loop {
            let mut part = BytesMut::with_capacity(PART.min(1 << 20));
            while part.len() < PART {
                let limit = (PART - part.len()) as u64;
                let read = (&mut *content).take(limit).read_buf(&mut part).await;
                if read.map_err(|cause| failure("read a package for", &self.place, cause))? == 0 {
                    break;
                }
            }
            fault::point("package.storing");
            let is_last = part.len() < PART;
            hasher.update(&part);
            let sent = upload.put_part(part.freeze().into()).await;
            sent.map_err(|cause| self.failed("store a package", cause))?;
            if is_last {
                break;
            }
        }
        let found = hasher.finish();
        if found != *digest {
            return Err(BlobError::OtherContent { digest: *digest, found });
        }
        upload.complete().await.map(drop).map_err(|cause| self.failed("store a package", cause))
    }

    /// A file with the content, for a receiver who compares it. What lies here was compared when it was stored.
    pub async fn open(&self, digest: &Digest) -> Result<Fetched, BlobError> {
        let Some(folder) = &self.folder else { return self.fetch(digest).await };
        let path = folder.join(digest.hex());
        match tokio::fs::metadata(&path).await {
            Ok(found) => Ok(Fetched { path, size: found.len(), _copy: None }),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(self.missing(digest)),
            Err(cause) => Err(failure("read a package", &self.place, cause)),
        }
    }

    /// A file with the content, compared with its digest just now.
    ///
    /// # Errors
    /// `Damaged` where it is something else; it is set aside then and counts as missing from now on.
    pub async fn fetch(&self, digest: &Digest) -> Result<Fetched, BlobError> {
        let (path, copy) = match &self.folder {
            Some(folder) => (folder.join(digest.hex()), None),
            None => {
                let copy = self.download(digest).await?;
                (copy.to_path_buf(), Some(copy))
            }
        };
        let file = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut hasher = Hasher::default();
            let size = io::copy(&mut File::open(file)?, &mut hasher)?;
            Ok((size, hasher.finish()))
        });
        match read.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok((size, found)) if found == *digest => Ok(Fetched { path, size, _copy: copy }),
            Ok((_, found)) => Err(self.set_aside(digest, found).await),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(self.missing(digest)),
            Err(cause) => Err(failure("read a package", &self.place, cause)),
        }
    }

    async fn download(&self, digest: &Digest) -> Result<TempPath, BlobError> {
        let failed =
            |cause| failure("make a copy of a package", &std::env::temp_dir().display().to_string(), cause);
        let (file, path) = NamedTempFile::new().map_err(failed)?.into_parts();
        let mut file = tokio::fs::File::from_std(file);
        let mut content = match self.objects.get(&object(digest)).await {
            Ok(found) => found.into_stream(),
            Err(object_store::Error::NotFound { .. }) => return Err(self.missing(digest)),
            Err(cause) => return Err(self.failed("read a package", cause)),
        };
        while let Some(part) =
            content.try_next().await.map_err(|cause| self.failed("read a package", cause))?
        {
            file.write_all(&part).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        Ok(path)
    }

    async fn set_aside(&self, digest: &Digest, found: Digest) -> BlobError {
        let aside = ObjectPath::from(format!("{SET_ASIDE}/{}", digest.hex()));
        match self.objects.rename(&object(digest), &aside).await {
            Ok(()) => warn!(%digest, %found, place = self.place, "damaged package set aside"),
            Err(cause) => return self.failed("set a damaged package aside", cause),
        }
        BlobError::Damaged { digest: *digest, found, place: self.place.clone() }
    }

    /// Deletes it; what is not there is deleted already.
    pub async fn delete(&self, digest: &Digest) -> Result<(), BlobError> {
        match self.objects.delete(&object(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.failed("delete a package", cause)),
        }
    }

    /// All digests, sorted.
    pub async fn list(&self) -> Result<Vec<Digest>, BlobError> {
        let listed = self.objects.list_with_delimiter(None).await;
        let objects = listed.map_err(|cause| self.failed("list the packages", cause))?.objects;
        let mut digests: Vec<Digest> =
            objects.iter().filter_map(|object| Digest::from_hex(object.location.as_ref())).collect();
        digests.sort_unstable();
        Ok(digests)
    }

    /// Held while something is written, so that no other process sweeps it away.
    async fn claim(&self) -> Result<Option<File>, BlobError> {
        let Some(folder) = self.folder.clone() else { return Ok(None) };
        let locked = tokio::task::spawn_blocking(move || {
            let folder = File::open(folder)?;
            folder.lock_shared()?;
            Ok(folder)
        });
        let locked = locked.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        locked.map(Some).map_err(|cause| failure("lock the folder of packages", &self.place, cause))
    }

    fn missing(&self, digest: &Digest) -> BlobError {
        BlobError::Missing { digest: *digest, place: self.place.clone() }
    }

    fn failed(&self, operation: &'static str, cause: object_store::Error) -> BlobError {
        failure(operation, &self.place, cause)
    }
}

fn object(digest: &Digest) -> ObjectPath {
    ObjectPath::from(digest.hex())
}

/// Removes unfinished uploads, where nobody is uploading.
fn sweep(folder: &Path) -> io::Result<()> {
    let claim = File::open(folder)?;
    if claim.try_lock().is_err() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // `object_store` calls them `<name>#<number>` until they are whole.
        if entry.file_name().to_string_lossy().contains('#') {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn failure(operation: &'static str, place: &str, cause: impl Into<Cause>) -> BlobError {
    let (place, cause) = (place.to_owned(), cause.into());
    let first: &(dyn std::error::Error + 'static) = &*cause;
    let is_full = std::iter::successors(Some(first), |cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded));
    if is_full { BlobError::Full { place } } else { BlobError::Backend { operation, place, cause } }
}
