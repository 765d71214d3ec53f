//! `volumes`, `devices`, `secrets` and `configs` of a service: what its container sees of the node and the project.

use super::files::resolve;
use super::log::Log;
use super::model::{Device, FileMount, Mount, MountSource};
use super::node::Value;
use super::read::{Spot, has_reference, ignore};

/// What is so anyway.
const MODES: [&str; 5] = ["rw", "cached", "delegated", "consistent", "copy"];
const PROPAGATIONS: [&str; 6] = ["shared", "rshared", "slave", "rslave", "private", "rprivate"];

pub fn read(spot: &Spot<'_>, log: &mut Log) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for item in log.list(spot) {
        let mount = if item.node.entries().is_some() { long(&item, log) } else { short(&item, log) };
        mounts.extend(mount);
    }
    mounts
}

/// `[source:]target[:modes]`
fn short(spot: &Spot<'_>, log: &mut Log) -> Option<Mount> {
    let text = log.filled(spot)?;
    let parts = split(&text);
    let (source, target, modes) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] if target.starts_with('/') || has_reference(target) => (Some(*source), *target, ""),
        [target, modes] => (None, *target, *modes),
        [source, target, modes] => (Some(*source), *target, *modes),
        _ => {
            log.not(spot, "source:target or source:target:ro", None);
            return None;
        }
    };
    let mut mount = Mount {
        source: match source {
            Some(source) => source_of(source, spot, log)?,
            None => MountSource::Anonymous,
        },
        target: target_of(target, spot, log)?,
        read_only: false,
        propagation: None,
        subpath: None,
        no_copy: false,
        field: spot.path.clone(),
    };
    for mode in modes.split(',').filter(|mode| !mode.is_empty()) {
        match mode {
            "ro" => mount.read_only = true,
            "nocopy" | "volume-nocopy" => mount.no_copy = true,
            "z" | "Z" | "U" | "O" | "idmap" => {
                log.ignored(spot.at(), &spot.path, format!("the mode {mode:?} is not applied"));
            }
            mode if PROPAGATIONS.contains(&mode) => propagate(mode, &mut mount, spot, log),
            mode if MODES.contains(&mode) => {}
            mode => log.wrong(spot.at(), &spot.path, format!("the mode {mode:?}"), "ro or rw", None),
        }
    }
    Some(mount)
}

/// Mounts that come and go later are shared with folders of the node only.
fn propagate(mode: &str, mount: &mut Mount, spot: &Spot<'_>, log: &mut Log) {
    match &mount.source {
        MountSource::Relative(_) | MountSource::Absolute(_) => mount.propagation = Some(mode.to_owned()),
        MountSource::Named(_) | MountSource::Anonymous | MountSource::Tmpfs { .. } => {
            log.wrong(
                spot.at(),
                &spot.path,
                format!("the mode {mode:?}"),
                "a path of the node with it",
                None,
            );
        }
    }
}

/// Splits at colons, except those inside `${…}`.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn target_of(target: &str, spot: &Spot<'_>, log: &mut Log) -> Option<String> {
    if target.starts_with('/') || has_reference(target) {
        return Some(target.to_owned());
    }
    let found = format!("the path {target:?}");
    log.wrong(spot.at(), &spot.path, found, "an absolute path in the container", None);
    None
}

/// A name is a volume; what begins with `/`, `.` or `~` is a path.
fn source_of(source: &str, spot: &Spot<'_>, log: &mut Log) -> Option<MountSource> {
    match source.chars().next() {
        Some('/') => Some(MountSource::Absolute(source.to_owned())),
        Some('.') => path_of(source, spot, log),
        Some('~') => {
            let hint = Some("write the absolute path".to_owned());
            let found = format!("{source:?}, and nobody is at home on a node");
            log.wrong(spot.at(), &spot.path, found, "a path", hint);
            log.is_lenient().then(|| MountSource::Absolute(source.to_owned()))
        }
        Some('$') if has_reference(source) => Some(MountSource::Absolute(source.to_owned())),
        Some(_) if source.contains('/') => path_of(source, spot, log),
        Some(_) => Some(MountSource::Named(source.to_owned())),
        None => {
            log.not(spot, "source:target", None);
            None
        }
    }
}

/// A path as the file has it, which may be relative.
pub fn path_of(path: &str, spot: &Spot<'_>, log: &mut Log) -> Option<MountSource> {
    if path.starts_with('/') || has_reference(path) {
        return Some(MountSource::Absolute(path.to_owned()));
    }
    let resolved = resolve(log.folder(spot.at().file), path).map(MountSource::Relative);
    if resolved.is_none() {
        let found = format!("the path {path:?}, which leads out of the folder");
        log.wrong(spot.at(), &spot.path, found, "a path below the compose file's folder", None);
    }
    resolved
}

const LONG: [&str; 11] = [
    "type",
    "source",
    "target",
    "read_only",
    "consistency",
    "bind",
    "volume",
    "tmpfs",
    "image",
    "src",
    "dst",
];

fn long(spot: &Spot<'_>, log: &mut Log) -> Option<Mount> {
    log.map(spot, &LONG);
    let kind = spot.get("type", log).and_then(|spot| log.text(&spot));
    let target = spot.get("target", log).or_else(|| spot.get("dst", log));
    let Some(target) = target else {
        log.wrong(spot.at(), &format!("{}.target", spot.path), "nothing", "a path in the container", None);
        return None;
    };
    let target = log.filled(&target).and_then(|text| target_of(&text, &target, log))?;
    let source = spot.get("source", log).or_else(|| spot.get("src", log));
    let read_only = spot.get("read_only", log).and_then(|spot| log.flag(&spot)).unwrap_or_default();
    let source = source_by_type(kind.as_deref(), source.as_ref(), spot, log)?;
    let bind = spot.get("bind", log);
    if let Some(bind) = &bind {
        log.map(bind, &["propagation", "create_host_path", "selinux", "recursive"]);
        ignore(bind, &["selinux", "recursive"], "is not applied", log);
        ignore(bind, &["create_host_path"], "is not applied: a path that is not there is made", log);
    }
    let mut mount = Mount {
        source,
        target,
        read_only,
        propagation: None,
        subpath: None,
        no_copy: false,
        field: spot.path.clone(),
    };
    if let Some(spot) = bind.and_then(|bind| bind.get("propagation", log))
        && let Some(mode) = log.filled(&spot)
    {
        match PROPAGATIONS.contains(&mode.as_str()) {
            true => propagate(&mode, &mut mount, &spot, log),
            false => log.not(&spot, format!("one of {}", PROPAGATIONS.join(", ")), None),
        }
    }
    if let Some(volume) = spot.get("volume", log) {
        log.map(&volume, &["nocopy", "subpath", "labels"]);
        ignore(&volume, &["labels"], "have no effect", log);
        mount.no_copy = volume.get("nocopy", log).and_then(|spot| log.flag(&spot)).unwrap_or_default();
        mount.subpath = volume.get("subpath", log).and_then(|spot| subpath(&mount.source, &spot, log));
    }
    Some(mount)
}

/// A folder inside a volume.
fn subpath(source: &MountSource, spot: &Spot<'_>, log: &mut Log) -> Option<String> {
    let text = log.filled(spot)?;
    let path = resolve("", &text).filter(|path| !path.is_empty() && !has_reference(path));
    let MountSource::Named(_) = source else {
        log.not(spot, "a subpath of a named volume", None);
        return None;
    };
    if path.is_none() {
        log.not(spot, "a path inside the volume, such as data/uploads", None);
    }
    path
}

fn source_by_type(
    kind: Option<&str>,
    source: Option<&Spot<'_>>,
    spot: &Spot<'_>,
    log: &mut Log,
) -> Option<MountSource> {
    match (kind, source) {
        (Some("tmpfs"), _) => {
            let options = spot.get("tmpfs", log);
            if let Some(options) = &options {
                log.map(options, &["size", "mode"]);
            }
            let bytes =
                options.as_ref().and_then(|spot| spot.get("size", log)).and_then(|spot| log.size(&spot));
            let mode = options.and_then(|spot| spot.get("mode", log)).and_then(|spot| read_mode(&spot, log));
            Some(MountSource::Tmpfs { bytes, mode })
        }
        (Some("bind"), Some(source)) => path_of(&log.filled(source)?, source, log),
        (Some("bind"), None) => {
            log.wrong(spot.at(), &format!("{}.source", spot.path), "nothing", "a path", None);
            None
        }
        (Some("volume") | None, None) => Some(MountSource::Anonymous),
        (Some("volume"), Some(source)) => log.filled(source).map(MountSource::Named),
        (None, Some(source)) => source_of(&log.filled(source)?, source, log),
        (Some(kind), _) => {
            let found = format!("{kind:?}");
            log.wrong(spot.at(), &format!("{}.type", spot.path), found, "one of bind, volume, tmpfs", None);
            None
        }
    }
}

/// A file's mode, which is octal with or without a zero in front.
fn read_mode(spot: &Spot<'_>, log: &mut Log) -> Option<u32> {
    log.parsed(spot, "a mode such as 0440", |text| {
        let digits = text.trim_start_matches("0o");
        u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(String::new)
    })
}

pub fn devices(spot: &Spot<'_>, log: &mut Log) -> Vec<Device> {
    let mut devices = Vec::new();
    for item in log.list(spot) {
        devices.extend(device(&item, log));
    }
    devices
}

fn device(spot: &Spot<'_>, log: &mut Log) -> Option<Device> {
    if spot.node.entries().is_some() {
        log.map(spot, &["source", "target", "permissions"]);
        let source = spot.get("source", log).and_then(|spot| log.filled(&spot))?;
        let target = spot.get("target", log).and_then(|spot| log.filled(&spot));
        let permissions = spot.get("permissions", log).and_then(|spot| log.filled(&spot));
        let target = target.unwrap_or_else(|| source.clone());
        return Some(Device { source, target, permissions: permissions.unwrap_or_else(|| "rwm".to_owned()) });
    }
    let text = log.filled(spot)?;
    let parts = split(&text);
    let is_permissions = |text: &str| !text.is_empty() && text.chars().all(|c| "rwm".contains(c));
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, permissions] if is_permissions(permissions) => (*source, *source, *permissions),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => ("", "", ""),
    };
    let is_path = |text: &str| text.starts_with('/') || has_reference(text);
    if !is_path(source) || !is_path(target) || !is_permissions(permissions) {
        log.not(spot, "a device such as /dev/ttyUSB0 or /dev/ttyUSB0:/dev/ttyACM0:rw", None);
        return None;
    }
    let [source, target, permissions] = [source, target, permissions].map(str::to_owned);
    Some(Device { source, target, permissions })
}

/// `secrets` and `configs`; `folder` is where a name without a path goes.
pub fn file_mounts(spot: &Spot<'_>, folder: &str, log: &mut Log) -> Vec<FileMount> {
    let mut mounts = Vec::new();
    for item in log.list(spot) {
        let field = item.path.clone();
        match &item.node.value {
            Value::Plain(name) | Value::Quoted(name) => {
                let target = format!("{folder}{name}");
                let source = name.clone();
                mounts.push(FileMount { source, target, mode: None, uid: None, gid: None, field });
            }
            Value::Map(_) => {
                log.map(&item, &["source", "target", "uid", "gid", "mode"]);
                let Some(source) = item.get("source", log).and_then(|spot| log.filled(&spot)) else {
                    log.wrong(item.at(), &format!("{field}.source"), "nothing", "a name", None);
                    continue;
                };
                let target = item.get("target", log).and_then(|spot| log.filled(&spot));
                let target = target.unwrap_or_else(|| source.clone());
                let target = if target.starts_with('/') { target } else { format!("{folder}{target}") };
                let mode = item.get("mode", log).and_then(|spot| read_mode(&spot, log));
                let owner = |key: &str, log: &mut Log| {
                    item.get(key, log).and_then(|spot| log.number(&spot, "the number of a user or group"))
                };
                let (uid, gid) = (owner("uid", log), owner("gid", log));
                mounts.push(FileMount { source, target, mode, uid, gid, field });
            }
            Value::Null | Value::List(_) => log.not(&item, "a name", None),
        }
    }
    mounts
}
