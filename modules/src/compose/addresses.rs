//! Addresses that a file gives out by itself: each must be of its network, and of one container only.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::log::Log;
use super::model::{Network, Project, Service};

/// A block of addresses, such as 172.28.0.0/24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    first: IpAddr,
    bits: u32,
}

impl Block {
    /// Reads a block; the error is a hint.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, bits) =
            text.trim().split_once('/').ok_or_else(|| "write its size, such as /24".to_owned())?;
        let address: IpAddr = address.parse().map_err(|_| format!("{address:?} is no IP address"))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u32 = bits
            .parse()
            .ok()
            .filter(|bits| *bits <= most)
            .ok_or_else(|| format!("/{bits} is no size from /0 to /{most}"))?;
        let block = Self { first: masked(address, bits), bits };
        if block.first != address {
            return Err(format!("the block that holds it is {}/{bits}", block.first));
        }
        Ok(block)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.bits) == self.first
    }
}

/// The address without all but its first bits.
fn masked(address: IpAddr, bits: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            IpAddr::V4((u32::from(address) & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            IpAddr::V6((u128::from(address) & u128::MAX.checked_shl(128 - bits).unwrap_or(0)).into())
        }
    }
}

/// Checks the addresses of all services, and what several containers of one service cannot have.
pub fn check(project: &Project, log: &mut Log) {
    let mut given: BTreeMap<(&str, IpAddr), &str> = BTreeMap::new();
    for service in &project.services {
        replicas(service, log);
        for attachment in &service.networks {
            let Some(network) = project.networks.get(&attachment.network) else { continue };
            for text in [&attachment.ipv4, &attachment.ipv6].into_iter().flatten() {
                let Ok(address) = text.parse::<IpAddr>() else { continue };
                let key = if address.is_ipv4() { "ipv4_address" } else { "ipv6_address" };
                let field = format!("services.{}.networks.{}.{key}", service.name, attachment.network);
                if let Err((found, expected, hint)) = fits(address, &attachment.network, network) {
                    log.wrong(log.at(&field), &field, found, expected, Some(hint));
                }
                if let Some(other) = given.insert((&attachment.network, address), &service.name) {
                    let found = format!("{address}, which service {other} has");
                    log.wrong(log.at(&field), &field, found, "an address of its own", None);
                }
            }
        }
    }
}

/// Whether the network can give this address out: what was found, what is expected, what to do.
fn fits(address: IpAddr, name: &str, network: &Network) -> Result<(), (String, String, String)> {
    if network.is_external {
        return Ok(());
    }
    let blocks: Vec<Block> =
        network.pools.iter().filter_map(|pool| Block::parse(&pool.subnet).ok()).collect();
    let sort = if address.is_ipv4() { "172.28.0.0/24" } else { "fd00:28::/64" };
    if blocks.iter().all(|block| block.first.is_ipv4() != address.is_ipv4()) {
        let hint =
            format!("declare one: \"networks: {{{name}: {{ipam: {{config: [{{subnet: {sort}}}]}}}}}}\"");
        let found = format!("{address}, where the network {name:?} has no such subnet");
        return Err((found, "a network with a subnet".to_owned(), hint));
    }
    let subnets: Vec<&str> = network.pools.iter().map(|pool| pool.subnet.as_str()).collect();
    if !blocks.iter().any(|block| block.contains(address)) {
        let expected = format!("an address of {}", subnets.join(" or "));
        return Err((address.to_string(), expected, "change the address, or the subnet".to_owned()));
    }
    let is_gateway =
        |pool: &super::model::Pool| pool.gateway.as_deref() == Some(address.to_string().as_str());
    if network.pools.iter().any(is_gateway) {
        let found = format!("{address}, the gateway of the network {name:?}");
        return Err((found, "another address".to_owned(), "the node itself has that one".to_owned()));
    }
    Ok(())
}

/// Only one container can have an address or a port of the node.
fn replicas(service: &Service, log: &mut Log) {
    let Some(count) = service.replicas.filter(|count| *count > 1) else { return };
    let mut wrong = |field: String, found: &str, hint: &str| {
        let expected = format!("nothing that only one of {count} containers can have");
        log.wrong(log.at(&field), &field, found, expected, Some(hint.to_owned()));
    };
    let fixed = |port: &&super::model::Port| port.host != super::model::HostPort::Any;
    if let Some(port) = service.ports.iter().find(fixed) {
        let hint = "let one service in front publish the port, or use `orchestrator deploy --count`";
        wrong(port.field.clone(), "a port of the node", hint);
    }
    for attachment in &service.networks {
        if attachment.ipv4.is_some() || attachment.ipv6.is_some() {
            let field = format!("services.{}.networks.{}", service.name, attachment.network);
            wrong(field, "an address of its own", "leave the address to the network");
        }
    }
    if service.container_name.is_some() {
        let field = format!("services.{}.container_name", service.name);
        wrong(field, "a name of its own", "remove container_name");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_their_addresses_and_no_others() {
        let cases = [
            ("172.28.0.0/24", "172.28.0.9", true),
            ("172.28.0.0/24", "172.28.1.9", false),
            ("0.0.0.0/0", "9.9.9.9", true),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("fd00::/64", "fd00::1", true),
            ("fd00::/64", "fd01::1", false),
            ("::/0", "fd01::1", true),
            ("0.0.0.0/0", "::1", false),
        ];
        for (block, address, expected) in cases {
            let got = Block::parse(block).expect(block).contains(address.parse().expect("an address"));
            assert_eq!(got, expected, "{block} {address}");
        }
        for (text, says) in [
            ("172.28.0.5/24", "172.28.0.0/24"),
            ("172.28.0.0", "/24"),
            ("172.28.0.0/33", "/33"),
            ("x/24", "no IP address"),
            ("fd00::1/64", "fd00::/64"),
        ] {
            let hint = Block::parse(text).expect_err(text);
            assert!(hint.contains(says), "{text}: {hint}");
        }
    }
}
