//! Where an imported module came from, as its record keeps it.

use proto::v1;
use serde::{Deserialize, Serialize};

/// Where an imported module came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    pub(super) source: String,
    pub(super) commit: String,
    pub(super) confidence: u32,
    pub(super) is_draft: bool,
}

impl From<v1::ModuleOrigin> for Origin {
    fn from(origin: v1::ModuleOrigin) -> Self {
        let v1::ModuleOrigin { source, commit, confidence, draft } = origin;
        Self { source, commit, confidence: confidence.min(100), is_draft: draft }
    }
}

impl From<&Origin> for v1::ModuleOrigin {
    fn from(origin: &Origin) -> Self {
        let Origin { source, commit, confidence, is_draft } = origin.clone();
        Self { source, commit, confidence, draft: is_draft }
    }
}
