//! The journal of a run as bytes: append-only records with length and checksum.
//!
//! A file begins with [`MAGIC`]. A record is its mark (1 byte), the length of its content (4 bytes, little-endian), the
//! first 8 bytes of the sha256 over the record's number (8 bytes, little-endian) and its content, then the content:
//! one event with its time as JSON. A tail that is torn by a crash is cut off; a record that is broken while a good one
//! follows is no torn tail but a damaged journal, and that is an error.

use modules::digest::Digest;

use crate::run::event::Record;

#[cfg(test)]
mod tests;

pub const MAGIC: &[u8] = b"orchestrator journal 1\n";
const MARK: u8 = 0xa7;
/// Bytes before a record's content.
pub const HEADER: usize = 13;
/// Bytes of one record's content.
pub const MAX_RECORD: usize = 4 << 20;
/// Bytes behind a broken record that are searched for a good one, and places where one could begin.
const SEARCHED: usize = 8 << 20;
const MAX_CANDIDATES: usize = 256;

/// What a journal's bytes hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    pub records: Vec<Record>,
    /// Cut the file here before appending.
    pub good_bytes: usize,
}

/// Why bytes are not a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    #[error("the file is not a journal")]
    NotAJournal,
    #[error("the journal is damaged: record {record} at byte {at} is broken, and records follow it")]
    Damaged { record: u64, at: usize },
    #[error("the journal has a record {record} at byte {at} that is not an event")]
    NotAnEvent { record: u64, at: usize },
    #[error("an event of {length} bytes is too long for the journal")]
    TooLong { length: usize },
}

/// The bytes of record number `number`; the first has number 0.
///
/// # Errors
/// When the event is absurdly large.
pub fn encode(number: u64, record: &Record) -> Result<Vec<u8>, JournalError> {
    let content = serde_json::to_vec(record).expect("an event has only what JSON can hold");
    let length = content.len();
    let too_long = || JournalError::TooLong { length };
    let short = u32::try_from(length).ok().filter(|_| length <= MAX_RECORD).ok_or_else(too_long)?;
    let mut bytes = Vec::with_capacity(HEADER + length);
    bytes.push(MARK);
    bytes.extend(short.to_le_bytes());
    bytes.extend(sum(number, &content));
    bytes.extend(content);
    Ok(bytes)
}

/// How long the content is behind a header that was written before; nothing where no record begins.
pub fn content_length(header: &[u8; HEADER]) -> Option<usize> {
    let length: [u8; 4] = header.get(1..5)?.try_into().ok()?;
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    (header[0] == MARK && length <= MAX_RECORD).then_some(length)
}

/// Reads a journal as far as it is whole.
///
/// # Errors
/// When it is none, or damaged in the middle.
pub fn read(bytes: &[u8]) -> Result<Journal, JournalError> {
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        return Ok(Journal { records: Vec::new(), good_bytes: 0 });
    }
    if !bytes.starts_with(MAGIC) {
        return Err(JournalError::NotAJournal);
    }
    let mut journal = Journal { records: Vec::new(), good_bytes: MAGIC.len() };
    let mut number = 0;
    while journal.good_bytes < bytes.len() {
        let (at, rest) = (journal.good_bytes, &bytes[journal.good_bytes..]);
        let Some(content) = content(number, rest) else {
            return match is_followed(number, &rest[1..]) {
                true => Err(JournalError::Damaged { record: number, at }),
                false => Ok(journal),
            };
        };
        let record = serde_json::from_slice(content);
        journal.records.push(record.map_err(|_| JournalError::NotAnEvent { record: number, at })?);
        journal.good_bytes += HEADER + content.len();
        number += 1;
    }
    Ok(journal)
}

/// The content of the record that these bytes begin with, if it is whole and has this number.
fn content(number: u64, bytes: &[u8]) -> Option<&[u8]> {
    let length = content_length(bytes.first_chunk()?)?;
    let content = bytes.get(HEADER..HEADER + length)?;
    (bytes[5..HEADER] == sum(number, content)).then_some(content)
}

/// Whether a good record of a number shortly after this one begins somewhere in these bytes.
fn is_followed(number: u64, bytes: &[u8]) -> bool {
    let bytes = &bytes[..bytes.len().min(SEARCHED)];
    let marks = bytes.iter().enumerate().filter(|(_, byte)| **byte == MARK).map(|(at, _)| at);
    // Content is JSON text, in which the mark is only ever part of a character beyond ASCII.
    let plausible = marks.filter(|at| bytes.get(at + HEADER) == Some(&b'{')).take(MAX_CANDIDATES);
    plausible
        .into_iter()
        .any(|at| (number + 1..number + 4).any(|number| content(number, &bytes[at..]).is_some()))
}

fn sum(number: u64, content: &[u8]) -> [u8; 8] {
    let mut hasher = modules::digest::Hasher::default();
    hasher.update(&number.to_le_bytes());
    hasher.update(content);
    let digest: Digest = hasher.finish();
    let mut sum = [0; 8];
    sum.copy_from_slice(&digest.as_bytes()[..8]);
    sum
}
