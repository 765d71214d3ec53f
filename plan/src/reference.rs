//! The `${step.out.path}` references in arguments: where they are, and what takes their place in a run.
//!
//! A text that is one reference and nothing else takes the value with its type. Inside a text only texts, numbers and
//! truth values can stand. What is put in is never looked into again, and never becomes more than one word of a command.

use std::collections::BTreeMap;

use modules::template::{self, TemplateError};
use serde_json::Value;

use crate::predicate::{Subject, walk};
use crate::step::{Args, StepId};

/// Known in every step besides the outputs.
pub const NODE: &str = "node";
pub const RUN: &str = "run";

/// A reference and the argument it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Such as `argv[2]`.
    pub place: String,
    pub name: String,
    /// The text is this reference and nothing else.
    pub is_whole: bool,
}

/// Why arguments cannot be made up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("{place}: {cause}")]
    Malformed { place: String, cause: TemplateError },
    #[error("{place}: ${{{name}}} has no value")]
    NoValue { place: String, name: String },
    #[error("{place}: ${{{name}}} is a list or a map and cannot stand inside a text")]
    NotText { place: String, name: String },
    #[error("{place}: ${{{name}}} would become an option: {text:?}")]
    Option { place: String, name: String, text: String },
}

/// What references are replaced by.
#[derive(Debug, Clone, Default)]
pub struct Scope<'s> {
    pub node: &'s str,
    pub run: &'s str,
    pub outputs: BTreeMap<&'s StepId, &'s Value>,
}

/// The name in a text that is one reference and nothing else.
pub fn whole_reference(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains(['{', '}', '$'])).then_some(name)
}

/// The text with `stand_in` for each reference; as it is when it is malformed, which is reported elsewhere.
pub fn without(text: &str, stand_in: &str) -> String {
    template::render(text, &|_| Some(stand_in.to_owned())).unwrap_or_else(|_| text.to_owned())
}

/// All references of the arguments.
///
/// # Errors
/// The first that is malformed.
pub fn references(args: &Args) -> Result<Vec<Found>, ReferenceError> {
    let mut found = Vec::new();
    for (name, value) in args {
        collect(name, value, &mut found)?;
    }
    Ok(found)
}

fn collect(place: &str, value: &Value, found: &mut Vec<Found>) -> Result<(), ReferenceError> {
    match value {
        Value::String(text) => {
            let names = template::references(text)
                .map_err(|cause| ReferenceError::Malformed { place: place.to_owned(), cause })?;
            let is_whole = whole_reference(text).is_some();
            found.extend(names.into_iter().map(|(_, name)| Found {
                place: place.to_owned(),
                name: name.to_owned(),
                is_whole,
            }));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(&format!("{place}[{index}]"), item, found)?;
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                collect(&format!("{place}.{key}"), value, found)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// The arguments with every reference replaced.
///
/// # Errors
/// When a reference has no value, does not fit a text, or would smuggle an option into a command.
pub fn render(args: &Args, scope: &Scope<'_>) -> Result<Args, ReferenceError> {
    args.iter().map(|(name, value)| Ok((name.clone(), render_value(name, value, scope)?))).collect()
}

fn render_value(place: &str, value: &Value, scope: &Scope<'_>) -> Result<Value, ReferenceError> {
    Ok(match value {
        Value::String(text) => render_text(place, text, scope)?,
        Value::Array(items) => {
            let mut rendered = Vec::with_capacity(items.len());
            let mut is_after_dashes = false;
            for (index, item) in items.iter().enumerate() {
                let place = format!("{place}[{index}]");
                let value = render_value(&place, item, scope)?;
                if !is_after_dashes {
                    refuse_smuggled_option(&place, item, &value)?;
                }
                is_after_dashes |= item.as_str() == Some("--");
                rendered.push(value);
            }
            Value::Array(rendered)
        }
        Value::Object(fields) => {
            let mut rendered = serde_json::Map::new();
            for (key, value) in fields {
                rendered.insert(key.clone(), render_value(&format!("{place}.{key}"), value, scope)?);
            }
            Value::Object(rendered)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// A word that begins with a reference must not turn into an option: `rm ${x}` with `-rf` as x.
fn refuse_smuggled_option(place: &str, written: &Value, rendered: &Value) -> Result<(), ReferenceError> {
    let (Some(written), Some(rendered)) = (written.as_str(), rendered.as_str()) else { return Ok(()) };
    if written.starts_with("${") && rendered.starts_with(['-', '@', '+']) {
        let name = written[2..].split('}').next().unwrap_or_default().to_owned();
        let text = rendered.chars().take(60).collect();
        return Err(ReferenceError::Option { place: place.to_owned(), name, text });
    }
    Ok(())
}

fn render_text(place: &str, text: &str, scope: &Scope<'_>) -> Result<Value, ReferenceError> {
    if let Some(name) = whole_reference(text) {
        return scope.value(name).ok_or_else(|| no_value(place, name));
    }
    let not_text = std::cell::RefCell::new(None);
    let lookup = |name: &str| match scope.value(name)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            not_text.replace(Some(name.to_owned()));
            None
        }
    };
    match template::render(text, &lookup) {
        Ok(text) => Ok(Value::String(text)),
        Err(TemplateError::Unknown { name, .. }) => Err(match not_text.take() {
            Some(name) => ReferenceError::NotText { place: place.to_owned(), name },
            None => no_value(place, &name),
        }),
        Err(cause) => Err(ReferenceError::Malformed { place: place.to_owned(), cause }),
    }
}

fn no_value(place: &str, name: &str) -> ReferenceError {
    ReferenceError::NoValue { place: place.to_owned(), name: name.to_owned() }
}

impl Scope<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        match name {
            NODE => Some(Value::String(self.node.to_owned())),
            RUN => Some(Value::String(self.run.to_owned())),
            _ => {
                let subject = Subject::parse(name).ok()?;
                walk(self.outputs.get(&subject.step?)?, &subject.path).cloned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_take_the_value_and_never_more() {
        let out =
            json!({"n": 5, "text": "a b; rm -rf /", "files": ["/a", "/b"], "opt": "-rf", "again": "${node}"});
        let step = StepId::parse("s").expect("a name");
        let scope = Scope { node: "pi", run: "r1", outputs: BTreeMap::from([(&step, &out)]) };
        let cases = [
            (json!("${s.out.n}"), Ok(json!(5))),
            (json!("n=${s.out.n}"), Ok(json!("n=5"))),
            (json!("${s.out.files}"), Ok(json!(["/a", "/b"]))),
            (json!("${s.out.files.1}"), Ok(json!("/b"))),
            (json!(["echo", "${s.out.text}"]), Ok(json!(["echo", "a b; rm -rf /"]))),
            (json!("${s.out.again} on ${node}"), Ok(json!("${node} on pi"))),
            (json!("$${s.out.n}"), Ok(json!("${s.out.n}"))),
            (json!(["rm", "--", "${s.out.opt}"]), Ok(json!(["rm", "--", "-rf"]))),
            (json!(["rm", "${s.out.opt}"]), Err("would become an option: \"-rf\"")),
            (json!(["rm", "${s.out.opt}x"]), Err("would become an option")),
            (json!("x ${s.out.files}"), Err("cannot stand inside a text")),
            (json!("${s.out.nothing}"), Err("has no value")),
            (json!("x${other.out.n}"), Err("a: ${other.out.n} has no value")),
            (json!("${HOME:-x} y"), Err("is not a reference")),
        ];
        for (value, expected) in cases {
            let args = Args::from([("a".to_owned(), value.clone())]);
            match (render(&args, &scope), expected) {
                (Ok(rendered), Ok(expected)) => assert_eq!(rendered["a"], expected, "{value}"),
                (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{value}: {error}"),
                (got, expected) => panic!("{value}: {got:?}, expected {expected:?}"),
            }
        }
    }
}
