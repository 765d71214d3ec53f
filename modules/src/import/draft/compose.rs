//! A draft with runtime compose: the file in the package, its gaps and secrets as config.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Drafting, Warning, item_name};
use crate::compose::NoteKind;
use crate::compose::module::ComposeFiles;
use crate::import::container::Container;
use crate::import::document::Kind;
use crate::import::facts::{EnvFact, Found};
use crate::import::fields::danger::{is_ready, is_secret};
use crate::import::supplement;
use crate::spec::ModuleSpec;
use crate::spec::runtime::Runtime;

pub fn draft(drafting: &mut Drafting<'_>, index: usize, main: &Container) {
    let placed = &drafting.reading.composes[index];
    let text = match placed.block {
        Some(block) => {
            let block = drafting.reading.block(block);
            debug_assert!(matches!(block.kind, Kind::Code(_)), "compose files are read out of code");
            block.rich.text.clone()
        }
        None => drafting.files.text(&placed.origin.file).unwrap_or_default(),
    };
    let first = if placed.block.is_some() { placed.origin.line } else { 1 };
    let (text, secrets) = without_secrets(drafting, &placed.value.services, &text, first);
    let mut env = Map::new();
    for (name, default) in gaps(&text) {
        let is_hidden = secrets.contains(&name) || is_secret(&name);
        let known =
            drafting.facts.env.iter().find(|found| found.value.name == name).map(|found| found.value.clone());
        let item = add(drafting, &name, default, is_hidden, known);
        env.insert(name, json!(format!("${{config.{item}}}")));
    }
    for service in placed.value.services.iter().filter(|service| service.is_built) {
        drafting.warn(
            "runtime.compose",
            format!(
                "the service {} is built from source: bring its image along or name one that can be pulled",
                service.name
            ),
        );
    }
    for service in &placed.value.services {
        env_files(drafting, service);
    }
    ports(drafting, main);
    drafting.package.insert("compose.yaml".to_owned(), text.into_bytes());
    let mut runtime = json!({"file": "compose.yaml"});
    if !env.is_empty() {
        runtime["env"] = Value::Object(env);
    }
    drafting.put("runtime", json!({"compose": runtime}));
    drafting.put("permissions", json!({"network": ["listen", "connect"]}));
    let unpinned =
        drafting.reading.composes[index].value.services.iter().filter_map(|service| service.image.as_deref());
    let unpinned: Vec<&str> = unpinned
        .filter(|image| crate::image::ImageName::parse(image).is_ok_and(|image| image.is_unpinned()))
        .collect();
    if !unpinned.is_empty() {
        drafting.warn("runtime.compose", format!("not pinned: {}", unpinned.join(", ")));
    }
}

/// The env files of a service: as the repository has them, for `.env` its example, else one of what the text tells.
fn env_files(drafting: &mut Drafting<'_>, service: &Container) {
    for file in &service.env_files {
        let path = file.trim_start_matches("./").to_owned();
        if drafting.package.contains_key(&path) {
            continue;
        }
        let example = supplement::example(drafting.files).filter(|_| path == ".env");
        let own = drafting.files.text(&path).map(|text| (path.clone(), text));
        let (text, told) = match example.map(|(name, text)| (name.to_owned(), text)).or(own) {
            Some((from, text)) => (
                without_values(&text),
                format!("{from} stands for {path}, without its secrets: look at each value in it"),
            ),
            None if is_inside(&path) => {
                let told = format!(
                    "the service {} reads {path}, which is not at hand: one of what the text tells stands for it",
                    service.name
                );
                (env_file(&drafting.facts.env, service), told)
            }
            None => {
                let told = format!("the service {} reads {path}, which has to come along", service.name);
                drafting.warn("runtime.compose", told);
                continue;
            }
        };
        drafting.package.insert(path, text.into_bytes());
        drafting.warn("runtime.compose", told);
    }
}

/// Whether a path stays within the module.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with(['/', '~'])
        && !path.contains(['$', '\\'])
        && path.split('/').all(|part| !part.is_empty() && part != "..")
}

/// The variables that the text tells and the file of services does not set: with their defaults, or as gaps.
fn env_file(env: &[Found<EnvFact>], service: &Container) -> String {
    let mut text = "# One NAME=value a line.\n".to_owned();
    let is_set = |name: &str| service.env.iter().any(|entry| entry.name == name && !entry.is_commented);
    for fact in env.iter().map(|found| &found.value).filter(|fact| !is_set(&fact.name)) {
        let default =
            fact.default.as_deref().filter(|default| !is_secret(&fact.name) && !default.contains('\n'));
        text.push_str(&match default {
            Some(default) => format!("{}={default}\n", fact.name),
            None => format!("# {}=\n", fact.name),
        });
    }
    text
}

/// An env file without the values of what is secret.
fn without_values(text: &str) -> String {
    let mut plain = String::new();
    for line in text.lines() {
        match line.split_once('=') {
            Some((name, _)) if is_secret(name.trim()) => {
                plain.push_str("# to be set: ");
                plain.push_str(name.trim());
            }
            Some(_) | None => plain.push_str(line),
        }
        plain.push('\n');
    }
    plain
}

/// What the strict reader of compose files, which a deploy goes through, says of the draft.
pub fn strictly(spec: &ModuleSpec, package: &BTreeMap<String, Vec<u8>>) -> Vec<Warning> {
    if !matches!(spec.runtime, Runtime::Compose(_)) {
        return Vec::new();
    }
    let paths = package.keys().cloned().collect();
    let files = |path: &str| package.get(path).cloned();
    let read = match ComposeFiles::gather(spec, paths, &files) {
        Ok(Some(gathered)) => gathered.project(spec),
        Ok(None) => return Vec::new(),
        Err(errors) => Err(errors),
    };
    match read {
        Ok(project) => {
            let notes = project.notes.iter().filter(|note| note.kind != NoteKind::Problem);
            notes.map(|note| Warning::new("runtime.compose", note.to_string())).collect()
        }
        Err(errors) => {
            let text = |error| format!("it cannot be deployed before this is mended: {error}");
            errors.errors.iter().map(|error| Warning::new("runtime.compose", text(error))).collect()
        }
    }
}

/// The ports that the main service publishes; the file itself says the numbers.
fn ports(drafting: &mut Drafting<'_>, main: &Container) {
    let ports: Vec<_> =
        drafting.facts.ports.iter().filter(|found| found.value.host.is_some()).cloned().collect();
    let names = drafting.ports(&ports, false, false);
    let Some(Value::Array(written)) = drafting.spec.get_mut("ports") else { return };
    for (item, found) in written.iter_mut().zip(&ports) {
        item["service"] = json!(main.name);
        item["target"] = json!(found.value.port);
    }
    if let Some(port) = names.iter().find(|name| !name.starts_with("udp")) {
        let path = drafting.facts.health_path.as_ref().map(|path| path.value.clone());
        let check = path.map_or_else(
            || json!({"tcp": {"port": port}}),
            |path| json!({"http": {"path": path, "port": port}}),
        );
        let Value::Object(mut check) = check else { return };
        check.insert("interval".to_owned(), json!("30s"));
        check.insert("start_period".to_owned(), json!("60s"));
        drafting.put("health", Value::Object(check));
    }
}

fn add(
    drafting: &mut Drafting<'_>,
    name: &str,
    default: Option<String>,
    is_hidden: bool,
    known: Option<EnvFact>,
) -> String {
    let mut item = item_name(name);
    if drafting.has_config(&item) {
        item = item_name(&format!("env-{item}"));
    }
    let known = known.unwrap_or_default();
    let description =
        if known.description.is_empty() { format!("The variable {name}") } else { known.description };
    let mut value = json!({"name": item, "description": description});
    if is_hidden {
        value["secret"] = json!(true);
        value["required"] = json!(true);
    } else if let Some(default) = default.or(known.default) {
        value["default"] = json!(default);
    } else {
        value["required"] = json!(known.required == Some(true));
    }
    drafting.config.push(value);
    item
}

/// The text with each written secret as `${NAME}`; the same secret in two services stays the same.
fn without_secrets(
    drafting: &mut Drafting<'_>,
    services: &[Container],
    text: &str,
    first: u32,
) -> (String, Vec<String>) {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let entries = || services.iter().flat_map(|service| &service.env).filter(|entry| !entry.is_commented);
    for entry in entries().filter(|entry| is_secret(&entry.name)) {
        if let Some(value) = entry.value.as_deref().filter(|value| is_ready(value)) {
            names.entry(value.to_owned()).or_insert_with(|| entry.name.clone());
        }
    }
    for entry in entries() {
        let Some((value, name)) = entry.value.as_ref().and_then(|value| Some((value, names.get(value)?)))
        else {
            continue;
        };
        // A user or a database may be called like its password; only what is secret is hidden.
        if !is_secret(&entry.name) {
            continue;
        }
        let at = entry.line.checked_sub(first).and_then(|at| usize::try_from(at).ok());
        let Some(line) = at.and_then(|at| lines.get_mut(at)) else { continue };
        if let Some(place) = line.rfind(value.as_str()).filter(|_| line.contains(&entry.name)) {
            line.replace_range(place..place + value.len(), &format!("${{{name}}}"));
            drafting.warnings.push(Warning::new(
                "runtime.compose",
                format!("the value of {} was in the file; it is a secret to set now", entry.name),
            ));
        }
    }
    let mut text = lines.join("\n");
    text.push('\n');
    (text, names.into_values().collect())
}

/// The `${NAME}` and `$NAME` of a compose file, with their defaults.
fn gaps(text: &str) -> BTreeMap<String, Option<String>> {
    let mut gaps: BTreeMap<String, Option<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut rest = line;
        while let Some(at) = rest.find('$') {
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                rest = after;
                continue;
            }
            let inner =
                rest.strip_prefix('{').map_or(rest, |inner| inner.split('}').next().unwrap_or_default());
            let name: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                continue;
            }
            let after = &inner[name.len()..];
            let default = if rest.starts_with('{') {
                after.strip_prefix(":-").or_else(|| after.strip_prefix('-'))
            } else {
                None
            };
            let known = gaps.entry(name).or_default();
            *known = known.take().or(default.map(str::to_owned));
        }
    }
    gaps
}
