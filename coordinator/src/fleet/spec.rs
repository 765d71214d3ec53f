//! From a release and a wish to the instance a node is asked to run.

use std::collections::BTreeMap;
use std::time::Duration;

use modules::spec::ModuleSpec;
use modules::spec::network::{Port, PortNumber, Protocol};
use modules::spec::resolve::{ConfigErrors, Secret};
use modules::spec::runtime::Runtime;
use proto::ids::{DeploymentName, InstanceId};
use proto::v1;

use super::snapshot::Snapshot;
use super::{FleetError, depends, secrets, wire};
use crate::domain::deployment::{DeploymentRecord, Footprint, Release, SecretRef, Wish};
use crate::domain::placement::HostPort;

pub mod action;
mod runtime;
mod start_first;

/// A release and what its MODULE.yaml says.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub release: Release,
    pub spec: ModuleSpec,
    /// What its compose file came to, for runtime compose.
    pub containers: Option<v1::ContainerGroup>,
}

/// Checks the wish's configuration against the module before anything is written.
pub fn check(
    name: &DeploymentName,
    module: &Resolved,
    config: &BTreeMap<String, String>,
    secrets: &BTreeMap<String, Secret>,
) -> Result<(), FleetError> {
    if matches!(module.spec.runtime, Runtime::Compose(_)) && module.containers.is_none() {
        return Err(FleetError::RuntimeNotSupported {
            module: module.release.module.clone(),
            version: module.release.version.clone(),
            runtime: "compose".to_owned(),
        });
    }
    module.spec.resolve_config(config, secrets).map(|_| ()).map_err(|errors| invalid(name, &errors))
}

/// The plain values of the configuration, defaults included. A secret that nobody gave is empty, so it is plain.
fn plain_config(
    name: &DeploymentName,
    module: &Resolved,
    wish: &Wish,
) -> Result<BTreeMap<String, String>, FleetError> {
    let plain = ModuleSpec {
        config: module.spec.config.iter().filter(|item| !item.secret).cloned().collect(),
        ..module.spec.clone()
    };
    let resolved = plain.resolve_config(&wish.config, &BTreeMap::new());
    let mut values = resolved.map_err(|errors| invalid(name, &errors))?.values;
    let secrets = module.spec.config.iter().filter(|item| item.secret).map(|item| item.name.to_string());
    values.extend(secrets.filter(|name| !wish.secrets.contains_key(name)).map(|name| (name, String::new())));
    Ok(values)
}

fn invalid(name: &DeploymentName, errors: &ConfigErrors) -> FleetError {
    FleetError::Config { deployment: name.clone(), problems: errors.to_string(), hint: errors.hint() }
}

/// Why what runs of it stops first although the module asks for start-first; none where it asks for nothing.
pub fn why_stops_first(
    snapshot: &Snapshot,
    name: &DeploymentName,
    module: &Resolved,
    wish: &Wish,
) -> Result<Option<String>, FleetError> {
    Ok(start_first::obstacle(snapshot.wanted(), name, module, &plain_config(name, module, wish)?))
}

/// Stands for a secret that a dry run does not store.
pub fn unstored_secret(name: &DeploymentName, key: &str) -> SecretRef {
    SecretRef { name: format!("{name}.{key}"), version: 0 }
}

/// What an instance takes of its node.
pub fn footprint(name: &DeploymentName, module: &Resolved, wish: &Wish) -> Result<Footprint, FleetError> {
    let values = plain_config(name, module, wish)?;
    let ports = module.spec.ports.iter().filter_map(|port| {
        let text = port_text(port, &values);
        text.parse().ok().map(|port_number| HostPort { port: port_number, protocol: port.protocol })
    });
    Ok(Footprint {
        cpu_cores: module.spec.requires.cpu,
        memory_bytes: module.spec.requires.memory.0,
        ports: ports.collect(),
        // What is a place of the node's own is there for whoever comes.
        keeps_data: module.spec.volumes.iter().any(|volume| !volume.is_host_path()),
    })
}

/// The port as the node shall read it: a number or `auto`.
fn port_text(port: &Port, values: &BTreeMap<String, String>) -> String {
    match &port.port {
        PortNumber::Number(number) => number.to_string(),
        PortNumber::Auto => "auto".to_owned(),
        PortNumber::Config(name) => values.get(name.as_str()).cloned().unwrap_or_default(),
    }
}

/// The instance as its node is asked to run it; secrets are still references.
pub fn instance(
    snapshot: &Snapshot,
    id: &InstanceId,
    record: &DeploymentRecord,
    module: &Resolved,
) -> Result<v1::InstanceSpec, FleetError> {
    let spec = &module.spec;
    let wish = &record.current.wish;
    let values = plain_config(&record.name, module, wish)?;
    Ok(v1::InstanceSpec {
        id: id.to_string(),
        deployment: record.name.to_string(),
        release: Some(wire::release(&wish.release)),
        attempt: record.attempt,
        restart: wish.restart,
        secrets: wish.secrets.iter().map(|(key, secret)| (key.clone(), secrets::reference(secret))).collect(),
        ports: spec.ports.iter().map(|port| self::port(port, port_text(port, &values))).collect(),
        volumes: spec
            .volumes
            .iter()
            .map(|v| v1::Volume { name: v.name.to_string(), path: v.path.clone() })
            .collect(),
        install: spec.install.iter().map(runtime::install_step).collect(),
        runtime: runtime::runtime(module),
        health: spec.health.as_ref().map(runtime::health),
        update: Some(v1::Update {
            strategy: start_first::strategy(snapshot.wanted(), &record.name, module, &values).into(),
            health_deadline_ms: millis(spec.update.health_deadline),
        }),
        limits: Some(v1::Limits {
            memory_bytes: spec.limits.memory.map_or(0, |size| size.0),
            open_files: spec.limits.open_files.unwrap_or(0),
            processes: spec.limits.processes.unwrap_or(0),
            cpus: spec.limits.cpu.unwrap_or(0.0),
        }),
        depends: depends::addresses(snapshot, record, module)?,
        actions: spec.actions.iter().map(|(name, action)| (name.to_string(), action::wire(action))).collect(),
        config: values,
    })
}

fn port(port: &Port, number: String) -> v1::Port {
    let protocol = self::protocol(port.protocol);
    v1::Port {
        name: port.name.to_string(),
        port: number,
        protocol: protocol.into(),
        target: port.inside().map_or(0, u32::from),
        service: port.service.clone().unwrap_or_default(),
    }
}

pub(super) fn protocol(protocol: Protocol) -> v1::port::Protocol {
    match protocol {
        Protocol::Tcp => v1::port::Protocol::Tcp,
        Protocol::Udp => v1::port::Protocol::Udp,
    }
}

pub(super) fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
