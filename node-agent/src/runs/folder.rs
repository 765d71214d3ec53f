//! The folder of one run: `begin` (how it was begun), `journal`, `receipts`, and `saved/` with what its steps replaced.

use std::fs;
use std::path::{Path, PathBuf};

use plan::run::event::Record;
use prost::Message;
use proto::v1::BeginRunRequest;

use crate::config::DataDir;
use crate::disk::{self, DiskError, Durability};
use crate::runs::id::RunId;
use crate::runs::journal::{FileError, Journal};
use crate::runs::terms::{Terms, TermsError};

/// Where a run is kept.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// Why a kept run cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Journal(#[from] FileError),
    #[error("how it was begun cannot be read")]
    Begin(#[from] TermsError),
    #[error("how it was begun is not readable as what it should be")]
    NotBegin,
    #[error("it has begun before, and was not taken up since")]
    Begun,
}

impl Folder {
    pub fn of(data: &DataDir, id: &RunId) -> Self {
        Self(data.runs().join(id.as_str()))
    }

    /// All that are there, by name.
    pub fn all(data: &DataDir) -> Vec<(RunId, Folder)> {
        let entries = fs::read_dir(data.runs()).into_iter().flatten().flatten();
        let named = entries.filter_map(|entry| RunId::parse(entry.file_name().to_str()?).ok());
        named.map(|id| (id.clone(), Self::of(data, &id))).collect()
    }

    pub fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    pub fn receipts(&self) -> PathBuf {
        self.0.join("receipts")
    }

    /// What steps replaced.
    pub fn saved(&self) -> PathBuf {
        self.0.join("saved")
    }

    fn begin(&self) -> PathBuf {
        self.0.join("begin")
    }

    /// Makes the folder; the run has begun, and survives power loss, when this returns.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it is left then. When it is there already; then it stays.
    pub fn create(&self, request: &BeginRunRequest, first: &Record) -> Result<(), FolderError> {
        if !self.was_never_begun() {
            return Err(FolderError::Begun);
        }
        let made = self.write(request, first);
        if made.is_err() {
            let _ = disk::remove_tree(&self.0);
        }
        made
    }

    fn write(&self, request: &BeginRunRequest, first: &Record) -> Result<(), FolderError> {
        // What lies there was never begun.
        disk::remove_tree(&self.0)?;
        disk::make_dir(&self.0, 0o700)?;
        disk::replace(&self.begin(), &request.encode_to_vec(), 0o600, Durability::PowerLoss)?;
        Journal::create(&self.journal())?.append(first)?;
        disk::sync_dir(&self.0)?;
        if let Some(parent) = self.0.parent() {
            disk::sync_dir(parent)?;
        }
        Ok(())
    }

    /// On which terms the run was begun, and its journal.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn open(&self) -> Result<(Terms, Journal, Vec<Record>), FolderError> {
        let (journal, records) = Journal::open(&self.journal())?;
        let bytes = fs::read(self.begin()).map_err(|cause| DiskError::new("read", &self.begin(), cause))?;
        let request = BeginRunRequest::decode(bytes.as_slice()).map_err(|_| FolderError::NotBegin)?;
        Ok((Terms::parse(&request)?.0, journal, records))
    }

    /// Whether it is sure that nobody was told that this run has begun: its journal has no first record.
    pub fn was_never_begun(&self) -> bool {
        match self.journal().metadata() {
            Ok(meta) => meta.len() <= plan::journal::MAGIC.len() as u64,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    /// The secrets are of no use once the run has ended.
    pub fn forget_secrets(&self) {
        let Ok(bytes) = fs::read(self.begin()) else { return };
        let Ok(request) = BeginRunRequest::decode(bytes.as_slice()) else { return };
        if request.secrets.is_empty() {
            return;
        }
        let plain = BeginRunRequest { secrets: Vec::new(), ..request };
        if let Err(error) = disk::replace(&self.begin(), &plain.encode_to_vec(), 0o600, Durability::Crash) {
            tracing::warn!(error = crate::log::chain(&error), "secrets of an ended run stay on disk");
        }
    }

    /// # Errors
    /// When something of it cannot be removed.
    pub fn remove(&self) -> Result<(), DiskError> {
        disk::remove_tree(&self.0)
    }

    /// Bytes of all that is in it.
    pub fn bytes(&self) -> u64 {
        let of = |dir: &Path| -> u64 {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
        };
        of(&self.0) + of(&self.saved())
    }
}
