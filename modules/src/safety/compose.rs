//! The compose files of a package: each service by the rules for containers.

use super::containers;
use super::flow::Lines;
use super::script;
use super::{Findings, SourceFile};
use crate::compose::model::{MountSource, NetworkMode, Project, Service, Test};
use crate::compose::{self, Source};

/// Whether a file's name, in lower case, is that of a compose file.
pub fn is_compose(name: &str) -> bool {
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    is_yaml && (name.starts_with("compose") || name.starts_with("docker-compose"))
}

pub fn check(file: SourceFile<'_>, findings: &mut Findings) {
    // Leniently: what is wrong with the file is told elsewhere, and the rest must not go unseen.
    let project = compose::read(&Source::alone(file.path, file.bytes));
    for service in &project.services {
        check_service(service, &project, file.path, findings);
    }
    for (name, volume) in &project.volumes {
        let Some(source @ MountSource::Absolute(device)) = &volume.stands_for else { continue };
        let mut mounts = project.services.iter().flat_map(|service| &service.mounts);
        if !mounts.any(|mount| mount.source == *source) {
            let line = line_of(&project, &format!("volumes.{name}.driver_opts.device"));
            containers::bind(device, false, (file.path, line), findings);
        }
    }
}

fn line_of(project: &Project, field: &str) -> usize {
    project.origin(field).map_or(1, |origin| origin.place.line)
}

fn check_service(service: &Service, project: &Project, file: &str, findings: &mut Findings) {
    let name = &service.name;
    let place = |field: &str| (file, line_of(project, &format!("services.{name}.{field}")));
    if service.privileged {
        containers::privileged(place("privileged"), findings);
    }
    if service.network_mode == NetworkMode::Host {
        containers::host_network(place("network_mode"), findings);
    }
    for (kind, mode) in [("pid", &service.pid), ("ipc", &service.ipc)] {
        if mode.as_deref() == Some("host") {
            containers::host_namespace(kind, place(kind), findings);
        }
    }
    if let Some(image) = &service.image {
        containers::image(image, place("image"), findings);
    }
    for mount in &service.mounts {
        if let MountSource::Absolute(path) = &mount.source {
            let line = line_of(project, &mount.field);
            containers::bind(path, mount.read_only, (file, line), findings);
        }
    }
    for (index, device) in service.devices.iter().enumerate() {
        containers::device(&device.source, place(&format!("devices[{index}]")), findings);
    }
    for (index, capability) in service.cap_add.iter().enumerate() {
        containers::capability(capability, place(&format!("cap_add[{index}]")), findings);
    }
    for (index, option) in service.security_opt.iter().enumerate() {
        containers::security_option(option, place(&format!("security_opt[{index}]")), findings);
    }
    for (key, value) in &service.env {
        containers::variable(key, value, place(&format!("environment.{key}")), findings);
    }
    let argv = [service.entrypoint.as_deref(), service.command.as_deref()];
    let argv: Vec<&String> = argv.into_iter().flatten().flatten().collect();
    let field = if service.entrypoint.is_some() { "entrypoint" } else { "command" };
    script::check_argv(&argv, file, place(field).1, findings);
    match service.healthcheck.as_ref().map(|check| &check.test) {
        Some(Test::Shell(text)) => {
            script::check(text, file, Lines::In(place("healthcheck.test").1), findings);
        }
        Some(Test::Exec(words)) => script::check_argv(words, file, place("healthcheck.test").1, findings),
        Some(Test::Image | Test::Disabled) | None => {}
    }
}
