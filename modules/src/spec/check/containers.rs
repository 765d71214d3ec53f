//! What must fit together where a module runs in containers, and what only containers can have.

use std::collections::BTreeMap;

use super::super::ModuleSpec;
use super::super::container::{Container, ContainerNetwork};
use super::super::error::Report;
use super::super::health::Check;
use super::super::runtime::{Compose, PullSecret, Runtime};
use super::{Sound, inside};
use crate::item_name::ItemName;
use crate::suggest::closest;

/// Checks ports, volumes and limits against the kind of runtime.
pub fn check(spec: &ModuleSpec, report: &mut Report, sound: Sound) {
    check_inner_health(spec, report);
    match &spec.runtime {
        Runtime::Container(container) => {
            check_container(spec, container, report, sound);
            if sound.ports {
                check_ports(spec, container, report);
            }
            if sound.volumes {
                check_volumes(spec, report);
            }
        }
        Runtime::Compose(compose) => {
            check_compose(spec, compose, report, sound);
            refuse_targets_of_volumes(spec, report, "compose file", sound);
        }
        Runtime::Process(_) | Runtime::Systemd(_) => refuse_container_fields(spec, report, sound),
    }
}

/// A check of a port inside a container.
fn check_inner_health(spec: &ModuleSpec, report: &mut Report) {
    let (field, target, service) = match spec.health.as_ref().map(|health| &health.check) {
        Some(Check::Http(http)) => ("health.http", http.target, &http.service),
        Some(Check::Tcp(tcp)) => ("health.tcp", tcp.target, &tcp.service),
        Some(Check::Exec(_)) | None => return,
    };
    match &spec.runtime {
        Runtime::Process(_) | Runtime::Systemd(_) if target.is_some() => {
            let found = "a port of a container, and there is none";
            report.at(&format!("{field}.target"), found, "\"port\" with the name of a port", None);
        }
        Runtime::Container(_) if service.is_some() => {
            report.at(&format!("{field}.service"), "a service", "target alone: there is one container", None);
        }
        Runtime::Process(_) | Runtime::Systemd(_) | Runtime::Container(_) | Runtime::Compose(_) => {}
    }
}

fn check_container(spec: &ModuleSpec, container: &Container, report: &mut Report, sound: Sound) {
    if let Some(load) = &container.load {
        check_load("runtime.container.load", load, report);
    }
    if let Some(name) = container.pull_secret.as_ref().filter(|_| sound.config) {
        check_pull_secret("runtime.container.pull_secret", name, spec, report);
    }
    let has_address = container.network != ContainerNetwork::None;
    let checked = spec.health.as_ref().map(|health| &health.check);
    if let (false, Some(Check::Http(_) | Check::Tcp(_))) = (has_address, checked) {
        let found = "a check over the network of a container without network";
        report.at("health", found, "an exec check", None);
    }
}

fn check_compose(spec: &ModuleSpec, compose: &Compose, report: &mut Report, sound: Sound) {
    if let Some(load) = &compose.load {
        check_load("runtime.compose.load", load, report);
    }
    let secrets = compose.pull_secret.iter().filter(|_| sound.config).flat_map(PullSecret::fields);
    for (field, name) in secrets {
        check_pull_secret(&field, name, spec, report);
    }
}

fn check_load(field: &str, load: &str, report: &mut Report) {
    inside(report, field, load, "a file in the package");
    if load.starts_with('/') {
        report.at(field, format!("{load:?}"), "a file in the package", None);
    }
}

fn check_pull_secret(field: &str, name: &ItemName, spec: &ModuleSpec, report: &mut Report) {
    let secrets = || spec.config.iter().filter(|item| item.secret).map(|item| item.name.as_str());
    if !secrets().any(|secret| secret == name.as_str()) {
        let hint = closest(name.as_str(), secrets()).map(|name| format!("did you mean {name:?}?"));
        let expected = "the name of a config item with secret: true";
        report.at(field, format!("{:?}", name.as_str()), expected, hint);
    }
}

fn check_ports(spec: &ModuleSpec, container: &Container, report: &mut Report) {
    let mut targets = BTreeMap::new();
    for (index, port) in spec.ports.iter().enumerate() {
        let field = format!("ports[{index}]");
        refuse_service(report, &field, port.service.as_deref());
        match container.network {
            ContainerNetwork::Bridge => {}
            ContainerNetwork::Host => {
                refuse_target(report, &field, port.target, "the container listens on the node's own ports");
                continue;
            }
            ContainerNetwork::None => {
                report.at(
                    &field,
                    "a port of a container without network",
                    "no port, or network: bridge",
                    None,
                );
                continue;
            }
        }
        let Some(inside) = port.inside() else {
            let expected = "the port inside the container, such as target: 80";
            report.at(&format!("{field}.target"), "nothing", expected, None);
            continue;
        };
        if let Some(first) = targets.insert((inside, port.protocol), index) {
            let found = format!("{} {inside} a second time", port.protocol.as_str());
            let expected = format!("another port than that of ports[{first}]");
            report.at(&format!("{field}.target"), found, expected, None);
        }
    }
}

fn check_volumes(spec: &ModuleSpec, report: &mut Report) {
    let mut targets = BTreeMap::new();
    for (index, volume) in spec.volumes.iter().enumerate() {
        let field = format!("volumes[{index}].target");
        let Some(target) = &volume.target else {
            let expected = "where the container sees it, such as target: /data";
            report.at(&field, "nothing", expected, None);
            continue;
        };
        let target = target.trim_end_matches('/');
        if target.is_empty() {
            report.at(&field, "the root of the container", "a folder in it", None);
        }
        if let Some(first) = targets.insert(target, index) {
            let expected = format!("another target than that of volumes[{first}]");
            report.at(&field, format!("{target:?} a second time"), expected, None);
        }
    }
}

fn refuse_targets_of_volumes(spec: &ModuleSpec, report: &mut Report, who: &str, sound: Sound) {
    if !sound.volumes {
        return;
    }
    for (index, volume) in spec.volumes.iter().enumerate() {
        let field = format!("volumes[{index}]");
        let expected = format!("none: the {who} says it");
        if let Some(target) = &volume.target {
            report.at(&format!("{field}.target"), format!("{target:?}"), expected.as_str(), None);
        }
        if volume.read_only {
            report.at(&format!("{field}.read_only"), "true", expected, None);
        }
    }
}

fn refuse_container_fields(spec: &ModuleSpec, report: &mut Report, sound: Sound) {
    let reason = "there is no container";
    if sound.ports {
        for (index, port) in spec.ports.iter().enumerate() {
            let field = format!("ports[{index}]");
            refuse_target(report, &field, port.target, reason);
            refuse_service(report, &field, port.service.as_deref());
        }
    }
    if sound.volumes {
        for (index, volume) in spec.volumes.iter().enumerate() {
            let field = format!("volumes[{index}]");
            let hint = || Some("the module finds the volume by ${volume.<name>}".to_owned());
            if let Some(target) = &volume.target {
                let expected = format!("none: {reason}");
                report.at(&format!("{field}.target"), format!("{target:?}"), expected, hint());
            }
            if volume.read_only {
                report.at(&format!("{field}.read_only"), "true", format!("none: {reason}"), None);
            }
        }
    }
    if let Some(cores) = spec.limits.cpu {
        report.at("limits.cpu", cores.to_string(), format!("none: {reason}"), None);
    }
}

fn refuse_target(report: &mut Report, field: &str, target: Option<u16>, reason: &str) {
    if let Some(target) = target {
        report.at(&format!("{field}.target"), target.to_string(), format!("none: {reason}"), None);
    }
}

fn refuse_service(report: &mut Report, field: &str, service: Option<&str>) {
    if let Some(service) = service {
        let expected = "none: services are of runtime compose";
        report.at(&format!("{field}.service"), format!("{service:?}"), expected, None);
    }
}
