//! Where the modules that a module depends on can be reached: `${depends.<module>.<port>}`.

use std::collections::BTreeMap;

use modules::spec::requires::Dependency;
use modules::version::Version;

use super::FleetError;
use super::snapshot::Snapshot;
use super::spec::Resolved;
use crate::domain::deployment::DeploymentRecord;

/// `host:port` of an instance of each dependency, by `<module>.<port name>`.
///
/// # Errors
/// Where a dependency is not deployed, or not in a version that is good enough.
pub fn addresses(
    snapshot: &Snapshot,
    record: &DeploymentRecord,
    module: &Resolved,
) -> Result<BTreeMap<String, String>, FleetError> {
    let mut addresses = BTreeMap::new();
    for dependency in &module.spec.depends {
        let provider = provider(snapshot, dependency).ok_or_else(|| FleetError::DependencyMissing {
            deployment: record.name.clone(),
            module: dependency.module.to_string(),
            version: dependency.version.to_string(),
        })?;
        addresses.extend(ports_of(snapshot, provider, dependency.module.as_str()));
    }
    Ok(addresses)
}

fn provider<'a>(snapshot: &'a Snapshot, dependency: &Dependency) -> Option<&'a DeploymentRecord> {
    snapshot.deployments.values().map(|kept| &kept.value).find(|record| {
        let release = &record.current.wish.release;
        let version = Version::parse(&release.version);
        release.module == dependency.module.as_str()
            && version.is_ok_and(|version| dependency.version.accepts(&version))
    })
}

/// The ports of the provider's first instance that is seen running.
fn ports_of(snapshot: &Snapshot, provider: &DeploymentRecord, module: &str) -> BTreeMap<String, String> {
    for (id, node) in &provider.current.placements {
        let Some(kept) = snapshot.nodes.get(node) else { continue };
        let Some(report) = snapshot.report(node) else { continue };
        let host = kept.value.address.rsplit_once(':').map_or("", |(host, _)| host);
        if let Some(instance) = report.instances.iter().find(|instance| instance.id == id.to_string()) {
            let address = |port: &proto::v1::instance_report::BoundPort| {
                (format!("{module}.{}", port.name), format!("{host}:{}", port.port))
            };
            return instance.ports.iter().map(address).collect();
        }
    }
    BTreeMap::new()
}
