//! The life of one service: waits for what it depends on, runs its container, and sees what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::v1::depends_on::Condition;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::after::{After, Exit, after};
use super::check::{self, Healthcheck};
use super::output::Copier;
use super::plan::ServicePlan;
use super::shares::Around;
use super::start::{self, Container};
use super::state::{Health, Running, State, States};
use crate::clock;
use crate::decide;
use crate::log;
use crate::runtime::body::End;
use crate::runtime::engine::{Engine, EngineError};

const CALM: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_millis(300);

/// Runs all services until all of them have ended for good.
pub async fn run_all(shared: Arc<Shared>) {
    while let Err(error) = shared.remove_others().await {
        tracing::warn!(instance = %shared.plan.owner.id, error = log::chain(&error), "old containers stay for now");
        sleep(RETRY).await;
    }
    shared.tell_limits();
    let mut tasks = JoinSet::new();
    for index in 0..shared.plan.services.len() {
        tasks.spawn(Service { shared: shared.clone(), index }.run());
    }
    while tasks.join_next().await.is_some() {}
    if !shared.is_stopping() {
        shared.forget_completed();
        shared.end(End { how: nothing_left(shared.plan.is_single()), is_final: false });
    }
}

fn nothing_left(is_single: bool) -> String {
    let ended =
        if is_single { "exited with code 0" } else { "has ended: each of its services exited with code 0" };
    format!("{ended}, and nothing of it runs any more")
}

struct Service {
    shared: Arc<Shared>,
    index: usize,
}

impl Service {
    fn plan(&self) -> &ServicePlan {
        &self.shared.plan.services[self.index]
    }

    fn set(&self, state: State) {
        self.shared.set(&self.plan().name, state);
    }

    async fn run(self) {
        let mut crashes = 0;
        loop {
            self.await_dependencies().await;
            let began = clock::now();
            let engine = self.shared.engine().await;
            let around = Around::of(self.plan(), &self.shared.states.borrow());
            let container = match self.shared.ensure(&engine, self.plan()).await {
                _ if self.shared.is_stopping() => return,
                Ok(container) => container,
                Err(error) if error.passes() => {
                    self.set(State::Down(log::chain(&error)));
                    sleep(RETRY).await;
                    continue;
                }
                Err(error) => return self.fail(log::chain(&error)),
            };
            let exit = self.watch(&engine, &container, &around).await;
            if self.shared.is_stopping() {
                return;
            }
            let Some(exit) = exit else { continue };
            if self.is_over(&exit, &container) {
                return;
            }
            crashes = if clock::now() - began > CALM { 0 } else { crashes + 1 };
            let pause = decide::backoff(crashes, clock::noise());
            self.shared.say(&format!(
                "service {} {}; starting again in {pause:.1?}",
                self.plan().name,
                exit.how
            ));
            self.set(State::Down(exit.how));
            sleep(pause).await;
        }
    }

    /// Ends a container once it is cut off, as the one around it was started again.
    async fn follow(&self, container: &Container, around: &Around, is_cut_off: &AtomicBool) {
        let other = self.shared.moved(self.plan(), around).await;
        is_cut_off.store(true, Ordering::Relaxed);
        let how = format!("starts again with service {other}, which it is inside of");
        self.shared.say(&format!("service {} {how}", self.plan().name));
        self.set(State::Down(how));
        loop {
            let engine = self.shared.engine().await;
            match engine.stop(&container.id, self.plan().stop_timeout).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(
                        service = self.plan().name,
                        error = log::chain(&error),
                        "it runs on, cut off"
                    );
                }
            }
            sleep(RETRY).await;
        }
    }

    /// Whether that was the last of the service, by its policy; the group hears of it where it must.
    fn is_over(&self, exit: &Exit, container: &Container) -> bool {
        match after(&self.shared.plan, self.plan(), exit) {
            After::Completed => {
                self.shared.note_completed(self.plan(), &container.id);
                self.shared
                    .say(&format!("service {} has completed: it exited with code 0", self.plan().name));
                self.set(State::Completed);
            }
            After::Again => return false,
            After::Ended => {
                self.set(State::Down(exit.how.clone()));
                self.shared.end(End { how: exit.how.clone(), is_final: false });
            }
            After::Failed => self.fail(exit.how.clone()),
        }
        true
    }

    fn fail(&self, how: String) {
        let name = &self.plan().name;
        let how = if self.shared.plan.is_single() { how } else { format!("service {name}: {how}") };
        self.set(State::Down(how.clone()));
        self.shared.end(End { how, is_final: true });
    }

    async fn await_dependencies(&self) {
        let mut states = self.shared.states.subscribe();
        loop {
            let missing = missing(self.plan(), &states.borrow_and_update());
            let Some(missing) = missing else { return };
            self.set(State::Waiting(missing));
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    /// Until the container ends. None where that was to follow the one around it.
    async fn watch(&self, engine: &Arc<Engine>, container: &Container, around: &Around) -> Option<Exit> {
        if let Some(code) = container.has_ended {
            return Some(Exit { code, how: "has ended".to_owned(), is_hopeless: false });
        }
        let plan = self.plan();
        let healthcheck = Healthcheck::of(plan, container.image_health.as_ref());
        let health = if healthcheck.is_some() { Health::Unknown } else { Health::Unchecked };
        self.set(State::Running(Running {
            container: container.id.clone(),
            pid: container.pid,
            since: clock::now(),
            health,
        }));
        let prefix = if self.shared.plan.is_single() { String::new() } else { format!("{} | ", plan.name) };
        let place = self.shared.dir.join(format!("{}.seen", plan.name));
        let mut copier = Copier::new(self.shared.log.clone(), place, prefix, plan.has_terminal);
        let is_cut_off = AtomicBool::new(false);
        let code = {
            let copying = copy(&mut copier, &self.shared, &container.id);
            let checking = self.check(container, healthcheck);
            let following = self.follow(container, around, &is_cut_off);
            tokio::pin!(copying, checking, following);
            let ended = ended(&self.shared, &container.id);
            tokio::pin!(ended);
            let (mut is_copied, mut has_followed) = (false, false);
            let code = loop {
                tokio::select! {
                    code = &mut ended => break code,
                    () = &mut copying, if !is_copied => is_copied = true,
                    () = &mut checking => {}
                    () = &mut following, if !has_followed => has_followed = true,
                }
            };
            if !is_copied {
                let _ = timeout(Duration::from_millis(400), copying).await;
            }
            code
        };
        if is_cut_off.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.describe(engine, &container.id, code, &copier.last_line).await)
    }

    async fn describe(&self, engine: &Engine, id: &str, code: Option<i64>, last_line: &str) -> Exit {
        let Some(code) = code else {
            return Exit { code: -1, how: "was removed by somebody".to_owned(), is_hopeless: false };
        };
        if last_line.contains("exec format error") {
            return Exit { code, how: start::wrong_processor(), is_hopeless: true };
        }
        let state = engine.inspect(id).await.map(|inspected| inspected["State"].clone()).unwrap_or_default();
        let mut how = match code {
            _ if state["OOMKilled"] == true => "ran out of memory and was killed".to_owned(),
            129..=192 => format!("was killed by signal {}", code - 128),
            code => format!("exited with code {code}"),
        };
        if code != 0 && !last_line.is_empty() {
            how.push_str(&format!(" ({last_line})"));
        }
        Exit { code, how, is_hopeless: false }
    }

    /// Checks again and again. A container that was never well and is not now fails the group; one that was is
    /// ended, and so started again.
    async fn check(&self, container: &Container, healthcheck: Option<Healthcheck>) {
        let Some(rules) = healthcheck else { return std::future::pending().await };
        let began = clock::now();
        let (mut is_healthy, mut checks, mut misses, mut counted) = (false, 0, 0, began);
        loop {
            sleep(rules.gap(checks, is_healthy)).await;
            checks += 1;
            let engine = self.shared.engine().await;
            let result = check::run(&engine, &container.id, &rules.command, rules.timeout).await;
            let now = clock::now();
            let Err(why) = result else {
                (is_healthy, misses, counted) = (true, 0, now);
                self.set_health(Health::Good);
                continue;
            };
            if !is_healthy {
                self.set_health(Health::Bad(why.clone()));
            }
            // Checks come faster than the interval at first; a miss counts once per interval.
            let is_excused =
                !is_healthy && (now - began < rules.start_period || now - counted < rules.interval);
            if is_excused {
                continue;
            }
            (misses, counted) = (misses + 1, now);
            if misses < rules.retries {
                continue;
            }
            self.set_health(Health::Bad(why.clone()));
            let how = format!("its check failed {misses} times: {why}");
            if is_healthy && !self.shared.plan.is_single() {
                self.shared.say(&format!("service {}: {how}", self.plan().name));
                let _ = engine.stop(&container.id, self.plan().stop_timeout).await;
                return std::future::pending().await;
            }
            let how = if self.shared.plan.is_single() {
                how
            } else {
                format!("service {}: {how}", self.plan().name)
            };
            self.shared.end(End { how, is_final: !is_healthy });
            return std::future::pending().await;
        }
    }

    fn set_health(&self, health: Health) {
        self.shared.states.send_if_modified(|states| match states.get_mut(&self.plan().name) {
            Some(State::Running(running)) if running.health != health => {
                running.health = health;
                true
            }
            Some(_) | None => false,
        });
    }
}

/// What a service still waits for, if anything.
fn missing(plan: &ServicePlan, states: &States) -> Option<String> {
    plan.depends_on.iter().find_map(|dependency| {
        let name = &dependency.service;
        let state = states.get(name)?;
        let is_up = match (dependency.condition(), state) {
            // Of those that are to be healthy only what ends by its nature can be that.
            (_, State::Completed) | (Condition::Started, State::Running(_)) => true,
            (Condition::Healthy, State::Running(running)) => {
                matches!(running.health, Health::Good | Health::Unchecked)
            }
            // One that nobody insists on is not waited for after it has failed.
            (_, State::Down(_)) => dependency.optional,
            (Condition::Completed, State::Running(_)) | (_, State::Waiting(_)) => false,
        };
        let what = match dependency.condition() {
            Condition::Started => "to start",
            Condition::Healthy => "to be healthy",
            Condition::Completed => "to complete",
        };
        (!is_up).then(|| format!("waits for {name} {what}"))
    })
}

/// The exit code; none where the container is gone. Outlives an engine that restarts.
async fn ended(shared: &Shared, container: &str) -> Option<i64> {
    loop {
        let engine = shared.engine().await;
        match engine.wait(container).await {
            Ok(code) => return Some(code),
            Err(error) if error.is_missing() => return None,
            Err(_) => {}
        }
        sleep(RETRY).await;
        // An engine that was restarted may have lost what wait would have said.
        if let Ok(inspected) = engine.inspect(container).await
            && inspected["State"]["Running"] == false
        {
            return inspected["State"]["ExitCode"].as_i64();
        }
    }
}

/// Copies what the container writes, also after its engine was away.
async fn copy(copier: &mut Copier, shared: &Shared, container: &str) {
    loop {
        let engine = shared.engine().await;
        match copier.copy(&engine, container).await {
            Ok(()) => match engine.inspect(container).await {
                Ok(inspected) if inspected["State"]["Running"] == true => {}
                Ok(_) => return,
                Err(error) if error.is_missing() => return,
                Err(_) => {}
            },
            Err(EngineError::Refused { .. }) => return,
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::DependsOn;

    use super::*;

    #[test]
    fn one_that_nobody_insists_on_is_waited_for_until_it_has_failed() {
        let wait = |optional: bool| DependsOn {
            service: "db".to_owned(),
            condition: Condition::Completed.into(),
            optional,
        };
        let plan =
            |optional: bool| ServicePlan { depends_on: vec![wait(optional)], ..ServicePlan::default() };
        let db = |state: State| States::from([("db".to_owned(), state)]);
        let why = Some("waits for db to complete".to_owned());
        assert_eq!(missing(&plan(true), &db(State::Waiting(String::new()))), why);
        assert_eq!(missing(&plan(true), &db(State::Down(String::new()))), None);
        assert_eq!(missing(&plan(false), &db(State::Down(String::new()))), why);
        assert_eq!(missing(&plan(false), &db(State::Completed)), None);
    }
}
