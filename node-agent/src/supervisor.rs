//! One task for each instance: looks at the wish and at what runs, decides the next step (`decide.rs`), takes
//! it, and waits for the next event. What is here are the effects and the waiting.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto::ids::InstanceId;
use proto::v1::Phase;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agent::{Agent, Wish};
use crate::clock;
use crate::content::{Candidate, Content};
use crate::decide::{self, Act, Goal, Role, Trial, Verdict, View};
use crate::install;
use crate::lane::Lane;
use crate::ledger::Memory;
use crate::log;
use crate::logs;
use crate::runtime::body::{Body, End};
use crate::runtime::group::Fate;
use crate::runtime::process::Place;
use crate::scene::Scene;
use crate::supervisor::beside::{Beside, Stand};

mod beside;
mod housekeeping;
mod kept;
mod prepare;
mod show;
mod start;
mod verdict;
mod wait;

/// A failed release gets no more time than this to end, as the previous one is waiting.
const FAILED_GRACE: Duration = Duration::from_secs(1);
/// A process that ran this long was not part of a series of crashes.
const CALM: Duration = Duration::from_secs(60);

type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Looks after one instance.
pub struct Supervisor {
    agent: Arc<Agent>,
    id: InstanceId,
    /// Where it runs.
    lane: Lane,
    /// What is on record of it.
    records: PathBuf,
    stand: Stand,
    beside: Option<Beside>,
    wish: watch::Receiver<Wish>,
    memory: Memory,
    running: Option<Running>,
    trial: Option<Trial>,
    /// When the present trial first started a process.
    trial_began: Instant,
    preparing: Option<prepare::Preparing>,
    prepared: Option<Content>,
    /// No start before this.
    pause: Option<Instant>,
    next_housekeeping: Instant,
    /// How long its log was when its time was noted last.
    log_noted: AtomicU64,
    /// Starts in a row that did not last.
    crashes: u32,
    restarts: u32,
    shown: show::Shown,
}

/// What runs, and what goes with it.
struct Running {
    body: Body,
    /// None for what an earlier agent started from a spec that nobody knows any more.
    candidate: Option<Candidate>,
    scene: Option<Scene>,
    since: Instant,
    probes: u32,
    next_probe: Option<Instant>,
    probing: Option<Work<Result<(), String>>>,
    /// What descended from it when we last looked, by pid and start time.
    kin: Vec<(i32, u64)>,
}

impl Supervisor {
    /// One that is the instance, where an earlier agent had it.
    pub fn leading(agent: Arc<Agent>, id: InstanceId, wish: watch::Receiver<Wish>) -> Self {
        let settled = agent.memory(&id.to_string()).settled.map(|settled| settled.content);
        let lane = Lane::of(&agent.data, &id, settled);
        Self::new(agent, id, lane, wish, Stand::Leads)
    }

    fn new(agent: Arc<Agent>, id: InstanceId, lane: Lane, wish: watch::Receiver<Wish>, stand: Stand) -> Self {
        let memory = agent.memory(&id.to_string());
        Self {
            records: lane.records(&agent.data, &id),
            agent,
            id,
            lane,
            stand,
            beside: None,
            wish,
            memory,
            running: None,
            trial: None,
            trial_began: clock::now(),
            preparing: None,
            prepared: None,
            pause: None,
            next_housekeeping: clock::now(),
            log_noted: AtomicU64::new(0),
            crashes: 0,
            restarts: 0,
            shown: show::Shown::default(),
        }
    }

    /// Runs until the instance is stopped and no longer wished for, or another leads it.
    pub async fn run(mut self) {
        self.adopt();
        if self.is_leading() && self.lane.other().held(&self.agent.data, &self.id).is_some() {
            self.send_beside();
        }
        loop {
            if self.obey().await {
                return;
            }
            self.memory = self.agent.memory(&self.id.to_string());
            let wanted = self.wish.borrow_and_update().clone();
            self.notice(wanted.as_ref());
            self.pause = self.pause.filter(|until| *until > clock::now());
            let goal = self.goal(wanted.as_ref());
            if self.is_overtaken(&goal) {
                return self.hand_over().await;
            }
            if goal == Goal::Gone && self.running.is_none() && self.is_leading() {
                if self.is_finished().await {
                    return;
                }
                continue;
            }
            let step = decide::step(&self.view(&goal));
            self.stand_beside(step.beside.as_ref()).await;
            self.prepare(step.prepare);
            match step.process {
                Act::Stop => self.replace(&goal).await,
                Act::Start(candidate) => self.start(candidate, &goal).await,
                Act::Stay => {
                    self.show(&goal);
                    let event = self.next_event().await;
                    self.handle(event, &goal).await;
                }
            }
        }
    }

    fn goal(&self, wanted: Option<&Candidate>) -> Goal {
        match decide::goal(wanted, &self.memory) {
            // That is what the one does that leads.
            Goal::Run { role: Role::Previous, .. } if !self.is_leading() => {
                Goal::Nothing { reason: self.failed_reason() }
            }
            goal => goal,
        }
    }

    /// Nothing is left of it; false when it is wished for again.
    async fn is_finished(&mut self) -> bool {
        self.preparing = None;
        self.end_beside().await;
        self.stop(None).await;
        self.agent.family(&self.id, self.lane).end(&[]).await;
        self.agent.finish(&self.id)
    }

    /// A new attempt begins without the pauses and counts of the former one.
    fn notice(&mut self, wanted: Option<&Candidate>) {
        let attempt = wanted.map_or(0, |wanted| wanted.spec.attempt);
        if self.shown.attempt != attempt {
            self.shown.attempt = attempt;
            self.pause = None;
            self.crashes = 0;
            self.trial_began = clock::now();
            if self.running.is_none() {
                self.trial = None;
            }
        }
    }

    fn view<'a>(&'a self, goal: &'a Goal) -> View<'a> {
        let settled = self.memory.settled.as_ref();
        let release_dir = |candidate: &Candidate| self.agent.data.release(candidate.release_digest());
        View {
            goal,
            settled,
            running: self.running.as_ref().map(|running| {
                // What runs of an unknown content is like nothing that is wished for.
                running.body.content().unwrap_or(Content::UNKNOWN)
            }),
            prepared: self.prepared,
            // Beside it, only what is wished for is started.
            is_settled_present: self.is_leading()
                && settled.is_some_and(|settled| {
                    let dir = release_dir(settled);
                    dir.is_dir() && install::is_done(&dir, &settled.spec.install)
                }),
            is_pausing: self.pause.is_some(),
            is_leading: self.is_leading(),
        }
    }

    /// Another content is to run, or none.
    async fn replace(&mut self, goal: &Goal) {
        self.shown.set(Phase::Stopping, "stopping");
        self.publish(goal);
        let is_failed = matches!(goal, Goal::Nothing { .. } | Goal::Run { role: Role::Previous, .. });
        self.stop(is_failed.then_some(FAILED_GRACE)).await;
        self.pause = None;
        self.crashes = 0;
    }

    /// Ends the process with everything it started, and removes containers, also those that were kept.
    async fn stop(&mut self, grace: Option<Duration>) {
        match self.running.take() {
            Some(running) => self.end(running, grace, Fate::Removed).await,
            None => self.remove_kept(grace).await,
        }
        self.agent.use_release(&self.id, self.lane, None);
    }

    async fn end(&mut self, running: Running, grace: Option<Duration>, fate: Fate) {
        self.say(&format!("stopping {}", running.body.describe()));
        let family = self.agent.family(&self.id, self.lane);
        let place = Place { records: &self.records, family: &family };
        drop(running.probing);
        if !running.body.stop(grace, fate, place, &running.kin).await {
            tracing::error!(instance = %self.id, "some of it cannot be ended");
        }
    }

    async fn handle(&mut self, event: wait::Event, goal: &Goal) {
        match event {
            wait::Event::Look => {}
            wait::Event::Housekeeping => self.keep_house(goal).await,
            wait::Event::Prepared(result) => self.have_prepared(result).await,
            wait::Event::Ended(end) => self.have_ended(end, goal).await,
            wait::Event::Probed(result) => self.have_probed(result, goal).await,
            wait::Event::Ticked => {
                let (running, trying) = self.ages();
                let verdict = self.trial.as_mut().map(|trial| trial.ticked(running, trying));
                self.judge(verdict.unwrap_or(Verdict::Continue), goal).await;
            }
        }
    }

    async fn have_ended(&mut self, end: End, goal: &Goal) {
        let End { how, is_final } = end;
        tracing::warn!(instance = %self.id, how, "instance ended");
        self.say(&format!("it {how}"));
        let verdict = match &mut self.trial {
            Some(trial) if is_final => trial.gave_up(&how),
            Some(trial) => trial.exited(&how),
            None => Verdict::Restart(how),
        };
        self.judge(verdict, goal).await;
    }

    async fn have_probed(&mut self, result: Result<(), String>, goal: &Goal) {
        let (age, _) = self.ages();
        let (Some(running), Some(trial)) = (&mut self.running, &mut self.trial) else { return };
        let verdict = match result {
            Ok(()) => trial.passed(),
            Err(why) if running.body.is_coming_up() && !trial.is_healthy => trial.waits(why, age),
            Err(why) => trial.missed(why, age),
        };
        running.probes += 1;
        running.probing = None;
        running.next_probe = Some(clock::now() + trial.rules.gap(running.probes, trial.is_healthy));
        self.judge(verdict, goal).await;
    }

    /// How old the process is, and the trial.
    fn ages(&self) -> (Duration, Duration) {
        let now = clock::now();
        let running = self.running.as_ref().map_or(Duration::ZERO, |running| now - running.since);
        (running, now.saturating_duration_since(self.trial_began))
    }

    /// What the process has written by now comes before what the agent says next.
    fn mark_log(&self) {
        if !self.is_leading() {
            return;
        }
        let noted = self.log_noted.load(Ordering::Relaxed);
        let size = logs::times::mark(&self.agent.data.instance_log(&self.id), noted);
        self.log_noted.store(size, Ordering::Relaxed);
    }

    fn say(&self, text: &str) {
        self.mark_log();
        logs::say(&self.agent.data.instance_agent_log(&self.id), text);
    }

    fn say_error(&self, what: &str, error: &dyn std::error::Error) -> String {
        let text = log::chain(error);
        self.say(&format!("{what}: {text}"));
        text
    }
}
