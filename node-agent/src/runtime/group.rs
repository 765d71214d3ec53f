//! An instance made of containers: one for runtime `container`, several for `compose`. A task for each service
//! starts its container once what it depends on is up, copies its output, checks its health and starts it again.
//!
//! The engine starts nothing by itself, so that the agent is the one who decides. Containers outlive the agent and
//! are found again by their labels; one that has the right content is taken over or started again, any other is removed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::fault;
use crate::log;
use crate::logs;
use crate::runtime::body::End;
use crate::runtime::engine::{Engine, EngineError, Engines, Kind};
use crate::runtime::images::ImageBook;

mod after;
pub mod body;
pub mod check;
mod completed;
mod found;
mod output;
pub mod plan;
mod service;
mod shares;
mod start;
pub mod state;

use plan::{Owner, Plan, SERVICE};
use state::{State, States};

/// How long a stop goes on asking an engine that is away.
const AWAY: Duration = Duration::from_secs(20);
const RETRY: Duration = Duration::from_millis(300);

/// What the tasks of a group share.
pub struct Shared {
    pub plan: Plan,
    pub kind: Kind,
    pub engines: Arc<Engines>,
    pub images: Arc<ImageBook>,
    pub dir: PathBuf,
    pub log: PathBuf,
    pub agent_log: PathBuf,
    states: watch::Sender<States>,
    end: watch::Sender<Option<End>>,
    is_stopping: AtomicBool,
    /// Held by the task that makes networks and volumes, which several services may share.
    making: tokio::sync::Mutex<()>,
    /// Held by each task that makes or starts a container: what is on its way when the group is to stop can be seen
    /// once all of them are done.
    starting: tokio::sync::RwLock<()>,
}

impl Shared {
    fn set(&self, service: &str, state: State) {
        self.states.send_if_modified(|states| {
            states.insert(service.to_owned(), state.clone()).as_ref() != Some(&state)
        });
    }

    /// The group as a whole has come to an end.
    fn end(&self, end: End) {
        self.end.send_if_modified(|present| {
            let is_first = present.is_none();
            if is_first {
                *present = Some(end);
            }
            is_first
        });
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    async fn engine(&self) -> Arc<Engine> {
        self.engines.wait(Some(self.kind)).await
    }

    fn say(&self, text: &str) {
        logs::say(&self.agent_log, text);
    }
}

/// The containers of an instance, running or about to.
pub struct Group {
    shared: Option<Arc<Shared>>,
    owner: Owner,
    kind: Kind,
    engines: Arc<Engines>,
    states: watch::Receiver<States>,
    end: watch::Receiver<Option<End>>,
    tasks: JoinSet<()>,
}

/// What becomes of containers that are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They stay, with all that they wrote, to be started again.
    Kept,
    Removed,
}

/// What a group is started with.
pub struct Setting {
    pub kind: Kind,
    pub engines: Arc<Engines>,
    pub images: Arc<ImageBook>,
    pub dir: PathBuf,
    pub log: PathBuf,
    pub agent_log: PathBuf,
}

impl Group {
    /// Starts what does not run yet, and takes over what does.
    pub fn start(plan: Plan, setting: Setting) -> Self {
        let waiting = |name: &String| (name.clone(), State::Waiting("not started yet".to_owned()));
        let names: Vec<String> = plan.services.iter().map(|service| service.name.clone()).collect();
        let states = watch::Sender::new(names.iter().map(waiting).collect());
        let end = watch::Sender::new(None);
        let mut group = Self {
            owner: plan.owner.clone(),
            kind: setting.kind,
            engines: setting.engines.clone(),
            states: states.subscribe(),
            end: end.subscribe(),
            tasks: JoinSet::new(),
            shared: None,
        };
        let Setting { kind, engines, images, dir, log, agent_log } = setting;
        let is_stopping = AtomicBool::new(false);
        let (making, starting) = Default::default();
        let shared = Shared {
            plan,
            kind,
            engines,
            images,
            dir,
            log,
            agent_log,
            states,
            end,
            is_stopping,
            making,
            starting,
        };
        let shared = Arc::new(shared);
        group.tasks.spawn(service::run_all(shared.clone()));
        group.shared = Some(shared);
        group
    }

    /// Containers of a content that nobody knows any more; they can only be stopped.
    pub fn unknown(owner: Owner, kind: Kind, engines: Arc<Engines>) -> Self {
        let (states, end) = (watch::Sender::new(States::new()), watch::Sender::new(None));
        let (states, end) = (states.subscribe(), end.subscribe());
        Self { shared: None, owner, kind, engines, states, end, tasks: JoinSet::new() }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn states(&self) -> watch::Receiver<States> {
        self.states.clone()
    }

    /// The pid of what was started last, which by the order is what the others are there for.
    pub fn pid(&self) -> i32 {
        let states = self.states.borrow();
        let names = self.shared.iter().flat_map(|shared| &shared.plan.services).rev();
        let running = names.filter_map(|service| match states.get(&service.name) {
            Some(State::Running(running)) => Some(running.pid),
            Some(_) | None => None,
        });
        running.into_iter().next().unwrap_or(0)
    }

    /// The main processes of all containers that run.
    pub fn pids(&self) -> Vec<i32> {
        let states = self.states.borrow();
        let running = states.values().filter_map(|state| match state {
            State::Running(running) => Some(running.pid).filter(|pid| *pid > 0),
            State::Waiting(_) | State::Down(_) | State::Completed => None,
        });
        running.collect()
    }

    /// Returns when the group has come to an end by itself; may be called again and again.
    pub async fn ended(&mut self) -> End {
        loop {
            if let Some(end) = self.end.borrow_and_update().clone() {
                return end;
            }
            if self.end.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends all containers, the last one first; for no longer than `grace` each, or what each is given. False when
    /// the engine is away or refuses.
    pub async fn stop(mut self, grace: Option<Duration>, fate: Fate) -> bool {
        fault::point("stop.before");
        if let Some(shared) = &self.shared {
            shared.is_stopping.store(true, Ordering::Relaxed);
        }
        let until = clock::now() + AWAY;
        loop {
            let away = until.saturating_duration_since(clock::now());
            let Ok(engine) = timeout(away, self.engines.wait(Some(self.kind))).await else { break };
            match self.end(&engine, grace, fate).await {
                Ok(()) => {
                    fault::point("stop.after");
                    return true;
                }
                Err(error) => {
                    tracing::warn!(instance = %self.owner.id, error = log::chain(&error), "containers stay")
                }
            }
            if clock::now() >= until {
                break;
            }
            sleep(RETRY).await;
        }
        self.tasks.abort_all();
        false
    }

    async fn end(&mut self, engine: &Engine, grace: Option<Duration>, fate: Fate) -> Result<(), EngineError> {
        let shared = self.shared.clone();
        let _all_started = match &shared {
            Some(shared) => timeout(AWAY, shared.starting.write()).await.ok(),
            None => None,
        };
        let containers = engine.list(&self.owner.filters()).await?;
        let services: Vec<(String, Duration)> = match &self.shared {
            Some(shared) => shared.plan.services.iter().map(|s| (s.name.clone(), s.stop_timeout)).collect(),
            None => Vec::new(),
        };
        let place = |name: &str| services.iter().position(|(service, _)| service == name);
        let mut found: Vec<(Option<usize>, String)> = containers
            .iter()
            .map(|container| {
                let name = container["Labels"][SERVICE].as_str().unwrap_or_default();
                (place(name), container["Id"].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        for (place, id) in &found {
            let asked = place.map_or(Duration::from_secs(10), |place| services[place].1);
            engine.stop(id, grace.map_or(asked, |grace| grace.min(asked))).await?;
        }
        self.finish_copies().await;
        match fate {
            Fate::Kept => return Ok(()),
            Fate::Removed => {}
        }
        for (_, id) in &found {
            engine.remove(id).await?;
        }
        clear_surroundings(engine, &self.owner.filters()).await
    }

    /// The tasks end by themselves once their containers have, and all that those wrote is copied.
    async fn finish_copies(&mut self) {
        const MOST: Duration = Duration::from_millis(500);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(MOST, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Ends and removes all containers of an agent's lane, whatever they are, each in its own time.
///
/// # Errors
/// When the engine is away or refuses.
pub async fn end_all(engine: &Engine, token: &str) -> Result<(), EngineError> {
    const GRACE: Duration = Duration::from_secs(10);
    let labels = [format!("{}={token}", plan::OWNER)];
    let containers = engine.list(&labels).await?;
    let ids: Vec<&str> = containers.iter().filter_map(|container| container["Id"].as_str()).collect();
    join_all(ids.iter().map(|id| engine.stop(id, GRACE))).await.into_iter().collect::<Result<(), _>>()?;
    remove_all(engine, ids).await?;
    clear_surroundings(engine, &labels).await
}

/// In rounds, as Podman refuses to remove a container whose network another one is in.
async fn remove_all(engine: &Engine, mut ids: Vec<&str>) -> Result<(), EngineError> {
    loop {
        let (mut refused, mut last) = (Vec::new(), None);
        for id in &ids {
            if let Err(error) = engine.remove(id).await {
                refused.push(*id);
                last = Some(error);
            }
        }
        match last {
            None => return Ok(()),
            Some(error) if refused.len() == ids.len() => return Err(error),
            Some(_) => ids = refused,
        }
    }
}

/// Networks and volumes with these labels; what the volumes hold stays.
async fn clear_surroundings(engine: &Engine, labels: &[String]) -> Result<(), EngineError> {
    engine.remove_networks(labels).await?;
    engine.forget_volumes(labels).await
}

/// Removes containers of ours whose instances `is_known` does not know.
///
/// # Errors
/// When the engine is away or refuses.
pub async fn sweep(engine: &Engine, token: &str, is_known: impl Fn(&str) -> bool) -> Result<(), EngineError> {
    let ours = vec![format!("{}={token}", plan::OWNER)];
    let mut strangers = std::collections::BTreeSet::new();
    for container in engine.list(&ours).await? {
        let instance = container["Labels"][plan::INSTANCE].as_str().unwrap_or_default();
        if is_known(instance) {
            continue;
        }
        tracing::warn!(instance, "removing a container that is on no record");
        engine.remove(container["Id"].as_str().unwrap_or_default()).await?;
        strangers.insert(instance.to_owned());
    }
    for instance in strangers {
        clear_surroundings(engine, &[ours[0].clone(), format!("{}={instance}", plan::INSTANCE)]).await?;
    }
    Ok(())
}
