//! What a compose file says, typed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Note, Origin, Unresolved, Variable};
use crate::spec::network::Protocol;

/// A whole compose file with everything it includes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    pub name: Option<String>,
    /// In start order: each after those it depends on, otherwise as written.
    pub services: Vec<Service>,
    /// As declared; the `default` network is here only when the file changes it.
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeMap<String, NamedVolume>,
    pub secrets: BTreeMap<String, FileObject>,
    pub configs: BTreeMap<String, FileObject>,
    /// Variables the file asks for, in the order of their first use.
    pub variables: Vec<Variable>,
    pub notes: Vec<Note>,
    /// Typed fields with references; whoever deploys must resolve them first, or refuse.
    pub unresolved: Vec<Unresolved>,
    /// Where each field is written, such as `services.web.ports[0]`.
    pub places: BTreeMap<String, Origin>,
}

impl Project {
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Where a field is written, or the nearest field around it that is.
    pub fn origin(&self, field: &str) -> Option<&Origin> {
        let mut around = field;
        loop {
            if let Some(origin) = self.places.get(around) {
                return Some(origin);
            }
            around = &around[..around.rfind(['.', '['])?];
        }
    }
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    pub name: String,
    /// Always there when strictly read.
    pub image: Option<String>,
    /// Only leniently read: what the image is built from.
    pub build: Option<Build>,
    /// `None` when the image's own is meant; empty when none at all is.
    pub entrypoint: Option<Vec<String>>,
    pub command: Option<Vec<String>>,
    /// What env files and `environment` say together.
    pub env: BTreeMap<String, String>,
    pub ports: Vec<Port>,
    /// Reached by other services only.
    pub expose: Vec<String>,
    pub mounts: Vec<Mount>,
    pub devices: Vec<Device>,
    pub gpus: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    pub privileged: bool,
    pub read_only: bool,
    pub security_opt: Vec<String>,
    pub group_add: Vec<String>,
    pub network_mode: NetworkMode,
    /// Empty: the `default` network alone.
    pub networks: Vec<Attachment>,
    pub pid: Option<String>,
    pub ipc: Option<String>,
    pub dns: Vec<String>,
    pub dns_search: Vec<String>,
    pub dns_opt: Vec<String>,
    pub extra_hosts: Vec<String>,
    pub depends_on: Vec<Dependency>,
    /// Others that it knows by another name.
    pub links: Vec<Link>,
    /// By which names others know it through their links.
    pub linked_as: Vec<String>,
    pub healthcheck: Option<Healthcheck>,
    pub restart: Restart,
    pub resources: Resources,
    /// How many of it are to run, where the file says so.
    pub replicas: Option<u32>,
    pub ulimits: BTreeMap<String, Ulimit>,
    pub sysctls: BTreeMap<String, String>,
    pub tmpfs: Vec<String>,
    pub init: bool,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub hostname: Option<String>,
    pub container_name: Option<String>,
    pub labels: BTreeMap<String, String>,
    pub platform: Option<String>,
    pub profiles: Vec<String>,
    pub secrets: Vec<FileMount>,
    pub configs: Vec<FileMount>,
    pub stop_grace_period: Option<Duration>,
    pub stop_signal: Option<String>,
    pub stdin_open: bool,
    pub tty: bool,
}

/// One entry of `links` that names the other anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub service: String,
    pub alias: String,
    /// Where it is written, such as `services.web.links[0]`.
    pub field: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    pub context: String,
    pub dockerfile: Option<String>,
}

/// A published port, or a range of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub host_ip: Option<String>,
    pub host: HostPort,
    /// The first and the last port inside the container; mostly the same.
    pub container: (u16, u16),
    pub protocol: Protocol,
    pub name: Option<String>,
    /// Such as `services.web.ports[0]`, for [`Project::origin`].
    pub field: String,
}

/// Which port of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPort {
    /// Any that is free.
    Any,
    /// The first and the last: as many as inside the container, or more than one to choose from.
    Numbers(u16, u16),
    /// A text such as `${port.web}`, which the node resolves.
    Reference(String),
}

impl Port {
    /// One port after the other, host first.
    pub fn pairs(&self) -> Vec<(HostPort, u16)> {
        let (first, last) = self.container;
        (first..=last)
            .map(|container| match &self.host {
                HostPort::Any => (HostPort::Any, container),
                HostPort::Numbers(from, to) if first == last => (HostPort::Numbers(*from, *to), container),
                HostPort::Numbers(from, _) => {
                    let host = from.saturating_add(container - first);
                    (HostPort::Numbers(host, host), container)
                }
                HostPort::Reference(text) => (HostPort::Reference(text.clone()), container),
            })
            .collect()
    }
}

/// Something of the node, or of the project, that the container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub source: MountSource,
    pub target: String,
    pub read_only: bool,
    pub propagation: Option<String>,
    /// Of the volume, when not all of it.
    pub subpath: Option<String>,
    /// Whether a new volume stays empty, whatever the image has in its place.
    pub no_copy: bool,
    pub field: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A volume that the file declares.
    Named(String),
    /// A volume without a name.
    Anonymous,
    /// A path in the folder of the files, such as `data` or `deploy/conf.d`; empty for the folder itself.
    Relative(String),
    /// An absolute path on the node; also one that begins with a reference.
    Absolute(String),
    Tmpfs {
        bytes: Option<u64>,
        mode: Option<u32>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub source: String,
    pub target: String,
    /// Of `r`, `w` and `m`.
    pub permissions: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// The service's networks.
    #[default]
    Networks,
    /// Docker's own `bridge`.
    Bridge,
    Host,
    None,
    /// That of another service.
    Service(String),
    Container(String),
}

/// A network that a service is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attachment {
    pub network: String,
    pub aliases: Vec<String>,
    pub ipv4: Option<String>,
    pub ipv6: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub service: String,
    pub condition: Condition,
    pub required: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Started,
    Healthy,
    Completed,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Healthcheck {
    pub test: Test,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub start_period: Option<Duration>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Test {
    /// The image's own.
    #[default]
    Image,
    /// Switched off.
    Disabled,
    Exec(Vec<String>),
    Shell(String),
}

impl Test {
    /// The command line that a person wrote, if one is.
    pub fn words(&self) -> &[String] {
        match self {
            Test::Image | Test::Disabled => &[],
            Test::Exec(words) => words,
            Test::Shell(line) => std::slice::from_ref(line),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Restart {
    #[default]
    No,
    Always,
    UnlessStopped,
    OnFailure {
        most: Option<u32>,
    },
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Resources {
    pub memory: Option<u64>,
    pub memory_reservation: Option<u64>,
    pub cpus: Option<f64>,
    pub pids: Option<u32>,
    pub shm: Option<u64>,
}

/// -1 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ulimit {
    pub soft: i64,
    pub hard: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    pub name: Option<String>,
    /// None for a bridge.
    pub driver: Option<String>,
    pub driver_opts: BTreeMap<String, String>,
    pub is_external: bool,
    pub is_internal: bool,
    pub has_ipv6: bool,
    pub pools: Vec<Pool>,
    pub labels: BTreeMap<String, String>,
}

/// Addresses that a network gives out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    pub subnet: String,
    pub gateway: Option<String>,
    /// The part of the subnet that addresses are given from where nobody asks for one.
    pub range: Option<String>,
    /// Addresses that are somebody else's, by their names.
    pub taken: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedVolume {
    pub name: Option<String>,
    pub is_external: bool,
    pub labels: BTreeMap<String, String>,
    /// A folder of the node, where it is not one that is kept for the instance.
    pub stands_for: Option<MountSource>,
}

/// A secret or a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileObject {
    /// In the folder of the files, or absolute on the node.
    File(MountSource),
    /// The value of an environment variable.
    Value(String),
    External,
}

/// A secret or a config as a file in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMount {
    pub source: String,
    pub target: String,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub field: String,
}
