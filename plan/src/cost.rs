//! What a plan costs: what is to be expected, and what it can come to at worst.
//!
//! The worst is a bound: every attempt is made, every round is used, every output is as long as its cap. A token is taken
//! to be two bytes at worst and four as a rule.

use serde_json::Value;

use crate::fault::Faults;
use crate::money::Money;
use crate::plan::Plan;
use crate::reference;
use crate::run::MAX_REPLANS;
use crate::run::low::{MAX_CALLS, MAX_ROUNDS, RESULT_CAP};
use crate::step::{OnFailure, Step, StepId, Tier};
use crate::tool::Tool;

/// What a tier costs, per million tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    pub input: Money,
    pub output: Money,
}

/// What the tiers cost, and how often LOW is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    pub low: Price,
    pub high: Price,
    /// Of a hundred LOW answers, so many pass their checks.
    pub low_passes: u32,
}

/// What something costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub calls: u64,
    pub tokens: u64,
    pub money: Money,
    /// Steps begun on one node.
    pub steps: u32,
    /// Along the longest way through the plan, on one node.
    pub wall_ms: u64,
}

/// Both ends, over all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub expected: Cost,
    pub worst: Cost,
}

/// Tokens of the words around a prompt: the instruction and the tools.
const AROUND: u64 = 600;
const ANSWER: u64 = 512;
/// Tokens of a replan beside the plan itself: the prompt, the evidence, the new plan.
const REPLAN_INPUT: u64 = 16_000;
const REPLAN_OUTPUT: u64 = 8_000;

#[derive(Clone, Copy, PartialEq)]
enum End {
    Expected,
    Worst,
}

/// What a plan costs on so many nodes.
pub fn estimate(plan: &Plan, prices: &Prices, nodes: u64) -> Estimate {
    Estimate {
        expected: total(plan, prices, nodes, End::Expected),
        worst: total(plan, prices, nodes, End::Worst),
    }
}

/// The budget must hold the worst.
///
/// # Errors
/// What it does not hold, and how much it would need.
pub fn check_budget(plan: &Plan, estimate: &Estimate) -> Result<(), Faults> {
    let (budget, worst) = (&plan.budget, &estimate.worst);
    let mut faults = Faults::default();
    if worst.tokens > budget.tokens {
        let expected = format!("at least {}, which the plan can come to", worst.tokens);
        faults.add("budget.tokens", budget.tokens.to_string(), expected, None);
    }
    if worst.money > budget.money {
        let expected = format!("at least {}, which the plan can come to", worst.money);
        faults.add("budget.money", budget.money.to_string(), expected, None);
    }
    faults.finish()
}

fn total(plan: &Plan, prices: &Prices, nodes: u64, end: End) -> Cost {
    let mut cost = Cost { wall_ms: longest(plan, end), ..Cost::default() };
    for step in &plan.steps {
        let own = of_step(plan, step, prices, end);
        cost.steps = cost.steps.saturating_add(own.steps);
        add(&mut cost, own.calls, own.tokens, own.money);
    }
    let replans = plan.steps.iter().any(|step| step.on_failure == OnFailure::Escalate);
    if replans && end == End::Worst {
        let input = REPLAN_INPUT + plan.canonical().len() as u64 / 2;
        let rounds = u64::from(MAX_REPLANS);
        let money = price(&prices.high, input, REPLAN_OUTPUT).times(rounds);
        add(&mut cost, rounds, (input + REPLAN_OUTPUT) * rounds, money);
    }
    cost.calls = cost.calls.saturating_mul(nodes);
    cost.tokens = cost.tokens.saturating_mul(nodes);
    cost.money = cost.money.times(nodes);
    cost
}

fn add(cost: &mut Cost, calls: u64, tokens: u64, money: Money) {
    cost.calls = cost.calls.saturating_add(calls);
    cost.tokens = cost.tokens.saturating_add(tokens);
    cost.money = cost.money.plus(money);
}

/// One step on one node.
fn of_step(plan: &Plan, step: &Step, prices: &Prices, end: End) -> Cost {
    let attempts = match end {
        End::Expected => 1,
        End::Worst => step.on_failure.attempts(step.tier),
    };
    let mut cost = Cost { steps: attempts, ..Cost::default() };
    if step.tier == Tier::None {
        return cost;
    }
    let (calls, input, output) = attempt(plan, step, end);
    let escalates = step.tier == Tier::Low && step.on_failure == OnFailure::Escalate;
    let tier = if step.tier == Tier::Low { &prices.low } else { &prices.high };
    let own = if escalates && end == End::Worst { attempts - 1 } else { attempts };
    let own = u64::from(own);
    add(&mut cost, calls * own, (input + output) * own, price(tier, input, output).times(own));
    if escalates {
        let high = price(&prices.high, input, output);
        match end {
            End::Worst => add(&mut cost, calls, input + output, high),
            End::Expected => {
                let fails = u64::from(100 - prices.low_passes.min(100));
                let share = Money::micros(high.micros.saturating_mul(fails).div_ceil(100));
                add(&mut cost, 0, (input + output) * fails / 100, share);
            }
        }
    }
    cost
}

/// Calls, input and output tokens of one attempt. Every round sends again what came before it.
fn attempt(plan: &Plan, step: &Step, end: End) -> (u64, u64, u64) {
    let args = &step.call.args;
    let number = |name: &str| args.get(name).and_then(Value::as_u64);
    let has_tools = args.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
    let most = if has_tools { number("rounds").unwrap_or(u64::from(MAX_ROUNDS)) } else { 0 };
    let bytes_per_token = if end == End::Worst { 2 } else { 4 };
    let written: u64 = args.values().map(|value| value.to_string().len() as u64).sum();
    let prompt = AROUND + (written + referred(plan, step, end)) / bytes_per_token;
    let answer = if step.call.tool == Tool::LlmAsk { number("max_tokens").unwrap_or(ANSWER) } else { ANSWER };
    let (rounds, answer, results) = match end {
        End::Worst => (most, answer, u64::from(RESULT_CAP) / 2 * MAX_CALLS as u64),
        End::Expected => (most.div_ceil(2), answer / 2, u64::from(RESULT_CAP) / 16),
    };
    // The rounds of tools, and the answer after them.
    let calls = rounds + 1;
    let again = (answer + results) * (rounds * calls / 2);
    (calls, prompt * calls + again, answer * calls)
}

/// Bytes of the outputs that the step refers to.
fn referred(plan: &Plan, step: &Step, end: End) -> u64 {
    let found = reference::references(&step.call.args).unwrap_or_default();
    let caps = found.iter().filter_map(|found| {
        let id = StepId::parse(found.name.split('.').next()?).ok()?;
        Some(u64::from(plan.step(&id)?.output_cap))
    });
    let all: u64 = caps.sum();
    if end == End::Worst { all } else { all / 16 }
}

fn price(price: &Price, input: u64, output: u64) -> Money {
    let part = |each: Money, tokens: u64| u128::from(each.micros) * u128::from(tokens);
    let micros = (part(price.input, input) + part(price.output, output)).div_ceil(1_000_000);
    Money::micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// The time along the longest way; at worst every step takes its timeout in every attempt, as a rule a tenth of it once.
fn longest(plan: &Plan, end: End) -> u64 {
    let time = |step: &Step| match end {
        End::Expected => step.timeout_ms / 10,
        End::Worst => step.timeout_ms.saturating_mul(u64::from(step.on_failure.attempts(step.tier))),
    };
    let mut over: std::collections::BTreeMap<&StepId, u64> = std::collections::BTreeMap::new();
    // As many rounds as the graph can be deep; a plan with a cycle has no length.
    for _ in 0..=crate::validate::MAX_DEPTH {
        for step in &plan.steps {
            let before =
                step.needs.iter().map(|need| over.get(need).copied().unwrap_or(0)).max().unwrap_or(0);
            over.insert(&step.id, before.saturating_add(time(step)));
        }
    }
    over.values().copied().max().unwrap_or(0)
}

#[cfg(all(test, feature = "yaml"))]
mod tests {
    use super::*;
    use crate::validate::Surroundings;

    const PRICES: Prices = Prices {
        low: Price { input: Money::micros(100_000), output: Money::micros(400_000) },
        high: Price { input: Money::micros(3_000_000), output: Money::micros(15_000_000) },
        low_passes: 80,
    };

    #[test]
    fn plain_automation_is_free_and_thinking_is_bounded() {
        let free = cost(
            "{id: a, tool: collect.disk}, {id: b, tool: collect.disk, needs: [a], on_failure: {retry: 2}}",
            10,
        );
        assert_eq!((free.worst.money, free.worst.tokens, free.worst.steps), (Money::ZERO, 0, 4));
        assert_eq!((free.worst.wall_ms, free.expected.wall_ms), (40_000, 2_000));

        let ask = "{id: a, tool: llm.ask, args: {prompt: \"12345678\", max_tokens: 100}}";
        let once = cost(ask, 1);
        // 600 around, 13 bytes of arguments at two bytes a token, and 100 of the answer.
        assert_eq!((once.worst.calls, once.worst.tokens), (1, 600 + 6 + 100));
        assert_eq!(once.worst.money, Money::micros(101)); // .1 × 606 + .4 × 100, rounded up.
        assert_eq!(cost(ask, 50).worst.money, Money::micros(50 * 101));

        let tools = cost("{id: a, tool: llm.ask, args: {prompt: p, tools: [file.read], rounds: 5}}", 1);
        assert_eq!(tools.worst.calls, 6);
        let escalating = cost("{id: a, tool: llm.ask, args: {prompt: p}, on_failure: escalate}", 1);
        assert_eq!(escalating.worst.calls, 3 + 2);
        for estimate in [&free, &once, &tools, &escalating] {
            assert!(
                estimate.expected.money <= estimate.worst.money
                    && estimate.expected.tokens <= estimate.worst.tokens
            );
        }
    }

    #[test]
    fn a_budget_that_does_not_hold_the_worst_is_refused() {
        let plan = plan("{id: a, tool: llm.ask, args: {prompt: p}}");
        let faults =
            check_budget(&plan, &estimate(&plan, &PRICES, 3)).expect_err("has no budget").to_string();
        assert!(faults.contains("budget.tokens: found 0, expected at least"), "{faults}");
        assert!(faults.contains("budget.money: found 0.00 USD, expected at least 0.0"), "{faults}");
    }

    fn cost(steps: &str, nodes: u64) -> Estimate {
        estimate(&plan(steps), &PRICES, nodes)
    }

    fn plan(steps: &str) -> Plan {
        let text = format!("goal: g\nnodes: {{every: true}}\nsteps: [{steps}]\n");
        Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }
}
