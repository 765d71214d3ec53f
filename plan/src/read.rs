//! Plans as YAML (or JSON, which is YAML): read with the place of everything, so that an error says where it is.

use modules::capability::Capability;
use modules::spec::error::{Report, SpecErrors};
use modules::spec::read::{Fields, Spot};
use modules::spec::yaml;
use proto::ids::NodeName;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::fault::Faults;
use crate::money::Money;
use crate::plan::{Budget, Nodes, Offline, Plan, Rollout};
use crate::step::Step;
use crate::validate::{Surroundings, validate};

mod predicate;
pub(crate) mod step;
#[cfg(test)]
mod tests;
mod value;

const MAX_GOAL: usize = 2000;
const WALL: Duration = Duration::from_secs(3600);
const WALLS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);

impl Plan {
    /// Reads and validates a plan; `file` is its name in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(file: &str, bytes: &[u8], surroundings: &Surroundings<'_>) -> Result<Self, SpecErrors> {
        let mut report = Report::new(file);
        let node = yaml::text(bytes, &mut report).and_then(|text| yaml::parse(text, &mut report));
        let plan =
            node.and_then(|node| read(&mut report, &Spot { node: &node, path: String::new() }, surroundings));
        match plan {
            Some(plan) if report.is_empty() => {
                add(&mut report, validate(&plan, surroundings));
                report.finish(plan)
            }
            Some(_) | None => Err(report.finish(()).expect_err("what cannot be read was reported")),
        }
    }
}

fn add(report: &mut Report, checked: Result<(), Faults>) {
    for fault in checked.err().unwrap_or_default().faults {
        report.at(&fault.field, fault.found, fault.expected, fault.hint);
    }
}

fn read(report: &mut Report, spot: &Spot<'_>, surroundings: &Surroundings<'_>) -> Option<Plan> {
    let mut fields = report.fields(spot, "a plan: goal, nodes and steps")?;
    let goal = fields.required(report, "goal").and_then(|spot| report.short_text(&spot, MAX_GOAL));
    let nodes = fields.required(report, "nodes").and_then(|spot| read_nodes(report, &spot));
    let rollout = fields.get(report, "rollout").map(|spot| read_rollout(report, &spot));
    let steps = fields
        .required(report, "steps")
        .and_then(|spot| report.list(&spot, |report, spot| step::read(report, spot, surroundings)));
    let budget = fields.get(report, "budget");
    let steps = steps.unwrap_or_default();
    let budget = match budget {
        Some(spot) => read_budget(report, &spot, &steps),
        None => Some(default_budget(&steps)),
    };
    fields.finish(report);
    Some(Plan {
        goal: goal?,
        nodes: nodes?,
        rollout: rollout.unwrap_or(Some(Rollout::default()))?,
        budget: budget?,
        steps,
    })
}

fn read_nodes(report: &mut Report, spot: &Spot<'_>) -> Option<Nodes> {
    let mut fields =
        report.fields(spot, "nodes, such as {every: true}, {names: [pi-1]} or {on: [arch=aarch64]}")?;
    let every = fields.get(report, "every").and_then(|spot| report.flag(&spot));
    let names = fields.get(report, "names");
    let names = names.and_then(|spot| {
        report.list(&spot, |report, spot| report.parsed(spot, "the name of a node", NodeName::parse))
    });
    let on = fields.get(report, "on").and_then(|spot| {
        report.list(&spot, |report, spot| report.parsed(spot, "a capability or label", Capability::parse))
    });
    fields.finish(report);
    Some(Nodes { every: every.unwrap_or_default(), names: set(names), on: set(on) })
}

fn set<T: Ord>(list: Option<Vec<T>>) -> BTreeSet<T> {
    list.unwrap_or_default().into_iter().collect()
}

fn read_rollout(report: &mut Report, spot: &Spot<'_>) -> Option<Rollout> {
    let standard = Rollout::default();
    let mut fields =
        report.fields(spot, "a rollout, such as {canary: 1, batch: 5, max_failures: 0, offline: wait}")?;
    let canary = number(report, &mut fields, "canary", 0..=1000);
    let batch = number(report, &mut fields, "batch", 0..=100_000);
    let max_failures = number(report, &mut fields, "max_failures", 0..=100_000);
    let choices = [("wait", Offline::Wait), ("skip", Offline::Skip)];
    let offline = fields.get(report, "offline").and_then(|spot| report.choice(&spot, &choices));
    fields.finish(report);
    Some(Rollout {
        canary: canary.unwrap_or(standard.canary),
        batch: batch.unwrap_or(standard.batch),
        max_failures: max_failures.unwrap_or(standard.max_failures),
        offline: offline.unwrap_or_default(),
    })
}

fn number(
    report: &mut Report,
    fields: &mut Fields<'_>,
    name: &'static str,
    range: RangeInclusive<u32>,
) -> Option<u32> {
    fields.get(report, name).and_then(|spot| report.number(&spot, range))
}

fn read_budget(report: &mut Report, spot: &Spot<'_>, steps: &[Step]) -> Option<Budget> {
    let standard = default_budget(steps);
    let mut fields =
        report.fields(spot, "a budget, such as {money: 0.50, tokens: 20000, time: 30m, steps: 50}")?;
    let money = fields.get(report, "money");
    let money = money.and_then(|spot| report.parsed(&spot, "an amount in USD", Money::parse));
    let tokens = number(report, &mut fields, "tokens", 0..=u32::MAX);
    let wall = fields.get(report, "time").and_then(|spot| report.duration(&spot, WALLS));
    let begun = number(report, &mut fields, "steps", 1..=100_000);
    fields.finish(report);
    Some(Budget {
        money: money.unwrap_or(standard.money),
        tokens: tokens.map_or(standard.tokens, u64::from),
        wall_ms: wall.map_or(standard.wall_ms, millis),
        steps: begun.unwrap_or(standard.steps),
    })
}

/// No money and no tokens: what thinks needs a budget that somebody wrote.
fn default_budget(steps: &[Step]) -> Budget {
    let attempts = steps.iter().map(|step| step.on_failure.attempts(step.tier));
    let steps = attempts.fold(0, u32::saturating_add).max(1);
    Budget { money: Money::ZERO, tokens: 0, wall_ms: millis(WALL), steps }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
