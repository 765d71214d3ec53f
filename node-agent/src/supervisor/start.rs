//! Starting the process of a candidate, and taking over one that an earlier agent started.

use std::time::Duration;

use proto::v1::Phase;

use crate::clock;
use crate::content::Candidate;
use crate::decide::{Goal, Rules, Trial};
use crate::lane::Lane;
use crate::log;
use crate::ports::{self, Busy};
use crate::runtime::body::Body;
use crate::runtime::engine::Kind;
use crate::runtime::group::plan::Plan;
use crate::runtime::group::{Group, Setting};
use crate::runtime::kill::{self, TOKEN_VARIABLE};
use crate::runtime::process::{Place, Process};
use crate::runtime::procfs;
use crate::runtime::record::{self, Record};
use crate::runtime::spawn::SpawnError;
use crate::runtime::unit::{self, Unit, UnitPlan};
use crate::scene::{Scene, SceneError};
use crate::supervisor::{Running, Supervisor};

/// They hold the ports of containers, which may be another instance's that is just ending.
const PROXIES: [&str; 3] = ["docker-proxy", "conmon", "rootlessport"];

/// Why a candidate could not be started now.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Busy(Busy),
    #[error(transparent)]
    Scene(#[from] SceneError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("could not remember what is started")]
    Record(#[source] std::io::Error),
    #[error("{}", no_engine(*.0))]
    NoEngine(Option<Kind>),
}

impl Supervisor {
    pub(super) async fn start(&mut self, candidate: Candidate, goal: &Goal) {
        if self.trial.as_ref().is_none_or(|trial| trial.content != candidate.content) {
            self.trial = Some(Trial::new(&candidate, self.is_judged(candidate.content)));
            self.trial_began = clock::now();
        }
        self.shown.set(Phase::Starting, "starting");
        self.make_way(&candidate).await;
        match self.try_start(&candidate) {
            Ok(running) => {
                self.say(&format!("started {}", running.body.describe()));
                tracing::info!(instance = %self.id, what = running.body.describe(), "instance started");
                self.agent.use_release(&self.id, self.lane, Some(candidate.release_digest()));
                self.running = Some(running);
                if let Some(trial) = &mut self.trial {
                    trial.started();
                }
            }
            Err(error) => self.have_not_started(&candidate, &error, goal).await,
        }
    }

    /// Takes over what is on record, if it still lives. Containers that do not are started again.
    pub(super) fn adopt(&mut self) {
        let Some(record) = record::read(&self.records) else { return };
        let wanted = self.wish.borrow().clone();
        let known = wanted.into_iter().chain(self.memory.settled.clone());
        let candidate = known.into_iter().find(|candidate| record.known_content() == Some(candidate.content));
        let scene = candidate.as_ref().and_then(|candidate| self.resolve(candidate).ok());
        let body = match (Kind::parse(&record.engine), unit::recorded(&record.engine).map(str::to_owned)) {
            (Some(kind), _) => self.take_over(kind, record, candidate.as_ref(), scene.as_ref()),
            (None, Some(unit)) => self.take_over_unit(&unit, record, candidate.as_ref(), scene.as_ref()),
            (None, None) => match Process::adopt(&self.records) {
                Some(process) => Body::Process(process),
                None => return,
            },
        };
        tracing::info!(instance = %self.id, what = body.describe(), "instance adopted");
        self.say(&format!("adopted {}", body.describe()));
        self.restarts = body.record().restarts;
        let digest = body.record().release.as_ref().map(|release| release.digest.clone());
        self.agent.use_release(&self.id, self.lane, digest.as_deref());
        if let Some(candidate) = &candidate {
            let mut trial = Trial::new(candidate, self.is_judged(candidate.content));
            trial.started();
            self.trial = Some(trial);
            self.trial_began = clock::now();
            self.prepared = Some(candidate.content);
        }
        let since = clock::now().checked_sub(body.age()).unwrap_or_else(clock::now);
        self.running = Some(Running { since, ..running(body, candidate, scene) });
    }

    fn take_over(
        &self,
        kind: Kind,
        record: Record,
        candidate: Option<&Candidate>,
        scene: Option<&Scene>,
    ) -> Body {
        let plan = scene.zip(candidate).and_then(|(scene, candidate)| scene.plan(candidate).ok().flatten());
        let group = match plan {
            Some(plan) => Group::start(plan, self.setting(kind)),
            None => Group::unknown(self.agent.owner(&self.id, self.lane), kind, self.agent.engines.clone()),
        };
        Body::Containers(Box::new(group), record)
    }

    /// What is not known any more can still be stopped and removed.
    fn take_over_unit(
        &self,
        name: &str,
        record: Record,
        candidate: Option<&Candidate>,
        scene: Option<&Scene>,
    ) -> Body {
        let log = self.agent.data.instance_agent_log(&self.id);
        let plan = scene.zip(candidate).and_then(|(scene, candidate)| scene.unit(&candidate.spec).ok());
        let plan = plan.flatten().filter(|plan| plan.name == name);
        let plan = plan.unwrap_or_else(|| UnitPlan::unknown(name, &self.records, &log));
        Body::Unit(Box::new(Unit::adopt(plan)), record)
    }

    fn setting(&self, kind: Kind) -> Setting {
        Setting {
            kind,
            engines: self.agent.engines.clone(),
            images: self.agent.images.clone(),
            dir: self.records.clone(),
            log: self.agent.data.instance_log(&self.id),
            agent_log: self.agent.data.instance_agent_log(&self.id),
        }
    }

    fn try_start(&self, candidate: &Candidate) -> Result<Running, StartError> {
        let scene = self.resolve(candidate)?;
        if let Some(busy) = ports::busy(scene.ports.iter()) {
            return Err(StartError::Busy(busy));
        }
        scene.furnish()?;
        if let Some(plan) = scene.plan(candidate)? {
            let body = self.start_group(candidate, plan)?;
            return Ok(running(body, Some(candidate.clone()), Some(scene)));
        }
        if let Some(plan) = scene.unit(&candidate.spec)? {
            let record = self.record(candidate, unit::record_of(&plan.name));
            record::write(&self.records, &record).map_err(StartError::Record)?;
            let body = Body::Unit(Box::new(Unit::start(plan)), record);
            return Ok(running(body, Some(candidate.clone()), Some(scene)));
        }
        let launch = scene.launch()?;
        let family = self.agent.family(&self.id, self.lane);
        let place = Place { records: &self.records, family: &family };
        let process = Process::start(&launch, candidate, self.restarts, place)?;
        Ok(running(Body::Process(process), Some(candidate.clone()), Some(scene)))
    }

    /// On record before there is any container, so that none is ever forgotten.
    fn start_group(&self, candidate: &Candidate, plan: Plan) -> Result<Body, StartError> {
        let held = self.engine_on_record();
        let engine = self.agent.engines.for_start(held).ok_or(StartError::NoEngine(held))?;
        let record = self.record(candidate, engine.kind.to_string());
        record::write(&self.records, &record).map_err(StartError::Record)?;
        Ok(Body::Containers(Box::new(Group::start(plan, self.setting(engine.kind))), record))
    }

    fn record(&self, candidate: &Candidate, engine: String) -> Record {
        Record {
            release: candidate.spec.release.clone(),
            restarts: self.restarts,
            content: candidate.content.as_bytes().to_vec(),
            engine,
            ..Record::default()
        }
    }

    fn resolve(&self, candidate: &Candidate) -> Result<Scene, SceneError> {
        let kept = self.memory.ports(self.lane);
        Scene::resolve(self.agent.ground(self.lane), &self.id, &candidate.spec, &kept)
    }

    /// A new release that cannot be started has failed, but for what passes: a port that another instance is
    /// about to leave, a full disk.
    async fn have_not_started(&mut self, candidate: &Candidate, error: &StartError, goal: &Goal) {
        let why = self.say_error("not started", error);
        let passes = match error {
            StartError::Busy(busy) => busy.owner.is_some_and(|pid| self.is_ours(pid)),
            StartError::Scene(error) => error.is_disk_full(),
            StartError::NoEngine(_) => true,
            StartError::Spawn(_) | StartError::Record(_) => false,
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
        let marks = Lane::BOTH.map(|lane| format!("{TOKEN_VARIABLE}={}", self.agent.token(lane)));
        marks.iter().any(|mark| kill::is_marked(pid, &[mark.as_bytes()]))
            || procfs::name(pid).is_some_and(|name| PROXIES.contains(&name.as_str()))
    }
}

fn no_engine(held: Option<Kind>) -> String {
    match held {
        None => "neither Docker nor Podman answers".to_owned(),
        Some(kind) => format!(
            "{kind} does not answer, and has containers of this instance; start it, or, if it is gone for good, remove the \
             deployment and deploy it again"
        ),
    }
}

fn running(body: Body, candidate: Option<Candidate>, scene: Option<Scene>) -> Running {
    let now = clock::now();
    let first_probe = now + Duration::from_millis(5);
    let has_check = candidate.as_ref().is_some_and(|candidate| Rules::of(&candidate.spec).has_check);
    let next_probe = has_check.then_some(first_probe);
    Running { body, candidate, scene, since: now, probes: 0, next_probe, probing: None, kin: Vec::new() }
}
