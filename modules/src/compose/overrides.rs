//! The override file beside a compose file, which Docker lays over it without being asked.

use super::files::{Files, resolve};
use super::log::{At, Log};
use super::merge::merge_files;
use super::node::Node;
use super::read::Spot;
use crate::spec::error::START;

/// Names that a compose file has where nobody names one; only these have an override.
const MAIN: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The first that is there counts.
const OVER: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The file with its override, where there is one.
pub fn laid_over(root: Node, files: &mut Files<'_>, log: &mut Log) -> Node {
    let name = log.name(root.at.file).to_owned();
    if !MAIN.contains(&name.rsplit('/').next().unwrap_or_default()) {
        return root;
    }
    let there: Vec<&str> = OVER.into_iter().filter(|over| files.exists(over, root.at, log)).collect();
    let Some((first, others)) = there.split_first() else { return root };
    let folder = log.folder(root.at.file).to_owned();
    for other in others {
        let file = log.file(&resolve(&folder, other).unwrap_or_default());
        log.ignored(At { file, place: START }, "", format!("is not read: {first} is there, too"));
    }
    let Some(over) = files.compose(first, root.at, "", log) else { return root };
    log.remark(At { file: over.at.file, place: START }, "", format!("is laid over {name}"));
    if over.entries().is_none() {
        log.not(&Spot { node: &over, path: String::new() }, "a map, as a compose file has", None);
        return root;
    }
    merge_files(root, over)
}
