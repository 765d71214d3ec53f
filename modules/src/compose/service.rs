//! One service of a compose file.

use std::collections::BTreeMap;

use super::files::Files;
use super::log::Log;
use super::model::{Build, Condition, Dependency, Link, NetworkMode, Service};
use super::node::{Value, shortened};
use super::read::{Spot, has_reference};
use super::{keys, mounts, networking, resources};
use crate::spec::yaml::join;

/// Reads a service; what does not fit is reported.
pub fn read(name: &str, spot: &Spot<'_>, files: &mut Files<'_>, log: &mut Log) -> Option<Service> {
    if spot.node.entries().is_none() {
        log.not(spot, "a map that describes a service, such as {image: nginx:1.27}", None);
        return None;
    }
    keys::check(spot, log);
    let mut service = Service { name: name.to_owned(), ..Service::default() };
    read_image(spot, &mut service, log);
    read_command(spot, &mut service, log);
    service.env = environment(spot, files, log);
    networking::read(spot, &mut service, log);
    read_storage(spot, &mut service, log);
    read_rights(spot, &mut service, log);
    read_life(spot, &mut service, log);
    resources::read(spot, &mut service, log);
    Some(service)
}

fn read_image(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    service.build = spot.get("build", log).and_then(|spot| build(&spot, log));
    service.image = spot.get("image", log).and_then(|spot| {
        let image = log.filled(&spot)?;
        let fits = has_reference(&image) || is_image(&image);
        if !fits {
            log.not(&spot, "an image such as nginx:1.27 or ghcr.io/owner/name@sha256:…", None);
        }
        fits.then_some(image)
    });
    let is_written = spot.node.get("image").is_some();
    match (&service.build, is_written) {
        (Some(_), true) => {
            if let Some(build) = spot.get("build", log) {
                log.ignored(build.at(), &build.path, "nothing is built: the image is pulled");
            }
        }
        (Some(_), false) => {
            let hint = Some("build the image, publish it and name it in `image`".to_owned());
            let at = spot.get("build", log).map_or(spot.at(), |build| build.at());
            log.wrong(at, &join(&spot.path, "build"), "a service that needs building", "an image", hint);
        }
        (None, false) => {
            log.wrong(spot.at(), &join(&spot.path, "image"), "nothing", "the image of the service", None);
        }
        (None, true) => {}
    }
    service.platform = spot.get("platform", log).and_then(|spot| log.filled(&spot));
    service.labels = spot.get("labels", log).map(|spot| log.string_map(&spot)).unwrap_or_default();
}

/// Whether a text can be an image: `[host[:port]/]path[:tag][@digest]`.
pub fn is_image(text: &str) -> bool {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let digest_fits = digest.is_none_or(|digest| {
        let hex =
            digest.strip_prefix("sha256:").or_else(|| digest.strip_prefix("sha512:")).unwrap_or_default();
        matches!(hex.len(), 64 | 128) && hex.chars().all(|c| c.is_ascii_hexdigit())
    });
    let path_start = name.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match name[path_start..].split_once(':') {
        Some((last, tag)) => (&name[..path_start + last.len()], Some(tag)),
        None => (name, None),
    };
    let tag_fits = tag.is_none_or(|tag| {
        !tag.is_empty()
            && tag.len() <= 128
            && !tag.starts_with(['.', '-'])
            && tag.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
    });
    let mut parts = path.split('/').peekable();
    let mut is_first = true;
    let path_fits = !path.is_empty()
        && std::iter::from_fn(|| parts.next().map(|part| (part, parts.peek().is_some()))).all(
            |(part, more)| {
                let may_be_host = std::mem::take(&mut is_first) && more;
                part_fits(part, may_be_host)
            },
        );
    digest_fits && tag_fits && path_fits
}

/// A part of an image's path; the first may be a registry's host.
fn part_fits(part: &str, may_be_host: bool) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if may_be_host && (part.contains(['.', ':']) || part == "localhost") {
        return part.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    }
    part.starts_with(plain) && part.ends_with(plain) && part.chars().all(|c| plain(c) || "._-".contains(c))
}

fn build(spot: &Spot<'_>, log: &mut Log) -> Option<Build> {
    if let Some(text) = spot.node.text() {
        return Some(Build { context: text.to_owned(), dockerfile: None });
    }
    if spot.node.entries().is_none() {
        log.not(spot, "a folder, or a map with context and dockerfile", None);
        return None;
    }
    let context = spot.get("context", log).and_then(|spot| log.text(&spot));
    let dockerfile = spot.get("dockerfile", log).and_then(|spot| log.text(&spot));
    Some(Build { context: context.unwrap_or_else(|| ".".to_owned()), dockerfile })
}

fn read_command(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    service.entrypoint = spot.get("entrypoint", log).and_then(|spot| log.command(&spot));
    service.command = spot.get("command", log).and_then(|spot| log.command(&spot));
    service.user = spot.get("user", log).and_then(|spot| log.filled(&spot));
    service.working_dir = spot.get("working_dir", log).and_then(|spot| log.filled(&spot));
    service.stdin_open = flag(spot, "stdin_open", log);
    service.tty = flag(spot, "tty", log);
    service.init = flag(spot, "init", log);
}

fn flag(spot: &Spot<'_>, key: &str, log: &mut Log) -> bool {
    spot.get(key, log).and_then(|spot| log.flag(&spot)).unwrap_or_default()
}

pub fn texts(spot: &Spot<'_>, key: &str, log: &mut Log) -> Vec<String> {
    spot.get(key, log).map(|spot| log.texts(&spot)).unwrap_or_default()
}

/// What the env files say, then `environment`; a name without a value is taken from the variables.
fn environment(spot: &Spot<'_>, files: &mut Files<'_>, log: &mut Log) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    if let Some(spot) = spot.get("env_file", log) {
        for EnvFile { path, spot: at, is_required, is_raw } in env_files(&spot, log) {
            if !is_required && !files.exists(&path, at.at(), log) {
                continue;
            }
            for (key, value) in files.env_file(&path, is_raw, at.at(), &at.path, log) {
                let value = value.or_else(|| files.values.get(&key).cloned());
                env.extend(value.map(|value| (key, value)));
            }
        }
    }
    let Some(spot) = spot.get("environment", log) else { return env };
    for (key, value, item) in log.pairs(&spot) {
        if key.is_empty() || key.contains(char::is_whitespace) || key.contains('\0') {
            let found = format!("{:?}", shortened(&key));
            let hint = key.contains(": ").then(|| "write a map without the '-', or KEY=value".to_owned());
            log.wrong(item.at(), &item.path, found, "a variable's name", hint);
            continue;
        }
        match value.or_else(|| files.values.get(&key).cloned()) {
            Some(value) => drop(env.insert(key, value)),
            // An env file may have said it.
            None if env.contains_key(&key) => {}
            None => {
                let what = format!("{} has no value here and is not set", shortened(&key));
                log.remark(item.at(), &item.path, what);
            }
        }
    }
    env
}

/// A file of variables, as a service names it.
struct EnvFile<'n> {
    path: String,
    spot: Spot<'n>,
    is_required: bool,
    is_raw: bool,
}

fn env_files<'n>(spot: &Spot<'n>, log: &mut Log) -> Vec<EnvFile<'n>> {
    let plain = |path: String, spot| EnvFile { path, spot, is_required: true, is_raw: false };
    if let Some(text) = spot.node.text() {
        return vec![plain(text.to_owned(), spot.clone())];
    }
    let mut files = Vec::new();
    for item in log.list(spot) {
        if item.node.entries().is_none() {
            files.extend(log.filled(&item).map(|path| plain(path, item)));
            continue;
        }
        log.map(&item, &["path", "required", "format"]);
        let is_required = item.get("required", log).and_then(|spot| log.flag(&spot)).unwrap_or(true);
        let format = item.get("format", log);
        let format = format.and_then(|spot| log.filled(&spot).map(|text| (text, spot)));
        let is_raw = format.as_ref().is_some_and(|(text, _)| text == "raw");
        if let Some((text, spot)) = format.filter(|_| !is_raw) {
            log.wrong(spot.at(), &spot.path, format!("{:?}", shortened(&text)), "raw", None);
        }
        match item.get("path", log).and_then(|spot| log.filled(&spot)) {
            Some(path) => files.push(EnvFile { path, spot: item, is_required, is_raw }),
            None => log.wrong(item.at(), &join(&item.path, "path"), "nothing", "a file", None),
        }
    }
    files
}

fn read_storage(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    service.mounts = spot.get("volumes", log).map(|spot| mounts::read(&spot, log)).unwrap_or_default();
    service.devices = spot.get("devices", log).map(|spot| mounts::devices(&spot, log)).unwrap_or_default();
    service.tmpfs = texts(spot, "tmpfs", log);
    let secrets = spot.get("secrets", log);
    service.secrets =
        secrets.map(|spot| mounts::file_mounts(&spot, "/run/secrets/", log)).unwrap_or_default();
    let configs = spot.get("configs", log);
    service.configs = configs.map(|spot| mounts::file_mounts(&spot, "/", log)).unwrap_or_default();
}

fn read_rights(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    let capability = |text: String| text.trim_start_matches("CAP_").to_ascii_uppercase();
    service.cap_add = texts(spot, "cap_add", log).into_iter().map(capability).collect();
    service.cap_drop = texts(spot, "cap_drop", log).into_iter().map(capability).collect();
    service.privileged = flag(spot, "privileged", log);
    service.read_only = flag(spot, "read_only", log);
    service.security_opt = texts(spot, "security_opt", log);
    service.group_add = texts(spot, "group_add", log);
    service.sysctls = spot.get("sysctls", log).map(|spot| log.string_map(&spot)).unwrap_or_default();
    service.ulimits = spot.get("ulimits", log).map(|spot| resources::ulimits(&spot, log)).unwrap_or_default();
    if let Some(gpus) = spot.get("gpus", log) {
        resources::gpus(&gpus, service, log);
    }
    if let Some(runtime) = spot.get("runtime", log) {
        let hint = Some("remove it; devices are named in `devices`".to_owned());
        log.not(&runtime, "the node's own container runtime", hint);
    }
    if let Some(count) = spot.get("cpu_count", log) {
        log.ignored(count.at(), &count.path, "is not applied; `cpus` is");
    }
}

fn read_life(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    service.depends_on = spot.get("depends_on", log).map(|spot| depends(&spot, log)).unwrap_or_default();
    if let Some(links) = spot.get("links", log) {
        for item in log.list(&links) {
            let Some(text) = log.filled(&item) else { continue };
            let (name, alias) = text.split_once(':').unwrap_or((&text, &text));
            if alias.is_empty() || alias.contains(char::is_whitespace) {
                log.not(&item, "a service, and by which name it is to be known: db, or db:database", None);
                continue;
            }
            if alias != name {
                let (service_name, alias, field) = (name.to_owned(), alias.to_owned(), item.path.clone());
                service.links.push(Link { service: service_name, alias, field });
            }
            add_dependency(&mut service.depends_on, name);
        }
    }
    if let NetworkMode::Service(name) = &service.network_mode {
        add_dependency(&mut service.depends_on, name);
    }
    for shared in [&service.pid, &service.ipc].into_iter().flatten() {
        if let Some(name) = shared.strip_prefix("service:") {
            add_dependency(&mut service.depends_on, name);
        }
    }
    service.profiles = texts(spot, "profiles", log);
    service.healthcheck = spot.get("healthcheck", log).and_then(|spot| resources::healthcheck(&spot, log));
    service.restart = spot.get("restart", log).map(|spot| resources::restart(&spot, log)).unwrap_or_default();
    service.stop_grace_period = spot.get("stop_grace_period", log).and_then(|spot| log.duration(&spot));
    service.stop_signal = spot.get("stop_signal", log).and_then(|spot| log.filled(&spot));
}

fn add_dependency(depends_on: &mut Vec<Dependency>, name: &str) {
    if !depends_on.iter().any(|known| known.service == name) {
        let (condition, service) = (Condition::Started, name.to_owned());
        depends_on.push(Dependency { service, condition, required: true });
    }
}

fn depends(spot: &Spot<'_>, log: &mut Log) -> Vec<Dependency> {
    let mut found = Vec::new();
    if let Value::Map(entries) = &spot.node.value {
        for entry in entries {
            let below = spot.below(entry, log);
            log.map(&below, &["condition", "restart", "required"]);
            let condition = below.get("condition", log).and_then(|spot| condition(&spot, log));
            let required = below.get("required", log).and_then(|spot| log.flag(&spot)).unwrap_or(true);
            if flag(&below, "restart", log) {
                let path = join(&below.path, "restart");
                let what = format!(
                    "is not applied: the service stays up where {} is started again",
                    shortened(&entry.key)
                );
                log.ignored(log.at(&path), &path, what);
            }
            let (service, condition) = (entry.key.clone(), condition.unwrap_or_default());
            found.push(Dependency { service, condition, required });
        }
        return found;
    }
    for item in log.list(spot) {
        let Some(name) = log.filled(&item) else { continue };
        log.visit(&join(&spot.path, &name), item.at());
        add_dependency(&mut found, &name);
    }
    found
}

fn condition(spot: &Spot<'_>, log: &mut Log) -> Option<Condition> {
    let choices = [
        ("service_started", Condition::Started),
        ("service_healthy", Condition::Healthy),
        ("service_completed_successfully", Condition::Completed),
    ];
    let names = choices.map(|(name, _)| name);
    log.parsed(spot, &format!("one of {}", names.join(", ")), |text| {
        let chosen = choices.iter().find(|(name, _)| *name == text).map(|(_, condition)| *condition);
        let hint = crate::suggest::closest(text, names).map(|name| format!("did you mean {name:?}?"));
        chosen.ok_or(hint.unwrap_or_default())
    })
}
