//! The compose files of a package: each service by the rules for containers.
//!
//! The project is judged as it is deployed: all files that it reads, the variables it is given, and what the module's
//! configuration says where no person does. Besides, each file that looks like one is read on its own and leniently, so
//! that what cannot be deployed, or not yet, does not go unseen.

use std::collections::BTreeMap;

use super::containers;
use super::flow::Lines;
use super::script;
use super::{Findings, SourceFile};
use crate::compose::model::{FileMount, FileObject, MountSource, NetworkMode, Project, Service, Test};
use crate::compose::module::with_config;
use crate::compose::{self, Source};
use crate::spec::ModuleSpec;
use crate::spec::runtime::Runtime;

/// Whether a file's name, in lower case, is that of a compose file.
pub fn is_compose(name: &str) -> bool {
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    is_yaml && (name.starts_with("compose") || name.starts_with("docker-compose"))
}

/// The project of a module, as it is deployed.
pub fn check_deployed(project: &Project, spec: &ModuleSpec, findings: &mut Findings) {
    let open = spec.config.iter().filter(|item| !item.secret);
    let defaults = open.filter_map(|item| Some((item.name.to_string(), item.default.clone()?))).collect();
    let (file, is_loaded) = match &spec.runtime {
        Runtime::Compose(compose) => (compose.file.as_str(), compose.load.is_some()),
        Runtime::Process(_) | Runtime::Container(_) | Runtime::Systemd(_) => return,
    };
    Check { project, file, defaults: Some(defaults), is_loaded, findings }.all();
}

/// A file on its own.
pub fn check(file: SourceFile<'_>, findings: &mut Findings) {
    // Leniently: what is wrong with the file is told elsewhere, and the rest must not go unseen.
    let project = compose::read(&Source::alone(file.path, file.bytes));
    Check { project: &project, file: file.path, defaults: None, is_loaded: false, findings }.all();
}

struct Check<'c> {
    project: &'c Project,
    /// Where things are whose place is not known.
    file: &'c str,
    /// What config items say where nobody says anything else; none for a file on its own, whose references mean nothing.
    defaults: Option<BTreeMap<String, String>>,
    /// Whether the images come with the package.
    is_loaded: bool,
    findings: &'c mut Findings,
}

impl<'c> Check<'c> {
    fn all(mut self) {
        for service in &self.project.services {
            self.rights(service);
            self.storage(service);
            self.programs(service);
        }
        for (name, volume) in &self.project.volumes {
            let Some(source @ MountSource::Absolute(device)) = &volume.stands_for else { continue };
            let mut mounts = self.project.services.iter().flat_map(|service| &service.mounts);
            if !mounts.any(|mount| mount.source == *source) {
                self.host_path(device, false, &format!("volumes.{name}.driver_opts.device"));
            }
        }
    }

    fn at(&self, field: &str) -> (&'c str, usize) {
        self.project.origin(field).map_or((self.file, 1), |origin| (origin.file.as_str(), origin.place.line))
    }

    fn text(&self, text: &str) -> String {
        self.defaults.as_ref().map_or_else(|| text.to_owned(), |defaults| with_config(text, defaults))
    }

    /// Whether what this names is for [`check_deployed`] to judge.
    fn is_open(&self, text: &str) -> bool {
        self.defaults.is_none() && text.contains("${")
    }

    fn rights(&mut self, service: &Service) {
        let field = |field: &str| format!("services.{}.{field}", service.name);
        if service.privileged {
            containers::privileged(self.at(&field("privileged")), self.findings);
        }
        if service.network_mode == NetworkMode::Host {
            containers::host_network(self.at(&field("network_mode")), self.findings);
        }
        for (kind, mode) in [("pid", &service.pid), ("ipc", &service.ipc)] {
            if mode.as_deref().is_some_and(|mode| self.text(mode).trim() == "host") {
                containers::host_namespace(kind, self.at(&field(kind)), self.findings);
            }
        }
        for (index, capability) in service.cap_add.iter().enumerate() {
            let place = self.at(&field(&format!("cap_add[{index}]")));
            containers::capability(&self.text(capability), place, self.findings);
        }
        for (index, option) in service.security_opt.iter().enumerate() {
            let place = self.at(&field(&format!("security_opt[{index}]")));
            containers::security_option(&self.text(option), place, self.findings);
        }
    }

    fn storage(&mut self, service: &Service) {
        for mount in &service.mounts {
            if let MountSource::Absolute(path) = &mount.source {
                self.host_path(path, mount.read_only, &mount.field);
            }
        }
        for (index, device) in service.devices.iter().enumerate() {
            if self.is_open(&device.source) {
                continue;
            }
            let path = self.text(&device.source);
            let place = self.at(&format!("services.{}.devices[{index}]", service.name));
            containers::device(path.split(':').next().unwrap_or_default(), place, self.findings);
        }
        let project = self.project;
        for (files, objects) in [(&service.secrets, &project.secrets), (&service.configs, &project.configs)] {
            for FileMount { source, field, .. } in files {
                if let Some(FileObject::File(MountSource::Absolute(path))) = objects.get(source) {
                    self.host_path(path, true, field);
                }
            }
        }
    }

    fn host_path(&mut self, path: &str, read_only: bool, field: &str) {
        if !self.is_open(path) {
            containers::templated_bind(&self.text(path), read_only, self.at(field), self.findings);
        }
    }

    fn programs(&mut self, service: &Service) {
        if let Some(image) = service.image.as_ref().filter(|_| !self.is_loaded) {
            let place = self.at(&format!("services.{}.image", service.name));
            containers::image(&self.text(image), place, self.findings);
        }
        for (key, value) in &service.env {
            let place = self.at(&format!("services.{}.environment.{key}", service.name));
            containers::variable(key, value, place, self.findings);
        }
        let argv = [service.entrypoint.as_deref(), service.command.as_deref()];
        let argv: Vec<String> = argv.into_iter().flatten().flatten().map(|word| self.text(word)).collect();
        let field = if service.entrypoint.is_some() { "entrypoint" } else { "command" };
        let (file, line) = self.at(&format!("services.{}.{field}", service.name));
        script::check_argv(&argv, file, line, self.findings);
        let (file, line) = self.at(&format!("services.{}.healthcheck.test", service.name));
        match service.healthcheck.as_ref().map(|check| &check.test) {
            Some(Test::Shell(text)) => {
                script::check(&self.text(text), file, Lines::In(line), self.findings);
            }
            Some(Test::Exec(words)) => {
                let words: Vec<String> = words.iter().map(|word| self.text(word)).collect();
                script::check_argv(&words, file, line, self.findings);
            }
            Some(Test::Image | Test::Disabled) | None => {}
        }
    }
}
