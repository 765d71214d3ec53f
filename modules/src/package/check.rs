//! What MODULE.yaml says against what is in the folder: templates render, programs are there.

use std::fs;

use super::PackageError;
use super::collect::{Content, Found};
use crate::compose::module::ComposeFiles;
use crate::spec::ModuleSpec;
use crate::spec::error::{Report, START, SpecError, SpecErrors};
use crate::spec::health::Check;
use crate::spec::install::InstallStep;
use crate::spec::reference::Visibility;
use crate::spec::runtime::Runtime;
use crate::spec::yaml::place_of;
use crate::unpack::MANIFEST;

const TEMPLATES: &str = "templates/";
const TEMPLATE_BYTES: u64 = 1 << 20;
/// More than a compose file may have, so that one which is too large is told from one which is missing.
const COMPOSE_BYTES: u64 = 2 << 20;

/// Checks the files of the folder against the spec; `report` knows the places of its fields.
///
/// Gives what the module's compose file needs, if it has one.
pub fn check(
    spec: &ModuleSpec,
    mut report: Report,
    found: &[Found],
) -> Result<Option<ComposeFiles>, PackageError> {
    for entry in found.iter().filter(|entry| entry.path.starts_with(TEMPLATES)) {
        if let Content::File { size, .. } = &entry.content {
            check_template(spec, entry, *size)?;
        }
    }
    for (field, program) in programs(spec) {
        check_program(spec, found, &field, program, &mut report);
    }
    let compose = match check_compose(spec, found) {
        Ok(compose) => compose,
        Err(errors) => {
            let (own, others): (Vec<SpecError>, Vec<SpecError>) =
                errors.errors.into_iter().partition(|error| error.file == MANIFEST);
            for error in own {
                report.at(&error.field, error.found, error.expected, error.hint);
            }
            if !others.is_empty() && report.is_empty() {
                return Err(PackageError::Spec(SpecErrors { errors: others, omitted: errors.omitted }));
            }
            None
        }
    };
    report.finish(compose).map_err(PackageError::Spec)
}

fn check_compose(spec: &ModuleSpec, found: &[Found]) -> Result<Option<ComposeFiles>, SpecErrors> {
    let file = |path: &str| found.iter().find(|entry| entry.path == path);
    let is_small =
        |entry: &&Found| matches!(entry.content, Content::File { size, .. } if size <= COMPOSE_BYTES);
    let read = |path: &str| fs::read(&file(path).filter(is_small)?.place).ok();
    let paths = found.iter().filter(|entry| !matches!(entry.content, Content::Folder));
    ComposeFiles::gather(spec, paths.map(|entry| entry.path.clone()).collect(), &read)
}

fn check_template(spec: &ModuleSpec, entry: &Found, size: u64) -> Result<(), PackageError> {
    let mut report = Report::new(&entry.place.display().to_string());
    if size > TEMPLATE_BYTES {
        report.wrong(
            START,
            "",
            format!("{size} bytes"),
            format!("a template of at most {TEMPLATE_BYTES}"),
            None,
        );
        return report.finish(()).map_err(PackageError::Spec);
    }
    let bytes =
        fs::read(&entry.place).map_err(|cause| PackageError::Read { path: entry.place.clone(), cause })?;
    match std::str::from_utf8(&bytes) {
        Err(_) => {
            let hint = Some("keep files that are no templates outside templates/".to_owned());
            report.wrong(START, "", "bytes that are no text", "UTF-8", hint);
        }
        Ok(text) => {
            for bad in spec.bad_references(text, visibility(spec, &entry.path), &[]) {
                report.wrong(place_of(text, bad.at), "", bad.found, bad.expected, bad.hint);
            }
        }
    }
    report.finish(()).map_err(PackageError::Spec)
}

/// Of a file under templates/.
fn visibility(spec: &ModuleSpec, path: &str) -> Visibility {
    let name = path.strip_prefix(TEMPLATES).unwrap_or(path);
    match &spec.runtime {
        Runtime::Systemd(systemd) if systemd.unit == name => Visibility::Unit,
        Runtime::Systemd(_) | Runtime::Process(_) | Runtime::Container(_) | Runtime::Compose(_) => {
            Visibility::Private
        }
    }
}

/// The programs that the module starts, with the fields that name them.
fn programs(spec: &ModuleSpec) -> Vec<(String, &str)> {
    let mut commands: Vec<(String, &[String])> = Vec::new();
    if let Runtime::Process(process) = &spec.runtime
        && process.working_dir.is_none()
    {
        commands.push(("runtime.process.command[0]".to_owned(), &process.command));
    }
    if let Some(Check::Exec(exec)) = spec.health.as_ref().map(|health| &health.check) {
        commands.push(("health.exec.command[0]".to_owned(), &exec.command));
    }
    for (index, step) in spec.install.iter().enumerate() {
        if let InstallStep::Run(command) = step {
            commands.push((format!("install[{index}].run[0]"), command));
        }
    }
    for (name, action) in &spec.actions {
        commands.push((format!("actions.{name}.command[0]"), &action.command));
    }
    commands.into_iter().filter_map(|(field, command)| Some((field, command.first()?.as_str()))).collect()
}

/// A program named by a relative path is in the package, unless an install step may bring it, and can be executed.
fn check_program(spec: &ModuleSpec, found: &[Found], field: &str, program: &str, report: &mut Report) {
    if program.starts_with('/') || !program.contains('/') || program.contains("${") {
        return;
    }
    let path = program.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/");
    match found.iter().find(|entry| entry.path == path).map(|entry| &entry.content) {
        Some(Content::File { is_executable: false, .. }) => {
            let hint = Some(format!("chmod +x {path}"));
            report.at(field, format!("{program:?}, which is not executable"), "an executable file", hint);
        }
        Some(Content::File { .. } | Content::Link { .. }) => {}
        Some(Content::Folder) => {
            report.at(field, format!("{program:?}, a folder"), "an executable file", None)
        }
        None if spec.install.is_empty() || field.starts_with("install") => {
            report.at(
                field,
                format!("{program:?}, which is not in the package"),
                "a file of the package",
                None,
            );
        }
        None => {}
    }
}
