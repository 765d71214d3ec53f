//! What the store keeps of a release.

use modules::spec::ModuleSpec;
use serde::{Deserialize, Serialize};

use super::Origin;
use crate::clock::UnixMillis;
use crate::domain::deployment::Release;

/// Kept in the store under `/releases/<digest>`, and under `/modules/<name>/<version>` for what a version means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ModuleRecord {
    pub(super) release: Release,
    pub(super) spec: ModuleSpec,
    /// What its compose file came to, as the agent's protocol encodes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) containers: Vec<u8>,
    /// What people should know of how that file is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    pub(super) package_bytes: u64,
    pub(super) is_builtin: bool,
    pub(super) added_at: UnixMillis,
    /// Where it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) origin: Option<Origin>,
    /// High findings that a person accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) accepted: Vec<String>,
    /// The key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signed_by: Option<String>,
    /// What it was signed with, as in a .minisig file, so that it can be taken to another registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) signature: Option<String>,
}

impl ModuleRecord {
    /// Keeps what is known of the same package from before, where this says nothing of it.
    pub(super) fn learn(&mut self, known: &ModuleRecord) {
        if self.signed_by.is_none() {
            self.signed_by.clone_from(&known.signed_by);
            self.signature.clone_from(&known.signature);
        }
        if self.signature.is_none() && self.signed_by == known.signed_by {
            self.signature.clone_from(&known.signature);
        }
        if self.origin.is_none() {
            self.origin.clone_from(&known.origin);
        }
        let accepted = known.accepted.iter().filter(|id| !self.accepted.contains(id));
        let accepted: Vec<String> = accepted.cloned().collect();
        self.accepted.extend(accepted);
        self.accepted.sort();
    }
}
