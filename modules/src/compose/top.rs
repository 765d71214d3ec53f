//! What a compose file declares beside its services, and the secrets and configs among it.

use std::collections::BTreeMap;

use super::files::Files;
use super::log::Log;
use super::model::FileObject;
use super::mounts::path_of;
use super::read::{Spot, ignore};

/// The entries of one of the top-level maps, read with `read`.
pub fn all<T>(
    root: &Spot<'_>,
    key: &str,
    log: &mut Log,
    mut read: impl FnMut(&Spot<'_>, &mut Log) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut found = BTreeMap::new();
    let Some(spot) = root.get(key, log) else { return found };
    for entry in log.any_map(&spot) {
        let below = spot.below(entry, log);
        if let Some(value) = read(&below, log) {
            found.insert(entry.key.clone(), value);
        }
    }
    found
}

/// `external: true`, or the older `external: {name: x}`.
pub fn external(spot: &Spot<'_>, log: &mut Log) -> (bool, Option<String>) {
    let Some(external) = spot.get("external", log) else { return (false, None) };
    if external.node.entries().is_some() {
        return (true, external.get("name", log).and_then(|spot| log.filled(&spot)));
    }
    (log.flag(&external).unwrap_or_default(), None)
}

/// A secret or a config.
pub fn file_object(spot: &Spot<'_>, files: &Files<'_>, log: &mut Log) -> Option<FileObject> {
    let known = [
        "file",
        "environment",
        "content",
        "external",
        "name",
        "labels",
        "driver",
        "driver_opts",
        "template_driver",
    ];
    log.map(spot, &known);
    ignore(spot, &["labels"], "have no effect", log);
    for key in ["driver", "driver_opts", "template_driver"] {
        if let Some(spot) = spot.get(key, log) {
            let hint = Some("give it a `file`, or `environment` from a secret config item".to_owned());
            log.not(&spot, "a secret or config of this file", hint);
        }
    }
    let (is_external, _) = external(spot, log);
    if let Some(file) = spot.get("file", log) {
        return path_of(&log.filled(&file)?, &file, log).map(FileObject::File);
    }
    if let Some(content) = spot.get("content", log) {
        return log.text(&content).map(FileObject::Value);
    }
    if let Some(variable) = spot.get("environment", log) {
        let name = log.filled(&variable)?;
        let value = files.values.get(&name).cloned();
        if value.is_none() {
            let found = format!("the variable {name:?}, which has no value");
            log.wrong(variable.at(), &variable.path, found, "a variable that is set", None);
        }
        return Some(FileObject::Value(value.unwrap_or_default()));
    }
    if is_external {
        let hint = Some("give it a `file`, or `environment` from a secret config item".to_owned());
        log.wrong(spot.at(), &spot.path, "an external secret or config", "one of this file", hint);
        return Some(FileObject::External);
    }
    log.not(spot, "one of file, environment, content", None);
    None
}
