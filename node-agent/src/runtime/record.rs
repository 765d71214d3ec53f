//! Which process an instance runs as, for the agent that comes after a `kill -9` of this one. Written before
//! the process executes anything. It lies in a folder of the agent's own: who may write it says what the next agent
//! takes over and ends.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use prost::Message;
use proto::v1::Release;

use crate::content::{Content, sha256};
use crate::runtime::engine::Kind;

pub mod former;

const FILE: &str = "process";
const SIZE: usize = 1024;

#[derive(Clone, PartialEq, Message)]
pub struct Record {
    #[prost(int32, tag = "1")]
    pub pid: i32,
    #[prost(uint64, tag = "2")]
    pub start: u64,
    #[prost(string, tag = "3")]
    pub boot_id: String,
    #[prost(bytes = "vec", tag = "4")]
    pub content: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub release: Option<Release>,
    #[prost(uint32, tag = "6")]
    pub stop_timeout_ms: u32,
    #[prost(uint32, tag = "7")]
    pub restarts: u32,
    /// The engine that runs its containers, or `systemd:` and the unit's name; empty for a process.
    #[prost(string, tag = "8")]
    pub engine: String,
}

impl Record {
    pub fn known_content(&self) -> Option<Content> {
        Content::from_bytes(&self.content)
    }

    /// Of what could not be ended as it should: nothing is to run any more, and something may.
    #[must_use]
    pub fn left(&self) -> Self {
        Self { content: Vec::new(), ..self.clone() }
    }

    pub fn is_left(&self) -> bool {
        !self.engine.is_empty() && self.content.is_empty()
    }

    /// Whether what an engine has of the instance is there by right.
    pub fn is_in(&self, kind: Kind) -> bool {
        Kind::parse(&self.engine) == Some(kind) && !self.is_left()
    }
}

/// Writes in place into a file of fixed size, so that a full disk does not keep an instance from being started
/// again. Power loss may tear it, but ends the process as well.
///
/// # Errors
/// When it cannot be written.
pub fn write(records: &Path, record: &Record) -> io::Result<()> {
    let payload = record.encode_length_delimited_to_vec();
    let mut bytes = [sha256(&payload).as_slice(), &payload].concat();
    if bytes.len() > SIZE {
        return Err(io::Error::other("the process record is too long"));
    }
    bytes.resize(SIZE, 0);
    overwrite(records, &bytes)
}

/// None when there is none, or a torn one.
pub fn read(records: &Path) -> Option<Record> {
    parse(&fs::read(records.join(FILE)).ok()?)
}

fn parse(bytes: &[u8]) -> Option<Record> {
    let (checksum, rest) = bytes.split_at_checked(32)?;
    let record = Record::decode_length_delimited(rest).ok()?;
    (sha256(&record.encode_length_delimited_to_vec()) == checksum).then_some(record)
}

/// Says that no process runs. Also takes the room on the disk that a later record needs.
pub fn clear(records: &Path) {
    // A record that stays names a process that is gone, which adoption notices.
    let _ = overwrite(records, &[0; SIZE]);
}

/// Says that something may still run that is not to. One that cannot be written is a record of what ran.
pub fn mark_left(records: &Path, record: &Record) {
    let _ = write(records, &record.left());
}

fn overwrite(records: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = records.join(FILE);
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all_at(bytes, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_in_an_engine_is_on_record_but_has_no_right_to_be_there() {
        let dir = tempfile::tempdir().expect("tempdir");
        let runs = Record { engine: "Docker".into(), content: vec![1; 32], ..Record::default() };
        write(dir.path(), &runs.left()).expect("written");
        let left = read(dir.path()).expect("on record");
        assert!(left.is_left() && left.engine == "Docker" && left.known_content().is_none());
        let process = Record { content: vec![1; 32], ..Record::default() };
        for (record, kind, expected) in [
            (&runs, Kind::Docker, true),
            (&runs, Kind::Podman, false),
            (&left, Kind::Docker, false),
            (&process, Kind::Docker, false),
        ] {
            assert_eq!(record.is_in(kind), expected, "{record:?} {kind}");
        }
        assert!(!runs.is_left() && !process.is_left());
    }
}
