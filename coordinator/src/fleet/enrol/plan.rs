//! Decides, from what was asked, found and known, whether and how a machine becomes a node. No effects.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proto::ids::NodeName;
use proto::v1;
use proto::v1::add_node_request::Target;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::clock::UnixMillis;
use crate::domain::node::{Facts, Install, NodeRecord, Supervisor};
use crate::fleet::ca::fleet_id;
use crate::fleet::enrol::binaries::AgentBinary;
use crate::fleet::enrol::probe::{Privilege, Probe};
use crate::fleet::enrol::{EnrolError, Note};
use crate::ssh::{Contact, NewHostKeys};
use crate::store::json::Stored;

const DEFAULT_PORT: u16 = 7644;
const MIB: u64 = 1 << 20;
/// Besides the agent: keys, ledger, logs of its own.
const HEADROOM: u64 = 8 * MIB;
/// What lies here does not outlive a reboot.
const VOLATILE: [&str; 3] = ["/tmp", "/run", "/dev/shm"];
const MAX_SKEW_SECONDS: u64 = 60;

/// What was asked, parsed.
#[derive(Debug, Clone)]
pub struct Wish {
    pub name: NodeName,
    pub contact: Contact,
    pub new_host_keys: NewHostKeys,
    pub labels: BTreeMap<String, String>,
    pub port: Option<u16>,
    /// Where it is for us to say: on this machine.
    pub data_dir: Option<PathBuf>,
}

impl Wish {
    pub fn parse(request: &v1::AddNodeRequest, data_dir: &Path) -> Result<Self, EnrolError> {
        let name = NodeName::parse(&request.name)?;
        let (contact, accepts) = match &request.target {
            Some(Target::Ssh(ssh)) => (contact(ssh), ssh.accept_new_host_key),
            Some(Target::Local(_)) => (Contact::Local, false),
            None => return Err(EnrolError::NoTarget { node: name }),
        };
        let is_local = contact == Contact::Local;
        Ok(Self {
            name,
            contact,
            new_host_keys: if accepts { NewHostKeys::Accept } else { NewHostKeys::AsConfigured },
            labels: request.labels.clone(),
            port: u16::try_from(request.agent_port).ok().filter(|port| *port != 0),
            data_dir: is_local.then(|| data_dir.join("node")),
        })
    }
}

fn contact(ssh: &v1::add_node_request::Ssh) -> Contact {
    Contact::Ssh {
        destination: ssh.destination.clone(),
        port: u16::try_from(ssh.port).ok().filter(|port| *port != 0),
        identity: Some(PathBuf::from(&ssh.identity)).filter(|path| !path.as_os_str().is_empty()),
    }
}

/// How the machine becomes a node.
#[derive(Debug)]
pub struct Plan {
    pub wish: Wish,
    data_dir: PathBuf,
    /// The user who logs in becomes root by sudo; another user, another answer.
    pub sudo: bool,
    supervisor: Supervisor,
    listen: String,
    now: UnixMillis,
}

impl Plan {
    pub fn make(
        wish: Wish,
        probe: &Probe,
        known: &[Stored<NodeRecord>],
        fleet: &str,
        now: UnixMillis,
    ) -> Result<Self, EnrolError> {
        let is_local = wish.contact == Contact::Local;
        if probe.privilege == Privilege::SudoWithPassword && !is_local {
            return Err(EnrolError::SudoPassword { host: wish.contact.to_string() });
        }
        check_fleet(&wish, probe, known, fleet)?;
        check_machine(&wish, probe, known)?;
        let supervisor = supervisor(is_local, probe);
        let previous = known.iter().map(|kept| &kept.value).find(|record| record.name == wish.name);
        let listen = listen(&wish, probe, previous);
        let sudo = probe.privilege == Privilege::Sudo && !is_local;
        Ok(Self { data_dir: probe.data_dir.clone(), sudo, supervisor, listen, wish, now })
    }

    /// The record before the machine has spoken for itself. `host` is where its ports are reached.
    pub fn record(&self, host: &str) -> NodeRecord {
        let install =
            Install { listen: self.listen.clone(), supervisor: self.supervisor, ..Install::default() };
        NodeRecord {
            name: self.wish.name.clone(),
            contact: self.wish.contact.clone(),
            address: address_of(&install, host),
            data_dir: self.data_dir.clone(),
            sudo: self.sudo,
            public_key: String::new(),
            labels: self.wish.labels.clone(),
            cordoned: false,
            facts: Facts::default(),
            enrolled_at: self.now,
            // Whoever enrols a node believes it anew.
            receipt_key: None,
            install,
        }
    }

    pub fn asks_for_another_port(&self, record: &NodeRecord) -> bool {
        self.wish.port.is_some_and(|port| !record.install.listen.ends_with(&format!(":{port}")))
    }

    /// Whether something can start the agent after a reboot that nothing starts so far.
    pub fn outlives_a_reboot_unlike(&self, record: &NodeRecord) -> bool {
        record.install.supervisor == Supervisor::Contact && self.supervisor != Supervisor::Contact
    }

    pub fn check_fit(&self, binary: &AgentBinary, probe: &Probe) -> Result<(), EnrolError> {
        let host = self.wish.contact.to_string();
        if binary.is_dynamic && probe.is_musl {
            return Err(EnrolError::WrongLibc { host, path: binary.path.clone() });
        }
        let needed = binary.size + HEADROOM;
        match probe.disk_free_bytes {
            Some(free) if free < needed => {
                Err(EnrolError::DiskFull { host, free: free / MIB, needed: needed / MIB })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Says truthfully what happens after a reboot.
    pub fn supervision(&self) -> Note {
        match self.supervisor {
            Supervisor::Systemd => Note::Step("starting the agent under systemd".to_owned()),
            Supervisor::Cron => Note::Step("starting the agent; cron starts it after a reboot".to_owned()),
            Supervisor::Contact if self.wish.contact == Contact::Local => Note::Warning(
                "nothing starts the agent of this machine after a reboot: it starts at the next `orchestrator` command, \
                 and what it runs with it; under root's systemd it would start by itself"
                    .to_owned(),
            ),
            Supervisor::Contact => Note::Warning(
                "there is neither systemd nor cron: after a reboot the agent starts at the coordinator's next \
                 contact, not before"
                    .to_owned(),
            ),
        }
    }
}

impl Probe {
    /// What will not work as people expect.
    pub fn warnings(&self, now_seconds: i64) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.has_memory_cgroup == Some(false) {
            warnings.push(
                "the kernel's memory cgroup is off, so memory limits of containers and services are ignored; add \
                 `cgroup_enable=memory cgroup_memory=1` to the kernel command line and reboot"
                    .to_owned(),
            );
        }
        let skew = self.unix_seconds.map_or(0, |theirs| theirs - now_seconds);
        let off = skew.unsigned_abs();
        if off > MAX_SKEW_SECONDS && skew > 0 {
            warnings.push(format!(
                "its clock is {off} s ahead of ours; certificates may be refused as expired until it is set"
            ));
        } else if off > MAX_SKEW_SECONDS {
            warnings.push(format!(
                "its clock is {off} s behind ours; its logs and receipts say wrong times until it is set"
            ));
        }
        if self.privilege == Privilege::User {
            warnings.push("there is no sudo: the agent runs as the user, and so do all instances".to_owned());
        }
        warnings
    }
}

/// An agent of another fleet is not ours to take.
fn check_fleet(
    wish: &Wish,
    probe: &Probe,
    known: &[Stored<NodeRecord>],
    fleet: &str,
) -> Result<(), EnrolError> {
    let installed = &probe.installed;
    let Ok(ca) = CertificateDer::from_pem_slice(installed.ca_pem.as_bytes()) else { return Ok(()) };
    let theirs = fleet_id(&ca);
    if theirs != fleet {
        return Err(EnrolError::OtherFleet {
            host: wish.contact.to_string(),
            fleet: theirs,
            node: installed.node.clone(),
            data_dir: probe.data_dir.clone(),
        });
    }
    let is_known = known.iter().any(|kept| kept.value.name.as_str() == installed.node);
    match NodeName::parse(&installed.node) {
        Ok(other) if other != wish.name && is_known => Err(EnrolError::OtherName { known: other }),
        _ => Ok(()),
    }
}

/// A name stays with its machine, and a machine with its name.
fn check_machine(wish: &Wish, probe: &Probe, known: &[Stored<NodeRecord>]) -> Result<(), EnrolError> {
    let machine = &probe.installed.machine;
    for record in known.iter().map(|kept| &kept.value) {
        let is_same = !machine.is_empty() && *machine == record.install.machine;
        // A machine without a number is new, or was set up anew and is found where it always was.
        let may_be_same = machine.is_empty() && record.contact == wish.contact;
        if record.name == wish.name && !is_same && !may_be_same {
            let known = record.contact.to_string();
            return Err(EnrolError::OtherMachine { node: wish.name.clone(), known });
        }
        if record.name != wish.name && is_same {
            return Err(EnrolError::OtherName { known: record.name.clone() });
        }
    }
    Ok(())
}

/// Who starts the agent after a reboot. On this machine only root's systemd does: a crontab may have several agents.
fn supervisor(is_local: bool, probe: &Probe) -> Supervisor {
    let is_root = match probe.privilege {
        Privilege::Root => true,
        Privilege::Sudo => !is_local,
        Privilege::SudoWithPassword | Privilege::User => false,
    };
    let is_gone_by_then = VOLATILE.iter().any(|folder| probe.data_dir.starts_with(folder));
    match probe {
        _ if is_local && is_gone_by_then => Supervisor::Contact,
        Probe { has_systemd: true, .. } if is_root => Supervisor::Systemd,
        Probe { has_cron: true, .. } if !is_local => Supervisor::Cron,
        _ => Supervisor::Contact,
    }
}

/// The port that was asked for, that it had, or the first free one.
fn listen(wish: &Wish, probe: &Probe, previous: Option<&NodeRecord>) -> String {
    let own = port_of(&probe.installed.address);
    let had = previous.and_then(|record| port_of(&record.install.listen));
    if wish.contact == Contact::Local {
        let port = wish.port.or(had).unwrap_or(0);
        return format!("127.0.0.1:{port}");
    }
    let first = wish.port.or(had).unwrap_or(DEFAULT_PORT);
    let is_free = |port: &u16| own == Some(*port) || !probe.listening.contains(port);
    let port = (first..=u16::MAX).find(is_free).unwrap_or(first);
    format!("0.0.0.0:{port}")
}

pub fn port_of(address: &str) -> Option<u16> {
    address.trim().rsplit_once(':')?.1.parse().ok()
}

/// Where the agent's port is reached, on a machine whose ports are reached at `host`.
pub fn address_of(install: &Install, host: &str) -> String {
    let (_, port) = install.listen.rsplit_once(':').unwrap_or_default();
    join(host, port)
}

/// `host:port`, an IPv6 address in brackets.
fn join(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::enrol::probe;

    #[test]
    fn systemd_starts_the_agent_after_a_reboot_wherever_it_may() {
        let check = |is_local: bool, who: &str, has: &str, dir: &str| {
            let said = format!("who={who}\ndata_dir={dir}\n{has}\n");
            supervisor(is_local, &probe::parse(&said).expect("it parses"))
        };
        let data = "/root/.local/share/orchestrator/node";
        assert_eq!(check(true, "root", "systemd=yes\ncron=yes", data), Supervisor::Systemd);
        assert_eq!(check(true, "root", "systemd=yes", "/tmp/x/node"), Supervisor::Contact);
        assert_eq!(check(true, "root", "cron=yes", data), Supervisor::Contact);
        assert_eq!(check(true, "sudo", "systemd=yes", data), Supervisor::Contact);
        assert_eq!(check(true, "user", "systemd=yes", data), Supervisor::Contact);
        assert_eq!(check(false, "sudo", "systemd=yes\ncron=yes", data), Supervisor::Systemd);
        assert_eq!(check(false, "user", "systemd=yes\ncron=yes", data), Supervisor::Cron);
        assert_eq!(check(false, "root", "", data), Supervisor::Contact);
    }
}
