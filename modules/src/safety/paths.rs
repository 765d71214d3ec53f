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
    let is_numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*'))
    };
    ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "md", "dm-", "loop"].iter().any(|prefix| is_numbered(prefix))
        || matches!(name, "mem" | "kmem" | "port")
        || name.starts_with("mapper/")
        || name.starts_with("disk/")
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
    let path = clean(path);
    if path.contains(UNKNOWN) {
        return None;
    }
    let is = |prefixes: &[&str]| {
        prefixes.iter().any(|prefix| path == *prefix || path.starts_with(&format!("{prefix}/")))
    };
    let lowered =
        |severity| if read_only && severity == Severity::High { Severity::Medium } else { severity };
    if let Some(name) = path.rsplit('/').next().filter(|name| name.ends_with(".sock")) {
        let engines = ["docker.sock", "podman.sock", "containerd.sock", "crio.sock"];
        if engines.contains(&name) {
            return Some((
                Severity::High,
                "docker-socket".to_owned(),
                "whoever has the engine's socket is root on the node",
            ));
        }
    }
    let small = ["/etc/localtime", "/etc/timezone", "/etc/machine-id", "/etc/hostname", "/etc/os-release"];
    if small.contains(&path.as_str()) {
        return Some((
            Severity::Info,
            format!("host-path:{path}"),
            "the container reads a setting of the node",
        ));
    }
    let holding_socket = ["/run", "/var/run", "/var/run/docker", "/run/docker", "/run/podman"];
    if holding_socket.contains(&path.as_str()) {
        return Some((
            Severity::High,
            format!("host-path:{path}"),
            "the sockets of the node's services are in it",
        ));
    }
    if path == "/"
        || is(&[
            "/etc",
            "/root",
            "/boot",
            "/proc",
            "/sys",
            "/dev",
            "/usr",
            "/bin",
            "/sbin",
            "/lib",
            "/var/lib/docker",
        ])
    {
        let why = "with it the container can read or change the node itself";
        let is_device = is(&["/dev"]) && path != "/dev";
        let severity = if is_device { Severity::Medium } else { lowered(Severity::High) };
        // Metrics need to see what runs, and cannot change it.
        let severity = if read_only && is(&["/proc", "/sys"]) { Severity::Low } else { severity };
        return Some((severity, format!("host-path:{path}"), why));
    }
    if is(&["/home", "/var", "/run", "/lib"]) || path == "/opt" || path == "/srv" || path == "/mnt" {
        return Some((Severity::Medium, format!("host-path:{path}"), "other programs' files are in it"));
    }
    Some((Severity::Low, format!("host-path:{path}"), "it is outside the instance's own folder"))
}
