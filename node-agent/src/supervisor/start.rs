//! Starting the process of a candidate, and taking over one that an earlier agent started.

use std::time::Duration;

use proto::v1::Phase;

use crate::clock;
use crate::content::Candidate;
use crate::decide::{Goal, Trial};
use crate::log;
use crate::ports::{self, Busy};
use crate::runtime::kill::TOKEN_VARIABLE;
use crate::runtime::process::{Place, Process};
use crate::runtime::procfs;
use crate::runtime::spawn::SpawnError;
use crate::scene::{Scene, SceneError};
use crate::supervisor::{Running, Supervisor};

/// Why a candidate could not be started now.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Busy(Busy),
    #[error(transparent)]
    Scene(#[from] SceneError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl Supervisor {
    pub(super) async fn start(&mut self, candidate: Candidate, goal: &Goal) {
        if self.trial.as_ref().is_none_or(|trial| trial.content != candidate.content) {
            self.trial = Some(Trial::new(&candidate, self.is_judged(candidate.content)));
            self.trial_began = clock::now();
        }
        self.shown.set(Phase::Starting, "starting");
        match self.try_start(&candidate) {
            Ok(running) => {
                self.say(&format!("started pid {}", running.process.pid));
                tracing::info!(instance = %self.id, pid = running.process.pid, "instance started");
                self.agent.use_release(&self.id, Some(candidate.release_digest()));
                self.running = Some(running);
                if let Some(trial) = &mut self.trial {
                    trial.started();
                }
            }
            Err(error) => self.have_not_started(&candidate, &error, goal).await,
        }
    }

    /// Takes over the process on record, if it still lives.
    pub(super) fn adopt(&mut self) {
        let Some(process) = Process::adopt(&self.dir) else { return };
        let wanted = self.wish.borrow().clone();
        let known = wanted.into_iter().chain(self.memory.settled.clone());
        let candidate = known.into_iter().find(|candidate| process.content == Some(candidate.content));
        let scene = candidate.as_ref().and_then(|candidate| self.resolve(candidate).ok());
        tracing::info!(instance = %self.id, pid = process.pid, "instance adopted");
        self.say(&format!("adopted pid {}", process.pid));
        self.restarts = process.record.restarts;
        let digest = process.record.release.as_ref().map(|release| release.digest.clone());
        self.agent.use_release(&self.id, digest.as_deref());
        if let Some(candidate) = &candidate {
            let mut trial = Trial::new(candidate, self.is_judged(candidate.content));
            trial.started();
            self.trial = Some(trial);
            self.trial_began = clock::now();
            self.prepared = Some(candidate.content);
        }
        let age = procfs::age(process.record.start);
        let since = clock::now().checked_sub(age).unwrap_or_else(clock::now);
        self.running = Some(Running { since, ..running(process, candidate, scene) });
    }

    fn try_start(&self, candidate: &Candidate) -> Result<Running, StartError> {
        let scene = self.resolve(candidate)?;
        if let Some(busy) = ports::busy(scene.ports.iter()) {
            return Err(StartError::Busy(busy));
        }
        scene.furnish()?;
        let launch = scene.launch()?;
        let family = self.agent.family(&self.id);
        let place = Place { dir: &self.dir, family: &family };
        let process = Process::start(&launch, candidate, self.restarts, place)?;
        Ok(running(process, Some(candidate.clone()), Some(scene)))
    }

    fn resolve(&self, candidate: &Candidate) -> Result<Scene, SceneError> {
        Scene::resolve(self.agent.ground(), &self.id, &candidate.spec, &self.memory.ports)
    }

    /// A new release that cannot be started has failed, but for what passes: a port that another instance is
    /// about to leave, a full disk.
    async fn have_not_started(&mut self, candidate: &Candidate, error: &StartError, goal: &Goal) {
        let why = self.say_error("not started", error);
        let passes = match error {
            StartError::Busy(busy) => busy.owner.is_some_and(|pid| self.is_ours(pid)),
            StartError::Scene(error) => error.is_disk_full(),
            StartError::Spawn(_) => false,
        };
        let (_, trying) = self.ages();
        let is_in_time = self.trial.as_ref().is_none_or(|trial| trying < trial.rules.deadline);
        if self.is_judged(candidate.content) && !(passes && is_in_time) {
            tracing::warn!(instance = %self.id, error = log::chain(error), "release cannot be started");
            self.fail(Some(candidate.content), why).await;
        } else {
            self.restart(why, Phase::Backoff, goal).await;
        }
    }

    /// Whether a process belongs to any instance of this agent.
    fn is_ours(&self, pid: i32) -> bool {
        let mark = format!("{TOKEN_VARIABLE}={}", self.agent.token);
        procfs::carries(pid, &[mark.as_bytes()])
    }
}

fn running(process: Process, candidate: Option<Candidate>, scene: Option<Scene>) -> Running {
    let now = clock::now();
    let first_probe = now + Duration::from_millis(5);
    let has_check = candidate
        .as_ref()
        .is_some_and(|candidate| candidate.spec.health.as_ref().is_some_and(|health| health.check.is_some()));
    let next_probe = has_check.then_some(first_probe);
    Running { process, candidate, scene, since: now, probes: 0, next_probe, probing: None, kin: Vec::new() }
}
