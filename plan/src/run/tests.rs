use proptest::prelude::*;
use serde_json::{Value, json};

use super::event::Answer;
use super::*;
use crate::approval::Request;
use crate::journal;
use crate::validate::Surroundings;

mod crash;
mod story;
mod undo;

/// A run, its journal, and a clock that only the test moves.
struct Scene {
    records: Vec<Record>,
    run: Run,
    now_ms: u64,
    asks: Vec<&'static str>,
    shut: Vec<&'static str>,
}

impl Scene {
    fn new(steps: &str) -> Self {
        Self::of(&plan(steps))
    }

    fn of(plan: &Plan) -> Self {
        let records = vec![Record { at_ms: 0, event: Run::begin("r1", "pi", plan) }];
        let run = Run::replay(&records).expect("begins");
        Self { records, run, now_ms: 0, asks: Vec::new(), shut: Vec::new() }
    }

    fn next(&self) -> Vec<Action> {
        let gate = |step: &Step| {
            if self.shut.contains(&step.id.as_str()) {
                return Gate::Shut("the policy".to_owned());
            }
            match self.asks.contains(&step.id.as_str()) {
                true => Gate::Ask(Request::new(
                    self.run.hash,
                    step.id.clone(),
                    "pi",
                    &step.call,
                    self.now_ms + 60_000,
                )),
                false => Gate::Open,
            }
        };
        self.run.next(&Present { now_ms: self.now_ms, gate: &gate, most: 8 })
    }

    fn add(&mut self, event: Event) {
        self.try_add(event).expect("fits");
    }

    fn try_add(&mut self, event: Event) -> Result<(), RunError> {
        let record = Record { at_ms: self.now_ms, event };
        self.run.apply(&record)?;
        self.records.push(record);
        assert_eq!(Run::replay(&self.records).expect("replays"), self.run, "a replay tells the same");
        Ok(())
    }

    /// Starts all that may start, and gives their ids.
    fn start(&mut self) -> String {
        let mut started = Vec::new();
        for action in self.next() {
            match action {
                Action::Start { step, attempt, work, tier, key } => {
                    started.push(format!("{step}{}", if work == Work::Undo { "~" } else { "" }));
                    self.add(Event::Started { step, attempt, work, tier, key });
                }
                Action::Weigh { step } => {
                    let step = self.run.plan.step(&step).expect("is there").clone();
                    self.add(self.run.weigh(&step, &Default::default()));
                }
                Action::Skip { step, why } => self.add(Event::Skipped { step, why }),
                Action::Escalate { step } => self.add(Event::Escalated { step }),
                Action::Forbid { step, why } => self.add(Event::Forbidden { step, why }),
                _ => {}
            }
        }
        started.join(" ")
    }

    fn comes_back(&mut self, step: &str, out: Value) {
        let (step, attempt, work) = self.under_way(step);
        self.add(Event::Returned { step: step.clone(), attempt, work, out });
        if work == Work::Do {
            let step = self.run.plan.step(&step).expect("is there").clone();
            self.add(self.run.check(&step, &Default::default()));
        }
    }

    fn fails(&mut self, step: &str, why: &str) {
        let (step, attempt, work) = self.under_way(step);
        self.add(Event::Failed { step, attempt, work, why: why.to_owned() });
    }

    fn under_way(&self, step: &str) -> (StepId, u32, Work) {
        let step = id(step);
        let progress = &self.run.steps[&step];
        let work = if progress.undo == Undo::Running { Work::Undo } else { Work::Do };
        (step, progress.attempts, work)
    }

    fn ending(&mut self) -> String {
        match self.next().as_slice() {
            [Action::End { ending }] => {
                let ending = ending.clone();
                self.add(Event::Ended { ending: ending.clone() });
                format!("{ending:?}")
            }
            other => format!("{other:?}"),
        }
    }
}

fn plan(steps: &str) -> Plan {
    let text = format!(
        "goal: g\nnodes: {{every: true}}\nbudget: {{money: 1, tokens: 1000, time: 1h, steps: 50}}\nsteps: [{steps}]\n"
    );
    Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn id(text: &str) -> StepId {
    StepId::parse(text).expect("an id")
}
