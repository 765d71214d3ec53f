//! What an instance's containers are made of: everything is resolved, and in the words of the engines' API.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use proto::ids::{InstanceId, NodeName};
use proto::v1::container_service::RestartPolicy;
use proto::v1::{ContainerService, DependsOn, Health, NetworkOptions};
use serde_json::{Map, Value, json};

use crate::content::Content;
use crate::lane::Lane;
use crate::runtime::engine::images::Wanted;

pub const OWNER: &str = "orchestrator.agent";
pub const INSTANCE: &str = "orchestrator.instance";
pub const SERVICE: &str = "orchestrator.service";
pub const CONTENT: &str = "orchestrator.content";
const NODE: &str = "orchestrator.node";
const DIGEST: &str = "orchestrator.digest";

/// Whose containers they are. By these labels they are found again, whatever happened to the agent.
#[derive(Debug, Clone)]
pub struct Owner {
    pub token: String,
    pub node: NodeName,
    pub id: InstanceId,
}

impl Owner {
    /// Filters for all that belongs to the instance.
    pub fn filters(&self) -> Vec<String> {
        vec![format!("{OWNER}={}", self.token), format!("{INSTANCE}={}", self.id)]
    }

    /// A name for something of the instance: readable first, unique by its end.
    pub fn name(&self, what: &str) -> String {
        let (agent, lane) = self
            .token
            .split_once('-')
            .map_or((&*self.token, ""), |(agent, _)| (agent, Lane::Second.suffix()));
        format!("{}.{what}-{}{lane}", self.id.file_name(), &agent[..agent.len().min(6)])
    }

    pub fn labels(&self) -> Map<String, Value> {
        let labels =
            [(OWNER, self.token.clone()), (NODE, self.node.to_string()), (INSTANCE, self.id.to_string())];
        labels.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
    }
}

/// All containers of one instance.
pub struct Plan {
    pub owner: Owner,
    pub content: Content,
    pub digest: String,
    /// In start order.
    pub services: Vec<ServicePlan>,
    /// The group's networks by their names in the engine; the default one is among them where it is used.
    pub networks: Vec<NetworkPlan>,
}

pub struct NetworkPlan {
    pub name: String,
    pub options: NetworkOptions,
}

/// One container.
pub struct ServicePlan {
    pub name: String,
    pub image: String,
    pub archive: Option<PathBuf>,
    pub login: String,
    pub platform: String,
    pub depends_on: Vec<DependsOn>,
    pub restart: RestartPolicy,
    pub is_one_shot: bool,
    pub has_terminal: bool,
    pub stop_timeout: Duration,
    pub health: Option<Health>,
    pub uses_image_health: bool,
    /// The service whose network it shares.
    pub shares_network_of: Option<String>,
    /// Networks it joins, by their names in the engine, with its names there.
    pub networks: Vec<(String, Vec<String>)>,
    /// Volumes it mounts: their names in the engine, and the folders behind them.
    pub volumes: Vec<(String, PathBuf)>,
    /// What the engine is asked to make, but for the image, the labels and the networks.
    pub body: Value,
}

impl ServicePlan {
    /// Its image, as it is asked for.
    pub fn wanted(&self) -> Wanted<'_> {
        let Self { image, archive, platform, login, .. } = self;
        Wanted { image, archive: archive.as_deref(), platform, login }
    }
}

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
    /// From where, to where, and whether it is read-only.
    pub mounts: Vec<(From, String, bool)>,
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
            // The agent is the only one that starts anything again.
            "RestartPolicy": { "Name": "no" },
            // A copy is in the instance's log; the engine keeps what the agent has yet to read.
            "LogConfig": { "Type": "json-file", "Config": { "max-size": "2m", "max-file": "2" } },
        });
        for (key, number) in [
            ("ShmSize", service.shm_bytes),
            ("Memory", service.memory_bytes),
            ("MemorySwap", service.memory_bytes),
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

fn mount((from, target, is_read_only): &(From, String, bool)) -> Value {
    let (kind, source) = match from {
        From::Volume(name) => ("volume", name.clone()),
        From::Path(path) => ("bind", path.to_string_lossy().into_owned()),
        From::Anonymous => ("volume", String::new()),
    };
    let mut mount = json!({ "Type": kind, "Target": target, "ReadOnly": is_read_only });
    if !source.is_empty() {
        mount["Source"] = json!(source);
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

impl Plan {
    /// What the engine is asked to make for a service, from this image.
    pub fn body(&self, service: &ServicePlan, image: &str, shared_network: Option<&str>) -> Value {
        let mut body = service.body.clone();
        body["Image"] = json!(image);
        let mut labels = body["Labels"].as_object().cloned().unwrap_or_default();
        labels.extend(self.owner.labels());
        labels.insert(SERVICE.to_owned(), service.name.as_str().into());
        labels.insert(DIGEST.to_owned(), self.digest.as_str().into());
        labels.insert(CONTENT.to_owned(), self.content.hex().into());
        body["Labels"] = labels.into();
        if let Some(container) = shared_network {
            body["HostConfig"]["NetworkMode"] = json!(format!("container:{container}"));
        } else if let Some((network, names)) = service.networks.first() {
            body["HostConfig"]["NetworkMode"] = json!(network);
            body["NetworkingConfig"] = json!({ "EndpointsConfig": { network: { "Aliases": names } } });
        }
        body
    }

    pub fn network_body(&self, network: &NetworkPlan) -> Value {
        let mut body = json!({
            "Name": network.name,
            "Driver": "bridge",
            "CheckDuplicate": true,
            "Internal": network.options.internal,
            "Labels": self.owner.labels(),
        });
        if !network.options.subnet.is_empty() {
            body["IPAM"] = json!({ "Config": [{ "Subnet": network.options.subnet }] });
        }
        body
    }

    /// Whether a module's only container ends with the instance.
    pub fn is_single(&self) -> bool {
        self.services.len() == 1
    }
}
