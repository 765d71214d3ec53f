//! Whether a module that asks for `update.strategy: start-first` can have it here: its new release beside the former one.

use std::collections::BTreeMap;

use modules::spec::runtime::Runtime;
use modules::spec::update::Strategy;
use proto::ids::DeploymentName;
use proto::v1;

use super::{Resolved, port_text};

/// How the node is to update. `wanted` are all instances of the fleet, as their nodes were told.
pub fn strategy<'a>(
    wanted: impl Iterator<Item = &'a v1::InstanceSpec>,
    name: &DeploymentName,
    module: &Resolved,
    values: &BTreeMap<String, String>,
) -> v1::update::Strategy {
    match (module.spec.update.strategy, obstacle(wanted, name, module, values)) {
        (Strategy::StartFirst, None) => v1::update::Strategy::StartFirst,
        (Strategy::StartFirst, Some(_)) | (Strategy::StopFirst, _) => v1::update::Strategy::StopFirst,
    }
}

/// Why what runs stops first although the module asks for the contrary. None where it does not ask.
pub fn obstacle<'a>(
    wanted: impl Iterator<Item = &'a v1::InstanceSpec>,
    name: &DeploymentName,
    module: &Resolved,
    values: &BTreeMap<String, String>,
) -> Option<String> {
    if module.spec.update.strategy != Strategy::StartFirst {
        return None;
    }
    fixed_port(module, values)
        .or_else(|| module.containers.as_ref().and_then(fixed_in_group))
        .or_else(|| match &module.spec.runtime {
            Runtime::Systemd(systemd) => Some(format!("systemd runs {} only once", systemd.unit)),
            Runtime::Process(_) | Runtime::Container(_) | Runtime::Compose(_) => None,
        })
        .or_else(|| dependent(wanted, name, module))
}

/// Two cannot listen on the same port.
fn fixed_port(module: &Resolved, values: &BTreeMap<String, String>) -> Option<String> {
    let ports = module.spec.ports.iter().map(|port| (port, port_text(port, values)));
    let (port, number) = ports.into_iter().find(|(_, text)| text != "auto")?;
    Some(format!("its port {} is {number}, not auto, and two cannot listen on the same", port.name))
}

fn fixed_in_group(group: &v1::ContainerGroup) -> Option<String> {
    let subnet = group.networks.iter().find(|(_, options)| !options.subnet.is_empty());
    if let Some((name, options)) = subnet {
        return Some(format!("its network {name} has the subnet {}, which two cannot have", options.subnet));
    }
    let mut ports =
        group.services.iter().flat_map(|service| service.ports.iter().map(move |port| (service, port)));
    let (service, port) = ports.find(|(_, port)| !port.published.starts_with("${"))?;
    Some(format!("service {} publishes the fixed port {}", service.name, port.published))
}

/// The new one has other ports, which who was told the old ones would not hear of.
fn dependent<'a>(
    wanted: impl Iterator<Item = &'a v1::InstanceSpec>,
    name: &DeploymentName,
    module: &Resolved,
) -> Option<String> {
    if module.spec.ports.is_empty() {
        return None;
    }
    let prefix = format!("{}.", module.release.module);
    let mut others = wanted.filter(|instance| instance.deployment != name.as_str());
    let told = others.find(|instance| instance.depends.keys().any(|key| key.starts_with(&prefix)))?;
    Some(format!("{} was told the port it has now", told.deployment))
}

#[cfg(test)]
mod tests {
    use modules::spec::ModuleSpec;

    use super::*;
    use crate::domain::deployment::Release;

    const BASE: &str = "name: web\nversion: 1.0.0\nupdate: {strategy: start-first}\n";
    const PROCESS: &str = "runtime: {process: {command: [/bin/web]}}\n";

    #[test]
    fn only_what_can_be_there_twice_starts_first() {
        let auto = "config: [{name: port, type: port, default: auto}]\nports: [{name: web, port: \"${config.port}\"}]\n";
        let fixed = auto.replace("auto", "8080");
        let unit = "runtime: {systemd: {unit: web.service}}\n";
        check(&format!("{BASE}{PROCESS}{auto}"), None);
        check(&format!("{BASE}{PROCESS}"), None);
        check(&format!("{BASE}{PROCESS}{fixed}"), Some("its port web is 8080"));
        check(&format!("{BASE}{unit}"), Some("systemd runs web.service only once"));
        check(&format!("{}{PROCESS}{fixed}", BASE.replace("start-first", "stop-first")), None);
    }

    #[test]
    fn a_group_with_a_fixed_port_or_subnet_stops_first() {
        let service = |published: &str| v1::ContainerService {
            name: "web".to_owned(),
            ports: vec![v1::PublishedPort { published: published.to_owned(), ..Default::default() }],
            ..Default::default()
        };
        let group = |published: &str, subnet: &str| v1::ContainerGroup {
            services: vec![service(published)],
            networks: [(
                "back".to_owned(),
                v1::NetworkOptions { subnet: subnet.to_owned(), ..Default::default() },
            )]
            .into(),
        };
        assert_eq!(fixed_in_group(&group("${port.web}", "")), None);
        let port = fixed_in_group(&group("8080", "")).expect("an obstacle");
        assert_eq!(port, "service web publishes the fixed port 8080");
        let subnet = fixed_in_group(&group("${port.web}", "10.9.0.0/24")).expect("an obstacle");
        assert!(subnet.contains("back") && subnet.contains("10.9.0.0/24"), "{subnet}");
    }

    #[test]
    fn what_others_were_told_the_port_of_stops_first() {
        let ports = "ports: [{name: web, port: auto}]\n";
        let module = module(&format!("{BASE}{PROCESS}{ports}"));
        let name = DeploymentName::parse("web").expect("a name");
        let found = |wanted: &[v1::InstanceSpec]| obstacle(wanted.iter(), &name, &module, &BTreeMap::new());
        assert_eq!(found(&[]), None);
        let proxy = v1::InstanceSpec {
            deployment: "proxy".to_owned(),
            depends: [("web.web".to_owned(), "10.0.0.1:20000".to_owned())].into(),
            ..Default::default()
        };
        assert_eq!(found(&[proxy]).expect("an obstacle"), "proxy was told the port it has now");
    }

    fn check(yaml: &str, expected: Option<&str>) {
        let module = module(yaml);
        let name = DeploymentName::parse("web").expect("a name");
        let values = module.spec.resolve_config(&BTreeMap::new(), &BTreeMap::new()).expect("resolved").values;
        let got = obstacle([].iter(), &name, &module, &values);
        match (&got, expected) {
            (None, None) => {}
            (Some(got), Some(expected)) => assert!(got.contains(expected), "{yaml}: {got}"),
            _ => panic!("{yaml}: {got:?}, expected {expected:?}"),
        }
    }

    fn module(yaml: &str) -> Resolved {
        let spec = ModuleSpec::parse("MODULE.yaml", yaml).expect("a module");
        let release =
            Release { module: "web".to_owned(), version: "1.0.0".to_owned(), digest: String::new() };
        Resolved { release, spec, containers: None }
    }
}
