//! Which paths of a node matter, and why.

use super::Severity;
use super::flow::UNKNOWN;
use crate::template;

/// A file that a script has no business to write, with what that does.
pub fn sensitive_write(path: &str) -> Option<(Severity, &'static str, &'static str)> {
    let path = clean(path);
    let starts =
        |prefix: &str| path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    if starts("/etc/sudoers") || starts("/etc/sudoers.d") || starts("/etc/doas.conf") {
        return Some((Severity::High, "sudoers", "says who may become root"));
    }
    if path.ends_with(".ssh/authorized_keys") || path.ends_with(".ssh/authorized_keys2") {
        return Some((Severity::High, "authorized-keys", "lets somebody log in"));
    }
    if ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"].contains(&path.as_str()) {
        return Some((Severity::High, "accounts", "makes or changes accounts"));
    }
    if path == "/etc/ld.so.preload" || starts("/etc/pam.d") {
        return Some((Severity::High, "preload", "puts code into every program"));
    }
    let is_cron = path.starts_with("/etc/cron") || starts("/var/spool/cron");
    if is_cron {
        return Some((Severity::High, "cron", "runs commands at set times, outside of the module"));
    }
    if starts("/etc/ssh") {
        return Some((Severity::High, "sshd", "changes who can log in"));
    }
    if is_disk(&path) {
        return Some((Severity::High, "wipe-disk", "overwrites a disk"));
    }
    if [".bashrc", ".profile", ".bash_profile", ".zshrc"]
        .iter()
        .any(|name| path.ends_with(&format!("/{name}")))
    {
        return Some((Severity::Medium, "login-script", "runs at every login"));
    }
    if starts("/boot") || starts("/proc/sys") || starts("/sys") || path == "/proc/sysrq-trigger" {
        return Some((Severity::Medium, "system-setting", "changes the system itself"));
    }
    None
}

/// A whole disk or a part of one, or the memory.
pub fn is_disk(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else { return false };
    let goes_on = |prefix: &str, fits: fn(char) -> bool| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| fits(c) || c == '*'))
    };
    let folder = name.split('/').next().unwrap_or_default();
    ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "md", "dm-", "loop", "mtd"]
        .iter()
        .any(|prefix| goes_on(prefix, |c| c.is_ascii_alphanumeric()))
        || ["sg", "nbd", "ram", "ubi", "zram"].iter().any(|prefix| goes_on(prefix, |c| c.is_ascii_digit()))
        || matches!(name, "mem" | "kmem" | "port" | "root")
        || matches!(folder, "block" | "bsg" | "char" | "disk" | "mapper")
}

/// A folder without which the system is gone.
pub fn is_system_root(path: &str) -> bool {
    let path = clean(path);
    let path = path.trim_end_matches("/*").trim_end_matches("/.");
    let path = if path.is_empty() { "/" } else { path };
    matches!(
        path,
        "/" | "/*"
            | "/bin"
            | "/boot"
            | "/dev"
            | "/etc"
            | "/home"
            | "/lib"
            | "/lib64"
            | "/opt"
            | "/root"
            | "/sbin"
            | "/srv"
            | "/usr"
            | "/usr/bin"
            | "/usr/lib"
            | "/var"
            | "/var/lib"
            | "~"
            | "$HOME"
    )
}

/// Where somebody could read what was done.
pub fn is_trace(path: &str) -> bool {
    let path = clean(path);
    path.ends_with("_history") && path.contains("/.")
        || matches!(
            path.trim_end_matches("/*"),
            "/var/log" | "/var/log/auth.log" | "/var/log/syslog" | "/var/log/wtmp"
        )
        || matches!(path.as_str(), "~/.history" | "/var/log/lastlog" | "/var/log/btmp" | "/var/log/secure")
}

/// Without doubled slashes and dots in between.
pub fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if is_absolute => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if is_absolute { format!("/{joined}") } else { joined }
}

/// What is known of a path of the node with references in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Where it is; names in it may differ.
    AsWritten,
    /// That it is inside a folder of the instance, or of a volume that MODULE.yaml says the place of.
    OfInstance,
    /// Nothing before it is deployed.
    Later,
}

pub fn by_reference(path: &str) -> Known {
    let Ok(references) = template::references(path) else { return Known::Later };
    let is_own = |name: &str| matches!(name, "instance.dir" | "release.dir") || name.starts_with("volume.");
    let is_name =
        |name: &str| matches!(name, "instance" | "instance.index" | "node") || name.starts_with("port.");
    let leaves = path.split('/').any(|part| part == "..");
    match &references[..] {
        [] => Known::AsWritten,
        [(0, first), rest @ ..] if is_own(first) && rest.iter().all(|(_, name)| is_name(name)) => {
            let after = &path[first.len() + 3..];
            if !leaves && (after.is_empty() || after.starts_with('/')) {
                Known::OfInstance
            } else {
                Known::Later
            }
        }
        all if path.starts_with('/') && !leaves && all.iter().all(|(_, name)| is_name(name)) => {
            Known::AsWritten
        }
        _ => Known::Later,
    }
}

/// What a container can do with a path of the node.
pub fn host_path(path: &str, read_only: bool) -> Option<(Severity, String, &'static str)> {
    if path.contains(UNKNOWN) {
        return None;
    }
    let path = real(path);
    let id = format!("host-path:{path}");
    let under = |folders: &[&str]| folders.iter().any(|folder| is_under(&path, folder));
    if is_engine_socket(&path) {
        let why = "whoever has the engine's socket is root on the node";
        return Some((Severity::High, "docker-socket".to_owned(), why));
    }
    if SETTINGS.contains(&path.as_str()) {
        return Some((Severity::Info, id, "the container reads a setting of the node"));
    }
    if under(&[AGENT]) || path.contains(AGENT_OF_USER) || is_under(AGENT, &path) && path != "/" {
        return Some((Severity::High, id, "the keys and records of this node's agent are in it"));
    }
    // A socket is connected to through a folder that cannot be written, too.
    let leads_to = |places: &[&str]| places.iter().any(|place| is_under(place, &path));
    if leads_to(&SOCKETS) || under(&SOCKETS) || path == "/run/user" {
        return Some((Severity::High, id, "the sockets of the node's services are in it"));
    }
    let is_metrics = matches!(path.as_str(), "/proc" | "/sys");
    if is_metrics && read_only {
        // Metrics need to see what runs, and cannot change it.
        return Some((Severity::Low, id, "with it the container sees what runs on the node"));
    }
    if read_only && path.strip_prefix("/proc/").is_some_and(|name| NUMBERS.contains(&name)) {
        return Some((Severity::Low, id, "with it the container sees how busy the node is"));
    }
    if under(&["/proc"]) {
        return Some((Severity::High, id, "a process of the node leads to all of its files and memory"));
    }
    if path.starts_with("/dev/") {
        return Some(match is_disk(&path) {
            true => (Severity::High, id, "with it the container reads and writes past the file system"),
            false => (Severity::Medium, id, "what it can do depends on the device"),
        });
    }
    let why = "with it the container can read or change the node itself";
    let lowered = if read_only { Severity::Medium } else { Severity::High };
    let is_home = path == "/home" || path.strip_prefix("/home/").is_some_and(|rest| !rest.contains('/'));
    if is_home || path.contains("/.ssh") {
        return Some((lowered, id, "who writes there can log in to the node"));
    }
    if under(&HOLDING_ROOT) || is_library(&path) || leads_to(&HOLDING_ROOT) {
        return Some((lowered, id, why));
    }
    if under(&["/home", "/var", "/run"]) || matches!(path.as_str(), "/opt" | "/srv" | "/mnt") {
        return Some((Severity::Medium, id, "other programs' files are in it"));
    }
    Some((Severity::Low, id, "it is outside the instance's own folder"))
}

/// Of the node, that everybody may know.
const SETTINGS: [&str; 5] =
    ["/etc/localtime", "/etc/timezone", "/etc/machine-id", "/etc/hostname", "/etc/os-release"];
/// Folders with sockets whose other end is root.
const SOCKETS: [&str; 7] = [
    "/run/containerd",
    "/run/crio",
    "/run/dbus",
    "/run/docker",
    "/run/docker.sock",
    "/run/podman",
    "/run/systemd",
];
/// Where the agent keeps what only it may read: as root, and as somebody else in their home.
const AGENT: &str = "/var/lib/orchestrator";
const AGENT_OF_USER: &str = "/.local/share/orchestrator";
/// Files of `/proc` that only count.
const NUMBERS: [&str; 7] = ["cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "uptime", "version"];
/// Who writes there is root, or becomes it.
const HOLDING_ROOT: [&str; 13] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/root",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/spool/cron",
];

/// `/lib`, `/lib64`, `/lib32`: what every program loads.
fn is_library(path: &str) -> bool {
    matches!(path.split('/').nth(1), Some("lib" | "lib32" | "lib64" | "libexec" | "libx32"))
}

fn is_engine_socket(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    matches!(name, "docker.sock" | "podman.sock" | "containerd.sock" | "crio.sock")
}

fn is_under(path: &str, folder: &str) -> bool {
    folder == "/" || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Without dots, and without the link that `/var/run` is everywhere.
fn real(path: &str) -> String {
    let path = clean(path);
    match path.strip_prefix("/var/run") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("/run{rest}"),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_to_root_is_high_from_wherever_it_leads_there() {
        let check = |path: &str, read_only: bool, expected: &str| {
            let (severity, ..) = host_path(path, read_only).expect("is a path of the node");
            assert_eq!(severity.as_str(), expected, "{path} read only: {read_only}");
        };
        for path in [
            "/",
            "/proc/1/root",
            "/proc/self/../1/root",
            "/run",
            "/run/docker.sock",
            "/run/podman",
            "/run/systemd",
            "/run/systemd/private",
            "/var",
            "/var/lib",
            "/var/lib/orchestrator",
            "/var/lib/orchestrator/records",
            "/var/run",
            "/var/run/../run/docker",
            "/var/run/podman",
            "/dev/sda",
            "/dev/block/8:0",
        ] {
            check(path, false, "high");
            check(path, true, "high");
        }
        for path in [
            "/etc",
            "/etc/cron.d",
            "/lib64",
            "/lib/modules",
            "/libx32",
            "/var/spool",
            "/var/spool/cron",
            "/var/lib/docker",
            "/dev",
            "/usr/share",
            "/home",
            "/home/me",
            "/home/me/.ssh",
        ] {
            check(path, false, "high");
            check(path, true, "medium");
        }
        for path in ["/proc", "/sys"] {
            check(path, false, "high");
            check(path, true, "low");
        }
        check("/sys/class/thermal", true, "medium");
        check("/etc/localtime", true, "info");
        check("/var/lib/app", false, "medium");
        check("/var/log", true, "medium");
        check("/home/me/photos", false, "medium");
        check("/proc/stat", true, "low");
        check("/proc/kcore", true, "high");
        check("/dev/ttyUSB0", false, "medium");
        check("/srv/media", false, "low");
        check("/library", false, "low");
    }

    #[test]
    fn a_disk_is_a_disk_under_each_of_its_names() {
        for path in [
            "sda",
            "sg0",
            "mtd0",
            "mtdblock1",
            "block/8:0",
            "bsg/0:0:0:0",
            "nvme0",
            "ubi0_0",
            "zram0",
            "disk/by-id/x",
            "nbd0",
            "mapper/root",
            "mem",
        ] {
            assert!(is_disk(&format!("/dev/{path}")), "{path}");
        }
        for path in ["null", "stdout", "ttyUSB0", "sgx_enclave", "snd/seq", "loop-control"] {
            assert!(!is_disk(&format!("/dev/{path}")), "{path}");
        }
    }
}
