//! How machines join and leave the fleet. `node add` reads like its story: connect, look, send the agent, certify,
//! start, dial; only then is the node remembered. Each step can be repeated, so an interrupted one is completed
//! by asking again, and asking again for a node that is there repairs it.

pub mod authority;
pub mod binaries;
mod error;
mod install;
mod plan;
pub mod probe;
mod remove;

use std::path::PathBuf;
use std::sync::Arc;

pub use error::EnrolError;
use proto::ids::NodeName;
use proto::v1;

use crate::agents::tunnel::as_agent_user;
use crate::agents::{AgentError, Agents};
use crate::clock::Clock;
use crate::domain::node::{Facts, NodeRecord};
use crate::fault;
use crate::fleet::ca::{CertificateAuthority, NodeCertificate};
use crate::fleet::enrol::binaries::{AgentBinaries, AgentBinary};
use crate::fleet::enrol::plan::{Plan, Wish, address_of, port_of};
use crate::fleet::enrol::probe::Probe;
use crate::fleet::keys;
use crate::ssh::hosts::Hosts;
use crate::ssh::{CommandOutput, Host, HostError};
use crate::store::json::{Stored, list_json, put_json};
use crate::store::{Op, Precondition, Store, StoreError, Txn};

/// What a person should know while it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    Step(String),
    Warning(String),
}

/// Hears what happens.
pub type Listener<'a> = &'a (dyn Fn(Note) + Send + Sync);

/// Lets machines join and leave.
pub struct Enrolment {
    pub store: Arc<dyn Store>,
    pub hosts: Arc<Hosts>,
    pub agents: Arc<Agents>,
    pub ca: Arc<CertificateAuthority>,
    pub binaries: AgentBinaries,
    pub clock: Arc<dyn Clock>,
    /// The coordinator's; a node on this very machine lives below it.
    pub data_dir: PathBuf,
}

impl Enrolment {
    /// Makes a machine a node, or repairs the node it is.
    pub async fn add(
        &self,
        request: &v1::AddNodeRequest,
        tell: Listener<'_>,
    ) -> Result<NodeRecord, EnrolError> {
        let wish = Wish::parse(request, &self.data_dir)?;
        let host = self.hosts.get_with(&wish.contact, wish.new_host_keys);
        tell(Note::Step(format!("connecting to {}", host.name())));
        let known = self.known(&wish.name).await?;
        let probe = self.probe(&wish, &*host, tell).await?;
        let ca = self.ca.get().await.map_err(|cause| EnrolError::Ca { node: wish.name.clone(), cause })?;
        let plan = Plan::make(wish, &probe, &known, &ca.fleet_id(), self.clock.now())?;
        if let Some(record) = self.refreshed(&plan, &known, &probe).await? {
            tell(Note::Step(format!("{} is enrolled already and answers", plan.wish.name)));
            return Ok(record);
        }
        fault::point("enrol.planned");
        let mut record = plan.record(&self.hosts.address(&plan.wish.contact).await);
        self.send_agent(&plan, &mut record, &probe, &*host, tell).await?;
        fault::point("enrol.sent");
        let certificate = self.certify(&mut record, &known, &*host, tell).await?;
        fault::point("enrol.certified");
        tell(plan.supervision());
        start(&mut record, &certificate, &*host).await?;
        fault::point("enrol.started");
        let agent = self.agents.dial(&record).await.map_err(|cause| unanswered(&record.name, cause))?;
        let report = agent.observe().await.map_err(|cause| unanswered(&record.name, cause))?;
        record.facts = facts(&report);
        fault::point("enrol.answered");
        let remembered = self.remember(record, &known, tell).await;
        fault::point("enrol.remembered");
        remembered
    }

    async fn known(&self, node: &NodeName) -> Result<Vec<Stored<NodeRecord>>, EnrolError> {
        let listed = list_json::<NodeRecord>(&*self.store, keys::NODES).await;
        Ok(listed.map_err(|cause| EnrolError::Store { node: node.clone(), cause })?.entries)
    }

    async fn probe(&self, wish: &Wish, host: &dyn Host, tell: Listener<'_>) -> Result<Probe, EnrolError> {
        let before = self.clock.now();
        let output = host.run(&probe::script(wish.data_dir.as_deref()), b"").await;
        let output = output.map_err(|cause| EnrolError::Host { node: wish.name.clone(), cause })?;
        let now = self.clock.now().midpoint(before) / 1000;
        let probe = probe::parse(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| EnrolError::Probe { host: host.name() })?;
        tell(Note::Step(format!("found {} on {}", probe.os, probe.arch)));
        for warning in probe.warnings(now) {
            tell(Note::Warning(warning));
        }
        Ok(probe)
    }

    /// The node as it is where nothing but its labels is to be done: right binary, and it answers with its key.
    async fn refreshed(
        &self,
        plan: &Plan,
        known: &[Stored<NodeRecord>],
        probe: &Probe,
    ) -> Result<Option<NodeRecord>, EnrolError> {
        let Some(kept) = known.iter().find(|kept| kept.value.name == plan.wish.name) else { return Ok(None) };
        let binary = self.binaries.find(&probe.arch)?;
        let is_same_install = kept.value.data_dir == probe.data_dir
            && !plan.asks_for_another_port(&kept.value)
            && !plan.outlives_a_reboot_unlike(&kept.value);
        if !is_same_install || binary.digest != probe.installed.digest || probe.installed.ca_pem.is_empty() {
            return Ok(None);
        }
        let current = NodeRecord {
            contact: plan.wish.contact.clone(),
            address: address_of(&kept.value.install, &self.hosts.address(&plan.wish.contact).await),
            sudo: plan.sudo,
            ..kept.value.clone()
        };
        let Ok(agent) = self.agents.dial(&current).await else { return Ok(None) };
        let Ok(report) = agent.observe().await else { return Ok(None) };
        let labels = &plan.wish.labels;
        let edit = |record: &mut NodeRecord| {
            record.contact.clone_from(&current.contact);
            record.address.clone_from(&current.address);
            record.sudo = current.sudo;
            record.labels.extend(labels.clone());
            record.facts = facts(&report);
        };
        authority::edit_record(&*self.store, &plan.wish.name, edit)
            .await
            .map_err(|cause| EnrolError::Store { node: plan.wish.name.clone(), cause })
    }

    async fn send_agent(
        &self,
        plan: &Plan,
        record: &mut NodeRecord,
        probe: &Probe,
        host: &dyn Host,
        tell: Listener<'_>,
    ) -> Result<(), EnrolError> {
        let binary = self.binaries.find(&probe.arch)?;
        plan.check_fit(&binary, probe)?;
        record.install.agent_digest.clone_from(&binary.digest);
        if probe.installed.digest == binary.digest {
            tell(Note::Step("the agent is there already".to_owned()));
            return Ok(());
        }
        tell(Note::Step(format!("sending the agent ({} KiB)", binary.size / 1024)));
        let file = tokio::fs::File::open(&binary.path)
            .await
            .map_err(|cause| EnrolError::ReadBinary { path: binary.path.clone(), cause })?;
        let output = feed_binary(record, &binary, host, file).await?;
        if output.exit_code == install::DOES_NOT_RUN {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(EnrolError::DoesNotRun { host: host.name(), said });
        }
        output.checked(host, "storing the agent").map_err(|cause| failed(record, cause))?;
        Ok(())
    }

    /// The node makes its key; we sign it, under the node's name.
    async fn certify(
        &self,
        record: &mut NodeRecord,
        known: &[Stored<NodeRecord>],
        host: &dyn Host,
        tell: Listener<'_>,
    ) -> Result<NodeCertificate, EnrolError> {
        tell(Note::Step("certifying its key".to_owned()));
        let enrolled = run(record, &install::enrol_script(record), b"", host, "making a key").await?;
        record.install.machine = install::machine_in(&enrolled.text());
        let name = record.name.clone();
        let ca_failed = |cause| EnrolError::Ca { node: name.clone(), cause };
        let ca = self.ca.get().await.map_err(ca_failed)?;
        let certificate =
            ca.sign_node(&record.name, &install::csr_in(&enrolled.text())).map_err(ca_failed)?;
        record.public_key.clone_from(&certificate.public_key);
        fault::point("enrol.signed");
        if known.iter().any(|kept| kept.value.name == record.name) {
            // A node that is in use stays reachable while its key changes.
            let announce =
                |kept: &mut NodeRecord| kept.install.next_public_key = Some(certificate.public_key.clone());
            authority::edit_record(&*self.store, &record.name, announce)
                .await
                .map_err(|cause| EnrolError::Store { node: record.name.clone(), cause })?;
        }
        Ok(certificate)
    }

    /// Of two coordinators that add a node at the same time, the later one has repaired what the other made.
    async fn remember(
        &self,
        record: NodeRecord,
        known: &[Stored<NodeRecord>],
        tell: Listener<'_>,
    ) -> Result<NodeRecord, EnrolError> {
        let failed = |cause| EnrolError::Store { node: record.name.clone(), cause };
        let key = keys::node(&record.name);
        if known.iter().all(|kept| kept.value.name != record.name) {
            let put = put_json(key.clone(), &record).map_err(failed)?;
            // What was wanted of an earlier node of that name is not meant for this one.
            let forget = Op::delete(keys::desired(&record.name));
            let txn = Txn::new().when(Precondition::Absent { key }).then(put).then(forget);
            match self.store.commit(txn).await {
                Ok(_) => {
                    tell(Note::Step(format!("{} has joined the fleet", record.name)));
                    return Ok(record);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(cause) => return Err(failed(cause)),
            }
        }
        let replace = |kept: &mut NodeRecord| {
            let (cordoned, enrolled_at) = (kept.cordoned, kept.enrolled_at);
            let mut labels = kept.labels.clone();
            labels.extend(record.labels.clone());
            *kept = NodeRecord { cordoned, enrolled_at, labels, ..record.clone() };
        };
        let repaired = authority::edit_record(&*self.store, &record.name, replace).await.map_err(failed)?;
        tell(Note::Step(format!("{} is repaired", record.name)));
        repaired.ok_or_else(|| EnrolError::NoSuchNode { node: record.name.clone() })
    }
}

/// The node checks its certificate and starts the agent with it; a port that it chose is kept.
async fn start(
    record: &mut NodeRecord,
    certificate: &NodeCertificate,
    host: &dyn Host,
) -> Result<(), EnrolError> {
    let script = install::start_script_with_certificate(record);
    let started = run(record, &script, certificate.pem.as_bytes(), host, "starting the agent").await?;
    let said = started.text();
    let port = said.lines().last().and_then(port_of);
    if let (Some(port), Some(0)) = (port, port_of(&record.install.listen)) {
        record.install.listen = format!("127.0.0.1:{port}");
        record.address.clone_from(&record.install.listen);
        // After a reboot it is to listen there again.
        run(record, &install::supervise_script(record), b"", host, "keeping its port").await?;
    }
    Ok(())
}

async fn feed_binary(
    record: &NodeRecord,
    binary: &AgentBinary,
    host: &dyn Host,
    file: tokio::fs::File,
) -> Result<CommandOutput, EnrolError> {
    let script = as_agent_user(record, &install::upload_script(record, binary));
    host.feed(&script, Box::pin(file), &|_| fault::point("enrol.sending"))
        .await
        .map_err(|cause| failed(record, cause))
}

async fn run(
    record: &NodeRecord,
    script: &str,
    stdin: &[u8],
    host: &dyn Host,
    what: &'static str,
) -> Result<CommandOutput, EnrolError> {
    let output = host.run(&as_agent_user(record, script), stdin).await;
    output.and_then(|output| output.checked(host, what)).map_err(|cause| failed(record, cause))
}

fn failed(record: &NodeRecord, cause: HostError) -> EnrolError {
    EnrolError::Host { node: record.name.clone(), cause }
}

fn unanswered(node: &NodeName, cause: AgentError) -> EnrolError {
    EnrolError::Agent { node: node.clone(), cause }
}

fn facts(report: &v1::Report) -> Facts {
    let facts = report.facts.clone().unwrap_or_default();
    Facts {
        arch: facts.arch,
        os: facts.os,
        cpu_cores: facts.cpu_cores,
        memory_bytes: facts.memory_bytes,
        disk_bytes: facts.disk_bytes,
        capabilities: facts.capabilities,
        hostname: facts.hostname,
        agent_version: facts.agent_version,
    }
}

#[cfg(test)]
mod tests;
