//! Which services there are, whether what they refer to is, and in which order they start.

use std::collections::BTreeSet;

use super::log::Log;
use super::model::{FileObject, Link, MountSource, Project, Service};
use crate::suggest::closest;

/// Leaves out services whose profiles nobody asked for.
pub fn with_profiles(services: Vec<Service>, wanted: &[String]) -> (Vec<Service>, Vec<Service>) {
    let is_wanted = |service: &Service| {
        service.profiles.is_empty()
            || service.profiles.iter().any(|profile| wanted.iter().any(|name| name == profile || name == "*"))
    };
    services.into_iter().partition(is_wanted)
}

/// Checks what services refer to.
pub fn check(project: &mut Project, left_out: &[Service], log: &mut Log) {
    let names: Vec<String> = project.services.iter().map(|service| service.name.clone()).collect();
    for service in &mut project.services {
        let list = format!("services.{}.depends_on", service.name);
        service.depends_on.retain(|dependency| {
            let name = &dependency.service;
            let path = format!("{list}.{name}");
            let at = log.at(&path);
            if names.contains(name) {
                return true;
            }
            let is_off = left_out.iter().any(|service| service.name == *name);
            if !dependency.required {
                log.remark(at, &list, format!("goes without {name:?}, which is not there"));
                return false;
            }
            let (found, hint) = match is_off {
                true => (
                    format!("the service {name:?}, whose profiles are off"),
                    Some("add its profile".to_owned()),
                ),
                false => {
                    let known = closest(name, names.iter().map(String::as_str));
                    (
                        format!("the unknown service {name:?}"),
                        known.map(|name| format!("did you mean {name:?}?")),
                    )
                }
            };
            log.wrong(at, &list, found, "a service of this file", hint);
            false
        });
    }
    name_linked(project, log);
    for service in &project.services {
        check_names(service, project, log);
        note_owners(service, project, log);
    }
}

/// Gives services the names by which others link them. Every container of the networks that they share knows them then.
fn name_linked(project: &mut Project, log: &mut Log) {
    let links: Vec<Link> = project.services.iter().flat_map(|service| service.links.clone()).collect();
    for Link { service, alias, field } in links {
        let mut others = project.services.iter().filter(|other| other.name != service);
        let is_called = |other: &Service| {
            let mut aliases = other.networks.iter().flat_map(|attachment| &attachment.aliases);
            other.name == alias
                || other.container_name.as_ref() == Some(&alias)
                || other.linked_as.contains(&alias)
                || aliases.any(|other| *other == alias)
        };
        if others.any(is_called) {
            let found = format!("the alias {alias:?}, which is another service's name");
            log.wrong(log.at(&field), &field, found, "a name that only this service has", None);
            continue;
        }
        let target = project.services.iter_mut().find(|other| other.name == service);
        if let Some(target) = target.filter(|target| !target.linked_as.contains(&alias)) {
            target.linked_as.push(alias);
        }
    }
}

fn check_names(service: &Service, project: &Project, log: &mut Log) {
    let mut check = |kind: &str, path: String, name: &str, known: Vec<&String>| {
        if known.iter().any(|known| *known == name) {
            return;
        }
        let hint = match closest(name, known.iter().map(|known| known.as_str())) {
            Some(known) => format!("did you mean {known:?}?"),
            None => format!("declare it: \"{kind}: {{{name}: }}\" at the top level"),
        };
        log.wrong(
            log.at(&path),
            &path,
            format!("the unknown {name:?}"),
            format!("one of the file's {kind}"),
            Some(hint),
        );
    };
    for mount in &service.mounts {
        if let MountSource::Named(name) = &mount.source {
            check("volumes", mount.field.clone(), name, project.volumes.keys().collect());
        }
    }
    for attachment in service.networks.iter().filter(|attachment| attachment.network != "default") {
        let path = format!("services.{}.networks.{}", service.name, attachment.network);
        check("networks", path, &attachment.network, project.networks.keys().collect());
    }
    for secret in &service.secrets {
        check("secrets", secret.field.clone(), &secret.source, project.secrets.keys().collect());
    }
    for config in &service.configs {
        check("configs", config.field.clone(), &config.source, project.configs.keys().collect());
    }
}

/// Says where the owner of a secret or config has no effect.
fn note_owners(service: &Service, project: &Project, log: &mut Log) {
    for (files, objects) in [(&service.secrets, &project.secrets), (&service.configs, &project.configs)] {
        for file in files {
            let is_owned = file.mode.is_some() || file.uid.is_some() || file.gid.is_some();
            if is_owned && matches!(objects.get(&file.source), Some(FileObject::File(_))) {
                let why = "mode, uid and gid are not applied to a file: it is mounted as it is";
                log.ignored(log.at(&file.field), &file.field, why);
            }
        }
    }
}

/// Puts services after those they depend on, otherwise leaving them as they are. A cycle is reported.
pub fn order(services: Vec<Service>, log: &mut Log) -> Vec<Service> {
    let mut waiting: Vec<Option<Service>> = services.into_iter().map(Some).collect();
    let mut ordered: Vec<Service> = Vec::with_capacity(waiting.len());
    let mut started: BTreeSet<String> = BTreeSet::new();
    loop {
        let is_ready = |service: &Service| {
            service.depends_on.iter().all(|dependency| started.contains(&dependency.service))
        };
        let next = waiting.iter_mut().find(|slot| slot.as_ref().is_some_and(is_ready));
        let Some(service) = next.and_then(Option::take) else { break };
        started.insert(service.name.clone());
        ordered.push(service);
    }
    let rest: Vec<Service> = waiting.into_iter().flatten().collect();
    if let Some(cycle) = cycle(&rest) {
        let name = &cycle[0];
        let found = format!("the cycle {}", cycle.join(" → "));
        let path = format!("services.{name}.depends_on");
        log.wrong(log.at(&path), &path, found, "services that can start one after the other", None);
    }
    ordered.extend(rest);
    ordered
}

/// One cycle among services each of which waits for another: its first name comes again at the end.
fn cycle(services: &[Service]) -> Option<Vec<String>> {
    let mut path: Vec<&Service> = vec![services.first()?];
    loop {
        let last = path.last()?;
        let next = services
            .iter()
            .find(|service| last.depends_on.iter().any(|dependency| dependency.service == service.name))?;
        if let Some(start) = path.iter().position(|service| service.name == next.name) {
            let mut names: Vec<String> = path[start..].iter().map(|service| service.name.clone()).collect();
            names.push(next.name.clone());
            return Some(names);
        }
        path.push(next);
    }
}
