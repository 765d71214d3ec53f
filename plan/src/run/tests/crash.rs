//! Random plans, interleavings and crashes: whatever happens, nothing that cannot be repeated is done twice.

use std::collections::BTreeMap;

use super::*;

/// The world outside of the journal.
struct World {
    journal: Vec<u8>,
    /// Of these bytes a crash leaves any number.
    unsynced: Vec<u8>,
    records: u64,
    done: BTreeMap<StepId, u32>,
    crashes: u32,
}

/// Chances, drawn by proptest so that a failure shrinks.
struct Dice<'d> {
    rolls: std::iter::Cycle<std::slice::Iter<'d, u16>>,
    crash_percent: u16,
}

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        usize::from(*self.rolls.next().expect("there are rolls")) % sides.max(1)
    }

    fn crashes(&mut self) -> bool {
        self.roll(100) < usize::from(self.crash_percent)
    }
}

struct Crash;

impl World {
    fn append(&mut self, run: &mut Run, event: Event, dice: &mut Dice<'_>) -> Result<(), Crash> {
        let record = Record { at_ms: run_time(self.records), event };
        run.apply(&record).expect("the machine fits itself");
        self.unsynced.extend(journal::encode(self.records, &record).expect("short"));
        self.records += 1;
        if dice.crashes() {
            return Err(Crash);
        }
        self.journal.append(&mut self.unsynced);
        if dice.crashes() { Err(Crash) } else { Ok(()) }
    }

    /// What a crash leaves: any prefix of what was not synced, sometimes with zeros behind it.
    fn crash(&mut self, dice: &mut Dice<'_>) {
        self.crashes += 1;
        let kept = dice.roll(self.unsynced.len() + 1);
        self.journal.extend(&self.unsynced[..kept]);
        self.unsynced.clear();
        if dice.roll(4) == 0 {
            self.journal.extend([0; 40]);
        }
    }

    fn restart(&mut self) -> Run {
        let read = journal::read(&self.journal).expect("a torn tail is no damage");
        self.journal.truncate(read.good_bytes);
        self.records = read.records.len() as u64;
        Run::replay(&read.records).expect("replays")
    }
}

fn run_time(records: u64) -> u64 {
    records * 2_000
}

/// Carries out until the run ends or the agent crashes.
fn carry_out(world: &mut World, run: &mut Run, dice: &mut Dice<'_>) -> Result<(), Crash> {
    for event in run.recover() {
        world.append(run, event, dice)?;
    }
    let mut under_way: Vec<(StepId, u32, Work)> = Vec::new();
    while run.ending.is_none() {
        let now_ms = run_time(world.records) + 100_000;
        let actions = run.next(&Present { now_ms, gate: &|_| Gate::Open, most: 4 });
        let choices = actions.len() + under_way.len();
        assert!(choices > 0, "the run stands still: {run:?}");
        let choice = dice.roll(choices);
        let Some(action) = actions.into_iter().nth(choice) else {
            let (step, attempt, work) = under_way.remove(choice % under_way.len().max(1));
            world.append(run, comes_back(step, attempt, work, dice), dice)?;
            continue;
        };
        let event = match action {
            Action::Start { step, attempt, work, tier, key } => {
                world.append(run, Event::Started { step: step.clone(), attempt, work, tier, key }, dice)?;
                // The effect, at the moment between two records.
                if work == Work::Do {
                    *world.done.entry(step.clone()).or_default() += 1;
                }
                under_way.push((step, attempt, work));
                if dice.crashes() {
                    return Err(Crash);
                }
                continue;
            }
            Action::Check { step, .. } => {
                run.check(run.plan.step(&step).expect("is there"), &BTreeMap::new())
            }
            Action::Weigh { step } => run.weigh(run.plan.step(&step).expect("is there"), &BTreeMap::new()),
            Action::AskUnknown { step, attempt, work, .. } => {
                let is_done = work == Work::Undo || world.done.get(&step).copied().unwrap_or_default() > 0;
                let answer = if is_done { Answer::Done } else { Answer::NotDone };
                Event::Answered { step, attempt, work, answer, by: "ann".to_owned() }
            }
            Action::Skip { step, why } => Event::Skipped { step, why },
            Action::End { ending } => Event::Ended { ending },
            other => panic!("not in these plans: {other:?}"),
        };
        world.append(run, event, dice)?;
    }
    Ok(())
}

/// A call that worked, mostly; or not, or that was never made.
fn comes_back(step: StepId, attempt: u32, work: Work, dice: &mut Dice<'_>) -> Event {
    match dice.roll(8) {
        0 => Event::Failed { step, attempt, work, why: "never made".to_owned() },
        roll => Event::Returned { step, attempt, work, out: json!({"exit": i64::from(roll == 1)}) },
    }
}

fn random_plan(shape: &[(u8, u8, u8)]) -> Plan {
    let steps: Vec<String> = shape.iter().enumerate().map(|(index, (needs, effect, failure))| {
        let effect = ["read", "idempotent", "reversible", "destructive"][usize::from(effect % 4)];
        let is_repeatable = matches!(effect, "read" | "idempotent");
        let failure = match failure % 4 {
            0 if is_repeatable => "{retry: 2}",
            1 => "continue",
            2 if effect != "read" => "rollback, undo: {tool: service.start, args: {name: x}}",
            _ => "stop",
        };
        let needs: Vec<String> = (0..index.min(8)).filter(|bit| needs >> bit & 1 == 1).map(|bit| format!("s{bit}")).collect();
        format!("{{id: s{index}, tool: exec.argv, args: {{argv: [x]}}, effect: {effect}, on_failure: {failure}, needs: [{}]}}", needs.join(", "))
    }).collect();
    let text = format!(
        "goal: g\nnodes: {{every: true}}\nbudget: {{steps: 1000, time: 30d}}\nsteps: [{}]\n",
        steps.join(", ")
    );
    Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_cannot_be_repeated_is_done_twice(
        shape in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..9),
        rolls in prop::collection::vec(any::<u16>(), 200..201),
        crash_percent in 0_u16..25,
    ) {
        let plan = random_plan(&shape);
        let mut dice = Dice { rolls: rolls.iter().cycle(), crash_percent };
        let begun = Record { at_ms: 0, event: Run::begin("r", "pi", &plan) };
        let journal = [journal::MAGIC.to_vec(), journal::encode(0, &begun).expect("short")].concat();
        let mut world = World { journal, unsynced: Vec::new(), records: 1, done: BTreeMap::new(), crashes: 0 };
        let ending = loop {
            let mut run = world.restart();
            // The rolls come round again: at some time the crashing must end.
            if world.crashes > 300 {
                dice.crash_percent = 0;
            }
            match carry_out(&mut world, &mut run, &mut dice) {
                Ok(()) => break run,
                Err(Crash) => world.crash(&mut dice),
            }
        };
        for step in &plan.steps {
            let times = world.done.get(&step.id).copied().unwrap_or_default();
            let phase = &ending.steps[&step.id].phase;
            prop_assert!(step.effect.is_repeatable() || times <= 1, "{} was done {times} times", step.id);
            prop_assert!(*phase != Phase::Succeeded || times >= 1, "{} counts as done and was not", step.id);
        }
        prop_assert_eq!(&world.restart(), &ending, "the journal tells how it ended");
    }
}
