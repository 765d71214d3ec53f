//! The networks and volumes that a compose file declares.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::addresses::Block;
use super::log::Log;
use super::model::{MountSource, NamedVolume, Network, Pool, Project};
use super::mounts::path_of;
use super::read::{Spot, ignore};
use super::top::external;

const NETWORK: [&str; 10] = [
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

pub fn network(spot: &Spot<'_>, log: &mut Log) -> Option<Network> {
    log.map(spot, &NETWORK);
    let (is_external, external_name) = external(spot, log);
    if is_external {
        log.remark(spot.at(), &spot.path, "has to be on the node before: it is external");
    } else {
        ignore(spot, &["name"], "is not applied: networks are named after their instance", log);
    }
    ignore(spot, &["labels", "attachable"], "has no effect", log);
    ignore(spot, &["enable_ipv4"], "is not applied: networks have IPv4", log);
    let flag =
        |key: &str, log: &mut Log| spot.get(key, log).and_then(|spot| log.flag(&spot)).unwrap_or_default();
    Some(Network {
        name: spot.get("name", log).and_then(|spot| log.filled(&spot)).or(external_name),
        driver: spot.get("driver", log).and_then(|spot| driver(&spot, log)),
        driver_opts: strings(spot, "driver_opts", log),
        is_external,
        is_internal: flag("internal", log),
        has_ipv6: flag("enable_ipv6", log),
        pools: spot.get("ipam", log).map(|spot| pools(&spot, log)).unwrap_or_default(),
        labels: strings(spot, "labels", log),
    })
}

fn strings(spot: &Spot<'_>, key: &str, log: &mut Log) -> BTreeMap<String, String> {
    spot.get(key, log).map(|spot| log.string_map(&spot)).unwrap_or_default()
}

/// What makes the network, where it is no bridge.
fn driver(spot: &Spot<'_>, log: &mut Log) -> Option<String> {
    let name = log.filled(spot)?;
    match name.as_str() {
        "bridge" | "default" => None,
        "macvlan" | "ipvlan" => Some(name),
        "overlay" => {
            log.ignored(spot.at(), &spot.path, "is for swarms; a network of the node is made");
            None
        }
        "host" | "none" => {
            let hint = Some(format!("write \"network_mode: {name}\" in the service"));
            log.not(spot, "one of bridge, macvlan, ipvlan", hint);
            None
        }
        _ => {
            log.not(spot, "one of bridge, macvlan, ipvlan", None);
            None
        }
    }
}

fn pools(spot: &Spot<'_>, log: &mut Log) -> Vec<Pool> {
    log.map(spot, &["driver", "config", "options"]);
    ignore(spot, &["options"], "are not applied", log);
    if let Some(driver) = spot.get("driver", log).filter(|driver| driver.node.text() != Some("default")) {
        log.not(&driver, "\"default\"", Some("remove it".to_owned()));
    }
    let Some(config) = spot.get("config", log) else { return Vec::new() };
    let mut found = Vec::new();
    for item in log.list(&config) {
        found.extend(pool(&item, log));
    }
    found
}

fn pool(item: &Spot<'_>, log: &mut Log) -> Option<Pool> {
    log.map(item, &["subnet", "gateway", "ip_range", "aux_addresses"]);
    let block = |key: &str, log: &mut Log| {
        let spot = item.get(key, log)?;
        let read = |text: &str| Block::parse(text).map(|block| (text.trim().to_owned(), block));
        log.parsed(&spot, "addresses such as 172.28.0.0/24", read)
    };
    let (subnet, all) = block("subnet", log)?;
    let range = block("ip_range", log).map(|(range, _)| range);
    let gateway = item.get("gateway", log).and_then(|spot| {
        log.parsed(&spot, &format!("an address of {subnet}"), |text| {
            let address: Option<IpAddr> = text.trim().parse().ok();
            let address = address.filter(|address| all.contains(*address));
            address.map(|address| address.to_string()).ok_or_else(String::new)
        })
    });
    Some(Pool { subnet, gateway, range, taken: strings(item, "aux_addresses", log) })
}

pub fn volume(spot: &Spot<'_>, log: &mut Log) -> Option<NamedVolume> {
    log.map(spot, &["name", "driver", "driver_opts", "external", "labels"]);
    let (is_external, external_name) = external(spot, log);
    if is_external {
        let hint = Some("declare it without `external`; it is kept over updates".to_owned());
        log.wrong(spot.at(), &spot.path, "an external volume", "a volume of this file", hint);
    } else {
        ignore(spot, &["name"], "is not applied: volumes are named after their instance", log);
    }
    ignore(spot, &["labels"], "have no effect", log);
    Some(NamedVolume {
        name: spot.get("name", log).and_then(|spot| log.filled(&spot)).or(external_name),
        is_external,
        labels: strings(spot, "labels", log),
        stands_for: stands_for(spot, log),
    })
}

/// The folder of the node that a volume is by its `driver_opts`, where it is not one that is kept for the instance.
fn stands_for(spot: &Spot<'_>, log: &mut Log) -> Option<MountSource> {
    const HINT: &str = "mount it on the nodes, and name the path in the services";
    if let Some(driver) = spot.get("driver", log).filter(|driver| driver.node.text() != Some("local")) {
        log.not(&driver, "\"local\"", Some(HINT.to_owned()));
        return None;
    }
    let options = spot.get("driver_opts", log)?;
    log.map(&options, &["type", "o", "device"]);
    let found = log.string_map(&options);
    let option = |key: &str| found.get(key).map_or("", String::as_str);
    let is_bind = option("o").split(',').any(|option| matches!(option, "bind" | "rbind"));
    match (option("type"), options.get("device", log)) {
        ("none" | "bind" | "", Some(device)) if is_bind => path_of(option("device"), &device, log),
        ("", None) => None,
        ("tmpfs", _) => {
            let hint = "write \"tmpfs: [/path]\" in each service".to_owned();
            log.not(&options, "a volume that is kept, or a folder of the node", Some(hint));
            None
        }
        (_, _) => {
            log.not(
                &options,
                "a folder of the node: {type: none, o: bind, device: /path}",
                Some(HINT.to_owned()),
            );
            None
        }
    }
}

/// Lets services mount the folders that their volumes stand for.
pub fn settle(project: &mut Project) {
    for mount in project.services.iter_mut().flat_map(|service| &mut service.mounts) {
        let MountSource::Named(name) = &mount.source else { continue };
        if let Some(source) = project.volumes.get(name).and_then(|volume| volume.stands_for.clone()) {
            mount.source = source;
        }
    }
}
