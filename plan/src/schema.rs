//! The JSON Schema of a plan, made from the table of tools: for editors, and for models that draft plans.

use serde_json::{Map, Value, json};

use crate::predicate::Comparison;
use crate::step::Tier;
use crate::tool::signature::{Signature, Type};
use crate::tool::{Kind, Tool};
use crate::validate::MAX_STEPS;

const ID: &str = "^[a-z][a-z0-9_-]{0,62}$";
const DURATION: &str = r"^([0-9]+(\.[0-9]+)? *(ms|s|m|h|d))+$";
const SUBJECT: &str = r"^([a-z][a-z0-9_-]{0,62}\.)?out(\.[A-Za-z0-9_-]+)*$";

/// The JSON Schema of a plan file.
pub fn json_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plan",
        "type": "object",
        "additionalProperties": false,
        "required": ["goal", "nodes", "steps"],
        "properties": {
            "goal": { "type": "string", "minLength": 1, "maxLength": 2000 },
            "nodes": nodes(),
            "rollout": object(&json!({
                "canary": { "type": "integer", "minimum": 0, "maximum": 1000 },
                "batch": { "type": "integer", "minimum": 0, "maximum": 100_000, "description": "0 is all at once" },
                "max_failures": { "type": "integer", "minimum": 0, "maximum": 100_000 },
                "offline": { "enum": ["wait", "skip"] },
            }), &[]),
            "budget": object(&json!({
                "money": { "type": ["string", "number"], "description": "USD, such as 0.50" },
                "tokens": { "type": "integer", "minimum": 0 },
                "time": { "type": "string", "pattern": DURATION },
                "steps": { "type": "integer", "minimum": 1, "maximum": 100_000 },
            }), &[]),
            "steps": { "type": "array", "minItems": 1, "maxItems": MAX_STEPS, "items": { "oneOf": steps() } },
        },
    })
}

/// The schema for a model that drafts a plan: one form of a step for all tools, for what each of them takes is told in
/// words, and code checks it anyway. The whole schema is too long to be sent each time. Goal and budget are not the
/// model's to say.
pub fn draft_schema() -> Value {
    let mut schema = json_schema();
    let names: Vec<&str> = Tool::all().map(|signature| signature.name).collect();
    let mut any = step(Tool::CollectFacts.signature());
    let fields = &mut any["properties"];
    fields["tool"] = json!({ "enum": names });
    fields["args"] = json!({ "type": "object" });
    fields["tier"] = json!({ "enum": Tier::NAMED.map(|(name, _)| name) });
    fields["effect"] = json!({ "enum": modules::effect::Effect::ALL.map(|effect| effect.as_str()) });
    for name in ["when", "success"] {
        fields[name] = json!({ "type": "array", "maxItems": 20, "items": { "type": "object" } });
    }
    for name in ["kind", "key"] {
        fields.as_object_mut().map(|fields| fields.remove(name));
    }
    any["description"] = "one call of a tool".into();
    schema["properties"]["steps"]["items"] = any;
    for name in ["goal", "budget"] {
        schema["properties"].as_object_mut().map(|fields| fields.remove(name));
    }
    schema["required"] = json!(["nodes", "steps"]);
    for name in ["$schema", "title"] {
        schema.as_object_mut().map(|fields| fields.remove(name));
    }
    schema
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn nodes() -> Value {
    let texts = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    object(&json!({ "every": { "const": true }, "names": texts, "on": texts }), &[])
}

/// One form of a step for each tool.
fn steps() -> Vec<Value> {
    Tool::all().map(step).collect()
}

fn step(signature: &Signature) -> Value {
    let is_model = signature.tool.kind() == Kind::Llm;
    let tiers: Vec<&str> = Tier::NAMED
        .iter()
        .filter(|(_, tier)| (*tier == Tier::None) != is_model)
        .map(|(name, _)| *name)
        .collect();
    let effects: Vec<&str> = modules::effect::Effect::ALL
        .into_iter()
        .filter(|effect| *effect >= signature.effect)
        .map(|effect| effect.as_str())
        .collect();
    let mut required = vec!["id", "tool"];
    if signature.args.iter().any(|arg| arg.is_required) {
        required.push("args");
    }
    let mut schema = object(
        &json!({
            "id": { "type": "string", "pattern": ID },
            "tool": { "const": signature.name },
            "kind": { "const": signature.tool.kind().as_str() },
            "args": args(signature),
            "needs": { "type": "array", "items": { "type": "string", "pattern": ID } },
            "tier": { "enum": tiers },
            "effect": { "enum": effects },
            "when": predicates(),
            "success": predicates(),
            "on_failure": { "oneOf": [
                { "enum": ["stop", "continue", "escalate", "rollback"] },
                object(&json!({ "retry": { "type": "integer", "minimum": 1, "maximum": 10 } }), &["retry"]),
            ] },
            "undo": object(&json!({ "tool": { "type": "string" }, "args": { "type": "object" } }), &["tool"]),
            "timeout": { "type": "string", "pattern": DURATION },
            "output_cap": { "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)? *([KMkm][Ii]?)?[Bb]$" },
            "key": { "type": "string", "minLength": 1, "maxLength": 200 },
            "sandbox": { "enum": ["t1", "t2", "t3"] },
        }),
        &required,
    );
    schema["description"] = signature.about.into();
    schema
}

fn args(signature: &Signature) -> Value {
    let mut properties = Map::new();
    for arg in signature.args {
        let mut schema = of_type(arg.kind);
        schema["description"] = arg.about.into();
        properties.insert(arg.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        signature.args.iter().filter(|arg| arg.is_required).map(|arg| arg.name).collect();
    object(&Value::Object(properties), &required)
}

fn of_type(kind: Type) -> Value {
    let reference = json!({ "type": "string", "pattern": r"^\$\{[A-Za-z0-9._-]+\}$" });
    let texts = |least: u32| json!({ "type": "array", "items": { "type": "string" }, "minItems": least, "maxItems": 256 });
    match kind {
        Type::Text | Type::Name => json!({ "type": "string" }),
        Type::Path => json!({ "type": "string", "pattern": r"^(/|\$\{)" }),
        Type::Url => json!({ "type": "string", "pattern": "^https?://" }),
        Type::Integer { least, most } => {
            json!({ "anyOf": [{ "type": "integer", "minimum": least, "maximum": most }, reference] })
        }
        Type::Number => json!({ "type": "number" }),
        Type::Flag => json!({ "anyOf": [{ "type": "boolean" }, reference] }),
        Type::Argv => texts(1),
        Type::Texts | Type::Paths | Type::Domains => json!({ "anyOf": [texts(0), reference] }),
        Type::Map => json!({ "anyOf": [{ "type": "object" }, reference] }),
        Type::Tools => {
            json!({ "type": "array", "items": { "enum": Tool::all().map(|tool| tool.name).collect::<Vec<_>>() } })
        }
        Type::Any => json!({}),
    }
}

fn predicates() -> Value {
    let subject = json!({ "type": "string", "pattern": SUBJECT });
    let words = |name: &str| {
        let properties = json!({ "of": subject, name: { "type": "string", "minLength": 1 } });
        json!({ "anyOf": [{ "type": "string", "minLength": 1 }, object(&properties, &["of", name])] })
    };
    let mut compared = Map::from_iter([("of".to_owned(), subject.clone())]);
    for (name, _) in Comparison::NAMED {
        compared.insert(name.to_owned(), json!({ "type": ["number", "string"] }));
    }
    let mut compared = object(&Value::Object(compared), &["of"]);
    compared["minProperties"] = 2.into();
    compared["maxProperties"] = 2.into();
    let probe = |name: &str, flag: &str| {
        object(&json!({ name: { "type": "string", "minLength": 1 }, flag: { "type": "boolean" } }), &[name])
    };
    let forms = [
        ("exit", json!({ "type": "integer", "minimum": 0, "maximum": 255 })),
        ("contains", words("text")),
        ("lacks", words("text")),
        ("matches", words("pattern")),
        ("number", compared.clone()),
        ("count", compared),
        ("equals", object(&json!({ "of": subject, "value": {} }), &["of", "value"])),
        ("present", subject.clone()),
        ("file", probe("path", "exists")),
        ("service", probe("name", "active")),
    ];
    let forms: Vec<Value> =
        forms.iter().map(|(name, form)| object(&json!({ *name: form }), &[name])).collect();
    json!({ "type": "array", "maxItems": 20, "items": { "oneOf": forms } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::Plan;
    use crate::validate::Surroundings;

    #[test]
    fn the_schema_names_exactly_the_fields_that_are_read() {
        let schema = json_schema();
        let names = |schema: &Value| -> BTreeSet<String> {
            schema["properties"].as_object().expect("fields").keys().cloned().collect()
        };
        let steps = &schema["properties"]["steps"]["items"]["oneOf"];
        assert_eq!(steps.as_array().expect("forms").len(), Tool::all().count());
        let places = [
            ("", names(&schema)),
            ("nodes", names(&schema["properties"]["nodes"])),
            ("rollout", names(&schema["properties"]["rollout"])),
            ("budget", names(&schema["properties"]["budget"])),
            ("steps[0]", names(&steps[0])),
        ];
        // The reader says in an error which fields it asks for.
        let text = "nowhere: 1\nnodes: {nowhere: 1}\nrollout: {nowhere: 1}\nbudget: {nowhere: 1}\ngoal: g\nsteps: [{nowhere: 1}]\n";
        let errors =
            Plan::parse("p", text.as_bytes(), &Surroundings::default()).expect_err("is refused").errors;
        for (place, names) in places {
            let field = if place.is_empty() { "nowhere".to_owned() } else { format!("{place}.nowhere") };
            let error = errors.iter().find(|error| error.field == field).expect("is reported");
            let asked: BTreeSet<String> =
                error.expected.trim_start_matches("one of ").split(", ").map(str::to_owned).collect();
            assert_eq!(names, asked, "{place}");
        }
    }

    #[test]
    fn the_schema_for_a_model_is_short_and_has_no_goal_and_no_budget() {
        let schema = draft_schema();
        assert!(schema.to_string().len() < 6_000, "{}", schema.to_string().len());
        assert_eq!(schema["required"], json!(["nodes", "steps"]));
        let names: Vec<&String> = schema["properties"].as_object().expect("fields").keys().collect();
        assert_eq!(names, ["nodes", "rollout", "steps"]);
        let step = &schema["properties"]["steps"]["items"];
        assert_eq!(step["required"], json!(["id", "tool"]));
        assert_eq!(step["properties"]["tool"]["enum"].as_array().map(Vec::len), Some(Tool::all().count()));
    }

    #[test]
    fn the_schema_file_is_in_step_with_the_tools() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/plan.schema.json");
        let schema = serde_json::to_string_pretty(&json_schema()).expect("JSON") + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(file, &schema).expect("writes");
        }
        let kept = std::fs::read_to_string(file).unwrap_or_default();
        assert!(kept == schema, "plan.schema.json is out of step; run the tests with UPDATE_SCHEMA=1");
    }
}
