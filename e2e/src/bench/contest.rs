//! The contestants of a deploy: each brings the same package to all hosts of a fleet, from the same desk, over
//! connections that it has to make itself: SSH, and where there is an agent to talk to, mutual TLS.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::ansible;
use crate::fleet::Fleet;
use crate::host::{Host, Refusal};
use crate::orchestrator::{Orchestrator, repository};

/// Where the package lies on the desk.
pub const PACKAGE: &str = "/root/page.tar.gz";
const AGENT_PORT: u16 = 7644;
/// Ends all ssh clients of the desk, and with them the connections they keep for later.
const HANG_UP: &str =
    "for p in $(pgrep -x ssh); do kill $p; done; while pgrep -x ssh >/dev/null; do sleep 0.01; done";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contestant {
    /// `ssh host tar xz`, to all hosts at once.
    Raw,
    /// `orchestrator deploy` of the package, until it is healthy everywhere.
    Orchestrator,
    /// The same from the module's folder, which is packed first.
    OrchestratorFolder,
    /// The same where nothing but SSH leads to the hosts, as through a firewall.
    OrchestratorSsh,
    /// A playbook as people write it.
    Ansible,
    /// The same with `gather_facts: false`.
    AnsibleTuned,
}

impl Contestant {
    pub fn name(self) -> &'static str {
        match self {
            Contestant::Raw => "raw parallel ssh … tar xz",
            Contestant::Orchestrator => "orchestrator deploy, until healthy",
            Contestant::OrchestratorFolder => "orchestrator deploy from the folder, until healthy",
            Contestant::OrchestratorSsh => "orchestrator deploy by SSH alone, until healthy",
            Contestant::Ansible => "ansible-playbook: file, unarchive, command",
            Contestant::AnsibleTuned => "the same without gathering facts",
        }
    }

    pub fn short_name(self) -> &'static str {
        match self {
            Contestant::Raw => "raw ssh",
            Contestant::Orchestrator => "orchestrator",
            Contestant::OrchestratorFolder => "orchestrator from the folder",
            Contestant::OrchestratorSsh => "orchestrator by SSH alone",
            Contestant::Ansible => "ansible",
            Contestant::AnsibleTuned => "ansible without facts",
        }
    }
}

/// Hosts that are nodes already, and the desk the contestants work from.
pub struct Arena {
    pub fleet: Fleet,
    pub orchestrator: Orchestrator,
}

impl Arena {
    pub fn enrolled(hosts: u8) -> Result<Arena> {
        let fleet = Fleet::up(hosts)?;
        let orchestrator = Orchestrator::on(fleet.desk())?;
        for host in fleet.hosts() {
            orchestrator.ok(&format!("node add {0} --ssh {0}", host.name()));
        }
        Ok(Arena { fleet, orchestrator })
    }

    /// Writes a module that nobody has seen before: hello-web of the catalog with ballast that does not compress.
    pub fn write_package(&self, version: &str, ballast: usize) -> Result<()> {
        let desk = self.fleet.desk();
        desk.run("rm -rf /root/page")?;
        let folder = desk.path("/root/page")?;
        let copied = Command::new("cp")
            .args(["-a", "--no-target-directory"])
            .arg(repository().join("modules/catalog/hello-web"))
            .arg(&folder)
            .status()?;
        ensure!(copied.success(), "could not copy hello-web to the desk");
        let manifest = fs::read_to_string(folder.join("MODULE.yaml"))?;
        let renamed = manifest.replacen("name: hello-web", "name: page", 1);
        let marked = renamed.replacen("version: 1.0.0", &format!("version: {version}"), 1);
        ensure!(marked.contains("name: page") && marked.contains(version), "hello-web has changed its name");
        fs::write(folder.join("MODULE.yaml"), marked)?;
        desk.run(&format!("head -c {ballast} /dev/urandom >/root/page/ballast"))?;
        self.orchestrator.ok(&format!("module pack ./page --out {PACKAGE}"));
        Ok(())
    }

    /// Lets a contestant bring the package to all hosts, and gives the seconds.
    pub fn time(&self, contestant: Contestant, version: &str) -> Result<f64> {
        match contestant {
            Contestant::Raw => self.time_raw(version),
            Contestant::Orchestrator => Ok(self.deploy(PACKAGE)),
            Contestant::OrchestratorFolder => Ok(self.deploy("./page")),
            Contestant::OrchestratorSsh => self.time_behind_firewalls(),
            Contestant::Ansible => ansible::time(&self.fleet, version, PACKAGE, ""),
            Contestant::AnsibleTuned => {
                ansible::time(&self.fleet, version, PACKAGE, "  gather_facts: false\n")
            }
        }
    }

    /// Deploys to every node and gives the seconds; connections stay as they are.
    pub fn deploy(&self, module: &str) -> f64 {
        let started = Instant::now();
        self.orchestrator.ok(&format!("deploy {module} --every-node"));
        started.elapsed().as_secs_f64()
    }

    /// Closes all connections that are kept open for later, so that the next command finds none.
    pub fn hang_up(&self) -> Result<()> {
        self.fleet.desk().run(HANG_UP).map(drop)
    }

    /// The bytes that have reached the hosts so far, over the whole of their lines.
    pub fn bytes_received(&self) -> Result<u64> {
        let received = |host: &Host| -> Result<u64> {
            let count = host.read("/sys/class/net/eth0/statistics/rx_bytes")?;
            count.trim().parse().with_context(|| format!("`{count}` is no number"))
        };
        self.fleet.hosts().map(received).sum()
    }

    fn time_behind_firewalls(&self) -> Result<f64> {
        self.fleet.hosts().try_for_each(|host| host.block_port(AGENT_PORT, Refusal::Reset))?;
        let took = self.deploy(PACKAGE);
        self.fleet.hosts().try_for_each(Host::heal)?;
        Ok(took)
    }

    fn time_raw(&self, version: &str) -> Result<f64> {
        let command = format!("mkdir -p /srv/raw/{version} && tar xz -C /srv/raw/{version}");
        let names: Vec<_> = self.fleet.hosts().map(Host::name).collect();
        let script = format!(
            "for h in {}; do ssh -o BatchMode=yes $h '{command}' <{PACKAGE} & pids=\"$pids $!\"; done; \
             for p in $pids; do wait $p || exit 1; done",
            names.join(" ")
        );
        let started = Instant::now();
        self.fleet.desk().run(&script)?;
        Ok(started.elapsed().as_secs_f64())
    }
}
