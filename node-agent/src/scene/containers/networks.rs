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
    let networks = match &service.networks[..] {
        [] => vec![DEFAULT.to_owned()],
        some => some.to_vec(),
    };
    let joined = networks.iter().map(|network| {
        let Addresses { ipv4, ipv6 } = service.addresses.get(network).cloned().unwrap_or_default();
        Joined { network: network_name(owner, group, network), names: names(service, network), ipv4, ipv6 }
    });
    joined.collect()
}

/// What a service is called in one of its networks.
fn names(service: &ContainerService, network: &String) -> Vec<String> {
    let is_known = |alias: &&String| {
        service.alias_networks.get(*alias).is_none_or(|known| known.names.contains(network))
    };
    std::iter::once(&service.name).chain(service.aliases.iter().filter(is_known)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proto::v1::container_service::Networks;

    use super::*;

    #[test]
    fn an_alias_is_known_where_the_file_gives_it() {
        let service = ContainerService {
            name: "db".into(),
            aliases: vec!["everywhere".into(), "store".into()],
            alias_networks: [("store".to_owned(), Networks { names: vec!["back".into()] })].into(),
            ..Default::default()
        };
        assert_eq!(names(&service, &"back".to_owned()), ["db", "everywhere", "store"]);
        assert_eq!(names(&service, &"front".to_owned()), ["db", "everywhere"]);
    }
}
