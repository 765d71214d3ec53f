//! The ports of the node that a service is reached at.

use std::collections::BTreeSet;

use modules::compose::model::{HostPort, Service};
use proto::v1;

use crate::fleet::spec::protocol;

/// What the file publishes; the ports of the module are among it, bound to the node's by name. What has no port of the
/// node is told in the project's notes.
pub fn published(service: &Service) -> Vec<v1::PublishedPort> {
    let mut seen = BTreeSet::new();
    let mut ports = Vec::new();
    for port in &service.ports {
        for (host, target) in port.pairs() {
            let published = match host {
                HostPort::Any => continue,
                HostPort::Numbers(first, _) => first.to_string(),
                HostPort::Reference(text) => text,
            };
            let host_ip = port.host_ip.clone().unwrap_or_default();
            // One port may be published several times: on other addresses, or as other ones.
            if seen.insert((host_ip.clone(), published.clone(), target, port.protocol)) {
                let protocol = protocol(port.protocol).into();
                ports.push(v1::PublishedPort { target: target.into(), published, protocol, host_ip });
            }
        }
    }
    ports
}
