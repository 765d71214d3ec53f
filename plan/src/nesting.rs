//! How deep a value is nested. Readers of JSON give up somewhere: what is kept must be read again, also within others.

use serde_json::Value;

/// Lists and maps within each other that are kept.
pub const DEEPEST: usize = 64;
/// Stands for what was nested deeper.
const CUT: &str = "(nested too deep)";

/// Whether a value is nested no deeper than what is kept.
pub fn is_kept(value: &Value) -> bool {
    fits(value, DEEPEST)
}

/// A value in which what is nested deeper than what is kept is left out.
pub fn cut(value: Value) -> Value {
    if is_kept(&value) { value } else { cut_at(value, DEEPEST) }
}

fn fits(value: &Value, most: usize) -> bool {
    let within = |value: &Value| most > 0 && fits(value, most - 1);
    match value {
        Value::Array(items) => most > 0 && items.iter().all(within),
        Value::Object(fields) => most > 0 && fields.values().all(within),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn cut_at(value: Value, most: usize) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) if most == 0 => Value::String(CUT.to_owned()),
        Value::Array(items) => items.into_iter().map(|item| cut_at(item, most - 1)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, cut_at(value, most - 1))).collect()
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_nested_deeper_is_left_out_and_nothing_else() {
        let nested = |depth: usize| {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            serde_json::from_str::<Value>(&text).expect("JSON")
        };
        assert!(is_kept(&nested(DEEPEST)) && !is_kept(&nested(DEEPEST + 1)));
        assert_eq!(cut(nested(DEEPEST)), nested(DEEPEST));
        let cut = cut(json!({"a": 1, "deep": nested(120)}));
        assert!(is_kept(&cut) && cut["a"] == 1 && cut.to_string().contains(CUT), "{cut}");
    }
}
