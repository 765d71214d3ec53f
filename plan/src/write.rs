//! Plans as files: what `read` takes, written out so that reading it again gives the same plan.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::plan::{Nodes, Offline, Plan};
use crate::predicate::{Comparison, Predicate, Subject};
use crate::read::step::default_success;
use crate::step::{Call, OnFailure, Step, Tier};
use crate::tool::Kind;

impl Plan {
    /// The plan as a file has it, as JSON; what is as usual is left out of its steps.
    pub fn to_file(&self) -> Value {
        let offline = match self.rollout.offline {
            Offline::Wait => "wait",
            Offline::Skip => "skip",
        };
        json!({
            "goal": self.goal,
            "nodes": nodes(&self.nodes),
            "rollout": {
                "canary": self.rollout.canary,
                "batch": self.rollout.batch,
                "max_failures": self.rollout.max_failures,
                "offline": offline,
            },
            "budget": {
                "money": self.budget.money.to_string(),
                "tokens": self.budget.tokens,
                "time": duration(self.budget.wall_ms),
                "steps": self.budget.steps,
            },
            "steps": self.steps.iter().map(step).collect::<Vec<_>>(),
        })
    }

    /// The same as YAML, in the order a person reads it.
    pub fn to_yaml(&self) -> String {
        serde_yaml::to_string(&self.to_file()).expect("a plan has only what YAML can hold")
    }
}

fn nodes(nodes: &Nodes) -> Value {
    if nodes.every {
        return json!({"every": true});
    }
    let mut map = Map::new();
    if !nodes.names.is_empty() {
        map.insert("names".to_owned(), nodes.names.iter().map(ToString::to_string).collect());
    }
    if !nodes.on.is_empty() {
        map.insert("on".to_owned(), nodes.on.iter().map(|wanted| wanted.as_str().to_owned()).collect());
    }
    Value::Object(map)
}

fn step(step: &Step) -> Value {
    let mut map = call(&step.call);
    map.insert("id".to_owned(), step.id.as_str().into());
    map.insert("effect".to_owned(), step.effect.as_str().into());
    let signature = step.call.tool.signature();
    let usual_tier = if step.call.tool.kind() == Kind::Llm { Tier::Low } else { Tier::None };
    let mut put = |name: &str, is_usual: bool, value: Value| {
        if !is_usual {
            map.insert(name.to_owned(), value);
        }
    };
    let needs: BTreeSet<&str> = step.needs.iter().map(|need| need.as_str()).collect();
    put("needs", needs.is_empty(), json!(needs));
    put("tier", step.tier == usual_tier, json!(step.tier.as_str()));
    put("when", step.when.is_empty(), step.when.iter().map(predicate).collect());
    let is_usual = step.success == default_success(step.call.tool);
    put("success", is_usual, step.success.iter().map(predicate).collect());
    put("on_failure", step.on_failure == OnFailure::Stop, on_failure(step.on_failure));
    put(
        "undo",
        step.undo.is_none(),
        step.undo.as_ref().map_or(Value::Null, |undo| Value::Object(call(undo))),
    );
    let is_usual = step.timeout_ms == u64::from(signature.timeout_s) * 1000;
    put("timeout", is_usual, json!(duration(step.timeout_ms)));
    put("output_cap", step.output_cap == signature.output_cap, json!(format!("{}B", step.output_cap)));
    put("key", step.key.is_none(), json!(step.key));
    put("sandbox", step.sandbox.is_none(), json!(step.sandbox.map(|tier| tier.to_string().to_lowercase())));
    Value::Object(map)
}

fn call(call: &Call) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("tool".to_owned(), call.tool.name().into());
    if !call.args.is_empty() {
        map.insert("args".to_owned(), Value::Object(call.args.clone().into_iter().collect()));
    }
    map
}

fn on_failure(on_failure: OnFailure) -> Value {
    match on_failure {
        OnFailure::Stop => json!("stop"),
        OnFailure::Continue => json!("continue"),
        OnFailure::Retry(times) => json!({"retry": times}),
        OnFailure::Escalate => json!("escalate"),
        OnFailure::Rollback => json!("rollback"),
    }
}

fn predicate(predicate: &Predicate) -> Value {
    let text = |of: &Subject, name: &str, text: &str| json!({"of": of.to_string(), name: text});
    let compared = |of: &Subject, is: &Comparison, to: &dyn ToString| {
        let name = Comparison::NAMED.iter().find(|(_, named)| named == is).map_or("", |(name, _)| *name);
        json!({"of": of.to_string(), name: to.to_string()})
    };
    match predicate {
        Predicate::Exit(status) => json!({"exit": status}),
        Predicate::Contains { of, text: words } => json!({"contains": text(of, "text", words)}),
        Predicate::Lacks { of, text: words } => json!({"lacks": text(of, "text", words)}),
        Predicate::Matches { of, pattern } => json!({"matches": text(of, "pattern", pattern)}),
        Predicate::Number { of, is, to } => json!({"number": compared(of, is, to)}),
        Predicate::Count { of, is, to } => json!({"count": compared(of, is, to)}),
        Predicate::Equals { of, value } => json!({"equals": {"of": of.to_string(), "value": value}}),
        Predicate::Present { of } => json!({"present": of.to_string()}),
        Predicate::File { path, exists } => json!({"file": {"path": path, "exists": exists}}),
        Predicate::Service { name, active } => json!({"service": {"name": name, "active": active}}),
    }
}

/// Whole seconds where it is, else milliseconds.
fn duration(millis: u64) -> String {
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::Surroundings;

    #[test]
    fn what_is_written_reads_as_the_same_plan() {
        let text = "
goal: 'free \"space\": 85 % ünd ${x}'
nodes: {names: [pi-1, pi-2], on: [arch=aarch64, 'label:room=attic']}
rollout: {canary: 2, batch: 0, max_failures: 3, offline: skip}
budget: {money: 0.25, tokens: 90000, time: 90s, steps: 44}
steps:
  - {id: disk, tool: collect.disk, args: {path: /var}}
  - {id: list, tool: file.list, args: {path: /var/log, pattern: '*.gz', most: 5}, needs: [disk], when: [{number: {of: disk.out.used_percent, above: 85.5}}], timeout: 1500ms, output_cap: 2KiB}
  - {id: delete, tool: file.delete, args: {paths: '${list.out.files}'}, needs: [list], effect: destructive, success: [{number: {of: out.deleted, at_least: 1}}], on_failure: continue, key: once, sandbox: t2}
  - {id: run, tool: exec.argv, args: {argv: [df, -h, /], env: {LANG: C}}, needs: [delete], success: [{exit: 1}, {contains: x}, {lacks: {of: out.stderr, text: '5'}}, {matches: {of: out.stdout, pattern: '*'}}, {count: {of: out.stdout, below: 9}}], on_failure: {retry: 2}}
  - {id: web, tool: service.stop, args: {name: nginx}, undo: {tool: service.start, args: {name: nginx}}, success: [{service: {name: nginx, active: false}}, {file: {path: /a, exists: false}}]}
  - {id: think, tool: llm.decide, tier: high, args: {prompt: 'true', options: ['1', 'no']}, needs: [web], success: [{equals: {of: out.choice, value: '1'}}, {present: out.why}]}
";
        let plan = parse(text);
        assert_eq!(parse(&plan.to_file().to_string()), plan);
        assert_eq!(parse(&plan.to_yaml()), plan, "{}", plan.to_yaml());
        let every = parse("goal: g\nnodes: {every: true}\nsteps: [{id: a, tool: collect.facts}]\n");
        assert_eq!(parse(&every.to_yaml()), every);
        assert!(!every.to_yaml().contains("timeout"), "{}", every.to_yaml());
    }

    fn parse(text: &str) -> Plan {
        Plan::parse("plan.yaml", text.as_bytes(), &Surroundings::default())
            .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
    }
}
