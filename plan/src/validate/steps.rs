//! One step by itself: arguments, who thinks, what follows a failure, limits.

use modules::effect::Effect;
use serde_json::Value;

use crate::fault::Faults;
use crate::plan::Plan;
use crate::step::{Args, Call, OnFailure, Step, Tier};
use crate::tool::{Kind, Tool};

const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1_000..=24 * 3_600_000;
const OUTPUT_CAP: std::ops::RangeInclusive<u32> = 1 << 10..=1 << 20;
const MAX_RETRIES: u32 = 10;
const MAX_PREDICATES: usize = 20;
const MAX_KEY: usize = 200;

pub(super) fn check(plan: &Plan, step: &Step, field: &str, faults: &mut Faults) {
    step.call.tool.signature().check(&format!("{field}.args"), &step.call.args, faults);
    check_numbers(&step.call.args, &format!("{field}.args"), faults);
    if let Some(undo) = &step.undo {
        check_undo(step, undo, field, faults);
    }
    check_tier(step, field, faults);
    check_failure(plan, step, field, faults);
    check_limits(step, field, faults);
    if step.call.tool == Tool::VerifyOutput && step.success.is_empty() {
        faults.add(&format!("{field}.success"), "nothing", "what is to be verified", None);
    }
    if step.call.tool.kind() == Kind::Http {
        check_host(&step.call.args, field, faults);
    }
    check_model_tools(step, field, faults);
}

fn check_undo(step: &Step, undo: &Call, field: &str, faults: &mut Faults) {
    undo.tool.signature().check(&format!("{field}.undo.args"), &undo.args, faults);
    check_numbers(&undo.args, &format!("{field}.undo.args"), faults);
    if matches!(undo.tool.kind(), Kind::Llm | Kind::Human) {
        let expected = "a tool that needs nobody to think";
        faults.add(&format!("{field}.undo.tool"), undo.tool.name(), expected, None);
    }
    let place = format!("{field}.undo");
    if step.effect == Effect::Read {
        let hint = Some("say what the step changes in its effect, or leave the undo out".to_owned());
        faults.add(&place, "an undo of a step whose effect is read", "nothing to take back", hint);
    } else if undo.tool.effect() > step.undo_effect() {
        let expected = format!("at least {}, the effect of {} in its undo", undo.tool.effect(), undo.tool);
        faults.add(&format!("{field}.effect"), step.effect.to_string(), expected, None);
    }
}

/// Numbers with decimals have no canonical form; none of the tools takes one.
fn check_numbers(args: &Args, field: &str, faults: &mut Faults) {
    fn has_decimals(value: &Value) -> bool {
        match value {
            Value::Number(number) => !number.is_i64(),
            Value::Array(items) => items.iter().any(has_decimals),
            Value::Object(fields) => fields.values().any(has_decimals),
            Value::Null | Value::Bool(_) | Value::String(_) => false,
        }
    }
    for (name, value) in args.iter().filter(|(_, value)| has_decimals(value)) {
        let found = crate::tool::signature::describe(value);
        faults.add(&format!("{field}.{name}"), found, "whole numbers", None);
    }
}

fn check_tier(step: &Step, field: &str, faults: &mut Faults) {
    let kind = step.call.tool.kind();
    let fits = match kind {
        Kind::Llm => step.tier != Tier::None,
        _ => step.tier == Tier::None,
    };
    if !fits {
        let expected =
            if kind == Kind::Llm { "low or high" } else { "none: nobody thinks in this kind of step" };
        faults.add(&format!("{field}.tier"), step.tier.as_str(), expected, None);
    }
}

fn check_failure(plan: &Plan, step: &Step, field: &str, faults: &mut Faults) {
    let place = format!("{field}.on_failure");
    match step.on_failure {
        OnFailure::Retry(times) => {
            if times == 0 || times > MAX_RETRIES {
                faults.add(&place, format!("{times} retries"), format!("1 to {MAX_RETRIES}"), None);
            }
            if !step.effect.is_repeatable() {
                let found = format!("retry of a step whose effect is {}", step.effect);
                let hint =
                    Some("use stop, escalate or rollback: what cannot be repeated is done once".to_owned());
                faults.add(&place, found, "retry only where the effect is read or idempotent", hint);
            }
        }
        OnFailure::Rollback => {
            let over = plan.ancestors(&step.id);
            let mut undone =
                plan.steps.iter().filter(|other| over.contains(&other.id) || other.id == step.id);
            if !undone.any(|other| other.undo.is_some()) {
                faults.add(&place, "rollback", "an undo on this step or one before it", None);
            }
        }
        OnFailure::Stop | OnFailure::Continue | OnFailure::Escalate => {}
    }
}

fn check_limits(step: &Step, field: &str, faults: &mut Faults) {
    if !TIMEOUT_MS.contains(&step.timeout_ms) {
        faults.add(&format!("{field}.timeout"), format!("{}ms", step.timeout_ms), "1s to 24h", None);
    }
    if !OUTPUT_CAP.contains(&step.output_cap) {
        faults.add(&format!("{field}.output_cap"), format!("{}B", step.output_cap), "1KiB to 1MiB", None);
    }
    for (name, predicates) in [("when", &step.when), ("success", &step.success)] {
        if predicates.len() > MAX_PREDICATES {
            let found = format!("{} predicates", predicates.len());
            faults.add(&format!("{field}.{name}"), found, format!("at most {MAX_PREDICATES}"), None);
        }
    }
    if step.key.as_ref().is_some_and(|key| key.is_empty() || key.len() > MAX_KEY || !key.is_ascii()) {
        faults.add(&format!("{field}.key"), "another text", format!("1 to {MAX_KEY} ASCII characters"), None);
    }
}

/// The host of a URL is written out: what a node said must not decide whom it speaks to.
fn check_host(args: &Args, field: &str, faults: &mut Faults) {
    let Some(url) = args.get("url").and_then(Value::as_str) else { return };
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains("${") || url.starts_with("${") {
        faults.add(
            &format!("{field}.args.url"),
            format!("{host:?} as the host"),
            "a host that is written out",
            None,
        );
    }
}

/// A model uses tools within the effect that was approved for its step, and none that has a story of its own.
fn check_model_tools(step: &Step, field: &str, faults: &mut Faults) {
    if step.call.tool != Tool::LlmAsk {
        return;
    }
    let tools = step.call.args.get("tools").and_then(Value::as_array);
    for (index, name) in tools.into_iter().flatten().enumerate() {
        let Some(tool) = name.as_str().and_then(|name| Tool::parse(name).ok()) else { continue };
        let place = format!("{field}.args.tools[{index}]");
        if matches!(tool.kind(), Kind::Llm | Kind::Human | Kind::Module) || tool == Tool::ExecShell {
            faults.add(&place, tool.name(), "a tool that a model may use by itself", None);
        } else if tool.effect() > step.effect {
            let expected = format!("tools that change no more than the step, which says {}", step.effect);
            faults.add(&place, format!("{tool}, which is {}", tool.effect()), expected, None);
        }
    }
    let writes = step.effect > Effect::Idempotent;
    if writes && matches!(step.on_failure, OnFailure::Escalate) && step.success.is_empty() {
        let found = "a model that changes something, unchecked";
        faults.add(&format!("{field}.success"), found, "how to tell that it worked", None);
    }
}
