//! The ports of a module and those that its services publish: which are the same.

use crate::compose::model::{HostPort, NetworkMode, Port, Project, Service};
use crate::spec::ModuleSpec;
use crate::spec::error::SpecError;
use crate::spec::network::{self, PortNumber};

use super::manifest;

/// Lets the node give `port` to the service that publishes it.
pub(super) fn bind(
    port: &network::Port,
    index: usize,
    spec: &ModuleSpec,
    project: &mut Project,
) -> Result<(), SpecError> {
    let field = format!("ports[{index}]");
    let names: Vec<String> = project.services.iter().map(|service| service.name.clone()).collect();
    if let Some(name) = port.service.as_ref().filter(|name| !names.contains(name)) {
        let hint = crate::suggest::closest(name, names.iter().map(String::as_str));
        let hint = hint.map(|name| format!("did you mean {name:?}?"));
        let found = format!("the service {name:?}, which the compose file does not have");
        return Err(manifest(&format!("{field}.service"), found, "one of its services", hint));
    }
    let reference = HostPort::Reference(format!("${{port.{}}}", port.name));
    let is_candidate =
        |service: &&mut Service| port.service.as_ref().is_none_or(|name| *name == service.name);
    let mut candidates: Vec<&mut Service> = project.services.iter_mut().filter(is_candidate).collect();
    if publish(port, number(port, spec), &reference, &mut candidates) {
        return Ok(());
    }
    let on_node = |service: &&mut Service| service.network_mode == NetworkMode::Host;
    if candidates.iter().any(on_node) {
        return Ok(());
    }
    match (candidates.as_mut_slice(), port.inside()) {
        ([service], Some(target)) => {
            service.ports.push(Port {
                host_ip: None,
                host: reference,
                container: (target, target),
                protocol: port.protocol,
                name: None,
                field: format!("services.{}", service.name),
            });
            Ok(())
        }
        (_, _) => {
            let hint = "say whose port it is: {service: …, target: …}".to_owned();
            let found = format!("the port {:?}, which no service publishes", port.name.as_str());
            Err(manifest(&field, found, "a port of the compose file", Some(hint)))
        }
    }
}

/// The number of the port, as far as the module says one.
fn number(port: &network::Port, spec: &ModuleSpec) -> Option<u16> {
    match &port.port {
        PortNumber::Number(number) => Some(*number),
        PortNumber::Config(name) => {
            spec.config_item(name.as_str()).and_then(|item| item.default.as_ref()?.parse().ok())
        }
        PortNumber::Auto => None,
    }
}

/// Finds the port among those that are published, and gives all it is published at to the node; false where there is
/// none.
fn publish(
    port: &network::Port,
    number: Option<u16>,
    reference: &HostPort,
    candidates: &mut [&mut Service],
) -> bool {
    let fits = |known: &Port| known.protocol == port.protocol && known.container.0 == known.container.1;
    let by_reference = |known: &Port| known.host == *reference;
    let by_number =
        |known: &Port| number.is_some_and(|number| known.host == HostPort::Numbers(number, number));
    let by_target = |known: &Port| {
        port.inside() == Some(known.container.0) && !matches!(known.host, HostPort::Reference(_))
    };
    let ways: [&dyn Fn(&Port) -> bool; 3] = [&by_reference, &by_number, &by_target];
    for way in ways {
        for service in candidates.iter_mut() {
            let Some(first) = service.ports.iter().find(|known| fits(known) && way(known)).cloned() else {
                continue;
            };
            // One port may be published on several addresses of the node.
            let is_same = |known: &&mut Port| {
                (&known.host, known.container, known.protocol)
                    == (&first.host, first.container, first.protocol)
            };
            service.ports.iter_mut().filter(is_same).for_each(|known| known.host = reference.clone());
            return true;
        }
    }
    false
}
