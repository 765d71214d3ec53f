//! The journal of a run on disk: a record is synced before anybody acts on it, and a tail that a crash tore is cut off
//! before anything is added.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use plan::journal::{self, HEADER, JournalError, MAGIC};
use plan::run::event::Record;

use crate::disk::DiskError;

/// Bytes of a whole journal: beyond that a run ends rather than filling the disk.
const MAX_JOURNAL: u64 = 64 << 20;

/// Why a journal cannot be read or added to.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Content(#[from] JournalError),
    #[error("the journal has {length} bytes; at most {MAX_JOURNAL} are kept")]
    TooLong { length: u64 },
}

/// A journal that is added to.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    records: u64,
    length: u64,
}

impl Journal {
    /// Begins a journal; there must be none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = opened.map_err(|cause| DiskError::new("create", path, cause))?;
        file.write_all_at(MAGIC, 0).map_err(|cause| DiskError::new("write", path, cause))?;
        Ok(Self { file, path: path.to_owned(), records: 0, length: MAGIC.len() as u64 })
    }

    /// Opens a journal, cuts a torn tail off, and gives what it holds.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged before its tail.
    pub fn open(path: &Path) -> Result<(Self, Vec<Record>), FileError> {
        let error = |action| move |cause| DiskError::new(action, path, cause);
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(error("open"))?;
        let length = file.metadata().map_err(error("read"))?.len();
        if length > 2 * MAX_JOURNAL {
            return Err(FileError::TooLong { length });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(error("read"))?;
        let read = journal::read(&bytes)?;
        let good = read.good_bytes as u64;
        if good < length {
            file.set_len(good).and_then(|()| file.sync_all()).map_err(error("cut"))?;
        }
        let records = read.records.len() as u64;
        Ok((Self { file, path: path.to_owned(), records, length: good }, read.records))
    }

    /// Adds a record, and gives it as whoever reads the journal later will have it. It is on the disk then.
    ///
    /// # Errors
    /// When it could not be written for sure; what is on the disk must be read anew then.
    pub fn append(&mut self, record: &Record) -> Result<Record, FileError> {
        let bytes = journal::encode(self.records, record)?;
        let length = self.length + bytes.len() as u64;
        let is_end = matches!(record.event, plan::run::event::Event::Ended { .. });
        if length > MAX_JOURNAL && !is_end {
            return Err(FileError::TooLong { length });
        }
        // What could not be read back must not be there at all: nobody could take the run up again.
        let not_one = |_| JournalError::NotAnEvent { record: self.records, at: 0 };
        let read = serde_json::from_slice(&bytes[HEADER..]).map_err(not_one)?;
        let written = self.file.write_all_at(&bytes, self.length).and_then(|()| self.file.sync_data());
        written.map_err(|cause| DiskError::new("write", &self.path, cause))?;
        self.length = length;
        self.records += 1;
        Ok(read)
    }

    pub fn records(&self) -> u64 {
        self.records
    }
}

/// Reads a journal record by record, also while it is written.
#[derive(Debug)]
pub struct Reader {
    file: io::BufReader<File>,
}

impl Reader {
    /// # Errors
    /// When the journal cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = io::BufReader::new(File::open(path)?);
        file.read_exact(&mut [0; MAGIC.len()])?;
        Ok(Self { file })
    }

    /// The JSON text of the next record, which must have been appended already.
    ///
    /// # Errors
    /// When there is none.
    pub fn next(&mut self) -> io::Result<String> {
        let mut header = [0; HEADER];
        self.file.read_exact(&mut header)?;
        let length = journal::content_length(&header).ok_or(io::ErrorKind::InvalidData)?;
        let mut content = vec![0; length];
        self.file.read_exact(&mut content)?;
        String::from_utf8(content).map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use plan::run::event::Event;

    use super::*;

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("journal");
        let mut journal = Journal::create(&path).expect("made");
        let deep = format!("{}{}", "[".repeat(125), "]".repeat(125));
        let returned = |out| Record {
            at_ms: 1,
            event: Event::Returned {
                step: plan::step::StepId::parse("a").expect("an id"),
                attempt: 1,
                work: plan::run::event::Work::Do,
                out,
            },
        };
        let deep = returned(serde_json::from_str(&deep).expect("JSON"));
        assert!(matches!(journal.append(&deep), Err(FileError::Content(JournalError::NotAnEvent { .. }))));
        journal.append(&returned(serde_json::json!(1))).expect("the journal goes on");
        assert_eq!(Journal::open(&path).expect("is whole").1, [returned(serde_json::json!(1))]);
    }

    #[test]
    fn a_torn_tail_is_cut_and_a_damaged_journal_is_told() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("journal");
        let record = |at_ms| Record { at_ms, event: Event::Cancelled { by: "ada".to_owned() } };
        let mut journal = Journal::create(&path).expect("created");
        for at_ms in 0..3 {
            assert_eq!(journal.append(&record(at_ms)).expect("appended"), record(at_ms));
        }
        let whole = std::fs::read(&path).expect("read");
        for cut in 1..20 {
            std::fs::write(&path, &whole[..whole.len() - cut]).expect("written");
            let (mut journal, records) = Journal::open(&path).expect("opened");
            assert_eq!(records, [record(0), record(1)], "{cut}");
            journal.append(&record(7)).expect("appended");
            assert_eq!(Journal::open(&path).expect("opened").1, [record(0), record(1), record(7)], "{cut}");
        }
        let mut damaged = whole.clone();
        damaged[MAGIC.len() + HEADER + 5] ^= 1;
        std::fs::write(&path, &damaged).expect("written");
        let error = Journal::open(&path).expect_err("damaged").to_string();
        assert!(error.starts_with("the journal is damaged: record 0"), "{error}");
        assert_eq!(std::fs::read(&path).expect("read"), damaged, "and nothing is changed in it");
    }

    #[test]
    fn a_journal_is_read_while_it_is_written() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("journal");
        let mut journal = Journal::create(&path).expect("created");
        let mut reader = Reader::open(&path).expect("opened");
        for at_ms in 0..3 {
            journal.append(&Record { at_ms, event: Event::Cancelled { by: "ada".to_owned() } }).expect("ok");
            assert_eq!(
                reader.next().expect("there"),
                format!("{{\"at_ms\":{at_ms},\"event\":{{\"cancelled\":{{\"by\":\"ada\"}}}}}}")
            );
            assert!(reader.next().is_err());
            // A read beyond the end must not lose its place.
            reader = Reader::open(&path).expect("opened");
            (0..=at_ms).for_each(|_| drop(reader.next().expect("there")));
        }
    }
}
