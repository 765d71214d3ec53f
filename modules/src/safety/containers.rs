//! What a container may do to its node: the rules for MODULE.yaml, compose files and `docker run` alike.

use super::{Findings, Severity, paths, shown};

type Place<'p> = (&'p str, usize);

pub fn privileged(place: Place<'_>, findings: &mut Findings) {
    let text = "runs with all rights on the node: it can read and change everything there";
    let hint = "name the devices and capabilities it needs instead";
    findings.add(Severity::High, "privileged", place, text, Some(hint));
}

pub fn host_network(place: Place<'_>, findings: &mut Findings) {
    let text =
        "uses the node's own network: every port it opens is open, and it reaches what listens on localhost";
    findings.add(Severity::Medium, "host-network", place, text, Some("publish the ports it needs instead"));
}

/// `pid: host`, `ipc: host` and the like.
pub fn host_namespace(kind: &str, place: Place<'_>, findings: &mut Findings) {
    let (severity, text) = match kind {
        "pid" => (Severity::High, "sees and can end every process of the node"),
        "ipc" => (Severity::Medium, "shares memory with every process of the node"),
        _ => (Severity::Medium, "shares a namespace with the node"),
    };
    findings.add(severity, format!("host-{kind}"), place, text, None);
}

/// A path of the node that the container sees.
pub fn bind(path: &str, read_only: bool, place: Place<'_>, findings: &mut Findings) {
    if let Some((severity, id, why)) = paths::host_path(path, read_only) {
        let how = if read_only { "reads" } else { "reads and writes" };
        let text = format!("{how} {} of the node: {why}", shown(path));
        findings.add(severity, id, place, text, None);
    }
}

/// A path of the node in which references of the module may be left: what they stand for is known in no release.
pub fn templated_bind(path: &str, read_only: bool, place: Place<'_>, findings: &mut Findings) {
    match paths::by_reference(path) {
        paths::Known::AsWritten => bind(path, read_only, place, findings),
        paths::Known::OfInstance => {}
        paths::Known::Later => {
            let text = format!(
                "sees {} of the node: which folder that is, nobody knows before it is deployed",
                shown(path)
            );
            let hint = "write the path out, or give the config item in it a default";
            findings.add(Severity::High, format!("host-path:{path}"), place, text, Some(hint));
        }
    }
}

pub fn device(path: &str, place: Place<'_>, findings: &mut Findings) {
    let path = paths::clean(path);
    let (severity, why) = match path.as_str() {
        path if paths::is_disk(path) => {
            (Severity::High, "with it the container reads and writes past the file system")
        }
        "/dev" => (Severity::High, "every device is in it"),
        path if path.starts_with("/dev/tty")
            || path.starts_with("/dev/serial")
            || path.starts_with("/dev/dri")
            || path.starts_with("/dev/snd")
            || path.starts_with("/dev/video") =>
        {
            (Severity::Low, "no other program can use it as it likes then")
        }
        _ => (Severity::Medium, "what it can do depends on the device"),
    };
    let text = format!("uses the device {}: {why}", shown(&path));
    findings.add(severity, format!("device:{path}"), place, text, None);
}

/// Capabilities that are as good as root on the node.
const MIGHTY: [&str; 12] = [
    "ALL",
    "BPF",
    "DAC_READ_SEARCH",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYSLOG",
    "PERFMON",
];
/// What containers have anyway.
const USUAL: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

pub fn capability(name: &str, place: Place<'_>, findings: &mut Findings) {
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    let (severity, why) = match name {
        name if MIGHTY.contains(&name) => (Severity::High, "it is as good as root on the node"),
        "NET_ADMIN" => (Severity::Medium, "it changes addresses, routes and firewall rules"),
        name if USUAL.contains(&name) => (Severity::Info, "containers have it anyway"),
        _ => (Severity::Medium, "it is more than containers usually have"),
    };
    let text = format!("has the kernel capability {}: {why}", shown(name));
    findings.add(severity, format!("capability:{name}"), place, text, None);
}

/// `seccomp=unconfined`, `apparmor:unconfined`, `label=disable`.
pub fn security_option(option: &str, place: Place<'_>, findings: &mut Findings) {
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    if matches!(value, "unconfined" | "disable") {
        let text =
            format!("switches off {} for the container, which keeps it away from the kernel", shown(name));
        findings.add(Severity::Medium, format!("unconfined:{name}"), place, text, None);
    }
}

/// An image whose content can change from one pull to the next.
pub fn image(name: &str, place: Place<'_>, findings: &mut Findings) {
    if name.contains("${") || name.contains(super::flow::UNKNOWN) || name.contains('@') || name == "scratch" {
        return;
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    let tag = last.split_once(':').map(|(_, tag)| tag);
    let moving =
        ["latest", "stable", "edge", "nightly", "main", "master", "develop", "dev", "beta", "rolling"];
    match tag {
        Some(tag) if !moving.contains(&tag) => {}
        tag => {
            let tag = tag.map_or("no tag".to_owned(), |tag| format!("the tag {tag:?}"));
            let text =
                format!("the image {} has {tag}: what runs changes without a new release", shown(name));
            let hint = "name a version, or a digest";
            findings.add(Severity::Medium, "unpinned-image", place, text, Some(hint));
        }
    }
}

/// A variable that looks like a secret and has a value that everybody can read.
pub fn variable(name: &str, value: &str, place: Place<'_>, findings: &mut Findings) {
    if is_secret_name(name) && is_written_out(value) {
        let text =
            format!("{} has the same value wherever this is deployed, and anybody can read it", shown(name));
        let hint = "make it a config item with `secret: true` and no default";
        findings.add(Severity::Medium, "default-secret", place, text, Some(hint));
    }
}

/// Whether a name is that of a password, key or token, and not of a file or setting about one.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let Some(last) = words.last() else { return false };
    let about =
        ["FILE", "PATH", "DIR", "LENGTH", "TYPE", "TTL", "EXPIRY", "ENABLED", "URL", "NAME", "ID", "POLICY"];
    if about.contains(last) {
        return false;
    }
    let is_secret = |word: &&str| {
        let plain = word.trim_end_matches(|c: char| c.is_ascii_digit());
        matches!(plain, "PASSWORD" | "PASSWD" | "PASS" | "SECRET" | "TOKEN" | "PASSPHRASE" | "APIKEY")
            || plain.ends_with("PASSWORD")
            || plain.ends_with("SECRET")
    };
    let is_key = *last == "KEY"
        && words
            .iter()
            .any(|word| matches!(*word, "API" | "SECRET" | "PRIVATE" | "ENCRYPTION" | "ACCESS" | "MASTER"));
    words.iter().any(is_secret) || is_key
}

fn is_written_out(value: &str) -> bool {
    let plain = value.trim();
    let is_flag = matches!(
        plain.to_ascii_lowercase().as_str(),
        "true" | "false" | "yes" | "no" | "on" | "off" | "0" | "1"
    );
    !plain.is_empty() && !is_flag && !plain.contains("${") && !plain.starts_with("/run/secrets/")
}

/// The options of `docker run`, up to the image.
pub fn check_options(words: &[String], place: Place<'_>, findings: &mut Findings) {
    const SWITCHES: [&str; 11] = [
        "--privileged",
        "--rm",
        "--init",
        "--read-only",
        "--detach",
        "--interactive",
        "--tty",
        "--no-healthcheck",
        "--oom-kill-disable",
        "--publish-all",
        "--sig-proxy",
    ];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            return image(word, place, findings);
        }
        let (name, value) = match word.split_once('=').filter(|_| word.starts_with("--")) {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None if word.starts_with("--") => (word.clone(), None),
            None => {
                let letters: Vec<char> = word.chars().skip(1).collect();
                let at = letters.iter().position(|letter| !"dittPq".contains(*letter));
                let Some(at) = at else { continue };
                let rest: String = letters[at + 1..].iter().collect();
                (format!("-{}", letters[at]), (!rest.is_empty()).then_some(rest))
            }
        };
        if SWITCHES.contains(&name.as_str()) {
            if name == "--privileged" && value.as_deref() != Some("false") {
                privileged(place, findings);
            }
            continue;
        }
        let value = value.or_else(|| words.next().cloned()).unwrap_or_default();
        option(&name, &value, place, findings);
    }
}

fn option(name: &str, value: &str, place: Place<'_>, findings: &mut Findings) {
    match name {
        "--network" | "--net" if value == "host" => host_network(place, findings),
        "--pid" | "--ipc" | "--uts" | "--userns" if value == "host" => {
            host_namespace(name.trim_start_matches('-'), place, findings);
        }
        "--volume" | "-v" => {
            let mut parts = value.split(':');
            let source = parts.next().unwrap_or_default();
            let read_only = parts.nth(1).is_some_and(|modes| modes.split(',').any(|mode| mode == "ro"));
            if source.starts_with('/') && value.contains(':') {
                bind(source, read_only, place, findings);
            }
        }
        "--mount" => {
            let get = |keys: &[&str]| {
                let pairs = value.split(',').filter_map(|pair| pair.split_once('='));
                pairs.into_iter().find(|(key, _)| keys.contains(key)).map(|(_, value)| value.to_owned())
            };
            let source = get(&["source", "src"]).unwrap_or_default();
            let read_only =
                value.split(',').any(|part| matches!(part, "readonly" | "ro" | "readonly=true" | "ro=true"));
            if source.starts_with('/') {
                bind(&source, read_only, place, findings);
            }
        }
        "--device" => device(value.split(':').next().unwrap_or_default(), place, findings),
        "--cap-add" => capability(value, place, findings),
        "--security-opt" => security_option(value, place, findings),
        "--env" | "-e" => {
            if let Some((key, value)) = value.split_once('=') {
                variable(key, value, place, findings);
            }
        }
        _ => {}
    }
}
