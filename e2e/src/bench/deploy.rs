//! Measures deploying a package to a fleet, beside raw `ssh … tar xz` and an Ansible playbook, in one run on the
//! same hosts with the same package.

use std::collections::BTreeMap;

use anyhow::Result;

use super::ansible;
use super::contest::Contestant::{
    Ansible, AnsibleTuned, Orchestrator, OrchestratorFolder, OrchestratorSsh, Raw,
};
use super::contest::{Arena, Contestant, PACKAGE};
use super::figures::{Bound, Figures, median};
use super::processor::Processor;

/// Raw ssh is the floor: what cannot be done without. Ours may cost this many times as much, health included.
const RAW_RATIO: f64 = 1.3;
const ANSIBLE_RATIO: f64 = 10.0;
const UNCHANGED_SECONDS: f64 = 0.3;
/// Handshakes and questions to one host, and no package.
const UNCHANGED_BYTES: f64 = 50_000.0;

/// What is measured.
#[derive(Debug, Clone)]
pub struct Wish {
    pub hosts: u8,
    pub package_bytes: usize,
    /// The contestants take turns this often; the median of each counts.
    pub rounds: u8,
    /// Ansible takes long, so it takes part in the first rounds only.
    pub ansible_rounds: u8,
}

/// Seconds of each contestant, round by round.
#[derive(Default)]
struct Times {
    clock: BTreeMap<Contestant, Vec<f64>>,
    /// Of all processors on both ends.
    processor: BTreeMap<Contestant, Vec<f64>>,
    again: Vec<f64>,
    again_bytes: Vec<f64>,
}

/// Runs all contestants and notes their figures and ratios.
pub fn deploy(wish: &Wish, figures: &mut Figures) -> Result<()> {
    let processor = Processor::watch();
    let arena = Arena::enrolled(wish.hosts)?;
    let has_ansible = wish.ansible_rounds > 0 && ansible_is_there(&arena);
    let mut times = Times::default();
    for round in 0..wish.rounds {
        let mut turn = vec![Raw, Orchestrator, OrchestratorFolder, OrchestratorSsh];
        if has_ansible && round < wish.ansible_rounds {
            turn.extend([Ansible, AnsibleTuned]);
        }
        // Who goes first changes, so that nobody always finds the machine warmed up by the others.
        let first = usize::from(round) % turn.len();
        turn.rotate_left(first);
        for contestant in turn {
            // Nothing of it may be on the nodes already.
            let version = format!("1.{round}.0-{}", contestant as u8);
            arena.write_package(&version, wish.package_bytes)?;
            arena.hang_up()?;
            let used = || processor.as_ref().map_or(f64::NAN, Processor::seconds);
            let before = used();
            let took = arena.time(contestant, &version)?;
            let worked = used() - before;
            println!("round {round}: {:<52} {took:>7.3} s, {worked:.3} s of processors", contestant.name());
            times.clock.entry(contestant).or_default().push(took);
            times.processor.entry(contestant).or_default().push(worked);
            after(&arena, contestant, wish, &mut times)?;
        }
    }
    figures.heading(&format!(
        "{} bytes to {} hosts, cold, median of {}",
        wish.package_bytes, wish.hosts, wish.rounds
    ));
    note(figures, &times);
    Ok(())
}

/// Deploys the same once more, and makes room for the next contestant.
fn after(arena: &Arena, contestant: Contestant, wish: &Wish, times: &mut Times) -> Result<()> {
    if contestant == Orchestrator {
        let before = arena.bytes_received()?;
        times.again.push(arena.deploy(PACKAGE));
        times.again_bytes.push((arena.bytes_received()? - before) as f64 / f64::from(wish.hosts));
    }
    if matches!(contestant, Orchestrator | OrchestratorFolder | OrchestratorSsh) {
        arena.orchestrator.ok("remove page");
    }
    Ok(())
}

fn ansible_is_there(arena: &Arena) -> bool {
    let installed = ansible::install(arena.fleet.desk());
    if let Err(error) = &installed {
        println!("Ansible is not measured: {error}");
    }
    installed.is_ok()
}

fn note(figures: &mut Figures, times: &Times) {
    for (contestant, seconds) in &times.clock {
        figures.note(contestant.name(), median(seconds), "s", Bound::None);
    }
    note_ratio(figures, &times.clock, Orchestrator, Raw, Bound::AtMost(RAW_RATIO));
    note_ratio(figures, &times.clock, OrchestratorFolder, Raw, Bound::None);
    note_ratio(figures, &times.clock, OrchestratorSsh, Raw, Bound::None);
    note_ratio(figures, &times.clock, Ansible, Orchestrator, Bound::AtLeast(ANSIBLE_RATIO));
    note_ratio(figures, &times.clock, AnsibleTuned, Orchestrator, Bound::None);
    figures.note(
        "deploy again, nothing changed",
        median(&times.again),
        "s",
        Bound::AtMost(UNCHANGED_SECONDS),
    );
    figures.note("bytes to each host then", median(&times.again_bytes), "B", Bound::AtMost(UNCHANGED_BYTES));
    if times.processor.values().flatten().all(|seconds| seconds.is_finite()) {
        figures.heading("processor time of the same, both ends");
        for (contestant, seconds) in &times.processor {
            figures.note(contestant.name(), median(seconds), "s", Bound::None);
        }
        note_ratio(figures, &times.processor, Orchestrator, Raw, Bound::None);
    }
}

/// The median of the rounds' ratios, of the rounds in which both took part: the machine's other load changes from
/// round to round, and must not stand on one side of the ratio only.
fn note_ratio(
    figures: &mut Figures,
    seconds: &BTreeMap<Contestant, Vec<f64>>,
    one: Contestant,
    other: Contestant,
    bound: Bound,
) {
    let (Some(numerators), Some(denominators)) = (seconds.get(&one), seconds.get(&other)) else { return };
    let ratios: Vec<f64> = numerators.iter().zip(denominators).map(|(one, other)| one / other).collect();
    figures.note(format!("{} / {}", one.short_name(), other.short_name()), median(&ratios), "×", bound);
}
