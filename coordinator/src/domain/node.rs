//! What the fleet remembers of an enrolled machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proto::ids::NodeName;
use serde::{Deserialize, Serialize};

use crate::clock::UnixMillis;
use crate::ssh::Contact;

/// Kept in the store under `/nodes/<name>`. Changes with enrolment, labels and cordon, not with load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    pub name: NodeName,
    pub contact: Contact,
    /// Where the agent listens: `host:port`.
    pub address: String,
    /// The agent's folder on the node.
    pub data_dir: PathBuf,
    /// Commands on the node run through `sudo -n`.
    pub sudo: bool,
    /// sha256 of the node's public key (SubjectPublicKeyInfo), hex. What answers with another key is not this node.
    pub public_key: String,
    pub labels: BTreeMap<String, String>,
    pub cordoned: bool,
    pub facts: Facts,
    pub enrolled_at: UnixMillis,
    #[serde(default)]
    pub install: Install,
    /// The key that signs the receipts of its runs, hex: as it was when it was first seen. Others are not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_key: Option<String>,
}

/// How the agent was installed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Install {
    /// What the agent is told to listen on: `ip:port`.
    pub listen: String,
    pub supervisor: Supervisor,
    /// Tells machines apart, whatever their names and addresses.
    pub machine: String,
    /// sha256 of the agent's binary, hex.
    pub agent_digest: String,
    /// The key of a certificate that is being installed; the node may show it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_public_key: Option<String>,
}

/// Who starts the agent after a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Supervisor {
    Systemd,
    /// An `@reboot` line.
    Cron,
    /// Nobody: the coordinator, at its next contact.
    #[default]
    Contact,
}

/// What the machine is, as last seen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    pub arch: String,
    pub os: String,
    pub cpu_cores: f64,
    pub memory_bytes: u64,
    pub disk_bytes: u64,
    pub capabilities: Vec<String>,
    pub hostname: String,
    pub agent_version: String,
}

#[cfg(test)]
impl NodeRecord {
    /// A node for tests that look at nothing but what they set themselves.
    pub fn sample(name: &str) -> Self {
        Self {
            name: NodeName::parse(name).expect("name"),
            contact: Contact::Local,
            address: "127.0.0.1:1".into(),
            data_dir: "/x".into(),
            sudo: false,
            public_key: String::new(),
            labels: BTreeMap::new(),
            cordoned: false,
            facts: Facts::default(),
            enrolled_at: 0,
            install: Install::default(),
            receipt_key: None,
        }
    }
}
