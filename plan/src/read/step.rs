//! Reads a step.

use std::ops::RangeInclusive;
use std::time::Duration;

use modules::effect::Effect;
use modules::spec::error::Report;
use modules::spec::read::Spot;
use modules::spec::yaml::Value as Yaml;
use modules::units::ByteSize;

use super::{millis, predicate, set, value};
use crate::fault::did_you_mean;
use crate::predicate::Predicate;
use crate::sandbox::Tier as SandboxTier;
use crate::step::{Call, OnFailure, Step, StepId, Tier};
use crate::tool::{Kind, Tool};
use crate::validate::Surroundings;

const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
const MAX_KEY: usize = 200;

pub(super) fn read(report: &mut Report, spot: &Spot<'_>, surroundings: &Surroundings<'_>) -> Option<Step> {
    let mut fields = report.fields(spot, "a step, such as {id: disk, tool: collect.disk}")?;
    let id = fields.required(report, "id").and_then(|spot| step_id(report, &spot));
    let tool = fields.required(report, "tool").and_then(|spot| read_tool(report, &spot));
    let kind = fields.get(report, "kind").and_then(|spot| Some((report.choice(&spot, &Kind::NAMED)?, spot)));
    let args = fields.get(report, "args");
    let args = args.map(|spot| value::args(report, &spot, tool)).unwrap_or_else(|| Some(Default::default()));
    let needs = fields.get(report, "needs").and_then(|spot| report.list(&spot, step_id));
    let tier = fields.get(report, "tier").and_then(|spot| report.choice(&spot, &Tier::NAMED));
    let effect = fields.get(report, "effect").and_then(|spot| report.choice(&spot, &Effect::NAMED));
    let when = fields.get(report, "when").and_then(|spot| report.list(&spot, predicate::read));
    let success = fields.get(report, "success").and_then(|spot| report.list(&spot, predicate::read));
    let on_failure = fields.get(report, "on_failure").and_then(|spot| read_on_failure(report, &spot));
    let undo = fields.get(report, "undo").map(|spot| read_call(report, &spot));
    let timeout = fields.get(report, "timeout").and_then(|spot| report.duration(&spot, TIMEOUTS));
    let cap = fields.get(report, "output_cap").and_then(|spot| read_cap(report, &spot));
    let key = fields.get(report, "key").and_then(|spot| report.short_text(&spot, MAX_KEY));
    let sandbox = fields.get(report, "sandbox").and_then(|spot| report.choice(&spot, &SandboxTier::NAMED));
    fields.finish(report);
    let tool = tool?;
    if let Some((kind, spot)) = kind.filter(|(kind, _)| *kind != tool.kind()) {
        let expected = format!("{}, the kind of {tool}", tool.kind().as_str());
        report.wrong(spot.node.place, &spot.path, kind.as_str(), expected, None);
    }
    let signature = tool.signature();
    let call = Call { tool, args: args? };
    Some(Step {
        id: id?,
        needs: set(needs),
        tier: tier.unwrap_or(if tool.kind() == Kind::Llm { Tier::Low } else { Tier::None }),
        effect: effect.unwrap_or_else(|| surroundings.floor(&call).0),
        call,
        when: when.unwrap_or_default(),
        success: success.unwrap_or_else(|| default_success(tool)),
        on_failure: on_failure.unwrap_or_default(),
        undo: undo.unwrap_or(Some(None))?,
        timeout_ms: timeout.map_or(u64::from(signature.timeout_s) * 1000, millis),
        output_cap: cap.unwrap_or(signature.output_cap),
        key,
        sandbox,
    })
}

/// A program has worked when it says so; other tools report a failure themselves.
pub fn default_success(tool: Tool) -> Vec<Predicate> {
    match tool {
        Tool::ExecArgv | Tool::ExecShell | Tool::ModuleAction => vec![Predicate::Exit(0)],
        _ => Vec::new(),
    }
}

fn step_id(report: &mut Report, spot: &Spot<'_>) -> Option<StepId> {
    report.parsed(spot, "the id of a step", StepId::parse)
}

fn read_tool(report: &mut Report, spot: &Spot<'_>) -> Option<Tool> {
    let text = report.short_text(spot, 100)?;
    let tool = Tool::parse(&text).ok();
    if tool.is_none() {
        let names = || Tool::all().map(|signature| signature.name);
        let expected = format!("one of {}", names().collect::<Vec<_>>().join(", "));
        report.not(spot, expected, did_you_mean(&text, names()));
    }
    tool
}

/// `Some(None)` is no call; nothing is one that could not be read.
fn read_call(report: &mut Report, spot: &Spot<'_>) -> Option<Option<Call>> {
    let mut fields = report.fields(spot, "a call, such as {tool: service.start, args: {name: web}}")?;
    let tool = fields.required(report, "tool").and_then(|spot| read_tool(report, &spot));
    let args = fields.get(report, "args");
    let args = args.map(|spot| value::args(report, &spot, tool)).unwrap_or_else(|| Some(Default::default()));
    fields.finish(report);
    Some(Some(Call { tool: tool?, args: args? }))
}

fn read_on_failure(report: &mut Report, spot: &Spot<'_>) -> Option<OnFailure> {
    if matches!(spot.node.value, Yaml::Map(_)) {
        let mut fields = report.fields(spot, "what follows a failure")?;
        let times = fields.required(report, "retry").and_then(|spot| report.number(&spot, 1..=10));
        fields.finish(report);
        return times.map(OnFailure::Retry);
    }
    let choices = [
        ("stop", OnFailure::Stop),
        ("continue", OnFailure::Continue),
        ("escalate", OnFailure::Escalate),
        ("rollback", OnFailure::Rollback),
        ("{retry: 2}", OnFailure::Retry(2)),
    ];
    report.choice(spot, &choices)
}

fn read_cap(report: &mut Report, spot: &Spot<'_>) -> Option<u32> {
    let bytes = report.parsed(spot, "a size such as 64KiB", ByteSize::parse)?;
    let cap = u32::try_from(bytes.0).ok().filter(|cap| (1 << 10..=1 << 20).contains(cap));
    if cap.is_none() {
        report.not(spot, "a size from 1KiB to 1MiB", None);
    }
    cap
}
