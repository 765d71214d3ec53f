//! A compose file as the runtime of a module: read out of the package, with the module's configuration, and made to
//! fit what its MODULE.yaml declares.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::interpolate::literal;
use super::model::{HostPort, MountSource, NetworkMode, Port, Project, Service};
use super::{Source, parse};
use crate::spec::ModuleSpec;
use crate::spec::error::{START, SpecError, SpecErrors};
use crate::spec::network::{self, PortNumber};
use crate::spec::reference::Visibility;
use crate::spec::runtime::{Compose, Runtime};
use crate::template;
use crate::unpack::MANIFEST;

/// What of a package its compose file needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeFiles {
    /// The compose file and the files that it reads.
    pub texts: BTreeMap<String, String>,
    /// Every file of the package.
    pub paths: BTreeSet<String>,
}

impl ComposeFiles {
    /// Takes what the module's compose file reads out of a package; nothing for other runtimes.
    ///
    /// # Errors
    /// When the compose file is wrong, or does not fit the module.
    pub fn gather(
        spec: &ModuleSpec,
        paths: BTreeSet<String>,
        files: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Option<Self>, SpecErrors> {
        let Runtime::Compose(compose) = &spec.runtime else { return Ok(None) };
        let asked = RefCell::new(BTreeMap::new());
        let asking = |path: &str| {
            let bytes = files(path)?;
            asked.borrow_mut().insert(path.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
            Some(bytes)
        };
        // What a person has not set yet is a reference, so that it fits wherever it can.
        read_with(spec, compose, &paths, &asking, &BTreeMap::new())?;
        Ok(Some(Self { texts: asked.into_inner(), paths }))
    }

    /// Reads the compose file of a module with the values of its configuration that are not secret.
    ///
    /// # Errors
    /// Everything that is wrong with it, or does not fit the module.
    pub fn project(
        &self,
        spec: &ModuleSpec,
        config: &BTreeMap<String, String>,
    ) -> Result<Project, SpecErrors> {
        let Runtime::Compose(compose) = &spec.runtime else { return Ok(Project::default()) };
        let files = |path: &str| self.texts.get(path).map(|text| text.clone().into_bytes());
        let project = read_with(spec, compose, &self.paths, &files, config)?;
        let unresolved = project.unresolved.iter().map(|unresolved| SpecError {
            file: unresolved.origin.file.clone(),
            place: unresolved.origin.place,
            field: unresolved.field.clone(),
            found: unresolved.text.clone(),
            expected: "a value that is known before it reaches the node".to_owned(),
            hint: Some("a config item that is no secret can stand here".to_owned()),
        });
        finish(unresolved.collect(), project)
    }
}

fn finish(errors: Vec<SpecError>, project: Project) -> Result<Project, SpecErrors> {
    if errors.is_empty() { Ok(project) } else { Err(SpecErrors { errors, omitted: 0 }) }
}

fn read_with(
    spec: &ModuleSpec,
    compose: &Compose,
    paths: &BTreeSet<String>,
    files: &dyn Fn(&str) -> Option<Vec<u8>>,
    config: &BTreeMap<String, String>,
) -> Result<Project, SpecErrors> {
    let file = compose.file.trim_start_matches("./");
    let Some(text) = files(file) else {
        let found = format!("{file:?}, which is not in the package");
        return Err(SpecErrors {
            errors: vec![manifest("runtime.compose.file", found, "a file of the package", None)],
            omitted: 0,
        });
    };
    let env = compose.env.iter().map(|(key, value)| (key.clone(), with_config(value, config))).collect();
    let source = Source { file, text: &text, files, env: &env, profiles: &compose.profiles };
    let mut project = parse(&source)?;
    let mut fit = Fit { spec, errors: Vec::new() };
    fit.ports(&mut project, config);
    fit.mounts(&project, paths);
    fit.references(&project);
    finish(fit.errors, project)
}

/// A template with the references to known configuration replaced by what they stand for.
pub fn with_config(text: &str, config: &BTreeMap<String, String>) -> String {
    let Ok(references) = template::references(text) else { return text.to_owned() };
    let mut rendered = String::with_capacity(text.len());
    let mut done = 0;
    for (at, name) in references {
        let value = name.strip_prefix("config.").and_then(|name| config.get(name));
        if let Some(value) = value {
            rendered.push_str(&text[done..at]);
            rendered.push_str(&literal(value));
            done = at + name.len() + 3;
        }
    }
    rendered.push_str(&text[done..]);
    rendered
}

fn manifest(field: &str, found: String, expected: &str, hint: Option<String>) -> SpecError {
    let (file, field, expected) = (MANIFEST.to_owned(), field.to_owned(), expected.to_owned());
    SpecError { file, place: START, field, found, expected, hint }
}

/// Compares the project with the module.
struct Fit<'f> {
    spec: &'f ModuleSpec,
    errors: Vec<SpecError>,
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
    fn ports(&mut self, project: &mut Project, config: &BTreeMap<String, String>) {
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
    fn mounts(&mut self, project: &Project, paths: &BTreeSet<String>) {
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

    /// Texts refer to what the module declares, and show no secrets.
    fn references(&mut self, project: &Project) {
        for service in &project.services {
            let name = &service.name;
            let at = |field: &str| format!("services.{name}.{field}");
            for (key, value) in &service.env {
                self.text(project, &at(&format!("environment.{key}")), value, Visibility::Private);
            }
            let texts = [
                ("command", service.command.as_deref().unwrap_or_default()),
                ("entrypoint", service.entrypoint.as_deref().unwrap_or_default()),
                ("image", service.image.as_slice()),
                ("hostname", service.hostname.as_slice()),
                ("user", service.user.as_slice()),
                ("working_dir", service.working_dir.as_slice()),
                ("extra_hosts", &service.extra_hosts),
                ("tmpfs", &service.tmpfs),
            ];
            for (field, texts) in texts {
                for text in texts {
                    self.text(project, &at(field), text, Visibility::Public);
                }
            }
            for (key, value) in &service.labels {
                self.text(project, &at(&format!("labels.{key}")), value, Visibility::Public);
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

#[cfg(test)]
mod tests {
    use super::*;

    const COMPOSE: &str = "services:
  web:
    image: web:1
    ports: ['8080:80', '${DNS}:53/udp']
    environment: {PASSWORD: '${PASSWORD}', LEVEL: '${LEVEL}'}
    mem_limit: ${MEMORY}
    volumes: ['./conf:/conf:ro', './data:/data']
  job: {image: job:1}
";
    const MODULE: &str = "name: m
version: 1.0.0
config:
  - {name: memory, type: string, default: 64m}
  - {name: level, type: string, default: info}
  - {name: password, type: string, secret: true}
ports:
  - {name: web, port: auto, target: 80, service: web}
  - {name: dns, port: 53, protocol: udp, service: web}
  - {name: admin, port: 9000, service: job}
runtime: {compose: {file: compose.yaml, env: {DNS: '${port.dns}', MEMORY: '${config.memory}', PASSWORD: '${config.password}', LEVEL: '${config.level}'}}}
";

    #[test]
    fn the_nodes_ports_and_configuration_reach_the_services() {
        let (spec, files) = module(MODULE, COMPOSE).unwrap_or_else(|errors| panic!("{errors}"));
        let config = [("memory", "64m"), ("level", "${x}")];
        let config = config.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let project = files.project(&spec, &config).unwrap_or_else(|errors| panic!("{errors}"));
        let web = project.service("web").expect("there");
        let hosts: Vec<&HostPort> = web.ports.iter().map(|port| &port.host).collect();
        let reference = |text: &str| HostPort::Reference(text.to_owned());
        assert_eq!(hosts, [&reference("${port.web}"), &reference("${port.dns}")]);
        assert_eq!(project.service("job").expect("there").ports[0].container, (9000, 9000));
        assert_eq!((web.resources.memory, web.env["LEVEL"].as_str()), (Some(64 << 20), "$${x}"));
        assert_eq!(web.env["PASSWORD"], "${config.password}");
        // A value that only the node knows cannot be a number here.
        let errors = files.project(&spec, &BTreeMap::new()).expect_err("unresolved").to_string();
        assert!(
            errors.contains("services.web.mem_limit: found ${config.memory}, expected a value"),
            "{errors}"
        );
    }

    #[test]
    fn what_does_not_fit_the_module_is_told() {
        let cases: [(&str, &str, &str, &str); 6] = [
            ("service: job", "service: jib", "", "ports[2].service: found the service \"jib\""),
            ("service: job", "target: 1", "", "found the port \"admin\", which no service publishes"),
            (
                "file: compose.yaml",
                "file: other.yaml",
                "",
                "found \"other.yaml\", which is not in the package",
            ),
            (
                "",
                "",
                "'8080:80', '8443:443', ",
                "found the port 8443 of the node, which MODULE.yaml does not declare",
            ),
            ("", "", "'8080:80'], command: [x, '${PASSWORD}'], dns: [", "no secret in a command line"),
            ("", "", "'8080:80'], tmpfs: [/x], configs: [", "found the unknown"),
        ];
        for (from, to, ports, says) in cases {
            let compose = match ports {
                "" => COMPOSE.to_owned(),
                ports => COMPOSE.replace("'8080:80', ", ports),
            };
            let compose = compose.replace(
                "'], command: [x, '${PASSWORD}'], dns: ['${DNS}:53/udp']",
                "', '${DNS}:53/udp']\n    command: [x, '${PASSWORD}']",
            );
            let compose = compose.replace(
                "'], tmpfs: [/x], configs: ['${DNS}:53/udp']",
                "', '${DNS}:53/udp']\n    configs: [x]",
            );
            let module = match from {
                "" => MODULE.to_owned(),
                from => MODULE.replacen(from, to, 1),
            };
            let errors = self::module(&module, &compose).expect_err(says).to_string();
            assert!(errors.contains(says), "{says}: {errors}");
        }
    }

    fn module(module: &str, compose: &str) -> Result<(ModuleSpec, ComposeFiles), SpecErrors> {
        let spec = ModuleSpec::parse(MANIFEST, module)?;
        let paths = ["MODULE.yaml", "compose.yaml", "conf/a.conf"].map(str::to_owned).into();
        let files = |path: &str| (path == "compose.yaml").then(|| compose.as_bytes().to_vec());
        let files = ComposeFiles::gather(&spec, paths, &files)?;
        Ok((spec, files.expect("a compose module")))
    }
}
