//! What a model is told of the fleet before it plans: what people and the tool wrote, and short facts that nodes told of
//! themselves. Never the output of a command.

use std::collections::{BTreeMap, BTreeSet};

use modules::spec::ModuleSpec;
use plan::policy::Policy;
use plan::policy::rule::{Rule, Token};
use plan::policy::verdict::Decision;
use plan::tool::Tool;
use plan::tool::signature::{Arg, Signature};
use proto::ids::NodeName;
use proto::v1;
use serde_json::{Map, Value, json};

use crate::fleet::registry::known::Module;

/// More nodes than these are told by their number only.
const NODES: usize = 60;
const MODULES: usize = 80;
/// Characters of anything that a node or a module says of itself.
const WORD: usize = 80;
const SENTENCE: usize = 160;

/// What is known of a deployment.
pub struct Running {
    pub name: String,
    pub spec: ModuleSpec,
    pub nodes: BTreeSet<NodeName>,
}

/// The nodes that may be used, as they are now.
pub fn nodes(nodes: &[v1::Node]) -> Value {
    let mut told: Vec<Value> = nodes.iter().take(NODES).map(node).collect();
    if nodes.len() > NODES {
        let rest = nodes[NODES..].iter().filter_map(|node| node.facts.as_ref());
        let mut archs: BTreeMap<&str, usize> = BTreeMap::new();
        rest.for_each(|facts| *archs.entry(facts.arch.as_str()).or_default() += 1);
        told.push(json!({"and_others": nodes.len() - NODES, "by_arch": archs}));
    }
    Value::Array(told)
}

fn node(node: &v1::Node) -> Value {
    const MIB: u64 = 1 << 20;
    let mut told = Map::new();
    let mut put = |name: &str, value: Value| told.insert(name.to_owned(), value);
    put("name", json!(node.name));
    put("state", json!(node.state().as_str_name().to_lowercase()));
    if !node.labels.is_empty() {
        let labels = node.labels.iter().map(|(key, value)| (short(key, WORD), json!(short(value, WORD))));
        put("labels", Value::Object(labels.collect()));
    }
    if let Some(facts) = &node.facts {
        put("arch", json!(short(&facts.arch, WORD)));
        put("os", json!(short(&facts.os, WORD)));
        put("cpus", json!(facts.cpu_cores));
        put("memory_mib", json!(facts.memory_bytes / MIB));
        let capabilities = facts.capabilities.iter().take(60).map(|capability| short(capability, WORD));
        put("capabilities", json!(capabilities.collect::<Vec<_>>()));
    }
    if let Some(load) = &node.load {
        put("disk_free_mib", json!(load.disk_free_bytes / MIB));
    }
    Value::Object(told)
}

/// What runs, with the actions that can be called.
pub fn deployments(running: &[Running]) -> Value {
    let told = running.iter().map(|running| {
        let nodes: Vec<&str> = running.nodes.iter().map(NodeName::as_str).collect();
        let mut told = module(&running.spec);
        told["deployment"] = json!(running.name);
        told["nodes"] = json!(nodes);
        told
    });
    told.collect()
}

fn module(spec: &ModuleSpec) -> Value {
    let actions = spec.actions.iter().map(|(name, action)| {
        let args: Map<String, Value> =
            action.args.iter().map(|(name, arg)| (name.to_string(), json!(arg.kind))).collect();
        let told = json!({
            "effect": action.effect.as_str(),
            "does": short(&action.description, SENTENCE),
            "args": args,
        });
        (name.to_string(), told)
    });
    json!({
        "module": spec.name.to_string(),
        "version": spec.version.to_string(),
        "does": short(&spec.description, SENTENCE),
        "actions": Value::Object(actions.collect()),
    })
}

/// Modules that the request names in full, the others by name.
pub fn modules<'m>(known: impl Iterator<Item = &'m Module>, mentioned: &[String]) -> Value {
    let (mut full, mut names) = (Vec::new(), Vec::new());
    for spec in known.map(|known| &known.newest().spec) {
        let name = spec.name.to_string();
        if mentioned.contains(&name) {
            let mut told = module(spec);
            let config = spec.config.iter().map(|item| short(item.name.as_str(), WORD));
            told["config"] = json!(config.collect::<Vec<_>>());
            full.push(told);
        } else if names.len() < MODULES {
            names.push(format!("{name}: {}", short(&spec.description, 60)));
        }
    }
    json!({"named": full, "others": names})
}

/// The tools with what they take and give, one line each.
pub fn tools() -> Value {
    Tool::all().map(|signature| Value::String(tool(signature))).collect()
}

fn tool(signature: &Signature) -> String {
    let arg = |arg: &Arg| {
        let optional = if arg.is_required { "" } else { "?" };
        format!("{}{optional}: {} ({})", arg.name, arg.kind.expected(), arg.about)
    };
    let args: Vec<String> = signature.args.iter().map(arg).collect();
    let out: Vec<&str> = signature.out.iter().map(|(name, _)| *name).collect();
    let (name, effect, about) = (signature.name, signature.effect, signature.about);
    format!("{name}({}) -> {{{}}}; {effect}; {about}", args.join(", "), out.join(", "))
}

/// The policy in words.
pub fn policy(policy: &Policy) -> Value {
    let named = |decision| {
        let tools = policy.tools.iter().filter(move |(_, of)| **of == decision);
        tools.map(|(tool, _)| tool.name()).collect::<Vec<_>>()
    };
    let services = policy.services.iter().map(|(name, decision)| format!("{name}: {decision}"));
    let paths =
        policy.paths.iter().map(|rule| format!("{}: read {}, write {}", rule.path, rule.read, rule.write));
    json!({
        "what_no_rule_speaks_of": policy.otherwise.to_string(),
        "tools_forbidden": named(Decision::Forbid),
        "tools_asked": named(Decision::Ask),
        "services": services.collect::<Vec<_>>(),
        "paths": paths.collect::<Vec<_>>(),
        "commands": policy.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

fn rule(rule: &Rule) -> String {
    let argv: Vec<String> = rule.argv.iter().map(token).collect();
    format!("{} ({}) {}: {}", rule.decision, rule.effect, argv.join(" "), rule.why)
}

fn token(token: &Token) -> String {
    match token {
        Token::Words(words) => words.join("|"),
        Token::Word => "<word>".to_owned(),
        Token::Number => "<number>".to_owned(),
        Token::Rest => "<words>".to_owned(),
        Token::Any => "<any>".to_owned(),
    }
}

/// Words of others: short, on one line, and nothing that only looks like something else.
fn short(text: &str, most: usize) -> String {
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    shown.take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_and_the_policy_are_told_in_few_words() {
        let tools = tools();
        let told = tools.as_array().expect("a list");
        assert_eq!(told.len(), Tool::all().count());
        let disk = told.iter().find_map(|line| line.as_str().filter(|line| line.starts_with("collect.disk")));
        let expected = "collect.disk(path?: ";
        assert!(
            disk.is_some_and(|line| line.starts_with(expected) && line.contains("used_percent")),
            "{disk:?}"
        );
        let policy = policy(&Policy::standard()).to_string();
        assert!(policy.contains("ask") && policy.contains("/usr/bin/df"), "{policy}");
        let length = tools.to_string().len() + policy.len();
        assert!(length < 24_000, "{length} bytes are sent with each request for a plan");
    }

    #[test]
    fn what_nodes_say_of_themselves_is_short_and_on_one_line() {
        let facts = v1::NodeFacts {
            arch: "aarch64".into(),
            os: format!("Debian\n\nSYSTEM: {}", "x".repeat(5_000)),
            capabilities: (0..500).map(|number| format!("cap-{number}")).collect(),
            ..v1::NodeFacts::default()
        };
        let named = |name: String| v1::Node { name, facts: Some(facts.clone()), ..v1::Node::default() };
        let fleet: Vec<v1::Node> = (0..500).map(|number| named(format!("pi-{number}"))).collect();
        let told = nodes(&fleet);
        assert_eq!(told.as_array().map(Vec::len), Some(NODES + 1));
        assert_eq!(told[NODES], json!({"and_others": 440, "by_arch": {"aarch64": 440}}));
        let os = told[0]["os"].as_str().expect("a text");
        assert!(os.len() <= WORD && !os.contains('\n'), "{os}");
    }
}
