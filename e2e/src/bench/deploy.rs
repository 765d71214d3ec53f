//! Measures deploying a package to a fleet, beside raw `ssh … tar xz` and an Ansible playbook, in one run on the
//! same hosts with the same package.

use std::collections::BTreeMap;

use anyhow::Result;

use super::ansible;
use super::contest::{Arena, Contestant};
use super::figures::{Bound, Figures, median};

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

type Times = BTreeMap<Contestant, Vec<f64>>;

/// Runs all contestants and notes their figures and ratios.
pub fn deploy(wish: &Wish, figures: &mut Figures) -> Result<()> {
    let arena = Arena::enrolled(wish.hosts)?;
    let has_ansible = wish.ansible_rounds > 0 && ansible_is_there(&arena);
    let (mut times, mut again, mut bytes) = (Times::new(), Vec::new(), Vec::new());
    for round in 0..wish.rounds {
        let version = format!("1.{round}.0");
        let mut turn = vec![Contestant::Raw, Contestant::Orchestrator, Contestant::OrchestratorFolder];
        if has_ansible && round < wish.ansible_rounds {
            turn.extend([Contestant::Ansible, Contestant::AnsibleTuned]);
        }
        // Who goes first changes, so that nobody always finds the machine warmed up by the others.
        let first = usize::from(round) % turn.len();
        turn.rotate_left(first);
        for contestant in turn {
            // Nothing of it may be on the nodes already.
            arena.write_package(&format!("{version}-{}", contestant as u8), wish.package_bytes)?;
            let took = arena.time(contestant, &version)?;
            println!("round {round}: {:<52} {took:>7.3} s", contestant.name());
            times.entry(contestant).or_default().push(took);
            if contestant == Contestant::Orchestrator {
                let before = arena.bytes_received()?;
                again.push(arena.deploy(super::contest::PACKAGE));
                bytes.push((arena.bytes_received()? - before) as f64 / f64::from(wish.hosts));
            }
            if matches!(contestant, Contestant::Orchestrator | Contestant::OrchestratorFolder) {
                arena.orchestrator.ok("remove page");
            }
        }
    }
    figures.heading(&format!(
        "{} bytes to {} hosts, cold, median of {}",
        wish.package_bytes, wish.hosts, wish.rounds
    ));
    note(figures, &times, &again, &bytes);
    Ok(())
}

fn ansible_is_there(arena: &Arena) -> bool {
    let installed = ansible::install(arena.fleet.desk());
    if let Err(error) = &installed {
        println!("Ansible is not measured: {error}");
    }
    installed.is_ok()
}

fn note(figures: &mut Figures, times: &Times, again: &[f64], bytes: &[f64]) {
    let of = |contestant| times.get(&contestant).map(|seconds| median(seconds));
    for (contestant, seconds) in times {
        figures.note(contestant.name(), median(seconds), "s", Bound::None);
    }
    let ratio = |one: Option<f64>, other: Option<f64>| Some(one? / other?);
    let ours = of(Contestant::Orchestrator);
    let mut note_ratio = |what, ratio: Option<f64>, bound| {
        if let Some(ratio) = ratio {
            figures.note(what, ratio, "×", bound);
        }
    };
    let raw = of(Contestant::Raw);
    note_ratio("orchestrator / raw ssh", ratio(ours, raw), Bound::AtMost(RAW_RATIO));
    note_ratio(
        "orchestrator from the folder / raw ssh",
        ratio(of(Contestant::OrchestratorFolder), raw),
        Bound::None,
    );
    note_ratio("ansible / orchestrator", ratio(of(Contestant::Ansible), ours), Bound::AtLeast(ANSIBLE_RATIO));
    let tuned = ratio(of(Contestant::AnsibleTuned), ours);
    note_ratio("ansible without facts / orchestrator", tuned, Bound::AtLeast(ANSIBLE_RATIO));
    figures.note("deploy again, nothing changed", median(again), "s", Bound::AtMost(UNCHANGED_SECONDS));
    figures.note("bytes to each host then", median(bytes), "B", Bound::AtMost(UNCHANGED_BYTES));
}
