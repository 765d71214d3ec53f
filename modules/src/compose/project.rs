//! A whole compose file: finds the services in it, reads them one by one, and puts them in order.

use super::files::Files;
use super::log::Log;
use super::model::{Project, Service};
use super::node::{Entry, Mark, Node, Value, shortened};
use super::read::Spot;
use super::{Source, addresses, depends, extends, overrides, service, storage, top};

const TOP: [&str; 9] =
    ["version", "name", "services", "networks", "volumes", "secrets", "configs", "include", "models"];
const MAX_SERVICES: usize = 200;

/// Reads the file and all it needs. Nothing comes back when there is no tree at all.
pub fn read(source: &Source<'_>, log: &mut Log) -> Option<Project> {
    let mut files = Files::new(source, log);
    let root = files.main(log)?;
    let root = overrides::laid_over(root, &mut files, log);
    let root = extends::included(root, &mut files, log);
    let spot = Spot { node: &root, path: String::new() };
    if root.entries().is_none() {
        log.not(&spot, "a map with the services of a compose file", None);
        return None;
    }
    check_top(&spot, log);
    let services = services(&spot, &mut files, log);
    let mut project = Project {
        name: spot.get("name", log).and_then(|spot| log.filled(&spot)),
        networks: top::all(&spot, "networks", log, storage::network),
        volumes: top::all(&spot, "volumes", log, storage::volume),
        secrets: top::all(&spot, "secrets", log, |spot, log| top::file_object(spot, &files, log)),
        configs: top::all(&spot, "configs", log, |spot, log| top::file_object(spot, &files, log)),
        ..Project::default()
    };
    let wanted: &[String] = if log.is_lenient() { &["*".to_owned()] } else { source.profiles };
    let (services, left_out) = depends::with_profiles(services, wanted);
    for service in &left_out {
        let text = format!("is left out: its profiles {} are off", service.profiles.join(", "));
        let field = format!("services.{}", service.name);
        log.remark(log.at(&field), &field, text);
    }
    project.services = services;
    depends::check(&mut project, &left_out, log);
    storage::settle(&mut project);
    addresses::check(&project, log);
    project.services = depends::order(std::mem::take(&mut project.services), log);
    if project.services.is_empty() && !log.is_broken() {
        log.wrong(root.at, "services", "no service", "at least one that is not left out", None);
    }
    Some(with_notes(project, log))
}

/// Moves what the log knows into the project.
pub fn with_notes(mut project: Project, log: &mut Log) -> Project {
    // A lenient log has no errors; a strict one is asked by the caller.
    log.sort();
    project.notes = std::mem::take(&mut log.notes);
    project.places = log.places();
    project.variables = std::mem::take(&mut log.variables);
    project.unresolved = std::mem::take(&mut log.unresolved);
    project
}

fn check_top(spot: &Spot<'_>, log: &mut Log) {
    for entry in spot.node.entries().unwrap_or_default() {
        match entry.key.as_str() {
            "models" => log.wrong(entry.at, "models", "\"models\"", "only what can be carried out", None),
            "services" | "networks" | "volumes" | "secrets" | "configs" => {
                if entry.value.entries().is_none() && !matches!(entry.value.value, Value::Null) {
                    let below = spot.below(entry, log);
                    log.not(&below, "a map", None);
                }
            }
            "version" | "name" | "include" => {}
            _ if entry.value.get("image").is_some() || entry.value.get("build").is_some() => {
                let hint = Some("put it below `services:`".to_owned());
                let found = format!("the service {:?}", shortened(&entry.key));
                log.wrong(entry.at, &entry.key, found, "services below `services:`", hint);
            }
            _ => log.unknown(entry, "", &TOP),
        }
    }
    if spot.node.get("services").is_none() && !log.is_broken() {
        log.wrong(spot.at(), "services", "nothing", "the required key \"services\"", None);
    }
}

fn services(spot: &Spot<'_>, files: &mut Files<'_>, log: &mut Log) -> Vec<Service> {
    let mut services = Vec::new();
    let Some(all) = spot.get("services", log).filter(|all| all.node.entries().is_some()) else {
        return services;
    };
    for entry in all.node.entries().unwrap_or_default() {
        let below = all.below(entry, log);
        if entry.key.starts_with("x-") {
            continue;
        }
        if services.len() == MAX_SERVICES {
            log.wrong(entry.at, &below.path, "yet another service", format!("at most {MAX_SERVICES}"), None);
            break;
        }
        if !is_name(&entry.key) {
            let found = format!("{:?}", shortened(&entry.key));
            log.wrong(
                entry.at,
                &below.path,
                found,
                "a service's name: letters, digits, '.', '_' and '-'",
                None,
            );
            continue;
        }
        let node = extends::extended(&entry.key, entry.value.clone(), spot.node, files, log);
        let below = Spot { node: &node, path: below.path };
        if let Some(service) = service::read(&entry.key, &below, files, log) {
            services.push(service);
        }
    }
    services
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 100
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Makes a whole file of a fragment: services without `services:`, or the inside of one service.
///
/// Only for the lenient: others are told what is missing.
pub fn whole(root: Node, log: &mut Log) -> Node {
    if !log.is_lenient() || root.get("services").is_some() || root.get("include").is_some() {
        return root;
    }
    let at = root.at;
    let map = |entries| Node { at, value: Value::Map(entries), mark: Mark::None };
    let is_service = |node: &Node| {
        ["image", "build", "ports", "environment", "volumes"].iter().any(|key| {
            node.get(key).is_some_and(|value| *key != "volumes" || !matches!(value.value, Value::Map(_)))
        })
    };
    if is_service(&root) && !root.entries().unwrap_or_default().iter().any(|entry| is_service(&entry.value)) {
        log.remark(at, "", "is read as the inside of one service, named \"main\"");
        let service = Entry { key: "main".to_owned(), at, value: root };
        let services = Entry { key: "services".to_owned(), at, value: map(vec![service]) };
        return map(vec![services]);
    }
    let Value::Map(entries) = root.value else { return root };
    let (services, mut others): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| is_service(&entry.value));
    if !services.is_empty() {
        log.remark(at, "", "is read as services without \"services:\"");
        others.push(Entry { key: "services".to_owned(), at, value: map(services) });
    }
    map(others)
}
