//! By which names and addresses a service is known in the networks of its project.

use std::collections::{BTreeMap, BTreeSet};

use modules::compose::model::Service;
use proto::v1::container_service::{Addresses, Networks};

pub fn addresses(service: &Service) -> BTreeMap<String, Addresses> {
    let own =
        service.networks.iter().filter(|attachment| attachment.ipv4.is_some() || attachment.ipv6.is_some());
    let own = own.map(|attachment| {
        let [ipv4, ipv6] = [&attachment.ipv4, &attachment.ipv6].map(|text| text.clone().unwrap_or_default());
        (attachment.network.clone(), Addresses { ipv4, ipv6 })
    });
    own.collect()
}

/// All its further names. Agents that know no better give each in every network of the service.
pub fn aliases(service: &Service) -> Vec<String> {
    let mut names: Vec<String> =
        service.networks.iter().flat_map(|attachment| attachment.aliases.clone()).collect();
    names.extend(service.container_name.iter().chain(&service.linked_as).cloned());
    names.sort_unstable();
    names.dedup();
    names
}

/// Where those of them are known that are not known in every network of the service.
pub fn alias_networks(service: &Service) -> BTreeMap<String, Networks> {
    let everywhere = |alias: &String| {
        service.container_name.as_ref() == Some(alias)
            || service.linked_as.contains(alias)
            || service.networks.iter().all(|attachment| attachment.aliases.contains(alias))
    };
    let aliases: BTreeSet<&String> =
        service.networks.iter().flat_map(|attachment| &attachment.aliases).collect();
    let some = aliases.into_iter().filter(|alias| !everywhere(alias)).map(|alias| {
        let known = service.networks.iter().filter(|attachment| attachment.aliases.contains(alias));
        let names = known.map(|attachment| attachment.network.clone()).collect();
        (alias.clone(), Networks { names })
    });
    some.collect()
}
