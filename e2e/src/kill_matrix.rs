//! The kill matrix: commands that are struck, at every named point and at random moments, and what must hold after
//! the next command: one release everywhere, healthy, the old one or the new one; nothing twice; nothing left over.
//!
//! Each random schedule follows from the seed and its index alone, so a failure can be run again.

mod blow;
mod enrolment;
mod inventory;
mod random;
mod schedule;
mod state;
mod sweep;
mod upgrade;
mod world;

use anyhow::{Result, bail, ensure};

pub use enrolment::sweep_enrolment;
use schedule::Schedule;
pub use sweep::{Extent, Victim, sweep, take_points};
pub use upgrade::sweep_upgrade;
pub use world::Store;
use world::World;

/// What the random schedules are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One or two commands, and whatever can strike.
    Any,
    /// Coordinators that deploy at the same time and die.
    Races,
}

/// Runs some random schedules one after the other on one fleet; the first that breaks a promise is the error.
pub fn run(kind: Kind, seed: u64, indices: impl Iterator<Item = u64>) -> Result<()> {
    let store = if seed.is_multiple_of(2) { Store::Etcd } else { Store::Sqlite };
    println!("seed {seed}, store {store:?}");
    let mut world = World::new(store)?;
    world.begin_with(true)?;
    let mut played = 0;
    for index in indices {
        let (schedule, option) = match kind {
            Kind::Any => (Schedule::draw(seed, index), ""),
            Kind::Races => (Schedule::race(seed, index), "--races "),
        };
        println!("seed {seed} schedule {index}: {schedule:?}");
        if let Err(error) = schedule.play(&mut world) {
            bail!(
                "{error:?}\n\nseed {seed} schedule {index}: {schedule:?}\nagain with: e2e kill-matrix {option}--seed \
                 {seed} --only {index}\n{}",
                world.evidence()
            );
        }
        played += 1;
    }
    println!("seed {seed}: every promise was kept in {played} schedules");
    Ok(())
}

/// All sweeps, one after the other, on both stores.
pub fn sweep_all() -> Result<()> {
    every_point_is_swept()?;
    sweep_enrolment()?;
    for victim in [Victim::Coordinator, Victim::Agent] {
        sweep_upgrade(victim)?;
    }
    for store in [Store::Etcd, Store::Sqlite] {
        sweep(Victim::Coordinator, store, Extent::Full)?;
    }
    sweep(Victim::Agent, Store::Etcd, Extent::Full)
}

const ELSEWHERE: [&str; 9] =
    ["registry.", "plan.", "run.", "step.", "receipt.", "handover.", "ask.", "llm.", "upgrade."];

/// Insists that the sweeps reach every point that the programs name.
pub fn every_point_is_swept() -> Result<()> {
    let mut reached = enrolment::points()?;
    for victim in [Victim::Coordinator, Victim::Agent] {
        reached.extend(sweep::points(victim)?);
    }
    let mut named = sweep::points_of("coordinator")?;
    named.extend(sweep::points_of("node-agent")?);
    // Those of the registry, of plans, of upgrades and of a start beside the former release are not on the way of an ordinary deploy;
    // their own tests kill there, and so do those of `ask` at its own and at those of the models.
    let is_elsewhere = |point: &String| ELSEWHERE.iter().any(|prefix| point.starts_with(prefix));
    let missed: Vec<_> = named.difference(&reached).filter(|point| !is_elsewhere(point)).collect();
    ensure!(missed.is_empty(), "no sweep reaches {missed:?}");
    Ok(())
}
