//! A container as a README asks for it, be it by `docker run` or in a compose file.

use super::docker_run::ContainerRun;

#[derive(Debug, Clone, Default)]
pub struct Container {
    pub name: String,
    pub image: Option<String>,
    /// It is built where it runs; its image, if any, is only a local name.
    pub is_built: bool,
    pub ports: Vec<PortMap>,
    pub mounts: Vec<MountMap>,
    pub env: Vec<EnvEntry>,
    pub env_files: Vec<String>,
    pub devices: Vec<String>,
    pub cap_add: Vec<String>,
    pub sysctls: Vec<String>,
    pub tmpfs: Vec<String>,
    pub extra_hosts: Vec<String>,
    pub security: Vec<String>,
    pub is_privileged: bool,
    pub has_init: bool,
    pub network: Option<String>,
    pub pid: Option<String>,
    pub ipc: Option<String>,
    pub user: Option<String>,
    pub hostname: Option<String>,
    pub working_dir: Option<String>,
    pub entrypoint: Option<String>,
    pub shm_size: Option<String>,
    pub memory: Option<String>,
    pub gpus: Option<String>,
    pub health: Option<Vec<String>>,
    /// The line of the health check, where it has one of its own.
    pub health_line: Option<u32>,
    pub command: Vec<String>,
    pub profiles: Vec<String>,
    pub line: u32,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMap {
    pub host: Option<u16>,
    pub host_address: Option<String>,
    pub target: u16,
    pub is_udp: bool,
    pub line: u32,
    pub comment: String,
    pub is_commented: bool,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountMap {
    pub source: Option<String>,
    pub target: String,
    pub is_read_only: bool,
    pub line: u32,
    pub comment: String,
    pub is_commented: bool,
}

/// A variable that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvEntry {
    pub name: String,
    pub value: Option<String>,
    pub line: u32,
    pub comment: String,
    pub is_commented: bool,
}

impl Container {
    /// The container of a `docker run` on `line`.
    pub fn of_run(run: ContainerRun, line: u32) -> Self {
        let ports = run.ports.iter().flat_map(|text| ports(text, line)).collect();
        let mut mounts: Vec<MountMap> = run.volumes.iter().filter_map(|text| mount(text, line)).collect();
        mounts.extend(run.mounts.iter().filter_map(|text| mount_option(text, line)));
        let strayed = strayed(&run.arguments);
        let env = run.env.into_iter().chain(strayed).filter(|(name, _)| is_variable(name));
        let entry =
            |(name, value)| EnvEntry { name, value, line, comment: String::new(), is_commented: false };
        Self {
            name: run.name.unwrap_or_default(),
            image: Some(run.image),
            ports,
            mounts,
            env: env.map(entry).collect(),
            env_files: run.env_files,
            devices: run.devices,
            cap_add: run.cap_add,
            sysctls: run.sysctls,
            tmpfs: run.tmpfs,
            extra_hosts: run.extra_hosts,
            security: run.security,
            is_privileged: run.is_privileged,
            has_init: run.has_init,
            network: run.network,
            pid: run.pid,
            ipc: run.ipc,
            user: run.user,
            hostname: run.hostname,
            working_dir: run.working_dir,
            entrypoint: run.entrypoint,
            shm_size: run.shm_size,
            memory: run.memory,
            gpus: run.gpus,
            health: run.health_command.map(|command| vec!["CMD-SHELL".to_owned(), command]),
            command: run.arguments,
            line,
            ..Self::default()
        }
    }
}

/// `image -e NAME=value`: what was meant as an option, behind the image by mistake.
fn strayed(arguments: &[String]) -> Vec<(String, Option<String>)> {
    let pairs = arguments.windows(2).filter(|pair| matches!(pair[0].as_str(), "-e" | "--env"));
    let named = pairs.filter_map(|pair| pair[1].split_once('='));
    let is_upper = |name: &str| {
        name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    };
    named
        .filter(|(name, _)| is_upper(name))
        .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
        .collect()
}

/// Whether a text can be the name of a variable.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Ranges wider than this stand as their first port alone.
const MAX_RANGE: u16 = 64;

/// `80`, `8080:80`, `127.0.0.1:8080:80/udp`, `8000-8002:8000-8002`, `${PORT:-8080}:80`.
pub fn ports(text: &str, line: u32) -> Vec<PortMap> {
    let text = plain(text);
    let (text, protocol) =
        text.rsplit_once('/').map_or((text.as_str(), "tcp"), |(text, protocol)| (text, protocol));
    let (head, target) = split_last_colon(text);
    let Some((first, last)) = range(target) else { return Vec::new() };
    let (address, host) = head.map_or((None, None), |head| {
        let (address, host) = split_last_colon(head);
        (address, range(host).map(|(first, _)| first))
    });
    let last = if last - first > MAX_RANGE { first } else { last };
    let port = |target: u16| PortMap {
        host: host.and_then(|host| host.checked_add(target - first)),
        host_address: address.map(str::to_owned),
        target,
        is_udp: protocol.eq_ignore_ascii_case("udp"),
        line,
        comment: String::new(),
        is_commented: false,
    };
    (first..=last).map(port).collect()
}

fn split_last_colon(text: &str) -> (Option<&str>, &str) {
    text.rsplit_once(':').map_or((None, text), |(head, tail)| (Some(head), tail))
}

fn range(text: &str) -> Option<(u16, u16)> {
    let text = text.trim();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && last >= first).then_some((first, last))
}

/// The text with each `${NAME:-default}` as its default; a bare `${NAME}` stays.
pub fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.trim();
    while let Some(at) = rest.find("${") {
        plain.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else { break };
        let inner = &rest[at + 2..at + end];
        match inner.split_once(":-").or_else(|| inner.split_once('-')) {
            Some((_, default)) => plain.push_str(default),
            None => plain.push_str(inner.split(':').next().unwrap_or_default()),
        }
        rest = &rest[at + end + 1..];
    }
    plain.push_str(rest);
    plain
}

/// `/path`, `source:/path`, `source:/path:ro`, `C:\x:/path`.
pub fn mount(text: &str, line: u32) -> Option<MountMap> {
    let text = text.trim();
    // The target is the last part that begins with a slash.
    let at = text
        .rmatch_indices(":/")
        .map(|(at, _)| at)
        .find(|at| !text[*at..].starts_with("://") && !inside_gap(text, *at));
    let (source, rest) = match at {
        Some(at) => (Some(text[..at].to_owned()), &text[at + 1..]),
        None if text.starts_with('/') => (None, text),
        None => return None,
    };
    let (target, options) = rest.split_once(':').unwrap_or((rest, ""));
    let target = tidy_target(target);
    let is_read_only = options.split(',').any(|option| option == "ro");
    (target.starts_with('/') && target.len() > 1).then_some(MountMap {
        source: source.filter(|source| !source.is_empty()),
        target,
        is_read_only,
        line,
        comment: String::new(),
        is_commented: false,
    })
}

/// Whether a place is within `${…}`.
fn inside_gap(text: &str, at: usize) -> bool {
    text[..at].rfind("${").is_some_and(|open| !text[open..at].contains('}'))
}

/// `type=bind,source=/x,target=/y,readonly`.
pub fn mount_option(text: &str, line: u32) -> Option<MountMap> {
    let value = |names: &[&str]| {
        text.split(',')
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| names.contains(&name.trim()))
            .map(|(_, value)| value.trim().to_owned())
    };
    if value(&["type"]).as_deref() == Some("tmpfs") {
        return None;
    }
    let target = tidy_target(&value(&["target", "dst", "destination"])?);
    Some(MountMap {
        source: value(&["source", "src"]),
        target,
        is_read_only: text
            .split(',')
            .any(|part| matches!(part.trim(), "readonly" | "ro" | "readonly=true" | "ro=true")),
        line,
        comment: String::new(),
        is_commented: false,
    })
}

pub fn tidy_target(path: &str) -> String {
    let path = plain(path.trim().trim_matches(['"', '\'']));
    let path = path.trim_end_matches('/');
    path.to_owned()
}
