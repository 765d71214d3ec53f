//! The data of a module.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Report;
use super::read::Spot;
use super::update::read_absolute_path;
use crate::item_name::ItemName;

/// Data kept over updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// The volume's name, for `${volume.<name>}`.
    pub name: ItemName,
    /// Relative to the instance's volume folder, or an absolute path on the node.
    pub path: String,
    /// Where the container sees it; for runtime container only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether the container can only read it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Whether it belongs in backups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backup: bool,
}

impl Volume {
    pub(super) fn read(report: &mut Report, spot: &Spot<'_>) -> Option<Self> {
        let mut fields = report.fields(spot, "a volume, such as {name: data, path: data}")?;
        let name = fields.required(report, "name").and_then(|spot| report.item_name(&spot));
        let path = fields.required(report, "path").and_then(|spot| report.short_text(&spot, 1024));
        let target = fields.get(report, "target").and_then(|spot| read_absolute_path(report, &spot));
        let read_only = fields.get(report, "read_only").and_then(|spot| report.flag(&spot));
        let backup = fields.get(report, "backup").and_then(|spot| report.flag(&spot));
        fields.finish(report);
        Some(Self {
            name: name?,
            path: path?,
            target,
            read_only: read_only.unwrap_or_default(),
            backup: backup.unwrap_or_default(),
        })
    }

    /// Whether it is a place of the node's own rather than a folder kept for the instance.
    pub fn is_host_path(&self) -> bool {
        self.path.starts_with('/')
    }
}
