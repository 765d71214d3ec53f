//! The arguments of an action: what a person or a plan gives, checked against what the module declares. Both ends decide
//! by it.

use std::collections::BTreeMap;

use crate::value::ValueType;

/// What an action takes under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub kind: ValueType,
    /// The values to choose from, for type enum.
    pub values: Vec<String>,
    pub default: Option<String>,
    pub is_required: bool,
}

/// What is wrong with one argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    #[error("argument {name:?} is required: {expected}")]
    Missing { name: String, expected: String },
    #[error("it takes no argument {name:?}; it takes {known}")]
    Unknown { name: String, known: String },
    #[error("argument {name:?}: found {found:?}, expected {expected}")]
    WrongType { name: String, found: String, expected: String },
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentErrors(pub Vec<ArgumentError>);

impl std::fmt::Display for ArgumentErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for ArgumentErrors {}

/// The longest value that is taken, in bytes: it becomes part of a command line.
const LONGEST: usize = 64 << 10;

/// Every declared argument with its value; what is optional and was not given is empty.
///
/// # Errors
/// Everything that is missing, unknown, or of the wrong type.
pub fn bind(
    declared: &BTreeMap<String, Parameter>,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ArgumentErrors> {
    let mut errors = Vec::new();
    for name in given.keys().filter(|name| !declared.contains_key(*name)) {
        errors.push(ArgumentError::Unknown { name: name.clone(), known: known(declared) });
    }
    let mut bound = BTreeMap::new();
    for (name, parameter) in declared {
        match value(name, parameter, given.get(name)) {
            Ok(value) => drop(bound.insert(name.clone(), value)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(bound) } else { Err(ArgumentErrors(errors)) }
}

fn value(name: &str, parameter: &Parameter, given: Option<&String>) -> Result<String, ArgumentError> {
    let Some(text) = given.or(parameter.default.as_ref()) else {
        return match parameter.is_required {
            true => Err(ArgumentError::Missing { name: name.to_owned(), expected: expected(parameter) }),
            false => Ok(String::new()),
        };
    };
    let wrong = |expected: String| ArgumentError::WrongType {
        name: name.to_owned(),
        found: text.chars().take(60).collect(),
        expected,
    };
    if text.len() > LONGEST || text.contains('\0') {
        return Err(wrong(format!("no more than {LONGEST} bytes, and no zero byte")));
    }
    parameter.kind.check(text, &parameter.values).map(|()| text.clone()).map_err(wrong)
}

fn expected(parameter: &Parameter) -> String {
    match parameter.kind {
        ValueType::Enum => format!("one of {}", parameter.values.join(", ")),
        other => other.as_str().to_owned(),
    }
}

fn known(declared: &BTreeMap<String, Parameter>) -> String {
    let names: Vec<&str> = declared.keys().map(String::as_str).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_bound_with_their_defaults_or_everything_wrong_is_told() {
        check(&[("topic", "a/b"), ("count", "3")], Ok("count=3 level= qos=low topic=a/b"));
        check(&[("topic", ""), ("qos", "high")], Ok("count=10 level= qos=high topic="));
        check(&[("topic", "x"), ("level", "-7")], Ok("count=10 level=-7 qos=low topic=x"));
        check(&[], Err("argument \"topic\" is required: string"));
        check(
            &[("topic", "x"), ("count", "many")],
            Err("argument \"count\": found \"many\", expected a whole number"),
        );
        check(&[("topic", "x"), ("qos", "huge")], Err("expected one of low, high"));
        check(
            &[("topic", "x"), ("tpoic", "y")],
            Err("it takes no argument \"tpoic\"; it takes count, level, qos, topic"),
        );
        check(&[("topic", "a\0b")], Err("no zero byte"));
        check(&[("topic", &"x".repeat(70_000))], Err("no more than 65536 bytes"));
    }

    fn check(given: &[(&str, &str)], expected: Result<&str, &str>) {
        let parameter = |kind, default: Option<&str>, is_required| Parameter {
            kind,
            values: vec!["low".to_owned(), "high".to_owned()],
            default: default.map(str::to_owned),
            is_required,
        };
        let declared = BTreeMap::from([
            ("topic".to_owned(), parameter(ValueType::String, None, true)),
            ("count".to_owned(), parameter(ValueType::Int, Some("10"), false)),
            ("level".to_owned(), parameter(ValueType::Int, None, false)),
            ("qos".to_owned(), parameter(ValueType::Enum, Some("low"), false)),
        ]);
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let got = bind(&declared, &given);
        let shown = got.map(|bound| {
            let words: Vec<String> = bound.iter().map(|(name, value)| format!("{name}={value}")).collect();
            words.join(" ")
        });
        match (shown, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(expected)) => assert!(got.to_string().contains(expected), "{got}"),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }
}
