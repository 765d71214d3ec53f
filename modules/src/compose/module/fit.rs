//! Whether a compose file fits the MODULE.yaml beside it: ports are declared, files are there, texts refer to what is.

use std::collections::{BTreeMap, BTreeSet};

use super::manifest;
use crate::compose::model::{FileObject, HostPort, MountSource, NetworkMode, Port, Project, Service};
use crate::spec::ModuleSpec;
use crate::spec::error::{START, SpecError};
use crate::spec::health::Check;
use crate::spec::network::{self, PortNumber};
use crate::spec::reference::Visibility;

/// Compares the project with the module.
pub(super) struct Fit<'f> {
    pub spec: &'f ModuleSpec,
    pub errors: Vec<SpecError>,
}

impl Fit<'_> {
    fn wrong(&mut self, project: &Project, field: &str, found: String, expected: &str, hint: Option<String>) {
        let origin = project.origin(field);
        self.errors.push(SpecError {
            file: origin.map_or_else(String::new, |origin| origin.file.clone()),
            place: origin.map_or(START, |origin| origin.place),
            field: field.to_owned(),
            found,
            expected: expected.to_owned(),
            hint,
        });
    }

    /// Binds the module's ports to those the services publish; what is published must be declared.
    pub fn ports(&mut self, project: &mut Project, config: &BTreeMap<String, String>) {
        for (index, port) in self.spec.ports.iter().enumerate() {
            if let Err(error) = bind(port, index, project, config) {
                self.errors.push(error);
            }
        }
        for service in &project.services {
            for port in &service.ports {
                let HostPort::Numbers(first, last) = port.host else { continue };
                if first != last {
                    continue;
                }
                let field = port.field.clone();
                let (container, protocol) = (port.container.0, port.protocol.as_str());
                let hint = format!(
                    "add {{name: …, port: {first}, target: {container}, protocol: {protocol}, service: {}}} to ports",
                    service.name
                );
                let found = format!("the port {first} of the node, which MODULE.yaml does not declare");
                self.wrong(project, &field, found, "a declared port", Some(hint));
            }
        }
    }

    /// Files that are mounted must come with the package; a folder that does not is kept like a volume.
    pub fn mounts(&mut self, project: &Project, paths: &BTreeSet<String>) {
        for service in &project.services {
            for mount in &service.mounts {
                let MountSource::Relative(path) = &mount.source else { continue };
                let name = path.rsplit('/').next().unwrap_or_default();
                let looks_like_file = name.trim_start_matches('.').contains('.');
                if !is_in_package(path, paths) && looks_like_file && !name.ends_with(".d") {
                    let found = format!("{path:?}, which is not in the package");
                    let hint = Some("add the file, or mount the folder that holds it".to_owned());
                    self.wrong(project, &mount.field, found, "a file of the package", hint);
                }
            }
        }
    }

    /// Secrets and configs that are files come with the package.
    pub fn files(&mut self, project: &Project, paths: &BTreeSet<String>) {
        for (kind, objects) in [("secrets", &project.secrets), ("configs", &project.configs)] {
            for (name, object) in objects {
                let FileObject::File(MountSource::Relative(path)) = object else { continue };
                if !is_in_package(path, paths) {
                    let found = format!("{path:?}, which is not in the package");
                    let hint = "add the file, or write `environment: NAME` and map NAME to a secret config item in runtime.compose.env";
                    self.wrong(
                        project,
                        &format!("{kind}.{name}.file"),
                        found,
                        "a file of the package",
                        Some(hint.to_owned()),
                    );
                }
            }
        }
    }

    /// The service whose port the module's check asks is there.
    pub fn health(&mut self, project: &Project) {
        let (field, service) = match self.spec.health.as_ref().map(|health| &health.check) {
            Some(Check::Http(http)) => ("health.http.service", &http.service),
            Some(Check::Tcp(tcp)) => ("health.tcp.service", &tcp.service),
            Some(Check::Exec(_)) | None => return,
        };
        let Some(name) = service.as_deref().filter(|name| project.service(name).is_none()) else { return };
        let names = project.services.iter().map(|service| service.name.as_str());
        let hint = crate::suggest::closest(name, names).map(|name| format!("did you mean {name:?}?"));
        let found = format!("the service {name:?}, which the compose file does not have");
        self.errors.push(manifest(field, found, "one of its services", hint));
    }

    /// Texts refer to what the module declares, and show no secrets.
    pub fn references(&mut self, project: &Project) {
        for service in &project.services {
            let name = &service.name;
            let at = |field: &str| format!("services.{name}.{field}");
            for (key, value) in &service.env {
                self.text(project, &at(&format!("environment.{key}")), value, Visibility::Private);
            }
            let devices: Vec<String> = service.devices.iter().map(|device| device.source.clone()).collect();
            let texts = [
                ("command", service.command.as_deref().unwrap_or_default()),
                ("entrypoint", service.entrypoint.as_deref().unwrap_or_default()),
                ("image", service.image.as_slice()),
                ("hostname", service.hostname.as_slice()),
                ("user", service.user.as_slice()),
                ("working_dir", service.working_dir.as_slice()),
                ("extra_hosts", &service.extra_hosts),
                ("tmpfs", &service.tmpfs),
                ("dns", &service.dns),
                ("dns_search", &service.dns_search),
                ("dns_opt", &service.dns_opt),
                ("devices", &devices),
                ("healthcheck.test", service.healthcheck.as_ref().map_or(&[], |check| check.test.words())),
            ];
            for (field, texts) in texts {
                for text in texts {
                    self.text(project, &at(field), text, Visibility::Public);
                }
            }
            for (part, values) in [("labels", &service.labels), ("sysctls", &service.sysctls)] {
                for (key, value) in values {
                    self.text(project, &at(&format!("{part}.{key}")), value, Visibility::Public);
                }
            }
            for mount in &service.mounts {
                self.text(project, &mount.field, &mount.target, Visibility::Public);
                if let MountSource::Absolute(path) = &mount.source {
                    self.text(project, &mount.field, path, Visibility::Public);
                }
            }
            for port in &service.ports {
                if let HostPort::Reference(text) = &port.host {
                    self.text(project, &port.field, text, Visibility::Public);
                }
                if let Some(text) = &port.host_ip {
                    self.text(project, &port.field, text, Visibility::Public);
                }
            }
        }
        for (kind, objects) in [("secrets", &project.secrets), ("configs", &project.configs)] {
            for (name, object) in objects {
                if let FileObject::Value(text) = object {
                    self.text(project, &format!("{kind}.{name}"), text, Visibility::Private);
                }
            }
        }
    }

    fn text(&mut self, project: &Project, field: &str, text: &str, visibility: Visibility) {
        for bad in self.spec.bad_references(text, visibility, &[]) {
            self.wrong(project, field, bad.found, &bad.expected, bad.hint);
        }
    }
}

/// Whether a path is a file of the package, or a folder of it.
pub fn is_in_package(path: &str, paths: &BTreeSet<String>) -> bool {
    let folder = format!("{path}/");
    path.is_empty()
        || paths.contains(path)
        || paths.range(folder.clone()..).next().is_some_and(|first| first.starts_with(&folder))
}

/// Lets the node give `port` to the service that publishes it.
fn bind(
    port: &network::Port,
    index: usize,
    project: &mut Project,
    config: &BTreeMap<String, String>,
) -> Result<(), SpecError> {
    let field = format!("ports[{index}]");
    let names: Vec<String> = project.services.iter().map(|service| service.name.clone()).collect();
    if let Some(name) = port.service.as_ref().filter(|name| !names.contains(name)) {
        let hint = crate::suggest::closest(name, names.iter().map(String::as_str));
        let hint = hint.map(|name| format!("did you mean {name:?}?"));
        let found = format!("the service {name:?}, which the compose file does not have");
        return Err(manifest(&format!("{field}.service"), found, "one of its services", hint));
    }
    let reference = format!("${{port.{}}}", port.name);
    let number = match &port.port {
        PortNumber::Number(number) => Some(*number),
        PortNumber::Config(name) => config.get(name.as_str()).and_then(|text| text.parse().ok()),
        PortNumber::Auto => None,
    };
    let is_candidate =
        |service: &&mut Service| port.service.as_ref().is_none_or(|name| *name == service.name);
    let mut candidates: Vec<&mut Service> = project.services.iter_mut().filter(is_candidate).collect();
    let fits = |known: &Port| known.protocol == port.protocol && known.container.0 == known.container.1;
    let by_reference = |known: &Port| fits(known) && known.host == HostPort::Reference(reference.clone());
    let by_number = |known: &Port| {
        fits(known) && number.is_some_and(|number| known.host == HostPort::Numbers(number, number))
    };
    let by_target = |known: &Port| {
        fits(known)
            && port.inside() == Some(known.container.0)
            && !matches!(known.host, HostPort::Reference(_))
    };
    let ways: [&dyn Fn(&Port) -> bool; 3] = [&by_reference, &by_number, &by_target];
    for way in ways {
        let mut published = candidates.iter_mut().flat_map(|service| service.ports.iter_mut());
        if let Some(known) = published.find(|known| way(known)) {
            known.host = HostPort::Reference(reference.clone());
            return Ok(());
        }
    }
    let on_node = |service: &&mut Service| service.network_mode == NetworkMode::Host;
    if candidates.iter().any(on_node) {
        return Ok(());
    }
    match (candidates.as_mut_slice(), port.inside()) {
        ([service], Some(target)) => {
            service.ports.push(Port {
                host_ip: None,
                host: HostPort::Reference(reference),
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
