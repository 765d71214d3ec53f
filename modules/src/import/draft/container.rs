//! A draft with runtime container.

use serde_json::{Map, Value, json};

use super::{Drafting, item_name};
use crate::image::ImageName as Image;
use crate::import::container::{Container, plain};
use crate::import::facts::VolumeFact;
use crate::import::fields::health;
use crate::import::image::ImageName;

pub fn draft(drafting: &mut Drafting<'_>, container: &Container) {
    let network = container.network.as_deref().unwrap_or("bridge");
    let is_host = network == "host";
    let ports = drafting.facts.ports.clone();
    let names = if network == "none" { Vec::new() } else { drafting.ports(&ports, !is_host, !is_host) };
    volumes(drafting);
    let mut runtime = Map::new();
    image(drafting, container, &mut runtime);
    let in_example = |name: &str| container.env.iter().any(|entry| entry.name == name && !entry.is_commented);
    let env = drafting.facts.env.clone();
    let env = drafting.environment(&env, &in_example);
    if !env.is_empty() {
        runtime.insert("env".to_owned(), Value::Object(env));
    }
    command(drafting, container, &mut runtime);
    options(drafting, container, &mut runtime);
    if is_host || network == "none" {
        runtime.insert("network".to_owned(), json!(network));
    } else if !matches!(network, "bridge" | "default") {
        drafting
            .warn("runtime.container.network", format!("the network {network} of the example is left out"));
    }
    drafting.put("runtime", json!({"container": Value::Object(runtime)}));
    permissions(drafting, container);
    check(drafting, container, &names);
    if let Some(memory) = container.memory.as_deref().and_then(size) {
        drafting.put("limits", json!({"memory": memory}));
    }
}

fn image(drafting: &mut Drafting<'_>, container: &Container, runtime: &mut Map<String, Value>) {
    let written = container.image.as_deref().map(plain).unwrap_or_default();
    let parsed = container.image.as_deref().and_then(ImageName::parse);
    let image = parsed.as_ref().map_or(written, ToString::to_string);
    // Registries know no upper case.
    let image = match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => format!("{}:{tag}", repository.to_lowercase()),
        Some(_) | None => image.to_lowercase(),
    };
    if Image::parse(&image).is_ok_and(|image| image.is_unpinned()) {
        drafting.warn(
            "runtime.container.image",
            format!("{image} is not pinned: another image may come tomorrow"),
        );
    }
    runtime.insert("image".to_owned(), json!(image));
}

fn command(drafting: &mut Drafting<'_>, container: &Container, runtime: &mut Map<String, Value>) {
    let has_gap = |word: &String| word.contains(['<', '$', '[', '{']) || word == "...";
    if container.command.iter().any(has_gap) {
        let words = container.command.join(" ");
        drafting.warn(
            "runtime.container.command",
            format!("the arguments {words:?} have gaps to fill and are left out"),
        );
    } else if container.command.first().is_some_and(|program| !program.is_empty()) {
        runtime.insert("command".to_owned(), json!(container.command));
    }
    if let Some(entrypoint) =
        container.entrypoint.as_deref().filter(|text| !text.contains(['$', '<']) && !text.is_empty())
    {
        runtime.insert("entrypoint".to_owned(), json!([entrypoint]));
    }
}

fn options(drafting: &mut Drafting<'_>, container: &Container, runtime: &mut Map<String, Value>) {
    let mut text = |key: &str, value: &Option<String>| {
        if let Some(value) = value
            .as_deref()
            .map(plain)
            .filter(|value| !value.contains(['$', '<', '`', '[']) && !value.is_empty())
        {
            runtime.insert(key.to_owned(), json!(value));
        }
    };
    text("user", &container.user);
    text("working_dir", &container.working_dir);
    text("hostname", &container.hostname);
    let caps: Vec<&str> = container.cap_add.iter().map(|cap| cap.trim_start_matches("CAP_")).collect();
    if !caps.is_empty() {
        runtime.insert("cap_add".to_owned(), json!(caps));
    }
    let sysctls: Map<String, Value> = container
        .sysctls
        .iter()
        .filter_map(|text| text.split_once('='))
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    if !sysctls.is_empty() {
        runtime.insert("sysctls".to_owned(), Value::Object(sysctls));
    }
    if !container.tmpfs.is_empty() {
        runtime.insert("tmpfs".to_owned(), json!(container.tmpfs));
    }
    if !container.extra_hosts.is_empty() {
        let hosts: Vec<String> = container.extra_hosts.iter().map(|host| host.replace('=', ":")).collect();
        runtime.insert("extra_hosts".to_owned(), json!(hosts));
    }
    if container.has_init {
        runtime.insert("init".to_owned(), json!(true));
    }
    if let Some(size) = container.shm_size.as_deref().and_then(size) {
        runtime.insert("shm_size".to_owned(), json!(size));
    }
    for (field, is_there) in [
        ("gpus", container.gpus.is_some()),
        ("pid", container.pid.is_some()),
        ("ipc", container.ipc.is_some()),
        ("security_opt", !container.security.is_empty()),
    ] {
        if is_there {
            drafting.warn("runtime.container", format!("the example sets {field}, which a module cannot"));
        }
    }
}

fn permissions(drafting: &mut Drafting<'_>, container: &Container) {
    let mut permissions = Map::new();
    permissions.insert("network".to_owned(), json!(["listen", "connect"]));
    let device = |text: &String| {
        text.split(':')
            .next()
            .filter(|path| path.starts_with("/dev/") && !path.contains(['<', '$', '*']))
            .map(str::to_owned)
    };
    let mut devices: Vec<String> = container.devices.iter().filter_map(device).collect();
    devices.dedup();
    if !devices.is_empty() {
        permissions.insert("devices".to_owned(), json!(devices));
    }
    if container.is_privileged {
        permissions.insert("privileged".to_owned(), json!(true));
    }
    drafting.put("permissions", Value::Object(permissions));
}

/// `512m`, `1g`, `64MiB` as a size of ours.
fn size(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let unit = match text[digits.len()..].trim_end_matches("ib").trim_end_matches('b') {
        "k" => "KiB",
        "m" => "MiB",
        "g" => "GiB",
        _ => return None,
    };
    (!digits.is_empty()).then(|| format!("{digits}{unit}"))
}

/// Paths of the node itself, which stay where they are.
const SYSTEM: [&str; 12] = [
    "/etc/localtime",
    "/etc/timezone",
    "/dev/",
    "/run/",
    "/var/run/",
    "/sys",
    "/proc",
    "/lib/modules",
    "/var/lib/docker",
    "/var/log",
    "/etc/machine-id",
    "/boot",
];

fn volumes(drafting: &mut Drafting<'_>) {
    let mut written: Vec<Value> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for found in drafting.facts.volumes.clone() {
        let volume = &found.value;
        if volume.path.contains(['<', '$', '{', '[', '*']) {
            drafting.warn("volumes", format!("{} has a gap to fill and is left out", volume.path));
            continue;
        }
        let source = volume.source.as_deref().unwrap_or_default();
        let is_system = SYSTEM.iter().any(|path| source.starts_with(path)) || source == "/";
        if !is_system && is_file(volume) {
            drafting.warn(
                "volumes",
                format!(
                    "{} is a file that the example brings along; it is left out: put it into the package",
                    volume.path
                ),
            );
            continue;
        }
        let mut name = item_name(volume.path.rsplit('/').next().unwrap_or("data"));
        while names.contains(&name) {
            name.push_str("-x");
        }
        let path =
            if is_system && source != "/" { source.trim_end_matches('/').to_owned() } else { name.clone() };
        if source == "/" {
            drafting.warn("volumes", "the example mounts the whole host; that is left out");
            continue;
        }
        let mut item = json!({"name": name, "path": path, "target": volume.path});
        if volume.is_read_only {
            item["read_only"] = json!(true);
        }
        if is_system {
            drafting.warn("volumes", format!("{path} is a path of the node itself"));
        } else if !volume.is_read_only {
            item["backup"] = json!(true);
        }
        names.push(name);
        written.push(item);
    }
    if !written.is_empty() {
        drafting.put("volumes", Value::Array(written));
    }
}

/// Whether a mount is of a file, by its ending.
fn is_file(volume: &VolumeFact) -> bool {
    let name = volume.path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(stem, ending)| if stem.is_empty() { "" } else { ending });
    [
        "yml", "yaml", "toml", "json", "conf", "ini", "cfg", "env", "xml", "sql", "sh", "py", "crt", "pem",
        "key", "js", "db", "txt", "php", "lua",
    ]
    .contains(&ending)
}

/// The health check that is stated; else whether the first port answers.
fn check(drafting: &mut Drafting<'_>, container: &Container, ports: &[String]) {
    let tcp = ports.iter().find(|name| !name.starts_with("udp"));
    if let Some(command) = drafting.facts.health_command.clone() {
        let words: Vec<String> = match command.value.split_first() {
            Some((kind, rest)) if kind == "CMD-SHELL" => {
                vec!["sh".to_owned(), "-c".to_owned(), rest.join(" ")]
            }
            Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
            Some((kind, _)) if kind == "NONE" => return,
            Some(_) => command.value.clone(),
            None => return,
        };
        let is_plain = !words.is_empty() && !words.iter().any(|word| word.contains("${"));
        if is_plain {
            drafting
                .put("health", json!({"exec": {"command": words}, "interval": "30s", "start_period": "60s"}));
            return;
        }
    }
    let path = drafting
        .facts
        .health_path
        .clone()
        .map(|path| path.value)
        .or_else(|| container.health.as_deref().and_then(health::path_of_command));
    match (tcp, path) {
        (Some(port), Some(path)) => drafting.put(
            "health",
            json!({"http": {"path": path, "port": port}, "interval": "30s", "start_period": "60s"}),
        ),
        (Some(port), None) => {
            drafting.put("health", json!({"tcp": {"port": port}, "interval": "30s", "start_period": "60s"}));
            drafting.warn(
                "health",
                "nothing says how to tell that it is well; whether its port answers is asked",
            );
        }
        (None, _) => drafting.warn("health", "nothing says how to tell that it is well"),
    }
}
