//! The networks of a group of containers, by what the engine calls them.

use std::collections::BTreeSet;

use proto::v1::container_service::Addresses;
use proto::v1::{ContainerGroup, ContainerService};

use crate::runtime::group::plan::{Joined, NetworkPlan, Owner};

const DEFAULT: &str = "default";

fn network_name(owner: &Owner, group: &ContainerGroup, name: &str) -> String {
    match group.networks.get(name) {
        Some(options) if !options.external.is_empty() => options.external.clone(),
        Some(_) | None => owner.name(name),
    }
}

pub fn of(owner: &Owner, group: &ContainerGroup) -> Vec<NetworkPlan> {
    let mut names: BTreeSet<&str> = group.networks.keys().map(String::as_str).collect();
    names.insert(DEFAULT);
    let plan = |name: &str| NetworkPlan {
        name: network_name(owner, group, name),
        options: group.networks.get(name).cloned().unwrap_or_default(),
    };
    names.into_iter().map(plan).collect()
}

/// The networks that a service is in, by what the engine calls them.
pub fn joined(owner: &Owner, group: &ContainerGroup, service: &ContainerService) -> Vec<Joined> {
    if !service.network_mode.is_empty() {
        return Vec::new();
    }
    let names = std::iter::once(&service.name).chain(&service.aliases).cloned().collect::<Vec<_>>();
    let networks = match &service.networks[..] {
        [] => vec![DEFAULT.to_owned()],
        some => some.to_vec(),
    };
    let joined = networks.iter().map(|network| {
        let Addresses { ipv4, ipv6 } = service.addresses.get(network).cloned().unwrap_or_default();
        Joined { network: network_name(owner, group, network), names: names.clone(), ipv4, ipv6 }
    });
    joined.collect()
}
