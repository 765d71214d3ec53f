//! The networks, volumes, secrets and configs that a compose file declares.

use std::collections::BTreeMap;

use super::files::Files;
use super::log::Log;
use super::model::{FileObject, NamedVolume, Network};
use super::mounts::path_of;
use super::read::Spot;

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
fn external(spot: &Spot<'_>, log: &mut Log) -> (bool, Option<String>) {
    let Some(external) = spot.get("external", log) else { return (false, None) };
    if external.node.entries().is_some() {
        return (true, external.get("name", log).and_then(|spot| log.filled(&spot)));
    }
    (log.flag(&external).unwrap_or_default(), None)
}

pub fn network(spot: &Spot<'_>, log: &mut Log) -> Option<Network> {
    let known = [
        "name",
        "driver",
        "driver_opts",
        "external",
        "internal",
        "attachable",
        "enable_ipv4",
        "enable_ipv6",
        "ipam",
        "labels",
    ];
    log.map(spot, &known);
    let (is_external, external_name) = external(spot, log);
    let flag =
        |key: &str, log: &mut Log| spot.get(key, log).and_then(|spot| log.flag(&spot)).unwrap_or_default();
    let map =
        |key: &str, log: &mut Log| spot.get(key, log).map(|spot| log.string_map(&spot)).unwrap_or_default();
    if is_external {
        log.remark(spot.at(), &spot.path, "has to be on the node before: it is external");
    }
    Some(Network {
        name: spot.get("name", log).and_then(|spot| log.filled(&spot)).or(external_name),
        driver: spot.get("driver", log).and_then(|spot| log.filled(&spot)),
        driver_opts: map("driver_opts", log),
        is_external,
        is_internal: flag("internal", log),
        has_ipv6: flag("enable_ipv6", log),
        subnets: spot.get("ipam", log).map(|spot| subnets(&spot, log)).unwrap_or_default(),
        labels: map("labels", log),
    })
}

fn subnets(spot: &Spot<'_>, log: &mut Log) -> Vec<(String, Option<String>)> {
    log.map(spot, &["driver", "config", "options"]);
    let mut subnets = Vec::new();
    let Some(config) = spot.get("config", log) else { return subnets };
    for item in log.list(&config) {
        log.map(&item, &["subnet", "gateway", "ip_range", "aux_addresses"]);
        let gateway = item.get("gateway", log).and_then(|spot| log.filled(&spot));
        if let Some(subnet) = item.get("subnet", log).and_then(|spot| log.filled(&spot)) {
            subnets.push((subnet, gateway));
        }
    }
    subnets
}

pub fn volume(spot: &Spot<'_>, log: &mut Log) -> Option<NamedVolume> {
    log.map(spot, &["name", "driver", "driver_opts", "external", "labels"]);
    let (is_external, external_name) = external(spot, log);
    let map =
        |key: &str, log: &mut Log| spot.get(key, log).map(|spot| log.string_map(&spot)).unwrap_or_default();
    if is_external {
        let hint = Some("declare it without `external`; it is kept over updates".to_owned());
        log.wrong(spot.at(), &spot.path, "an external volume", "a volume of this file", hint);
    }
    Some(NamedVolume {
        name: spot.get("name", log).and_then(|spot| log.filled(&spot)).or(external_name),
        driver: spot.get("driver", log).and_then(|spot| log.filled(&spot)),
        driver_opts: map("driver_opts", log),
        is_external,
        labels: map("labels", log),
    })
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
