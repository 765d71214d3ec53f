//! What the engine is asked to make of a service, in the words of the engines' API.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proto::v1::ContainerService;
use serde_json::{Map, Value, json};

/// Where a mount comes from, on this node.
pub enum From {
    /// Kept by the engine under this name; a new one gets what the image has in its place.
    Volume(String),
    Path(PathBuf),
    Anonymous,
}

/// A service with all its texts resolved.
pub struct Resolved<'s> {
    pub service: &'s ContainerService,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub user: String,
    pub working_dir: String,
    pub hostname: String,
    /// `port/protocol` in the container, address and port on the node.
    pub ports: Vec<(String, String, u16)>,
    pub mounts: Vec<MountPlan>,
}

/// What of the node or of the instance a container sees.
pub struct MountPlan {
    pub from: From,
    pub target: String,
    pub is_read_only: bool,
    /// A new volume stays empty.
    pub stays_empty: bool,
    /// Of mounts below a path of the node.
    pub propagation: String,
}

impl Resolved<'_> {
    pub fn body(&self) -> Value {
        let service = self.service;
        let env: Vec<String> = self.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let exposed: Map<String, Value> =
            self.ports.iter().map(|(target, ..)| (target.clone(), json!({}))).collect();
        let mut body = json!({
            "Env": env,
            "ExposedPorts": exposed,
            "Tty": service.tty,
            "OpenStdin": service.stdin_open,
            // The agent checks by itself, at once and as often as needed while the container starts.
            "Healthcheck": { "Test": ["NONE"] },
            "Labels": service.labels,
            "HostConfig": self.host_config(),
        });
        if service.has_entrypoint {
            body["Entrypoint"] = json!(self.entrypoint);
        }
        if !self.command.is_empty() {
            body["Cmd"] = json!(self.command);
        }
        for (key, text) in [
            ("User", &self.user),
            ("WorkingDir", &self.working_dir),
            ("Hostname", &self.hostname),
            ("StopSignal", &service.stop_signal),
        ] {
            if !text.is_empty() {
                body[key] = json!(text);
            }
        }
        body
    }

    fn host_config(&self) -> Value {
        let service = self.service;
        let mut bindings: Map<String, Value> = Map::new();
        for (target, address, port) in &self.ports {
            let binding = json!({ "HostIp": address, "HostPort": port.to_string() });
            let list = bindings.entry(target.clone()).or_insert_with(|| json!([]));
            list.as_array_mut().expect("made as one").push(binding);
        }
        let tmpfs: Map<String, Value> = service
            .tmpfs
            .iter()
            .map(|text| {
                let (path, options) = text.split_once(':').unwrap_or((text, ""));
                (path.to_owned(), options.into())
            })
            .collect();
        let ulimits: Vec<Value> = service
            .ulimits
            .iter()
            .map(|limit| json!({ "Name": limit.name, "Soft": limit.soft, "Hard": limit.hard }))
            .collect();
        let mut config = json!({
            "Mounts": self.mounts.iter().map(mount).collect::<Vec<_>>(),
            "PortBindings": bindings,
            "CapAdd": service.cap_add,
            "CapDrop": service.cap_drop,
            "Privileged": service.privileged,
            "ReadonlyRootfs": service.read_only,
            "Devices": service.devices.iter().map(|text| device(text)).collect::<Vec<_>>(),
            "Sysctls": service.sysctls,
            "Tmpfs": tmpfs,
            "Init": service.init,
            "ExtraHosts": service.extra_hosts,
            "Ulimits": ulimits,
            "SecurityOpt": service.security_opt,
            "GroupAdd": service.group_add,
            "Dns": service.dns,
            "DnsSearch": service.dns_search,
            "DnsOptions": service.dns_options,
            // The agent is the only one that starts anything again.
            "RestartPolicy": { "Name": "no" },
            // A copy is in the instance's log; the engine keeps what the agent has yet to read.
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "2m", "max-file": "2" } },
        });
        for (key, number) in [
            ("ShmSize", service.shm_bytes),
            ("Memory", service.memory_bytes),
            ("MemorySwap", service.memory_bytes),
            ("MemoryReservation", service.memory_reservation_bytes),
            ("PidsLimit", service.pids.into()),
        ] {
            if number > 0 {
                config[key] = json!(number);
            }
        }
        if service.gpus {
            config["DeviceRequests"] = json!([{ "Count": -1, "Capabilities": [["gpu"]] }]);
        }
        if service.cpus > 0.0 {
            #[expect(clippy::cast_possible_truncation, reason = "a number of cores times 10^9")]
            let nanos = (service.cpus * 1e9) as i64;
            config["NanoCpus"] = json!(nanos);
        }
        for (key, mode) in [("PidMode", &service.pid_mode), ("IpcMode", &service.ipc_mode)] {
            if !mode.is_empty() {
                config[key] = json!(mode);
            }
        }
        config
    }
}

fn mount(plan: &MountPlan) -> Value {
    let (kind, source) = match &plan.from {
        From::Volume(name) => ("volume", name.clone()),
        From::Path(path) => ("bind", path.to_string_lossy().into_owned()),
        From::Anonymous => ("volume", String::new()),
    };
    let mut mount = json!({ "Type": kind, "Target": plan.target, "ReadOnly": plan.is_read_only });
    if !source.is_empty() {
        mount["Source"] = json!(source);
    }
    if plan.stays_empty && kind == "volume" {
        mount["VolumeOptions"] = json!({ "NoCopy": true });
    }
    if !plan.propagation.is_empty() && kind == "bind" {
        mount["BindOptions"] = json!({ "Propagation": plan.propagation });
    }
    mount
}

/// `path[:path in the container[:rwm]]`
fn device(text: &str) -> Value {
    let mut parts = text.splitn(3, ':');
    let host = parts.next().unwrap_or_default();
    let inside = parts.next().unwrap_or(host);
    json!({ "PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": parts.next().unwrap_or("rwm") })
}
