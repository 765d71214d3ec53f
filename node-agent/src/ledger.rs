//! What the agent must not forget: the last accepted NodeSpec, and for each instance which content was healthy
//! last and which one failed. One checksummed file, replaced as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message;
use proto::code::Code;
use proto::v1::apply_reply::Verdict;
use proto::v1::{InstanceSpec, NodeSpec, Release};

use crate::clock;
use crate::content::{Candidate, Content, sha256};
use crate::disk::{self, DiskError, Durability};
use crate::fault;
use crate::lane::Lane;

#[cfg(test)]
mod tests;

const MAGIC: &[u8; 8] = b"orchled1";

/// Why the ledger could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl LedgerError {
    pub fn code(&self) -> Code {
        Code::Failed
    }

    pub fn hint(&self) -> Option<String> {
        let Self::Disk(error) = self;
        error.is_full().then(|| "free some disk space on the node".to_owned())
    }
}

/// What the node remembers of one instance besides the wish.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// The last content that was healthy.
    pub settled: Option<Candidate>,
    pub failed: Option<Failure>,
    /// Ports that were `auto`, by name, for each of the two places where it can run.
    pub ports: BTreeMap<Lane, BTreeMap<String, u16>>,
}

impl Memory {
    /// The automatic ports of before, where the instance runs in this place.
    pub fn ports(&self, lane: Lane) -> BTreeMap<String, u16> {
        self.ports.get(&lane).cloned().unwrap_or_default()
    }

    fn stored_ports(&self, lane: Lane) -> BTreeMap<String, u32> {
        self.ports(lane).into_iter().map(|(name, port)| (name, u32::from(port))).collect()
    }
}

/// A content that did not become healthy.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub content: Content,
    pub attempt: u64,
    pub release: Release,
    pub reason: String,
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(message, optional, tag = "1")]
    spec: Option<NodeSpec>,
    #[prost(btree_map = "string, message", tag = "2")]
    memories: BTreeMap<String, StoredMemory>,
    /// Digests of releases that some accepted spec spoke of.
    #[prost(string, repeated, tag = "3")]
    referenced: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredMemory {
    #[prost(message, optional, tag = "1")]
    settled: Option<InstanceSpec>,
    #[prost(message, optional, tag = "2")]
    failed: Option<StoredFailure>,
    #[prost(btree_map = "string, uint32", tag = "3")]
    ports: BTreeMap<String, u32>,
    #[prost(btree_map = "string, uint32", tag = "4")]
    second_ports: BTreeMap<String, u32>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredFailure {
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
    #[prost(uint64, tag = "2")]
    attempt: u64,
    #[prost(message, optional, tag = "3")]
    release: Option<Release>,
    #[prost(string, tag = "4")]
    reason: String,
}

/// The ledger, in memory and on disk.
#[derive(Debug, Clone)]
pub struct Ledger {
    path: PathBuf,
    spec: NodeSpec,
    spec_digest: [u8; 32],
    memories: BTreeMap<String, Memory>,
    referenced: BTreeSet<String>,
    /// What is in memory could not be written yet.
    is_dirty: bool,
}

impl Ledger {
    /// Reads the ledger. A corrupt one is set aside, and the node begins with nothing, as the coordinator
    /// sends the whole again.
    ///
    /// # Errors
    /// When the file is there but cannot be read, or cannot be set aside.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let stored = match fs::read(path) {
            Ok(bytes) => match decode(&bytes) {
                Some(stored) => stored,
                None => {
                    let aside = set_aside(path)?;
                    tracing::error!(aside = %aside.display(), "ledger is corrupt, set aside");
                    Stored::default()
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(cause) => return Err(DiskError::new("read", path, cause).into()),
        };
        let spec = stored.spec.unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            spec_digest: sha256(&spec.encode_to_vec()),
            spec,
            memories: stored.memories.into_iter().map(|(id, memory)| (id, memory.into())).collect(),
            referenced: stored.referenced.into_iter().collect(),
            is_dirty: false,
        })
    }

    pub fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    pub fn spec_digest(&self) -> [u8; 32] {
        self.spec_digest
    }

    pub fn memory(&self, id: &str) -> Memory {
        self.memories.get(id).cloned().unwrap_or_default()
    }

    /// Digests that must stay: of the wish, of what was healthy last, and those to retain.
    pub fn wanted_releases(&self) -> BTreeSet<String> {
        let wanted = self.spec.instances.iter().filter_map(|spec| spec.release.as_ref());
        let settled = self.memories.values().filter_map(|memory| memory.settled.as_ref());
        wanted
            .map(|release| release.digest.clone())
            .chain(settled.map(|candidate| candidate.release_digest().to_owned()))
            .chain(self.spec.retain.iter().cloned())
            .collect()
    }

    /// Whether any accepted spec ever spoke of this release.
    pub fn was_referenced(&self, digest: &str) -> bool {
        self.referenced.contains(digest)
    }

    /// Takes a spec over if it is newer. It is on disk when this returns `Accepted`.
    ///
    /// # Errors
    /// When it cannot be written; the former one stays in force then.
    pub fn accept(&mut self, spec: NodeSpec) -> Result<Verdict, LedgerError> {
        let digest = sha256(&spec.encode_to_vec());
        match spec.generation.cmp(&self.spec.generation) {
            std::cmp::Ordering::Less => return Ok(Verdict::Stale),
            std::cmp::Ordering::Equal if digest == self.spec_digest => return Ok(Verdict::Unchanged),
            std::cmp::Ordering::Equal => return Ok(Verdict::Conflict),
            std::cmp::Ordering::Greater => {}
        }
        let ids: BTreeSet<_> = spec.instances.iter().map(|instance| instance.id.as_str()).collect();
        let mut memories = self.memories.clone();
        memories.retain(|id, _| ids.contains(id.as_str()));
        let next = Self {
            path: self.path.clone(),
            spec_digest: digest,
            memories,
            referenced: BTreeSet::new(),
            spec,
            is_dirty: false,
        };
        let referenced = self.referenced.union(&next.wanted_releases()).cloned().collect();
        let next = Self { referenced, ..next };
        next.write()?;
        *self = next;
        Ok(Verdict::Accepted)
    }

    /// Remembers something of an instance; of one that is no longer wished for, nothing.
    pub fn remember(&mut self, id: &str, change: impl FnOnce(&mut Memory)) {
        if !self.spec.instances.iter().any(|spec| spec.id == id) {
            return;
        }
        let memory = self.memories.entry(id.to_owned()).or_default();
        let before = memory.clone();
        change(memory);
        self.is_dirty |= *memory != before;
    }

    /// Forgets a release that is gone from the disk.
    pub fn forget_release(&mut self, digest: &str) {
        self.referenced.remove(digest);
    }

    /// Writes what could not be written before or was only remembered.
    ///
    /// # Errors
    /// When it cannot be written; it is tried again with the next call.
    pub fn flush(&mut self) -> Result<(), LedgerError> {
        if self.is_dirty {
            self.write()?;
            self.is_dirty = false;
        }
        Ok(())
    }

    fn write(&self) -> Result<(), LedgerError> {
        let stored = Stored {
            spec: Some(self.spec.clone()),
            memories: self.memories.iter().map(|(id, memory)| (id.clone(), memory.into())).collect(),
            referenced: self.referenced.iter().cloned().collect(),
        };
        fault::point("ledger.before_rename");
        disk::replace(&self.path, &encode(&stored), 0o600, Durability::PowerLoss)?;
        fault::point("ledger.after_rename");
        Ok(())
    }
}

fn encode(stored: &Stored) -> Vec<u8> {
    let payload = stored.encode_to_vec();
    [MAGIC.as_slice(), &sha256(&payload), &payload].concat()
}

fn decode(bytes: &[u8]) -> Option<Stored> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (checksum, payload) = rest.split_at_checked(32)?;
    if sha256(payload) != checksum {
        return None;
    }
    Stored::decode(payload).ok()
}

fn set_aside(path: &Path) -> Result<PathBuf, LedgerError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".corrupt-{}", clock::unix_ms()));
    let aside = PathBuf::from(name);
    fs::rename(path, &aside).map_err(|cause| DiskError::new("set aside", path, cause))?;
    Ok(aside)
}

impl From<StoredMemory> for Memory {
    fn from(stored: StoredMemory) -> Self {
        let port = |(name, port): (String, u32)| Some((name, u16::try_from(port).ok()?));
        let ports = [(Lane::First, stored.ports), (Lane::Second, stored.second_ports)]
            .map(|(lane, ports)| (lane, ports.into_iter().filter_map(port).collect::<BTreeMap<_, _>>()));
        Self {
            settled: stored.settled.map(Candidate::new),
            failed: stored.failed.and_then(|failed| {
                Some(Failure {
                    content: Content::from_bytes(&failed.content)?,
                    attempt: failed.attempt,
                    release: failed.release.unwrap_or_default(),
                    reason: failed.reason,
                })
            }),
            ports: ports.into_iter().filter(|(_, ports)| !ports.is_empty()).collect(),
        }
    }
}

impl From<&Memory> for StoredMemory {
    fn from(memory: &Memory) -> Self {
        Self {
            settled: memory.settled.as_ref().map(|candidate| (*candidate.spec).clone()),
            failed: memory.failed.as_ref().map(|failed| StoredFailure {
                content: failed.content.as_bytes().to_vec(),
                attempt: failed.attempt,
                release: Some(failed.release.clone()),
                reason: failed.reason.clone(),
            }),
            ports: memory.stored_ports(Lane::First),
            second_ports: memory.stored_ports(Lane::Second),
        }
    }
}
