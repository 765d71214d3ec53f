//! The deterministic part: every named point of the coordinator and of the agent, in each thing a person does.
//!
//! Which points there are is found out by tracing one life of a deployment, so a new point is swept by itself.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::state::{Act, State};
use super::world::{Store, TIDY, World};
use crate::host::Host;
use crate::orchestrator::{Outcome, eventually, repository};
use crate::scene::DATA;

/// A life of a deployment; each step once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    Update,
    Failing,
    Rollback,
    Restart,
    Drain,
    Remove,
    Purge,
}

const LIFE: [Step; 8] = [
    Step::First,
    Step::Update,
    Step::Failing,
    Step::Rollback,
    Step::Restart,
    Step::Drain,
    Step::Remove,
    Step::Purge,
];

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Coordinator,
    Agent,
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every point in every step that reaches it.
    Full,
    /// Each point in one of the steps that reach it; of several sweeps side by side, each takes its share of the points.
    Once { share: usize, of: usize },
}

/// Kills the victim at the points, and looks each time how the fleet comes to rest. A point at which nobody died in the
/// end is an error.
pub fn sweep(victim: Victim, store: Store, extent: Extent) -> Result<()> {
    let mut sweep = Sweep { victim, world: World::new(store)? };
    let mut steps_of: BTreeMap<String, Vec<Step>> = BTreeMap::new();
    for step in LIFE {
        for point in sweep.trace(step)? {
            steps_of.entry(point).or_default().push(step);
        }
    }
    let (share, of) = match extent {
        Extent::Full => (0, 1),
        Extent::Once { share, of } => (share, of),
    };
    for (index, (point, steps)) in steps_of.iter().enumerate().skip(share).step_by(of) {
        let mut deaths = 0;
        // Which step comes first differs from point to point.
        for offset in 0..steps.len() {
            let step = steps[(index + offset) % steps.len()];
            println!("{victim:?} dies at {point} in {step:?}");
            let struck = sweep.strike(step, point);
            let has_died =
                struck.with_context(|| format!("{point} in {step:?}\n{}", sweep.world.evidence()))?;
            deaths += usize::from(has_died);
            if deaths > 0 && extent != Extent::Full {
                break;
            }
        }
        ensure!(deaths > 0, "nobody died at {point} in any of {steps:?}");
    }
    Ok(())
}

/// The points that a life without any blow reaches.
pub fn points(victim: Victim) -> Result<BTreeSet<String>> {
    let mut sweep = Sweep { victim, world: World::new(Store::Etcd)? };
    let mut points = BTreeSet::new();
    for step in LIFE {
        points.extend(sweep.trace(step)?);
    }
    Ok(points)
}

struct Sweep {
    victim: Victim,
    world: World,
}

impl Sweep {
    /// Does one step undisturbed; gives the points that were reached, in order.
    fn trace(&mut self, step: Step) -> Result<Vec<String>> {
        let act = self.prepare(step)?;
        self.arm("trace")?;
        let outcome = self.run(&act, "trace:/root/reached");
        let expected = if step == Step::Failing { 1 } else { 0 };
        ensure!(outcome.code == Some(expected), "{step:?} failed without any blow\n{outcome}");
        let results = act.results(&self.world.state, &self.world.past, self.world.nodes());
        self.disarm()?;
        let (host, file) = match self.victim {
            Victim::Coordinator => (self.world.scene.fleet.desk(), "/root/reached".to_owned()),
            Victim::Agent => (self.node(), format!("{DATA}/fault.reached")),
        };
        let reached = take_points(host, &file)?;
        self.world.rest_in(&results)?;
        self.reopen(step)?;
        Ok(reached)
    }

    /// Whether somebody died.
    fn strike(&mut self, step: Step, point: &str) -> Result<bool> {
        let act = self.prepare(step)?;
        self.arm(point)?;
        let outcome = self.run(&act, point);
        let has_died = match self.victim {
            Victim::Coordinator => outcome.code.is_none(),
            Victim::Agent => !self.node().exists(&format!("{DATA}/fault")),
        };
        if !has_died {
            // What is there from before decides some ways, such as whether a package is to be sent.
            println!("  not on the way this time");
            let expected = if step == Step::Failing { 1 } else { 0 };
            ensure!(outcome.code == Some(expected), "nothing was struck, but this failed\n{outcome}");
            self.disarm()?;
        }
        self.world.is_as_told(&act, &outcome)?;
        if matches!(act, Act::Remove { .. }) && outcome.code == Some(0) {
            // Without a further command: what is said to be removed is.
            self.world.is_tidy(&[], false).with_context(|| format!("said right before:\n{outcome}"))?;
        }
        let mut allowed = act.results(&self.world.state, &self.world.past, self.world.nodes());
        if outcome.code != Some(0) {
            allowed.push(self.world.state.clone());
        }
        if outcome.code == Some(1) && self.world.state == State::Absent {
            allowed.push(State::Failed);
        }
        self.world.rest_in(&allowed).with_context(|| format!("after\n{outcome}"))?;
        self.reopen(step)?;
        self.keeps_its_volumes_or_not(step).with_context(|| format!("after\n{outcome}"))?;
        Ok(has_died)
    }

    /// What was drained takes instances again.
    fn reopen(&self, step: Step) -> Result<()> {
        if step == Step::Drain {
            let outcome = self.world.cli().run("node uncordon a");
            ensure!(outcome.code == Some(0), "{outcome}");
        }
        Ok(())
    }

    /// Removed is removed, whoever had to complete it: with the volumes only where that was asked for.
    fn keeps_its_volumes_or_not(&self, step: Step) -> Result<()> {
        let is_kept = match step {
            Step::Remove => true,
            Step::Purge if self.world.state == State::Absent => false,
            _ => return Ok(()),
        };
        for host in self.world.scene.fleet.hosts() {
            let volumes = || host.run(&format!("ls {DATA}/volumes")).unwrap_or_default();
            let is_so = || volumes().contains("page.") == is_kept;
            eventually(&format!("the volumes of {} are as wished", host.name()), TIDY, is_so);
        }
        Ok(())
    }

    fn prepare(&mut self, step: Step) -> Result<Act> {
        self.world.begin_with(step != Step::First)?;
        match step {
            // Large enough to come in several pieces.
            Step::First | Step::Update => self.world.deploy(true, None, 300_000),
            Step::Failing => {
                let mut act = self.world.deploy(false, None, 0)?;
                if let (Victim::Agent, Act::Deploy { only_on, .. }) = (self.victim, &mut act) {
                    // Otherwise the other node may be the first to fail, and this one does not come to it.
                    *only_on = Some("a");
                }
                Ok(act)
            }
            Step::Rollback => {
                if self.world.past.len() < 2 {
                    let update = self.world.deploy(true, None, 0)?;
                    self.world.undisturbed(&update)?;
                }
                Ok(Act::Rollback)
            }
            Step::Restart => Ok(Act::Restart),
            Step::Drain => {
                // One on each node, so that one has to move.
                let spread = self.world.deploy(true, Some(2), 0)?;
                self.world.undisturbed(&spread)?;
                Ok(Act::Drain)
            }
            Step::Remove => Ok(Act::Remove { purges: false }),
            Step::Purge => Ok(Act::Remove { purges: true }),
        }
    }

    fn run(&self, act: &Act, fault: &str) -> Outcome {
        // So that two nodes need two transactions.
        let cli = self.world.cli().clone().with("ORCHESTRATOR_FAULT_BATCH", "1");
        match self.victim {
            Victim::Coordinator => cli.with("ORCHESTRATOR_FAULT", fault).run(&act.line()),
            Victim::Agent => cli.run(&act.line()),
        }
    }

    fn arm(&self, what: &str) -> Result<()> {
        match self.victim {
            Victim::Coordinator => Ok(()),
            Victim::Agent => self.node().write(&format!("{DATA}/fault"), what),
        }
    }

    fn disarm(&self) -> Result<()> {
        self.node().run(&format!("rm -f {DATA}/fault")).map(drop)
    }

    /// The node whose agent dies; another one goes on.
    fn node(&self) -> &Host {
        self.world.scene.fleet.host("a")
    }
}

/// The points in a trace, each once, in order; the trace is gone then.
pub fn take_points(host: &Host, file: &str) -> Result<Vec<String>> {
    let trace = host.read(file)?;
    host.run(&format!("rm {file}"))?;
    let mut known = BTreeSet::new();
    Ok(trace.lines().filter(|point| known.insert(*point)).map(str::to_owned).collect())
}

/// All points that the sources of a crate name.
pub fn points_of(package: &str) -> Result<BTreeSet<String>> {
    let mut points = BTreeSet::new();
    let mut folders = vec![repository().join(package).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path)?;
                let calls = text.split("fault::point(").skip(1).filter_map(|rest| rest.split(')').next());
                points.extend(calls.flat_map(|call| call.split('"').skip(1).step_by(2)).map(str::to_owned));
            }
        }
    }
    Ok(points)
}
