//! What placement sees of one node: what it is, how busy it is, what it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use modules::spec::network::Protocol;
use proto::ids::NodeName;
use proto::v1;
use serde::{Deserialize, Serialize};

/// Who holds a port that no instance of ours is known to hold.
pub const FOREIGN: &str = "another process";

/// Whether a node answers. `Lost` is `Unknown` for longer than the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Liveness {
    #[default]
    Ready,
    Unknown,
    Lost,
}

/// A wire protocol as the domain knows it.
pub fn protocol_of(wire: v1::port::Protocol) -> Protocol {
    match wire {
        v1::port::Protocol::Tcp => Protocol::Tcp,
        v1::port::Protocol::Udp => Protocol::Udp,
    }
}

/// A port of the machine itself: `1883/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostPort {
    pub port: u16,
    pub protocol: Protocol,
}

impl HostPort {
    pub fn tcp(port: u16) -> Self {
        Self { port, protocol: Protocol::Tcp }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol.as_str())
    }
}

/// What instances have been promised, whether they use it or not.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Reserved {
    pub cpu_cores: f64,
    pub memory_bytes: u64,
}

/// One node as placement sees it. Facts come from the node and may be garbage: nothing here is trusted.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    pub name: NodeName,
    pub arch: String,
    pub capabilities: BTreeSet<String>,
    pub labels: BTreeMap<String, String>,
    pub cordoned: bool,
    pub liveness: Liveness,
    pub cpu_cores: f64,
    pub cpu_busy_cores: f64,
    pub memory_bytes: u64,
    pub memory_available_bytes: u64,
    pub disk_bytes: u64,
    pub disk_free_bytes: u64,
    /// Promised to the instances that are wanted here, of all deployments.
    pub reserved: Reserved,
    /// How many instances are wanted here, of all deployments.
    pub instances: u32,
    /// By whom: an instance id, or `FOREIGN`.
    pub ports_taken: BTreeMap<HostPort, String>,
    /// Digests of the packages that are on the node.
    pub releases: BTreeSet<String>,
}

impl NodeView {
    /// A reachable node of which nothing else is known.
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            arch: String::new(),
            capabilities: BTreeSet::new(),
            labels: BTreeMap::new(),
            cordoned: false,
            liveness: Liveness::Ready,
            cpu_cores: 0.0,
            cpu_busy_cores: 0.0,
            memory_bytes: 0,
            memory_available_bytes: 0,
            disk_bytes: 0,
            disk_free_bytes: 0,
            reserved: Reserved::default(),
            instances: 0,
            ports_taken: BTreeMap::new(),
            releases: BTreeSet::new(),
        }
    }

    /// Takes over what the agent says of its machine. What it says of ports adds to those already known as taken.
    pub fn observe(&mut self, report: &v1::Report) {
        if let Some(facts) = &report.facts {
            self.arch.clone_from(&facts.arch);
            self.capabilities = facts.capabilities.iter().cloned().collect();
            self.cpu_cores = facts.cpu_cores;
            self.memory_bytes = facts.memory_bytes;
            self.disk_bytes = facts.disk_bytes;
        }
        if let Some(load) = &report.load {
            self.cpu_busy_cores = load.cpu_busy_cores;
            self.memory_available_bytes = load.memory_available_bytes;
            self.disk_free_bytes = load.disk_free_bytes;
        }
        self.releases = report.releases.iter().cloned().collect();
        for instance in &report.instances {
            for bound in &instance.ports {
                let Ok(port) = u16::try_from(bound.port) else { continue };
                let port = HostPort { port, protocol: protocol_of(bound.protocol()) };
                self.ports_taken.insert(port, instance.id.clone());
            }
        }
        for port in report.load.iter().flat_map(|load| &load.listening_ports) {
            let Ok(port) = u16::try_from(*port) else { continue };
            self.ports_taken.entry(HostPort::tcp(port)).or_insert_with(|| FOREIGN.to_owned());
        }
    }
}
