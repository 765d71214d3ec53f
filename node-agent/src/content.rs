//! What makes two wishes for an instance the same: all of them but the attempt, and the actions, which change nothing
//! of what runs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prost::Message;
use proto::v1::InstanceSpec;

/// Digest of an InstanceSpec's content. Equal content restarts nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content([u8; 32]);

impl Content {
    /// Like no content there is.
    pub const UNKNOWN: Content = Content([0; 32]);

    pub fn of(spec: &InstanceSpec) -> Self {
        let plain = InstanceSpec { attempt: 0, actions: BTreeMap::new(), ..spec.clone() };
        Self(sha256(&plain.encode_to_vec()))
    }

    /// None when these are not the bytes of one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As labels of containers have it.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An InstanceSpec with its content's digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub spec: Arc<InstanceSpec>,
    pub content: Content,
}

impl Candidate {
    pub fn new(spec: InstanceSpec) -> Self {
        Self { content: Content::of(&spec), spec: Arc::new(spec) }
    }

    /// The digest of its release, `sha256:<hex>`.
    pub fn release_digest(&self) -> &str {
        self.spec.release.as_ref().map_or("", |release| &release.digest)
    }
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    out
}
