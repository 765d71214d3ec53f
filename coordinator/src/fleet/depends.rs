//! Where the modules that a module depends on can be reached: `${depends.<module>.<port>}`.

use std::collections::BTreeMap;

use modules::spec::requires::Dependency;
use modules::version::Version;
use proto::ids::{DeploymentName, InstanceId, NodeName};

use super::FleetError;
use super::snapshot::Snapshot;
use super::spec::Resolved;
use crate::domain::deployment::DeploymentRecord;

/// `host:port` of an instance of each dependency, by `<module>.<port name>`. What the dependent was told before stays as
/// long as it may be true: another address restarts it.
///
/// # Errors
/// Where a dependency is not deployed, or not in a version that is good enough, or its port is not known.
pub fn addresses(
    snapshot: &Snapshot,
    record: &DeploymentRecord,
    module: &Resolved,
) -> Result<BTreeMap<String, String>, FleetError> {
    let told = told(snapshot, &record.name);
    let mut addresses = BTreeMap::new();
    for dependency in &module.spec.depends {
        let name = dependency.module.to_string();
        let provider = provider(snapshot, dependency).ok_or_else(|| FleetError::DependencyMissing {
            deployment: record.name.clone(),
            module: name.clone(),
            version: dependency.version.to_string(),
        })?;
        let prefix = format!("{name}.");
        let told = told.iter().filter_map(|(key, at)| Some((key.strip_prefix(&prefix)?, at.as_str())));
        let found = choose(&places(snapshot, provider), &told.collect()).ok_or_else(|| {
            let (deployment, module) = (record.name.clone(), name.clone());
            FleetError::DependencyUnseen { deployment, module, provider: provider.name.clone() }
        })?;
        addresses.extend(found.into_iter().map(|(port, at)| (format!("{prefix}{port}"), at)));
    }
    Ok(addresses)
}

/// Whether what its instances were told is true no more, although nothing is changing.
pub fn is_misled(snapshot: &Snapshot, record: &DeploymentRecord, module: &Resolved) -> bool {
    let is_calm = |dependency| provider(snapshot, dependency).is_some_and(DeploymentRecord::is_calm);
    let told = told(snapshot, &record.name);
    !told.is_empty()
        && module.spec.depends.iter().all(is_calm)
        && addresses(snapshot, record, module).is_ok_and(|addresses| addresses != told)
}

/// What the instances of a deployment are told now.
fn told(snapshot: &Snapshot, deployment: &DeploymentName) -> BTreeMap<String, String> {
    let mut own = snapshot.wanted().filter(|instance| instance.deployment == deployment.as_str());
    own.next().map(|instance| instance.depends.clone()).unwrap_or_default()
}

fn provider<'a>(snapshot: &'a Snapshot, dependency: &Dependency) -> Option<&'a DeploymentRecord> {
    snapshot.deployments.values().map(|kept| &kept.value).find(|record| {
        let release = &record.current.wish.release;
        let version = Version::parse(&release.version);
        release.module == dependency.module.as_str()
            && version.is_ok_and(|version| dependency.version.accepts(&version))
    })
}

/// An instance of a provider.
struct Place<'a> {
    host: &'a str,
    /// The numbers of its ports as far as they are known, by name: those that it has, else those that it wants.
    ports: BTreeMap<&'a str, Option<u32>>,
    is_seen: bool,
}

fn places<'a>(snapshot: &'a Snapshot, provider: &'a DeploymentRecord) -> Vec<Place<'a>> {
    let place = |(id, node): (&InstanceId, &NodeName)| {
        let host = snapshot.nodes.get(node)?.value.address.rsplit_once(':').map_or("", |(host, _)| host);
        let id = id.to_string();
        let wanted = snapshot.desired.get(node)?.value.instances.iter().find(|wanted| wanted.id == id)?;
        let wanted = wanted.ports.iter().map(|port| (port.name.as_str(), port.port.parse().ok()));
        let mut ports: BTreeMap<&str, Option<u32>> = wanted.collect();
        let report = snapshot.report(node).and_then(|report| report.instances.iter().find(|it| it.id == id));
        let seen = report.into_iter().flat_map(|instance| &instance.ports);
        ports.extend(seen.map(|port| (port.name.as_str(), Some(port.port))));
        Some(Place { host, ports, is_seen: report.is_some() })
    };
    provider.current.placements.iter().filter_map(place).collect()
}

/// The address of each port at one of the places; `None` where no place tells all.
fn choose(places: &[Place<'_>], told: &BTreeMap<&str, &str>) -> Option<BTreeMap<String, String>> {
    let holds = |place: &&Place<'_>| {
        place.ports.keys().eq(told.keys())
            && place.ports.iter().zip(told.values()).all(|((_, number), told)| {
                let (host, port) = told.rsplit_once(':').unwrap_or_default();
                host == place.host && number.is_none_or(|number| port == number.to_string())
            })
    };
    if places.iter().any(|place| holds(&place)) {
        return Some(owned(told));
    }
    let is_known = |place: &&Place<'_>| place.ports.values().all(Option::is_some);
    let mut known = places.iter().filter(is_known);
    let best = known.clone().find(|place| place.is_seen).or_else(|| known.next());
    let of = |place: &Place<'_>| {
        let numbers = place.ports.iter().filter_map(|(name, number)| Some((name, (*number)?)));
        numbers.map(|(name, number)| ((*name).to_owned(), format!("{}:{number}", place.host))).collect()
    };
    // Better what was true once than nothing.
    best.map(of).or_else(|| (!told.is_empty()).then(|| owned(told)))
}

fn owned(told: &BTreeMap<&str, &str>) -> BTreeMap<String, String> {
    told.iter().map(|(port, at)| ((*port).to_owned(), (*at).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &'static str, port: Option<u32>, is_seen: bool) -> Place<'static> {
        Place { host, ports: [("redis", port)].into(), is_seen }
    }

    fn check(places: &[Place<'_>], told: &str, expected: Option<&str>) {
        let told: BTreeMap<&str, &str> =
            [("redis", told)].into_iter().filter(|(_, at)| !at.is_empty()).collect();
        let chosen = choose(places, &told).map(|mut ports| ports.remove("redis").expect("its port"));
        assert_eq!(chosen.as_deref(), expected, "{told:?}");
    }

    #[test]
    fn the_address_of_an_instance_that_is_seen_is_told() {
        check(&[place("a", Some(1), false), place("b", Some(2), true)], "", Some("b:2"));
        check(&[place("a", Some(1), false), place("b", None, true)], "", Some("a:1"));
        check(&[place("a", None, true)], "", None);
        check(&[], "", None);
    }

    #[test]
    fn what_was_told_stays_while_it_may_be_true() {
        let two = [place("a", Some(1), true), place("b", Some(2), true)];
        check(&two, "b:2", Some("b:2"));
        check(&two, "b:3", Some("a:1"));
        check(&two, "c:2", Some("a:1"));
        check(&[place("a", Some(1), true), place("b", None, false)], "b:7", Some("b:7"));
        check(&[place("a", None, false)], "c:7", Some("c:7"));
    }

    #[test]
    fn a_provider_without_ports_has_no_address() {
        let place = Place { host: "a", ports: BTreeMap::new(), is_seen: false };
        assert_eq!(choose(&[place], &BTreeMap::new()), Some(BTreeMap::new()));
    }
}
