//! What the agent tells the coordinator: what the machine is, how busy it is, and how its instances fare.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::v1::{InstanceReport, Phase, Report};
use tokio::sync::watch;

use crate::agent::Agent;

pub mod facts;
pub mod load;

pub use facts::Facts;
pub use load::Meter;

/// The last report of each instance, and a counter that moves with every change.
pub struct Board {
    instances: Mutex<BTreeMap<String, InstanceReport>>,
    /// By instance, the processes whose descendants it consists of.
    pids: Mutex<BTreeMap<String, Vec<i32>>>,
    changes: watch::Sender<u64>,
}

impl Board {
    pub fn new() -> Self {
        Self { instances: Mutex::default(), pids: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Takes a report over; only a different one counts as a change.
    pub fn set(&self, report: InstanceReport, pids: Vec<i32>) {
        self.pids().insert(report.id.clone(), pids);
        let before = self.instances().insert(report.id.clone(), report.clone());
        if before.as_ref() != Some(&report) {
            self.touch();
        }
    }

    pub fn remove(&self, id: &str) {
        self.pids().remove(id);
        if self.instances().remove(id).is_some() {
            self.touch();
        }
    }

    /// Something else changed that a report tells.
    pub fn touch(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub fn snapshot(&self) -> Vec<InstanceReport> {
        self.instances().values().cloned().collect()
    }

    fn pids(&self) -> MutexGuard<'_, BTreeMap<String, Vec<i32>>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instances(&self) -> MutexGuard<'_, BTreeMap<String, InstanceReport>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The whole report as of now.
pub fn report(agent: &Agent, facts: &Facts, meter: &Meter, certificate_expires_unix: i64) -> Report {
    let mut instances = agent.board.snapshot();
    // An instance that was only just accepted has no supervisor's word yet, and must not look absent.
    let (generation, spec_digest) = {
        let ledger = agent.ledger();
        for spec in &ledger.spec().instances {
            if !instances.iter().any(|report| report.id == spec.id) {
                instances.push(InstanceReport {
                    id: spec.id.clone(),
                    deployment: spec.deployment.clone(),
                    release: spec.release.clone(),
                    phase: Phase::Waiting.into(),
                    message: "just accepted".to_owned(),
                    attempt: spec.attempt,
                    ..Default::default()
                });
            }
        }
        (ledger.spec().generation, ledger.spec_digest().to_vec())
    };
    let mut machine = facts.read(&agent.data.0);
    machine.capabilities.extend(agent.engines.capabilities().into_iter().map(str::to_owned));
    let sandboxes = agent.sandboxes.found().unwrap_or_default();
    machine.capabilities.extend(facts::sandboxes(&sandboxes));
    machine.sandbox = facts::parts(&sandboxes);
    machine.capabilities.sort_unstable();
    let pids = agent.board.pids().clone();
    let load = meter.read(&agent.data.0, &mut instances, &pids);
    Report {
        node: agent.node.to_string(),
        generation,
        spec_digest: if generation == 0 { Vec::new() } else { spec_digest },
        facts: Some(machine),
        load: Some(load),
        instances,
        releases: releases(agent),
        certificate_expires_unix,
    }
}

fn releases(agent: &Agent) -> Vec<String> {
    let entries = std::fs::read_dir(agent.data.releases()).into_iter().flatten().flatten();
    let mut digests: Vec<String> = entries
        .filter_map(|entry| Some(format!("sha256:{}", entry.file_name().to_str()?)))
        .filter(|digest| modules::digest::Digest::parse(digest).is_ok())
        .collect();
    digests.sort_unstable();
    digests
}
