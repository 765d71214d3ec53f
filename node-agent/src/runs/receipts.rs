//! The receipts of a run on disk, one JSON text a line. They follow from the journal: those that a crash left unsigned or
//! unwritten are made again, and are the same to the byte.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use plan::receipt::{Chain, Fact, Facts, Receipt, Subject};
use plan::run::event::Record;
use plan::run::{Run, RunError};
use ring::signature::Ed25519KeyPair;

use crate::disk::DiskError;
use crate::runs::key;

/// Receipts that are added to.
pub struct Receipts {
    file: File,
    path: PathBuf,
    chain: Chain,
    facts: Facts,
    written: u64,
}

impl Receipts {
    /// Brings the receipts up to what the journal proves.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn open(path: &Path, records: &[Record], key: &Ed25519KeyPair) -> Result<(Self, Run), OpenError> {
        let (first, rest) = records.split_first().ok_or(RunError::NotBegun)?;
        let mut run = Run::replay(std::slice::from_ref(first))?;
        let subject = Subject { run: &run.id, node: &run.node, plan: &run.hash };
        let chain = Chain::begin(&subject);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = opened.map_err(|cause| DiskError::new("open", path, cause))?;
        let mut receipts = Self { file, path: path.to_owned(), chain, facts: Facts::default(), written: 0 };
        let mut proven = Vec::new();
        for record in rest {
            run.apply(record)?;
            proven.extend(receipts.facts.read(&run, record));
        }
        let kept = receipts.keep(&proven, &key::public(key))?;
        for fact in proven.into_iter().skip(kept) {
            receipts.sign(fact, key)?;
        }
        Ok((receipts, run))
    }

    /// Signs what a record proves, if it does.
    ///
    /// # Errors
    /// When the receipt cannot be written.
    pub fn add(&mut self, run: &Run, record: &Record, key: &Ed25519KeyPair) -> Result<(), DiskError> {
        match self.facts.read(run, record) {
            Some(fact) => self.sign(fact, key),
            None => Ok(()),
        }
    }

    pub fn written(&self) -> u64 {
        self.written
    }

    fn sign(&mut self, fact: Fact, key: &Ed25519KeyPair) -> Result<(), DiskError> {
        let receipt = self.chain.sign(fact, key);
        let mut line = serde_json::to_string(&receipt).expect("a receipt has only what JSON can hold");
        line.push('\n');
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|cause| DiskError::new("write", &self.path, cause))?;
        self.written += 1;
        Ok(())
    }

    /// Keeps the receipts on disk as far as they say what the journal proves, and cuts off the rest.
    fn keep(&mut self, proven: &[Fact], public_key: &[u8]) -> Result<usize, DiskError> {
        let error = |cause| DiskError::new("read", &self.path, cause);
        let mut good = 0;
        let mut lines = BufReader::new(&self.file);
        for fact in proven {
            let mut line = String::new();
            let length = lines.read_line(&mut line).unwrap_or(0);
            let receipt = serde_json::from_str::<Receipt>(&line).ok().filter(|_| line.ends_with('\n'));
            let Some(receipt) = receipt.filter(|receipt| receipt.fact == *fact) else { break };
            if self.chain.take(&receipt, public_key).is_err() {
                break;
            }
            good += length as u64;
            self.written += 1;
        }
        self.file.set_len(good).map_err(error)?;
        self.file.seek(SeekFrom::Start(good)).map_err(error)?;
        Ok(usize::try_from(self.written).unwrap_or(usize::MAX))
    }
}

/// Why receipts and run cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Run(#[from] RunError),
}
