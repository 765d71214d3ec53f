//! A schedule: what people ask for, one after the other or at the same time, and what strikes meanwhile.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

mod draw;

use super::blow::Blow;
use super::state::{Act, State};
use super::world::World;
use crate::host::Host;
use crate::orchestrator::{Outcome, Running};
use crate::scene::DATA;

/// All that happens between two rests. Times are shares of what a deploy takes.
#[derive(Debug, Clone)]
pub struct Schedule {
    begins_serving: bool,
    asked: Vec<Asked>,
    blows: Vec<Timed>,
    /// A point at which the agent of a node dies.
    agent_fault: Option<(&'static str, String)>,
    next: Next,
}

#[derive(Debug, Clone)]
struct Asked {
    wish: Wish,
    /// When it begins; the second may do so while the first is at work.
    at: f64,
    death: Death,
}

#[derive(Debug, Clone, Copy)]
enum Wish {
    Deploy { is_healthy: bool, count: Option<usize>, ballast: usize },
    Rollback,
    Restart,
    Remove,
}

/// How the coordinator ends.
#[derive(Debug, Clone)]
enum Death {
    Natural,
    KilledAfter(f64),
    KilledAt(String),
}

#[derive(Debug, Clone, Copy)]
struct Timed {
    blow: Blow,
    host: &'static str,
    at: f64,
    lasts: f64,
}

/// What comes next when all is repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Status,
    SameAgain,
    Serve,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Ask(usize),
    Kill(usize),
    Strike(usize),
    Repair(usize),
}

impl Schedule {
    /// Lets it happen and waits for the fleet to come to rest.
    pub fn play(&self, world: &mut World) -> Result<()> {
        world.begin_with(self.begins_serving)?;
        let acts = self.asked.iter().map(|asked| asked.wish.act(world)).collect::<Result<Vec<_>>>()?;
        if let Some((host, point)) = &self.agent_fault {
            world.scene.fleet.host(host).write(&format!("{DATA}/fault"), point)?;
        }
        let outcomes = self.happen(world, &acts)?;
        for host in world.scene.fleet.hosts() {
            host.run(&format!("rm -f {DATA}/fault"))?;
        }
        let mut allowed = self.allowed(world, &acts, &outcomes);
        let said: String = outcomes.iter().map(Outcome::to_string).collect();
        // Each may have been healthy for a moment before the other came, and so is something to go back to.
        let passed = if acts.len() > 1 { allowed.clone() } else { Vec::new() };
        match (self.next, acts.last()) {
            (Next::SameAgain, Some(act @ Act::Deploy { page, .. })) => {
                let again = world.cli().run(&act.line());
                world.is_as_told(act, &again).with_context(|| said.clone())?;
                let expected = if page.is_healthy { 0 } else { 1 };
                // A host that has just got its power back may not answer yet; then that is what must be said.
                let is_late = again.code == Some(3) && again.stderr.contains("waiting for ");
                ensure!(
                    again.code == Some(expected) || is_late,
                    "{expected} was expected of the next\n{again}\nafter\n{said}"
                );
                if page.is_healthy {
                    allowed = act.results(&world.state, &world.past, world.nodes());
                }
                world.rest_in(&allowed).with_context(|| said)
            }
            (Next::Serve, _) => serve(world, &allowed).with_context(|| said),
            (Next::Status | Next::SameAgain, _) => world.rest_in(&allowed).with_context(|| said),
        }?;
        world.may_have_passed(passed);
        Ok(())
    }

    fn happen(&self, world: &World, acts: &[Act]) -> Result<Vec<Outcome>> {
        let begin = Instant::now();
        let mut running: Vec<Option<Running>> = acts.iter().map(|_| None).collect();
        let mut outcomes: Vec<Option<Outcome>> = acts.iter().map(|_| None).collect();
        let mut open: Vec<usize> = Vec::new();
        for (at, event) in self.events() {
            let due = begin + world.window.mul_f64(at);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            match event {
                Event::Ask(index) => running[index] = Some(self.asked[index].start(world, &acts[index])),
                Event::Kill(index) => outcomes[index] = running[index].take().map(Running::kill),
                Event::Strike(index) => {
                    let timed = &self.blows[index];
                    timed.blow.strike(timed.host(world)).with_context(|| format!("{timed:?}"))?;
                    open.push(index);
                }
                Event::Repair(index) => {
                    self.blows[index].repair(world)?;
                    open.retain(|it| *it != index);
                }
            }
        }
        for (index, running) in running.into_iter().enumerate() {
            let Some(mut running) = running else { continue };
            // What was true when it was said may have been struck since.
            let is_told_last = self.blows.is_empty() || (open.is_empty() && !running.has_ended());
            let outcome = running.wait();
            if is_told_last && acts.len() == 1 {
                world.is_as_told(&acts[index], &outcome)?;
            }
            outcomes[index] = Some(outcome);
        }
        for index in open {
            self.blows[index].repair(world)?;
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// In the order of time. What lasts too long is repaired when everything else is over.
    fn events(&self) -> Vec<(f64, Event)> {
        let mut events = Vec::new();
        for (index, asked) in self.asked.iter().enumerate() {
            events.push((asked.at, Event::Ask(index)));
            if let Death::KilledAfter(share) = asked.death {
                events.push((asked.at + share, Event::Kill(index)));
            }
        }
        for (index, timed) in self.blows.iter().enumerate() {
            events.push((timed.at, Event::Strike(index)));
            if timed.lasts < Timed::LONG {
                events.push((timed.at + timed.lasts, Event::Repair(index)));
            }
        }
        events.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        events
    }

    /// The states that may come of it: the one before, and what each act could make of any of these.
    fn allowed(&self, world: &World, acts: &[Act], outcomes: &[Outcome]) -> Vec<State> {
        let nodes = world.nodes();
        if let ([act], [outcome]) = (acts, outcomes) {
            let is_back = outcome.code == Some(1) && matches!(act, Act::Deploy { .. });
            let is_desk_well = self.blows.iter().all(|timed| timed.host != "desk");
            match outcome.code {
                Some(0) => return act.results(&world.state, &world.past, nodes),
                // Failed means: back to what ran before.
                _ if is_back && is_desk_well && world.state.is_serving() => return vec![world.state.clone()],
                _ => {}
            }
        }
        let mut allowed = vec![world.state.clone()];
        let mut past = world.past.clone();
        for _ in acts {
            for act in acts {
                for before in allowed.clone() {
                    add(&mut allowed, act.results(&before, &past, nodes));
                }
            }
            add(&mut past, allowed.iter().filter(|state| state.is_serving()).cloned().collect());
            if allowed.contains(&State::Absent) {
                // A first deploy that could not be carried out has nothing to go back to.
                allowed.push(State::Failed);
            }
        }
        allowed
    }
}

/// Each once.
fn add(states: &mut Vec<State>, more: Vec<State>) {
    for state in more {
        if !states.contains(&state) {
            states.push(state);
        }
    }
}

impl Asked {
    fn start(&self, world: &World, act: &Act) -> Running {
        let cli = world.cli().clone();
        match &self.death {
            Death::KilledAt(point) => cli.with("ORCHESTRATOR_FAULT", point),
            Death::Natural | Death::KilledAfter(_) => cli,
        }
        .start(&act.line())
    }
}

impl Wish {
    fn act(self, world: &mut World) -> Result<Act> {
        match self {
            Wish::Deploy { is_healthy, count, ballast } => world.deploy(is_healthy, count, ballast),
            Wish::Rollback => Ok(Act::Rollback),
            Wish::Restart => Ok(Act::Restart),
            Wish::Remove => Ok(Act::Remove { purges: false }),
        }
    }
}

impl Timed {
    /// Lasts until the commands have ended.
    const LONG: f64 = 3.0;

    fn host<'a>(&self, world: &'a World) -> &'a Host {
        match self.host {
            "desk" => world.scene.fleet.desk(),
            name => world.scene.fleet.host(name),
        }
    }

    fn repair(&self, world: &World) -> Result<()> {
        self.blow.repair(self.host(world)).with_context(|| format!("repairing {self:?}"))
    }
}

/// The daemon brings the fleet to rest, too.
fn serve(world: &mut World, allowed: &[State]) -> Result<()> {
    let daemon = world.cli().start("serve");
    let answer = world.rest_in(allowed);
    daemon.signal(libc::SIGTERM);
    let ended = daemon.wait();
    ensure!(answer.is_err() || ended.code == Some(0), "the daemon did not end in order\n{ended}");
    answer.with_context(|| ended.to_string())
}
