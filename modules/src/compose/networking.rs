//! How a service is reached and what it reaches: `ports`, `networks`, `network_mode`, `dns`, `extra_hosts`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::log::Log;
use super::model::{Attachment, NetworkMode, Service};
use super::node::shortened;
use super::ports;
use super::read::{Spot, has_reference, ignore};
use super::service::texts;
use crate::spec::yaml::join;

/// Its ports, the networks it is in, and how names are looked up there.
pub fn read(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    service.ports = spot.get("ports", log).map(|spot| ports::read(&spot, log)).unwrap_or_default();
    service.expose = texts(spot, "expose", log);
    service.network_mode = spot.get("network_mode", log).map(|spot| mode(&spot, log)).unwrap_or_default();
    service.networks = spot.get("networks", log).map(|spot| networks(&spot, log)).unwrap_or_default();
    if service.network_mode != NetworkMode::Networks && !service.networks.is_empty() {
        let path = join(&spot.path, "network_mode");
        log.wrong(spot.at(), &path, "network_mode with networks", "one of the two", None);
    }
    service.hostname = spot.get("hostname", log).and_then(|spot| log.filled(&spot));
    service.container_name = spot.get("container_name", log).and_then(|spot| log.filled(&spot));
    if let Some(spot) = spot.get("container_name", log) {
        log.ignored(spot.at(), &spot.path, "is not applied: containers are named after their instance");
    }
    service.dns = servers(spot, log);
    service.dns_search = texts(spot, "dns_search", log);
    service.dns_opt = texts(spot, "dns_opt", log);
    service.extra_hosts = spot.get("extra_hosts", log).map(|spot| hosts(&spot, log)).unwrap_or_default();
    service.pid = spot.get("pid", log).and_then(|spot| log.filled(&spot));
    service.ipc = spot.get("ipc", log).and_then(|spot| log.filled(&spot));
}

fn mode(spot: &Spot<'_>, log: &mut Log) -> NetworkMode {
    let Some(text) = log.filled(spot) else { return NetworkMode::default() };
    match text.split_once(':').unwrap_or((&text, "")) {
        ("bridge", "") => NetworkMode::Bridge,
        ("host", "") => NetworkMode::Host,
        ("none", "") => NetworkMode::None,
        ("default", "") => NetworkMode::Networks,
        ("service", name) if !name.is_empty() => NetworkMode::Service(name.to_owned()),
        ("container", name) if !name.is_empty() => {
            let hint = Some("name the service: network_mode: service:NAME".to_owned());
            log.not(spot, "a network of this file", hint);
            NetworkMode::Container(name.to_owned())
        }
        (_, _) => {
            let hint = Some("networks are listed under `networks`".to_owned());
            log.not(spot, "one of bridge, host, none, service:NAME", hint);
            NetworkMode::Networks
        }
    }
}

fn networks(spot: &Spot<'_>, log: &mut Log) -> Vec<Attachment> {
    if spot.node.entries().is_none() {
        let mut attachments = Vec::new();
        for item in log.list(spot) {
            let Some(network) = log.filled(&item) else { continue };
            log.visit(&join(&spot.path, &network), item.at());
            attachments.push(Attachment { network, ..Attachment::default() });
        }
        return attachments;
    }
    let mut attachments = Vec::new();
    for entry in log.any_map(spot) {
        let below = spot.below(entry, log);
        let known = [
            "aliases",
            "ipv4_address",
            "ipv6_address",
            "link_local_ips",
            "mac_address",
            "driver_opts",
            "priority",
            "gw_priority",
            "interface_name",
        ];
        log.map(&below, &known);
        ignore(&below, &known[3..], "is not applied", log);
        attachments.push(Attachment {
            network: entry.key.clone(),
            aliases: texts(&below, "aliases", log),
            ipv4: address::<Ipv4Addr>(&below, "ipv4_address", "an address such as 172.28.0.10", log),
            ipv6: address::<Ipv6Addr>(&below, "ipv6_address", "an address such as fd00:28::10", log),
        });
    }
    attachments
}

/// An address, in its usual spelling.
fn address<T: FromStr + ToString>(
    spot: &Spot<'_>,
    key: &str,
    expected: &str,
    log: &mut Log,
) -> Option<String> {
    let spot = spot.get(key, log)?;
    log.parsed(&spot, expected, |text| {
        text.trim().parse::<T>().map(|address| address.to_string()).map_err(|_| String::new())
    })
}

/// `dns`: who is asked for names.
fn servers(spot: &Spot<'_>, log: &mut Log) -> Vec<String> {
    let servers = texts(spot, "dns", log);
    let is_address = |text: &String| has_reference(text) || text.parse::<IpAddr>().is_ok();
    if let (Some(bad), Some(spot)) = (servers.iter().find(|text| !is_address(text)), spot.get("dns", log)) {
        log.wrong(
            spot.at(),
            &spot.path,
            format!("{:?}", shortened(bad)),
            "the address of a name server",
            None,
        );
    }
    servers
}

/// `host:address`, `host=address` or a map; given as `host:address`.
fn hosts(spot: &Spot<'_>, log: &mut Log) -> Vec<String> {
    if spot.node.entries().is_some() {
        let pairs = log.string_map(spot);
        return pairs.into_iter().map(|(host, address)| format!("{host}:{address}")).collect();
    }
    let mut hosts = Vec::new();
    for item in log.list(spot) {
        let Some(text) = log.filled(&item) else { continue };
        match text.split_once(['=', ':']) {
            Some((host, address)) if !host.is_empty() && !address.is_empty() => {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                hosts.push(format!("{host}:{address}"));
            }
            Some(_) | None => log.not(&item, "a host with its address, such as db:10.0.0.2", None),
        }
    }
    hosts
}
