//! What must never show in what a run keeps or sends: the secrets of this node's instances, and those the coordinator
//! named.

use plan::redact::Redactor;
use serde_json::Value;

use crate::agent::Agent;
use crate::runs::terms::Terms;

/// Everything that is secret on this node now.
pub fn redactor(agent: &Agent, terms: &Terms) -> Redactor {
    let ledger = agent.ledger();
    let instances = ledger.spec().instances.iter();
    let known = instances.flat_map(|instance| instance.secrets.values()).map(String::as_str);
    let secrets: Vec<&str> = known.chain(terms.secrets.iter().map(String::as_str)).collect();
    Redactor::new(&secrets)
}

/// A value in which no text has a secret.
pub fn clean(redactor: &Redactor, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redactor.text(&text)),
        Value::Array(items) => items.into_iter().map(|item| clean(redactor, item)).collect(),
        Value::Object(fields) => {
            let cleaned =
                fields.into_iter().map(|(name, value)| (redactor.text(&name), clean(redactor, value)));
            Value::Object(cleaned.collect())
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_found_wherever_it_is_in_a_value() {
        let redactor = Redactor::new(&["hunter2hunter2"]);
        let value = json!({"a": ["x hunter2hunter2", {"hunter2hunter2": 5}], "b": true});
        assert_eq!(clean(&redactor, value), json!({"a": ["x ***", {"***": 5}], "b": true}));
    }
}
