//! A compose file as the runtime of a module: read out of the package, with the module's configuration, and made to
//! fit what its MODULE.yaml declares.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::interpolate::literal;
use super::model::Project;
use super::{Source, parse};
use crate::spec::ModuleSpec;
use crate::spec::error::{START, SpecError, SpecErrors};
use crate::spec::runtime::{Compose, Runtime};
use crate::template;
use crate::unpack::MANIFEST;

mod bind;
mod fit;
mod images;

pub use fit::is_in_package;
pub use images::registry_of;

use fit::Fit;

/// What of a package its compose file needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComposeFiles {
    /// The compose file and the files that it reads.
    pub texts: BTreeMap<String, String>,
    /// Every file of the package.
    pub paths: BTreeSet<String>,
    /// What people should know of how the file is read.
    #[serde(default)]
    pub notes: Vec<String>,
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
        let project = read_with(spec, compose, &paths, &asking)?;
        let notes = project.notes.iter().map(ToString::to_string).collect();
        Ok(Some(Self { texts: asked.into_inner(), paths, notes }))
    }

    /// Reads the compose file of a module as it is deployed and checked; nothing for other runtimes.
    ///
    /// # Errors
    /// As [`ComposeFiles::gather`], which has read the same.
    pub fn project(&self, spec: &ModuleSpec) -> Result<Project, SpecErrors> {
        let Runtime::Compose(compose) = &spec.runtime else { return Ok(Project::default()) };
        let files = |path: &str| self.texts.get(path).map(|text| text.clone().into_bytes());
        read_with(spec, compose, &self.paths, &files)
    }
}

fn read_with(
    spec: &ModuleSpec,
    compose: &Compose,
    paths: &BTreeSet<String>,
    files: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Project, SpecErrors> {
    let file = &compose.file;
    let Some(text) = files(file) else {
        let found = format!("{file:?}, which is not in the package");
        return Err(SpecErrors {
            errors: vec![manifest("runtime.compose.file", found, "a file of the package", None)],
            omitted: 0,
        });
    };
    let source = Source { file, text: &text, files, env: &compose.env, profiles: &compose.profiles };
    let mut project = parse(&source)?;
    let mut fit = Fit { spec, errors: unresolved(&project) };
    fit.ports(&mut project);
    fit.mounts(&project, paths);
    fit.files(&project, paths);
    fit.references(&project);
    fit.health(&project);
    fit.errors.extend(images::misfits(compose, &project, paths));
    match fit.errors.is_empty() {
        true => Ok(project),
        false => Err(SpecErrors { errors: fit.errors, omitted: 0 }),
    }
}

/// A module is read once for all its deployments, so a number cannot wait for what one of them sets.
fn unresolved(project: &Project) -> Vec<SpecError> {
    let error = |unresolved: &super::Unresolved| SpecError {
        file: unresolved.origin.file.clone(),
        place: unresolved.origin.place,
        field: unresolved.field.clone(),
        found: unresolved.text.clone(),
        expected: "a value that is the same in every deployment".to_owned(),
        hint: Some("write the value into the compose file or into runtime.compose.env".to_owned()),
    };
    project.unresolved.iter().map(error).collect()
}

/// A template with the references to this configuration replaced by what they stand for.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::model::HostPort;

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
  - {name: level, type: string, default: info}
  - {name: password, type: string, secret: true}
ports:
  - {name: web, port: auto, target: 80, service: web}
  - {name: dns, port: 53, protocol: udp, service: web}
  - {name: admin, port: 9000, service: job}
runtime: {compose: {file: compose.yaml, env: {DNS: '${port.dns}', MEMORY: 64m, PASSWORD: '${config.password}', LEVEL: '${config.level}'}}}
";

    #[test]
    fn the_nodes_ports_and_configuration_reach_the_services() {
        let (spec, files) = module(MODULE, COMPOSE).unwrap_or_else(|errors| panic!("{errors}"));
        let project = files.project(&spec).unwrap_or_else(|errors| panic!("{errors}"));
        let web = project.service("web").expect("there");
        let hosts: Vec<&HostPort> = web.ports.iter().map(|port| &port.host).collect();
        let reference = |text: &str| HostPort::Reference(text.to_owned());
        assert_eq!(hosts, [&reference("${port.web}"), &reference("${port.dns}")]);
        assert_eq!(project.service("job").expect("there").ports[0].container, (9000, 9000));
        assert_eq!((web.resources.memory, web.env["LEVEL"].as_str()), (Some(64 << 20), "${config.level}"));
        assert_eq!(web.env["PASSWORD"], "${config.password}");
        // A value that only one deployment has cannot be a number here.
        let errors = module(&MODULE.replace("MEMORY: 64m", "MEMORY: '${config.level}'"), COMPOSE);
        let errors = errors.expect_err("unresolved").to_string();
        assert!(
            errors.contains("services.web.mem_limit: found ${config.level}, expected a value"),
            "{errors}"
        );
    }

    #[test]
    fn a_port_is_bound_wherever_it_is_published() {
        let compose =
            "services: {web: {image: 'i:1', ports: ['127.0.0.1:8080:80', '[::1]:8080:80', '8443:80', '9']}}";
        let cases = [
            // Without the service's name, and the number said by a config item.
            (
                "ports: [{name: web, port: auto, target: 80}, {name: tls, port: 8443, target: 80}]",
                ["web", "web", "tls"],
            ),
            (
                "config: [{name: p, type: port, default: 8080}]\nports: [{name: tls, port: 8443}, {name: web, port: '${config.p}'}]",
                ["web", "web", "tls"],
            ),
        ];
        for (fields, expected) in cases {
            let manifest =
                format!("name: m\nversion: 1.0.0\n{fields}\nruntime: {{compose: {{file: compose.yaml}}}}\n");
            let (spec, files) = module(&manifest, compose).unwrap_or_else(|errors| panic!("{errors}"));
            let project = files.project(&spec).unwrap_or_else(|errors| panic!("{errors}"));
            let ports = &project.service("web").expect("there").ports;
            let hosts = ports.iter().map(|port| port.host.clone());
            let expected = expected.map(|name| HostPort::Reference(format!("${{port.{name}}}")));
            assert_eq!(hosts.collect::<Vec<_>>(), [&expected[..], &[HostPort::Any]].concat(), "{fields}");
            assert_eq!(ports[0].host_ip.as_deref(), Some("127.0.0.1"), "the address stays");
            assert!(files.notes[0].contains("is not published on the node"), "{:?}", files.notes);
        }
    }

    #[test]
    fn logins_and_archives_fit_the_images() {
        const COMPOSE: &str = "services: {app: {image: 'ghcr.io/kettle/app:1'}, db: {image: 'postgres:16'}}";
        let cases = [
            ("pull_secret: {ghcr.io: login}", ""),
            ("pull_secret: {ghcr.io: login, docker.io: login}, load: compose.yaml", ""),
            (
                "pull_secret: login",
                "found one login for images of docker.io, ghcr.io, expected the registry of each login; name the registry that it is for: {docker.io: login}",
            ),
            (
                "pull_secret: {ghcr.oi: login}",
                "runtime.compose.pull_secret.ghcr.oi: found a registry that no image is of, expected one of docker.io, ghcr.io; did you mean \"ghcr.io\"?",
            ),
            ("pull_secret: {ghcr.io: logni}", "did you mean \"login\"?"),
            ("pull_secret: {ghcr: login}", "a registry such as ghcr.io or docker.io"),
            ("pull_secrets: {ghcr.io: login}", "did you mean \"pull_secret\"?"),
            ("load: images.tar", "\"images.tar\", which is not in the package"),
            ("load: ../images.tar", "expected a file in the package"),
        ];
        for (field, says) in cases {
            let manifest = format!(
                "name: m\nversion: 1.0.0\nconfig: [{{name: login, secret: true}}]\nruntime: {{compose: {{file: compose.yaml, {field}}}}}\n"
            );
            let told = module(&manifest, COMPOSE).err().map(|errors| errors.to_string()).unwrap_or_default();
            assert!(told.contains(says) && told.is_empty() == says.is_empty(), "{field}: {told}");
        }
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
