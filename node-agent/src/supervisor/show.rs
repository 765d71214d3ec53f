//! What an instance looks like from outside: its phase, why, and since when.

use proto::v1::instance_report::BoundPort;
use proto::v1::{InstanceReport, Phase};

use crate::clock;
use crate::decide::{Goal, Role};
use crate::supervisor::Supervisor;

/// The phase that was shown last.
#[derive(Debug, Default)]
pub struct Shown {
    phase: Phase,
    message: String,
    since_unix_ms: i64,
    pub attempt: u64,
}

impl Shown {
    pub fn set(&mut self, phase: Phase, message: &str) {
        if self.phase != phase {
            self.since_unix_ms = clock::unix_ms();
            self.phase = phase;
        }
        if self.message != message {
            message.clone_into(&mut self.message);
        }
    }
}

impl Supervisor {
    /// Finds the phase and reports it, if it changed.
    pub(super) fn show(&mut self, goal: &Goal) {
        let (phase, message) = self.phase(goal);
        self.shown.set(phase, &message);
        self.publish(goal);
    }

    fn phase(&self, goal: &Goal) -> (Phase, String) {
        let role = match goal {
            Goal::Gone => return (Phase::Stopping, "being removed".to_owned()),
            Goal::Nothing { reason } => return (Phase::Failed, reason.clone()),
            Goal::Run { role, .. } => *role,
        };
        if let Some(beside) = &self.beside {
            return beside.phase();
        }
        if let Some(preparing) = &self.preparing {
            let told = preparing.told.borrow().clone();
            let note = if told.is_empty() { preparing.note.clone() } else { told };
            return match preparing.is_here {
                true if note.is_empty() => (Phase::Installing, "installing".to_owned()),
                true => (Phase::Installing, note),
                false => (Phase::Waiting, "its release is not on the node yet".to_owned()),
            };
        }
        if self.running.is_none() {
            return (Phase::Backoff, self.shown.message.clone());
        }
        let is_healthy = self.trial.as_ref().is_some_and(|trial| trial.is_healthy);
        match (is_healthy, role) {
            (true, Role::Wanted) => (Phase::Running, String::new()),
            (true, Role::Previous) => (Phase::RolledBack, self.failed_reason()),
            (false, _) => {
                let last = self.trial.as_ref().and_then(|trial| trial.last_miss.clone());
                (Phase::Starting, last.unwrap_or_else(|| "no check has passed yet".to_owned()))
            }
        }
    }

    pub(super) fn failed_reason(&self) -> String {
        self.memory.failed.as_ref().map_or_else(String::new, |failed| failed.reason.clone())
    }

    /// Reports the phase as it is shown.
    pub(super) fn publish(&self, goal: &Goal) {
        let wanted = self.wish.borrow();
        let running = self.running.as_ref();
        let recorded = running.and_then(|running| running.body.record().release.clone());
        let tried = match goal {
            Goal::Run { candidate, .. } => candidate.spec.release.clone(),
            Goal::Gone | Goal::Nothing { .. } => {
                wanted.as_ref().and_then(|wanted| wanted.spec.release.clone())
            }
        };
        let has_failed = matches!(goal, Goal::Nothing { .. } | Goal::Run { role: Role::Previous, .. });
        let failed = self.memory.failed.as_ref().filter(|_| has_failed);
        self.tell(InstanceReport {
            id: self.id.to_string(),
            deployment: self.id.deployment.to_string(),
            release: recorded.or(tried),
            phase: self.shown.phase.into(),
            message: self.shown.message.clone(),
            attempt: wanted.as_ref().map_or(self.shown.attempt, |wanted| wanted.spec.attempt),
            since_unix_ms: self.shown.since_unix_ms,
            ports: self.bound_ports(),
            restarts: self.restarts,
            pid: running.map_or(0, |running| running.body.pid()),
            memory_bytes: 0,
            cpu_cores: 0.0,
            failed_release: failed.map(|failed| failed.release.clone()),
            failed_reason: failed.map_or_else(String::new, |failed| failed.reason.clone()),
        });
    }

    fn bound_ports(&self) -> Vec<BoundPort> {
        let scene = self.running.as_ref().and_then(|running| running.scene.as_ref());
        let ports = scene.into_iter().flat_map(|scene| &scene.ports);
        ports
            .map(|(name, (port, protocol))| BoundPort {
                name: name.clone(),
                port: u32::from(*port),
                protocol: (*protocol).into(),
            })
            .collect()
    }
}
