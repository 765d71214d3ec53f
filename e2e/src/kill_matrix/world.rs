//! A fleet that is struck: what it may be, and how to find out what it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::inventory::{self, Process};
use super::state::{Act, State, folder, instances};
use crate::host::Host;
use crate::orchestrator::{Orchestrator, Outcome, binaries};
use crate::scene::{DATA, Page, Scene, fetch};

/// A fleet that is not at rest after this long, or so many looks, never will be.
const REST: Duration = Duration::from_secs(60);
const LOOKS: usize = 20;
/// What goes on in the background of a node ends within this.
pub const TIDY: Duration = Duration::from_secs(8);
const GLANCE: Duration = Duration::from_millis(100);

pub struct World {
    pub scene: Scene,
    /// Where the fleet came to rest last.
    pub state: State,
    /// Every state that was or may have been healthy since the deployment is there.
    pub past: Vec<State>,
    /// How long a deploy takes when nothing happens.
    pub window: Duration,
    versions: u32,
    sentinel: Sentinel,
}

/// Where the wish is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Etcd,
    Sqlite,
}

impl World {
    /// A fleet of two nodes.
    pub fn new(store: Store) -> Result<World> {
        insist_on_faults()?;
        let mut scene = Scene::bare(2)?;
        if store == Store::Sqlite {
            scene.orchestrator =
                scene.orchestrator.with_store("sqlite:/root/.local/share/orchestrator/store.db");
        }
        for host in scene.fleet.hosts() {
            scene.orchestrator.ok(&format!("node add {0} --ssh {0}", host.name()));
        }
        let sentinel = Sentinel::watch(scene.fleet.hosts().cloned().collect());
        Ok(World {
            scene,
            state: State::Absent,
            past: Vec::new(),
            window: Duration::from_secs(1),
            versions: 0,
            sentinel,
        })
    }

    pub fn cli(&self) -> &Orchestrator {
        &self.scene.orchestrator
    }

    pub fn nodes(&self) -> usize {
        self.scene.fleet.hosts().count()
    }

    /// A deploy of a version that was never there before, written on the desk.
    pub fn deploy(&mut self, is_healthy: bool, count: Option<usize>, ballast: usize) -> Result<Act> {
        self.versions += 1;
        let page = Page { version: format!("1.{}.0", self.versions), is_healthy, ballast };
        page.write_to(self.scene.fleet.desk(), &folder(&page))?;
        Ok(Act::Deploy { page, count, only_on: None })
    }

    /// Sees to it that something is deployed, or nothing.
    pub fn begin_with(&mut self, is_serving: bool) -> Result<()> {
        if is_serving && !self.state.is_serving() {
            let act = self.deploy(true, None, 0)?;
            let outcome = self.undisturbed(&act)?;
            self.window = outcome.took;
        }
        if !is_serving && self.state != State::Absent {
            self.undisturbed(&Act::Remove { purges: false })?;
        }
        Ok(())
    }

    /// Does something, and insists that it goes well.
    pub fn undisturbed(&mut self, act: &Act) -> Result<Outcome> {
        let outcome = self.cli().run(&act.line());
        ensure!(outcome.code == Some(0), "nothing was struck, but this failed\n{outcome}");
        self.rest_in(&act.results(&self.state, &self.past, self.nodes()))?;
        Ok(outcome)
    }

    /// Who hears "done" must get what was promised, at once.
    pub fn is_as_told(&self, act: &Act, outcome: &Outcome) -> Result<()> {
        let Act::Deploy { page, .. } = act else { return Ok(()) };
        ensure!(outcome.code != Some(2), "the input was good\n{outcome}");
        if outcome.code != Some(0) {
            return Ok(());
        }
        ensure!(page.is_healthy, "a broken release is called healthy\n{outcome}");
        for instance in instances(&outcome.json()) {
            answers(&instance, &page.version).with_context(|| format!("said right before:\n{outcome}"))?;
        }
        Ok(())
    }

    /// Asks for the status until the fleet is at rest, which it must be in one of these states.
    pub fn rest_in(&mut self, allowed: &[State]) -> Result<()> {
        let deadline = Instant::now() + REST;
        for _ in 0..LOOKS {
            let outcome = self.cli().run("status page -o json");
            if let Some(state) = State::read(&outcome)? {
                ensure!(allowed.contains(&state), "{state:?} is none of {allowed:?}\n{outcome}");
                let is_gone = matches!(state, State::Absent);
                match self.settle(state, &outcome) {
                    // What a removal has left on a node that is away goes with a command that finds it.
                    Err(_) if is_gone && Instant::now() < deadline => continue,
                    settled => return settled,
                }
            }
            ensure!(Instant::now() < deadline, "never at rest\n{outcome}");
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("not at rest after {LOOKS} looks\n{}", self.cli().run("status page"));
    }

    /// Takes in what may have been healthy without having been looked at.
    pub fn may_have_passed(&mut self, states: Vec<State>) {
        for state in states {
            if self.state.is_serving() && state.is_serving() && !self.past.contains(&state) {
                self.past.push(state);
            }
        }
    }

    /// What status said is what is true.
    fn settle(&mut self, state: State, outcome: &Outcome) -> Result<()> {
        let instances = match state {
            State::Absent => Vec::new(),
            State::Failed | State::Serving { .. } => instances(&outcome.json()[0]),
        };
        if let State::Serving { version, .. } = &state {
            instances.iter().try_for_each(|instance| answers(instance, version))?;
        }
        self.is_tidy(&instances, state.is_serving()).with_context(|| format!("in {state:?}\n{outcome}"))?;
        self.sentinel.has_seen_no_double()?;
        if !state.is_serving() {
            self.past.clear();
        } else if !self.past.contains(&state) {
            self.past.push(state.clone());
        }
        self.state = state;
        Ok(())
    }

    /// Each instance runs once, where it should, and nothing else lies around; what is still ending may end.
    pub fn is_tidy(&self, instances: &[Value], is_serving: bool) -> Result<()> {
        let deadline = Instant::now() + TIDY;
        loop {
            let found = self.untidy(instances, is_serving)?;
            if found.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "left behind: {found:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn untidy(&self, instances: &[Value], is_serving: bool) -> Result<Vec<String>> {
        let mut found = inventory::untidy_desk(self.scene.fleet.desk())?;
        for host in self.scene.fleet.hosts() {
            let here = instances.iter().filter(|instance| instance["node"] == host.name());
            let here: Vec<String> =
                here.filter_map(|it| it["instance"].as_str()).map(str::to_owned).collect();
            let copies = inventory::copies(&inventory::processes(host));
            let missing = here.iter().filter(|id| is_serving && !copies.contains_key(*id));
            let strange = copies.iter().filter(|(id, count)| **count != 1 || !here.contains(id));
            let mut wrong = inventory::untidy(host, &here, !instances.is_empty())?;
            wrong.extend(missing.map(|id| format!("{id} does not run")));
            wrong.extend(strange.map(|(id, count)| format!("{id} runs {count} times")));
            found.extend(wrong.into_iter().map(|what| format!("{}: {what}", host.name())));
        }
        Ok(found)
    }

    /// What helps to understand a failure.
    pub fn evidence(&self) -> String {
        let script = format!(
            "ps -eo pid,ppid,lstart,args; cd {DATA}; find . -newer bin | head -n 80; tail -n 60 logs/* agent.log"
        );
        let of = |host: &Host| {
            format!("=== {}\n{}", host.name(), host.run(&script).unwrap_or_else(|error| error.to_string()))
        };
        let history = self.cli().run("history page");
        self.scene.fleet.hosts().map(of).chain([history.to_string()]).collect()
    }
}

/// Only programs that were built for it die at a point.
pub fn insist_on_faults() -> Result<()> {
    for program in ["orchestrator", "node-agent"] {
        let bytes = std::fs::read(binaries()?.join(program))?;
        let can_be_struck = bytes.windows(18).any(|window| window == b"ORCHESTRATOR_FAULT");
        ensure!(can_be_struck, "{program} was built without its feature `fault`: use scripts/test");
    }
    Ok(())
}

/// The instance serves this version, as `status` claims.
fn answers(instance: &Value, version: &str) -> Result<()> {
    let url = instance["url"].as_str().unwrap_or_default();
    let answer = fetch(url).unwrap_or_default();
    ensure!(answer == Page::version(version).text(), "{url} answers {answer:?}, not {version}");
    Ok(())
}

/// Looks all the time whether some instance runs twice.
struct Sentinel {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Sentinel {
    fn watch(hosts: Vec<Host>) -> Sentinel {
        let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (is_over, doubles) = (Arc::clone(&over), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                for host in &hosts {
                    doubles.lock().unwrap_or_else(PoisonError::into_inner).extend(doubles_on(host));
                }
                std::thread::sleep(GLANCE);
            }
        });
        Sentinel { over, seen, thread: Some(thread) }
    }

    fn has_seen_no_double(&self) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(seen.is_empty(), "seen meanwhile: {seen:#?}");
        Ok(())
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It has nothing to tell any more.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A process that is being started or is ending is in motion; only what two looks agree on is true.
fn doubles_on(host: &Host) -> Option<String> {
    let look = || {
        let processes = inventory::processes(host);
        let doubles = inventory::copies(&processes).into_iter().filter(|(_, count)| *count > 1);
        (doubles.collect::<Vec<_>>(), processes)
    };
    let (first, _) = look();
    if first.is_empty() {
        return None;
    }
    let (second, processes) = look();
    let lines = |it: &Process| format!("{} {}", it.pid, it.command);
    (first == second).then(|| {
        format!("{second:?} on {}: {:?}", host.name(), processes.iter().map(lines).collect::<Vec<_>>())
    })
}
