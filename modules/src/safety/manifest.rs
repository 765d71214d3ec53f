//! What a MODULE.yaml asks for, and the commands in it.

use super::{Findings, Severity, SourceFile, compose, containers, script, shown};
use crate::compose::module::{ComposeFiles, with_config};
use crate::spec::ModuleSpec;
use crate::spec::error::{Report, SpecErrors};
use crate::spec::health::Check;
use crate::spec::install::InstallStep;
use crate::spec::runtime::Runtime;

pub fn check(
    manifest: SourceFile<'_>,
    files: &[SourceFile<'_>],
    compose: Option<&ComposeFiles>,
    findings: &mut Findings,
) -> Result<(), SpecErrors> {
    let (spec, report) = ModuleSpec::parse_reporting(manifest.path, manifest.bytes)?;
    Manifest { file: manifest.path, spec: &spec, report: &report, findings }.check();
    if let Some(project) = compose.and_then(|files| files.project(&spec).ok()) {
        compose::check_deployed(&project, &spec, findings);
    }
    if let Runtime::Compose(runtime) = &spec.runtime
        && let Some(file) = files.iter().find(|file| file.path == runtime.file)
        && !compose::is_compose(&runtime.file.rsplit('/').next().unwrap_or_default().to_ascii_lowercase())
    {
        // Under another name than usual, so it is not known by that.
        compose::check(*file, findings);
    }
    Ok(())
}

/// The compose file that a MODULE.yaml names.
pub fn compose_file(manifest: SourceFile<'_>) -> Option<String> {
    let (spec, _) = ModuleSpec::parse_reporting(manifest.path, manifest.bytes).ok()?;
    match spec.runtime {
        Runtime::Compose(runtime) => Some(runtime.file),
        Runtime::Process(_) | Runtime::Container(_) | Runtime::Systemd(_) => None,
    }
}

struct Manifest<'m> {
    file: &'m str,
    spec: &'m ModuleSpec,
    report: &'m Report,
    findings: &'m mut Findings,
}

impl<'m> Manifest<'m> {
    fn at(&self, field: &str) -> (&'m str, usize) {
        (self.file, self.report.place(field).line)
    }

    fn check(&mut self) {
        self.permissions();
        self.config();
        self.volumes();
        self.runtime();
        self.install();
        for (name, action) in &self.spec.actions {
            self.command(&format!("actions.{name}.command"), &action.command);
        }
        if let Some(Check::Exec(exec)) = self.spec.health.as_ref().map(|health| &health.check) {
            self.command("health.exec.command", &exec.command);
        }
    }

    fn command(&mut self, field: &str, words: &[String]) {
        let (file, line) = self.at(field);
        script::check_argv(words, file, line, self.findings);
    }

    fn permissions(&mut self) {
        let permissions = &self.spec.permissions;
        if permissions.privileged {
            containers::privileged(self.at("permissions.privileged"), self.findings);
        }
        for (index, path) in permissions.devices.iter().enumerate() {
            let place = self.at(&format!("permissions.devices[{index}]"));
            containers::device(path.split(':').next().unwrap_or_default(), place, self.findings);
        }
        for (index, path) in permissions.write.iter().enumerate() {
            let place = self.at(&format!("permissions.write[{index}]"));
            containers::bind(path, false, place, self.findings);
        }
    }

    fn config(&mut self) {
        for (index, item) in self.spec.config.iter().enumerate() {
            let name = item.name.as_str();
            let Some(default) = item.default.as_deref().filter(|default| !default.is_empty()) else {
                continue;
            };
            if item.secret || containers::is_secret_name(name) {
                let place = self.at(&format!("config[{index}].default"));
                let text = format!(
                    "the secret {name:?} has a default, which is the same everywhere and known to all"
                );
                let hint = "remove the default; a person gives the value when they deploy";
                let id = "default-secret";
                let is_flag = matches!(default, "true" | "false");
                if !is_flag {
                    self.findings.add(Severity::Medium, id, place, text, Some(hint));
                }
            }
        }
    }

    fn volumes(&mut self) {
        let items = self.spec.config.iter();
        let defaults =
            items.filter_map(|item| Some((item.name.to_string(), item.default.clone()?))).collect();
        for (index, volume) in self.spec.volumes.iter().enumerate() {
            // What a person names instead is that person's business.
            let path = with_config(&volume.path, &defaults);
            if path.starts_with('/') {
                let place = self.at(&format!("volumes[{index}].path"));
                containers::bind(&path, volume.read_only, place, self.findings);
            }
        }
    }

    fn runtime(&mut self) {
        match &self.spec.runtime {
            Runtime::Process(process) => {
                self.command("runtime.process.command", &process.command);
                self.variables("runtime.process.env", process.env.iter());
            }
            Runtime::Container(container) => {
                if container.network == crate::spec::container::ContainerNetwork::Host {
                    containers::host_network(self.at("runtime.container.network"), self.findings);
                }
                if container.load.is_none() {
                    containers::image(&container.image, self.at("runtime.container.image"), self.findings);
                }
                for (index, name) in container.cap_add.iter().enumerate() {
                    let place = self.at(&format!("runtime.container.cap_add[{index}]"));
                    containers::capability(name, place, self.findings);
                }
                self.variables("runtime.container.env", container.env.iter());
                let argv = [&container.entrypoint[..], &container.command[..]].concat();
                self.command("runtime.container.command", &argv);
            }
            Runtime::Compose(compose) => self.variables("runtime.compose.env", compose.env.iter()),
            Runtime::Systemd(_) => {}
        }
    }

    fn variables<'e>(&mut self, field: &str, env: impl Iterator<Item = (&'e String, &'e String)>) {
        for (key, value) in env {
            let place = self.at(&format!("{field}.{key}"));
            containers::variable(key, value, place, self.findings);
        }
    }

    fn install(&mut self) {
        for (index, step) in self.spec.install.iter().enumerate() {
            let (words, kind) = match step {
                InstallStep::Run(command) => {
                    self.command(&format!("install[{index}].run"), command);
                    continue;
                }
                InstallStep::Apt(_) => continue,
                InstallStep::Pip(names) => (names, "pip"),
                InstallStep::Npm(names) => (names, "npm"),
            };
            for (at, name) in words.iter().enumerate() {
                let place = self.at(&format!("install[{index}].{kind}[{at}]"));
                self.package(name, kind, place);
            }
        }
    }

    fn package(&mut self, name: &str, kind: &str, place: (&str, usize)) {
        let is_pinned = match kind {
            "pip" => name.contains("==") || name.contains(" @ "),
            _ => name.get(1..).is_some_and(|rest| rest.contains('@')),
        };
        let is_url = name.contains("://");
        if is_url && name.contains("http://") {
            let text = format!("{kind} installs {} without checking whom it comes from", shown(name));
            self.findings.add(Severity::Medium, "insecure-download", place, text, None);
        } else if !is_pinned && !is_url {
            let text = format!("{kind} installs whatever version of {} is the newest then", shown(name));
            let hint = if kind == "pip" { "write name==version" } else { "write name@version" };
            self.findings.add(Severity::Info, "unpinned-package", place, text, Some(hint));
        }
    }
}
