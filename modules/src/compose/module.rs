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

mod fit;

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
        // What a person has not set yet is a reference, so that it fits wherever it can.
        let project = read_with(spec, compose, &paths, &asking, &BTreeMap::new())?;
        let notes = project.notes.iter().map(ToString::to_string).collect();
        Ok(Some(Self { texts: asked.into_inner(), paths, notes }))
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
    fit.files(&project, paths);
    fit.references(&project);
    fit.health(&project);
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
