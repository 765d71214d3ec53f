//! `docker run` in all its spellings, as the container it asks for.

use super::shell::{Command, Word};

/// What a `docker run` asks for; texts as written.
#[derive(Debug, Clone, Default)]
pub struct ContainerRun {
    pub image: String,
    pub arguments: Vec<String>,
    pub ports: Vec<String>,
    pub exposed: Vec<String>,
    pub volumes: Vec<String>,
    pub mounts: Vec<String>,
    /// Variable and value; without a value it comes from the caller's environment.
    pub env: Vec<(String, Option<String>)>,
    pub env_files: Vec<String>,
    pub devices: Vec<String>,
    pub cap_add: Vec<String>,
    pub sysctls: Vec<String>,
    pub tmpfs: Vec<String>,
    pub extra_hosts: Vec<String>,
    pub is_privileged: bool,
    pub has_init: bool,
    pub network: Option<String>,
    pub pid: Option<String>,
    pub ipc: Option<String>,
    pub name: Option<String>,
    pub user: Option<String>,
    pub hostname: Option<String>,
    pub working_dir: Option<String>,
    pub entrypoint: Option<String>,
    pub shm_size: Option<String>,
    pub memory: Option<String>,
    pub gpus: Option<String>,
    pub health_command: Option<String>,
    pub security: Vec<String>,
    pub has_restart: bool,
    pub is_detached: bool,
    pub is_removed: bool,
    /// Options that nobody here knows.
    pub unknown: Vec<String>,
}

const PROGRAMS: [&str; 5] = ["docker", "podman", "nerdctl", "docker.exe", "container"];

/// Options without a value.
const FLAGS: [&str; 24] = [
    "detach",
    "interactive",
    "tty",
    "rm",
    "privileged",
    "init",
    "publish-all",
    "read-only",
    "sig-proxy",
    "no-healthcheck",
    "oom-kill-disable",
    "help",
    "disable-content-trust",
    "quiet",
    "d",
    "i",
    "t",
    "P",
    "it",
    "replace",
    "tls-verify",
    "no-hosts",
    "rmi",
    "q",
];

/// Reads a `docker run`; none where the command is another one.
pub fn read(command: &Command) -> Option<ContainerRun> {
    let words = &command.words;
    if !PROGRAMS.contains(&command.program()) {
        return None;
    }
    let mut at = 1;
    // Options of docker itself, such as `--context x`.
    while words.get(at).is_some_and(|word| word.text.starts_with('-')) {
        at += if words[at].text.contains('=') { 1 } else { 2 };
    }
    if words.get(at).is_some_and(|word| word.text == "container") {
        at += 1;
    }
    if !words.get(at).is_some_and(|word| matches!(word.text.as_str(), "run" | "create")) {
        return None;
    }
    let mut run = ContainerRun::default();
    let mut options = words.get(at + 1..).unwrap_or_default().iter();
    while let Some(word) = options.next() {
        let text = word.text.as_str();
        if text.starts_with("`#") || text == "--" || text == "..." || text == "[...]" || text == "…" {
            continue;
        }
        if is_gap(text) && run.image.is_empty() && !text.contains('/') {
            continue;
        }
        if !text.starts_with('-') || text == "-" {
            run.image = text.to_owned();
            break;
        }
        option(&mut run, text, &mut options);
    }
    run.arguments = options.map(|word| word.text.clone()).collect();
    Some(run)
}

/// `[OPTIONS]`, `<options>`, `{flags}`: words in the place of options.
fn is_gap(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    (text.starts_with(['[', '<', '{']) && text.ends_with([']', '>', '}', '.']))
        && (lower.contains("option")
            || lower.contains("flag")
            || lower.contains("arg")
            || lower.contains("..."))
}

fn option(run: &mut ContainerRun, text: &str, rest: &mut std::slice::Iter<'_, Word>) {
    // A dash of typesetting stands for two.
    if let Some(long) = text.strip_prefix("--").or_else(|| text.strip_prefix('—')) {
        if let Some((name, value)) = long.split_once('=') {
            set(run, name, value);
        } else if FLAGS.contains(&long) {
            flag(run, long);
        } else if let Some(value) = rest.next() {
            set(run, long, &value.text);
        }
        return;
    }
    let short = &text[1..];
    if let Some(("name" | "env" | "publish" | "volume" | "restart" | "network", value)) =
        short.split_once('=')
    {
        // `-name=x`: one dash too few.
        return set(run, short.split('=').next().unwrap_or_default(), value);
    }
    for (index, c) in short.char_indices() {
        if !matches!(c, 'd' | 'i' | 't' | 'P' | 'q') {
            let attached = &short[index + c.len_utf8()..];
            let value = match attached.strip_prefix('=').unwrap_or(attached) {
                "" => rest.next().map_or("", |word| word.text.as_str()),
                attached => attached,
            };
            let name = c.to_string();
            return set(run, &name, value);
        }
        flag(run, &c.to_string());
    }
}

fn flag(run: &mut ContainerRun, name: &str) {
    match name {
        "privileged" => run.is_privileged = true,
        "init" => run.has_init = true,
        "rm" => run.is_removed = true,
        "detach" | "d" => run.is_detached = true,
        _ => {}
    }
}

fn set(run: &mut ContainerRun, name: &str, value: &str) {
    let text = value.to_owned();
    match name {
        "p" | "publish" => run.ports.push(text),
        "expose" => run.exposed.push(text),
        "v" | "volume" => run.volumes.push(text),
        "mount" => run.mounts.push(text),
        "e" | "env" => {
            let (name, value) =
                value.split_once('=').map_or((value, None), |(name, value)| (name, Some(value)));
            run.env.push((name.trim().to_owned(), value.map(str::to_owned)));
        }
        "env-file" => run.env_files.push(text),
        "device" => run.devices.push(text),
        "cap-add" => run.cap_add.push(text),
        "sysctl" => run.sysctls.push(text),
        "tmpfs" => run.tmpfs.push(text),
        "add-host" => run.extra_hosts.push(text),
        "network" | "net" => run.network = Some(text),
        "pid" => run.pid = Some(text),
        "ipc" => run.ipc = Some(text),
        "name" => run.name = Some(text),
        "u" | "user" => run.user = Some(text),
        "h" | "hostname" => run.hostname = Some(text),
        "w" | "workdir" => run.working_dir = Some(text),
        "entrypoint" => run.entrypoint = Some(text),
        "shm-size" => run.shm_size = Some(text),
        "m" | "memory" => run.memory = Some(text),
        "gpus" => run.gpus = Some(text),
        "health-cmd" => run.health_command = Some(text),
        "security-opt" => run.security.push(text),
        "restart" => run.has_restart = true,
        "privileged" => run.is_privileged = value != "false",
        "init" => run.has_init = value != "false",
        "detach" | "d" => run.is_detached = value != "false",
        "rm" => run.is_removed = value != "false",
        "runtime" => {
            if value == "nvidia" {
                run.gpus = Some("all".to_owned());
            }
        }
        "l"
        | "label"
        | "label-file"
        | "log-driver"
        | "log-opt"
        | "platform"
        | "pull"
        | "link"
        | "dns"
        | "group-add"
        | "ulimit"
        | "c"
        | "cpu-shares"
        | "cap-drop"
        | "ip"
        | "mac-address"
        | "memory-swap"
        | "memory-reservation"
        | "stop-timeout"
        | "stop-signal"
        | "volumes-from"
        | "cidfile"
        | "userns"
        | "cgroupns"
        | "network-alias"
        | "net-alias"
        | "health-interval"
        | "health-retries"
        | "health-timeout"
        | "health-start-period"
        | "device-cgroup-rule"
        | "cpuset-cpus"
        | "cgroup-parent"
        | "oom-score-adj"
        | "pids-limit"
        | "dns-search"
        | "uts"
        | "a"
        | "attach"
        | "it"
        | "t"
        | "interactive"
        | "tty" => {}
        _ => run.unknown.push(name.to_owned()),
    }
}
