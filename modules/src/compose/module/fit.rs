//! Whether a compose file fits the MODULE.yaml beside it: ports are declared, files are there, texts refer to what is.

use std::collections::BTreeSet;

use super::bind::bind;
use super::manifest;
use crate::compose::model::{FileObject, HostPort, MountSource, NetworkMode, Project};
use crate::compose::{Note, NoteKind};
use crate::spec::ModuleSpec;
use crate::spec::error::{START, SpecError};
use crate::spec::health::Check;
use crate::spec::reference::Visibility;
use crate::unpack::MANIFEST;

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
    pub fn ports(&mut self, project: &mut Project) {
        for (index, port) in self.spec.ports.iter().enumerate() {
            if let Err(error) = bind(port, index, self.spec, project) {
                self.errors.push(error);
            }
        }
        let mut notes = Vec::new();
        for service in &project.services {
            for port in &service.ports {
                let declared = |number: &str| {
                    let (target, protocol) = (port.container.0, port.protocol.as_str());
                    let name = &service.name;
                    format!(
                        "add {{name: …, port: {number}, target: {target}, protocol: {protocol}, service: {name}}} to ports"
                    )
                };
                match port.host {
                    HostPort::Numbers(first, last) if first == last => {
                        let found =
                            format!("the port {first} of the node, which MODULE.yaml does not declare");
                        let hint = Some(declared(&first.to_string()));
                        self.wrong(project, &port.field, found, "a declared port", hint);
                    }
                    HostPort::Any if service.network_mode != NetworkMode::Host => {
                        notes.extend(project.origin(&port.field).map(|origin| Note {
                            origin: origin.clone(),
                            field: port.field.clone(),
                            kind: NoteKind::Ignored,
                            text: format!(
                                "is not published on the node; to have it there, {} of {MANIFEST}",
                                declared("auto")
                            ),
                        }));
                    }
                    HostPort::Any | HostPort::Numbers(..) | HostPort::Reference(_) => {}
                }
            }
        }
        project.notes.extend(notes);
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
