//! The decisions of the agent, pure: what an instance should be, the next step towards it, and when a release
//! counts as healthy or failed. Times come in as durations since the process (or the trial) began.

use std::time::Duration;

use proto::v1::update::Strategy;
use proto::v1::{Health, InstanceSpec, instance_spec};

use crate::content::{Candidate, Content};
use crate::ledger::Memory;

#[cfg(test)]
mod tests;

/// What an instance should be, by the wish and what is remembered.
#[derive(Debug, Clone, PartialEq)]
pub enum Goal {
    /// No longer wished for.
    Gone,
    /// The wanted release failed and there is none to go back to.
    Nothing {
        reason: String,
    },
    Run {
        candidate: Candidate,
        role: Role,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What is wished for.
    Wanted,
    /// What was healthy last; the wanted one failed.
    Previous,
}

/// A failure counts only against the same content in the same attempt.
pub fn goal(wanted: Option<&Candidate>, memory: &Memory) -> Goal {
    let Some(wanted) = wanted else { return Goal::Gone };
    let failed = memory
        .failed
        .as_ref()
        .filter(|failed| failed.content == wanted.content && failed.attempt == wanted.spec.attempt);
    match (failed, &memory.settled) {
        (None, _) => Goal::Run { candidate: wanted.clone(), role: Role::Wanted },
        (Some(_), Some(settled)) => Goal::Run { candidate: settled.clone(), role: Role::Previous },
        (Some(failed), None) => Goal::Nothing { reason: failed.reason.clone() },
    }
}

/// What is, when the next step is decided.
#[derive(Debug)]
pub struct View<'a> {
    pub goal: &'a Goal,
    pub settled: Option<&'a Candidate>,
    pub running: Option<Content>,
    /// The candidate whose release is here and installed.
    pub prepared: Option<Content>,
    /// The settled one could be started at once.
    pub is_settled_present: bool,
    /// A pause after a crash is not over.
    pub is_pausing: bool,
    /// It is the instance, and not a release that has yet to show beside it that it becomes healthy.
    pub is_leading: bool,
}

/// What to do with the process, what to prepare, and what to start beside it.
#[derive(Debug, PartialEq)]
pub struct Step {
    pub process: Act,
    pub prepare: Option<Candidate>,
    pub beside: Option<Candidate>,
}

#[derive(Debug, PartialEq)]
pub enum Act {
    Stay,
    Stop,
    Start(Candidate),
}

/// The old content runs on until the new one is ready to start; with start-first, until it is healthy.
pub fn step(view: &View<'_>) -> Step {
    let only = |process| Step { process, prepare: None, beside: None };
    let Goal::Run { candidate, .. } = view.goal else {
        return only(if view.running.is_some() { Act::Stop } else { Act::Stay });
    };
    if view.running == Some(candidate.content) {
        return only(Act::Stay);
    }
    if let Some(settled) = served_meanwhile(view, candidate) {
        let process = match view.running {
            Some(running) if running == settled.content => Act::Stay,
            Some(_) => Act::Stop,
            None if view.is_pausing => Act::Stay,
            None => Act::Start(settled.clone()),
        };
        return Step { process, prepare: None, beside: Some(candidate.clone()) };
    }
    if view.prepared == Some(candidate.content) {
        return only(match view.running {
            Some(_) => Act::Stop,
            None if view.is_pausing => Act::Stay,
            None => Act::Start(candidate.clone()),
        });
    }
    let meanwhile =
        view.settled.filter(|settled| view.is_settled_present && settled.content != candidate.content);
    let process = match (view.running, meanwhile) {
        (None, Some(settled)) if !view.is_pausing => Act::Start(settled.clone()),
        _ => Act::Stay,
    };
    Step { process, prepare: Some(candidate.clone()), beside: None }
}

/// What runs until a release that starts first is healthy. Without anything that was healthy once there is no gap to
/// avoid.
fn served_meanwhile<'v>(view: &View<'v>, candidate: &Candidate) -> Option<&'v Candidate> {
    let starts_first =
        candidate.spec.update.as_ref().is_some_and(|update| update.strategy() == Strategy::StartFirst);
    let settled = view.settled.filter(|settled| settled.content != candidate.content)?;
    let is_here = view.is_settled_present || view.running == Some(settled.content);
    (view.is_leading && starts_first && is_here).then_some(settled)
}

/// How health is judged, with the defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub has_check: bool,
    pub interval: Duration,
    pub timeout: Duration,
    pub retries: u32,
    pub start_period: Duration,
    pub deadline: Duration,
}

const FIRST_PROBE_GAP: Duration = Duration::from_millis(20);
/// How long a process without a check must run to count as healthy.
const STEADY: Duration = Duration::from_millis(1000);
const EXITS_THAT_FAIL: u32 = 3;

impl Rules {
    pub fn of(spec: &InstanceSpec) -> Self {
        let check = spec.health.as_ref().filter(|health| health.check.is_some());
        if check.is_none() && matches!(spec.runtime, Some(instance_spec::Runtime::Containers(_))) {
            return Self::of_containers(spec);
        }
        let ms = |read: fn(&Health) -> u32, default: u64| {
            let given = check.map_or(0, read);
            Duration::from_millis(if given == 0 { default } else { u64::from(given) })
        };
        Self {
            has_check: check.is_some(),
            interval: ms(|health| health.interval_ms, 5000),
            timeout: ms(|health| health.timeout_ms, 2000),
            retries: check.map_or(0, |health| health.retries).max(1),
            start_period: ms(|health| health.start_period_ms, 0),
            deadline: deadline(spec),
        }
    }

    /// What is looked at is what the containers' own checks say, which costs nothing. Containers that are down are
    /// started again one by one; only when that does not help for long, all of them are.
    fn of_containers(spec: &InstanceSpec) -> Self {
        Self {
            has_check: true,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            retries: 60,
            start_period: deadline(spec),
            deadline: deadline(spec),
        }
    }

    /// The pause before the next probe: short and growing until the instance is healthy.
    pub fn gap(&self, probes: u32, is_healthy: bool) -> Duration {
        let grown = FIRST_PROBE_GAP.mul_f64(1.3f64.powi(i32::try_from(probes.min(40)).unwrap_or(40)));
        if is_healthy { self.interval } else { grown.min(self.interval) }
    }
}

fn deadline(spec: &InstanceSpec) -> Duration {
    let deadline = spec.update.as_ref().map_or(0, |update| update.health_deadline_ms);
    Duration::from_millis(if deadline == 0 { 60_000 } else { u64::from(deadline) })
}

/// What a trial says after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Continue,
    /// Healthy for the first time since its start.
    Healthy,
    /// Was healthy, and is no longer: start it again.
    Unhealthy(String),
    /// Start it again after a pause.
    Restart(String),
    /// This release has failed.
    Failed(String),
}

/// How one content fares since it was first started.
#[derive(Debug, Clone)]
pub struct Trial {
    pub content: Content,
    pub rules: Rules,
    /// Not settled yet, so that it may fail for good.
    pub is_judged: bool,
    pub is_healthy: bool,
    pub last_miss: Option<String>,
    exits: u32,
    misses: u32,
    counted: Duration,
}

impl Trial {
    pub fn new(candidate: &Candidate, is_judged: bool) -> Self {
        Self {
            content: candidate.content,
            rules: Rules::of(&candidate.spec),
            is_judged,
            is_healthy: false,
            last_miss: None,
            exits: 0,
            misses: 0,
            counted: Duration::ZERO,
        }
    }

    /// The process was started (again).
    pub fn started(&mut self) {
        self.is_healthy = false;
        self.misses = 0;
        self.counted = self.rules.start_period.saturating_sub(self.rules.interval);
    }

    pub fn passed(&mut self) -> Verdict {
        self.misses = 0;
        self.last_miss = None;
        if std::mem::replace(&mut self.is_healthy, true) { Verdict::Continue } else { Verdict::Healthy }
    }

    /// A check failed because not all is up that it checks. Only the deadline says when that takes too long.
    pub fn waits(&mut self, why: String, running: Duration) -> Verdict {
        self.last_miss = Some(why);
        self.counted = running;
        Verdict::Continue
    }

    /// A check failed, `running` after the process began. Probes come faster than the interval at first;
    /// a miss counts once per interval.
    pub fn missed(&mut self, why: String, running: Duration) -> Verdict {
        let is_due = running.saturating_sub(self.counted) >= self.rules.interval;
        self.last_miss = Some(why.clone());
        if !self.is_healthy && (running < self.rules.start_period || !is_due) {
            return Verdict::Continue;
        }
        self.misses += 1;
        self.counted = running;
        if self.misses < self.rules.retries {
            return Verdict::Continue;
        }
        let times = self.misses;
        self.misses = 0;
        match (self.is_healthy, self.is_judged) {
            (true, _) => Verdict::Unhealthy(format!("health check failed {times} times: {why}")),
            (false, true) => Verdict::Failed(format!("health check failed {times} times: {why}")),
            (false, false) => Verdict::Restart(format!("health check failed {times} times: {why}")),
        }
    }

    /// It ended in a way that starting it again would not change.
    pub fn gave_up(&mut self, how: &str) -> Verdict {
        match (self.is_judged, self.is_healthy) {
            (true, false) => Verdict::Failed(how.to_owned()),
            (false, _) | (_, true) => Verdict::Restart(how.to_owned()),
        }
    }

    pub fn exited(&mut self, how: &str) -> Verdict {
        if !self.is_judged || self.is_healthy {
            return Verdict::Restart(how.to_owned());
        }
        self.exits += 1;
        if self.exits < EXITS_THAT_FAIL {
            return Verdict::Restart(format!("{how} while starting"));
        }
        Verdict::Failed(format!("exited {EXITS_THAT_FAIL} times while starting; last: {how}"))
    }

    /// Time passed: `running` since the process began, `trying` since the trial began.
    pub fn ticked(&mut self, running: Duration, trying: Duration) -> Verdict {
        if self.is_healthy {
            return Verdict::Continue;
        }
        if !self.rules.has_check && running >= self.rules.start_period.max(STEADY) {
            return self.passed();
        }
        let since = self.awaited(running, trying);
        if since < self.rules.deadline {
            return Verdict::Continue;
        }
        let last = self.last_miss.as_deref().unwrap_or("no check has passed");
        let why = format!("not healthy within {:?}: {last}", self.rules.deadline);
        if self.is_judged { Verdict::Failed(why) } else { Verdict::Restart(why) }
    }

    /// For how long it could have become healthy. One that was adopted is looked at anew, however old it is.
    fn awaited(&self, running: Duration, trying: Duration) -> Duration {
        if self.is_judged { trying } else { running.min(trying) }
    }

    /// How long after the process's start `ticked` has something to say, if ever.
    pub fn next_tick(&self, running: Duration, trying: Duration) -> Option<Duration> {
        if self.is_healthy {
            return None;
        }
        let since = self.awaited(running, trying);
        let deadline = self.rules.deadline.saturating_sub(since);
        if self.rules.has_check {
            return Some(deadline);
        }
        Some(self.rules.start_period.max(STEADY).saturating_sub(running).min(deadline))
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The pause before start number `restarts` in a row; `noise` spreads it by ± 20 %.
pub fn backoff(restarts: u32, noise: u64) -> Duration {
    let pause = SHORTEST_PAUSE.saturating_mul(1 << restarts.min(10)).min(LONGEST_PAUSE);
    #[expect(clippy::cast_precision_loss, reason = "a number below 401")]
    let factor = 0.8 + (noise % 401) as f64 / 1000.0;
    pause.mul_f64(factor)
}
