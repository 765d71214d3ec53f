//! What no single field can tell: names that clash, references to nothing, secrets in the open.

use std::collections::BTreeMap;

use super::ModuleSpec;
use super::error::Report;
use super::health::Check;
use super::install::InstallStep;
use super::network::{PortNumber, Protocol};
use super::reference::Visibility;
use super::runtime::Runtime;
use super::update::Strategy;
use crate::item_name::ItemName;
use crate::suggest::closest;
use crate::value::ValueType;

mod containers;

/// Which lists were read as a whole. What refers to the others cannot be judged.
#[derive(Clone, Copy)]
struct Sound {
    depends: bool,
    config: bool,
    ports: bool,
    volumes: bool,
}

/// Reports what does not fit together.
pub fn check(spec: &ModuleSpec, report: &mut Report) {
    let sound = Sound {
        depends: !report.is_broken("depends") && !report.is_broken("name"),
        config: !report.is_broken("config"),
        ports: !report.is_broken("ports"),
        volumes: !report.is_broken("volumes"),
    };
    check_names(spec, report, sound);
    check_ports(spec, report, sound);
    check_paths(spec, report, sound);
    check_health(spec, report, sound);
    check_update(spec, report);
    containers::check(spec, report, sound);
    if sound.depends && sound.config && sound.ports && sound.volumes {
        check_references(spec, report);
    }
}

fn check_names(spec: &ModuleSpec, report: &mut Report, sound: Sound) {
    if sound.depends {
        unique(
            report,
            "depends",
            "module",
            spec.depends.iter().map(|dependency| dependency.module.to_string()),
        );
        if let Some(index) = spec.depends.iter().position(|dependency| dependency.module == spec.name) {
            report.at(&format!("depends[{index}].module"), "the module itself", "another module", None);
        }
    }
    if sound.config {
        unique(report, "config", "name", spec.config.iter().map(|item| item.name.to_string()));
        check_variables(spec, report);
    }
    if sound.ports {
        unique(report, "ports", "name", spec.ports.iter().map(|port| port.name.to_string()));
    }
    if sound.volumes {
        unique(report, "volumes", "name", spec.volumes.iter().map(|volume| volume.name.to_string()));
        unique(report, "volumes", "path", spec.volumes.iter().map(|volume| volume.path.clone()));
    }
}

/// Two config items must not share an environment variable.
fn check_variables(spec: &ModuleSpec, report: &mut Report) {
    let mut variables: BTreeMap<String, &ItemName> = BTreeMap::new();
    for (index, item) in spec.config.iter().enumerate() {
        let variable = format!("CONFIG_{}", item.name.env());
        if let Some(other) = variables.insert(variable.clone(), &item.name)
            && *other != item.name
        {
            let found = format!(
                "{:?}, whose variable {variable} is also that of {:?}",
                item.name.as_str(),
                other.as_str()
            );
            report.at(&format!("config[{index}].name"), found, "a name with a variable of its own", None);
        }
    }
}

fn unique(report: &mut Report, list: &str, key: &str, values: impl Iterator<Item = String>) {
    let mut seen = BTreeMap::new();
    for (index, value) in values.enumerate() {
        if let Some(first) = seen.get(&value) {
            let expected = format!("another {key} than that of {list}[{first}]");
            report.at(&format!("{list}[{index}].{key}"), format!("{value:?} a second time"), expected, None);
        } else {
            seen.insert(value, index);
        }
    }
}

fn check_ports(spec: &ModuleSpec, report: &mut Report, sound: Sound) {
    if !sound.ports || !sound.config {
        return;
    }
    let mut taken = BTreeMap::new();
    for (index, port) in spec.ports.iter().enumerate() {
        let field = format!("ports[{index}].port");
        if let PortNumber::Config(name) = &port.port {
            check_port_reference(spec, report, &field, name);
        }
        if port.port == PortNumber::Auto {
            continue;
        }
        if let Some(first) = taken.insert((port.port.to_string(), port.protocol), index) {
            let found = format!("{} {} a second time", port.protocol.as_str(), port.port);
            report.at(&field, found, format!("another port than that of ports[{first}]"), None);
        }
    }
}

fn check_port_reference(spec: &ModuleSpec, report: &mut Report, field: &str, name: &ItemName) {
    let found = format!("${{config.{name}}}");
    let Some(item) = spec.config_item(name.as_str()) else {
        let names =
            spec.config.iter().filter(|item| item.kind == ValueType::Port).map(|item| item.name.as_str());
        let hint = closest(name.as_str(), names).map(|name| format!("did you mean ${{config.{name}}}?"));
        report.at(field, found, "a config item of type port", hint);
        return;
    };
    if item.kind != ValueType::Port || item.secret {
        let found = format!("{found}, which is {}", if item.secret { "secret" } else { item.kind.as_str() });
        report.at(field, found, "a config item of type port", None);
    }
}

fn check_paths(spec: &ModuleSpec, report: &mut Report, sound: Sound) {
    if sound.volumes {
        for (index, volume) in spec.volumes.iter().enumerate() {
            let field = format!("volumes[{index}].path");
            inside(report, &field, &volume.path, "a path without \"..\"");
            if volume.path.split('/').all(|part| matches!(part, "" | ".")) {
                report.at(&field, format!("{:?}", volume.path), "a folder of its own", None);
            }
        }
    }
    check_runtime(spec, report);
}

fn check_runtime(spec: &ModuleSpec, report: &mut Report) {
    match &spec.runtime {
        Runtime::Process(process) => {
            let program = process.command.first().map_or("", String::as_str);
            inside(report, "runtime.process.command[0]", program, "a program without \"..\" in its path");
            let working_dir = process.working_dir.as_deref().unwrap_or_default();
            inside(report, "runtime.process.working_dir", working_dir, "a path without \"..\"");
        }
        Runtime::Compose(compose) => {
            let field = "runtime.compose.file";
            inside(report, field, &compose.file, "a file in the package");
            if compose.file.starts_with('/') {
                report.at(field, format!("{:?}", compose.file), "a file in the package", None);
            }
        }
        Runtime::Systemd(systemd) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
            let suffixes = [".service", ".timer", ".socket", ".path", ".target", ".mount"];
            let fits = systemd.unit.chars().all(plain)
                && suffixes.iter().any(|suffix| systemd.unit.ends_with(suffix));
            if !fits {
                report.at(
                    "runtime.systemd.unit",
                    format!("{:?}", systemd.unit),
                    "a unit such as name.service",
                    None,
                );
            }
        }
        Runtime::Container(_) => {}
    }
}

fn inside(report: &mut Report, field: &str, path: &str, expected: &str) {
    if path.split('/').any(|part| part == "..") {
        report.at(field, format!("{path:?}"), expected, None);
    }
}

fn check_health(spec: &ModuleSpec, report: &mut Report, sound: Sound) {
    let (field, port) = match spec.health.as_ref().map(|health| &health.check) {
        Some(Check::Http(http)) => ("health.http.port", &http.port),
        Some(Check::Tcp(tcp)) => ("health.tcp.port", &tcp.port),
        Some(Check::Exec(_)) | None => return,
    };
    let Some(name) = port else { return };
    if !sound.ports {
        return;
    }
    match spec.port(name) {
        Some(port) if port.protocol == Protocol::Udp => {
            report.at(field, format!("the udp port {:?}", name.as_str()), "a tcp port", None);
        }
        Some(_) => {}
        None => {
            let names = || spec.ports.iter().map(|port| port.name.as_str());
            let hint = closest(name.as_str(), names()).map(|name| format!("did you mean {name:?}?"));
            let expected = match spec.ports.is_empty() {
                true => "the name of a port; the module declares none".to_owned(),
                false => format!("the name of a port: {}", names().collect::<Vec<_>>().join(", ")),
            };
            report.at(field, format!("{:?}", name.as_str()), expected, hint);
        }
    }
}

fn check_update(spec: &ModuleSpec, report: &mut Report) {
    if spec.update.strategy != Strategy::StartFirst {
        return;
    }
    if spec.exclusive {
        report.at("update.strategy", "start-first with exclusive: true", "stop-first", None);
    }
    if let Some(port) = spec.ports.iter().find(|port| matches!(port.port, PortNumber::Number(_))) {
        let found = format!("start-first with the fixed port {}", port.port);
        let hint =
            Some(format!("write port: auto for {:?}; two cannot listen on the same", port.name.as_str()));
        report.at("update.strategy", found, "stop-first", hint);
    }
}

fn check_references(spec: &ModuleSpec, report: &mut Report) {
    let mut texts = Texts { spec, report };
    match &spec.runtime {
        Runtime::Process(process) => {
            texts.command("runtime.process.command", &process.command, &[]);
            texts.env("runtime.process.env", &process.env);
            let working_dir = process.working_dir.as_deref().unwrap_or_default();
            texts.text("runtime.process.working_dir", working_dir, Visibility::Public, &[]);
            let user = process.user.as_deref().unwrap_or_default();
            texts.text("runtime.process.user", user, Visibility::Public, &[]);
        }
        Runtime::Container(container) => {
            let field = |name: &str| format!("runtime.container.{name}");
            texts.command(&field("entrypoint"), &container.entrypoint, &[]);
            texts.command(&field("command"), &container.command, &[]);
            texts.env(&field("env"), &container.env);
            for (name, text) in [
                ("user", &container.user),
                ("working_dir", &container.working_dir),
                ("hostname", &container.hostname),
            ] {
                texts.text(&field(name), text.as_deref().unwrap_or_default(), Visibility::Public, &[]);
            }
        }
        Runtime::Compose(compose) => texts.env("runtime.compose.env", &compose.env),
        Runtime::Systemd(_) => {}
    }
    match spec.health.as_ref().map(|health| &health.check) {
        Some(Check::Http(http)) => texts.text("health.http.path", &http.path, Visibility::Public, &[]),
        Some(Check::Exec(exec)) => texts.command("health.exec.command", &exec.command, &[]),
        Some(Check::Tcp(_)) | None => {}
    }
    for (index, volume) in spec.volumes.iter().enumerate() {
        texts.text(&format!("volumes[{index}].path"), &volume.path, Visibility::Public, &[]);
    }
    for (index, step) in spec.install.iter().enumerate() {
        if let InstallStep::Run(command) = step {
            texts.command(&format!("install[{index}].run"), command, &[]);
        }
    }
    for (name, action) in &spec.actions {
        let arguments: Vec<String> = action.args.keys().map(|name| format!("args.{name}")).collect();
        texts.command(&format!("actions.{name}.command"), &action.command, &arguments);
    }
}

/// Checks texts that may have references.
struct Texts<'t> {
    spec: &'t ModuleSpec,
    report: &'t mut Report,
}

impl Texts<'_> {
    fn command(&mut self, field: &str, command: &[String], extra: &[String]) {
        for (index, word) in command.iter().enumerate() {
            self.text(&format!("{field}[{index}]"), word, Visibility::Public, extra);
        }
    }

    fn env(&mut self, field: &str, env: &BTreeMap<String, String>) {
        for (name, value) in env {
            self.text(&format!("{field}.{name}"), value, Visibility::Private, &[]);
        }
    }

    fn text(&mut self, field: &str, text: &str, visibility: Visibility, extra: &[String]) {
        for bad in self.spec.bad_references(text, visibility, extra) {
            self.report.at(field, bad.found, bad.expected, bad.hint);
        }
    }
}
