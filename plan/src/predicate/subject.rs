//! What a claim is about: a path into the output of this step (`out.used`) or of an earlier one (`disk.out.used`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Evidence;
use crate::decimal::Decimal;
use crate::step::StepId;

/// A path into an output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject {
    /// Nothing is the step itself.
    pub step: Option<StepId>,
    pub path: Vec<String>,
}

/// Why a text is not a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a path such as out.stdout (of this step) or disk.out.used (of the step disk)")]
pub struct SubjectError {
    pub text: String,
}

const MAX_PARTS: usize = 16;

impl Subject {
    /// # Errors
    /// When the text is not `[step.]out[.part]…`.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        let wrong = || SubjectError { text: text.chars().take(80).collect() };
        let mut parts = text.split('.');
        let first = parts.next().unwrap_or_default();
        let step = match first {
            "out" => None,
            step => {
                let step = StepId::parse(step).map_err(|_| wrong())?;
                if parts.next() != Some("out") {
                    return Err(wrong());
                }
                Some(step)
            }
        };
        let path: Vec<String> = parts.map(str::to_owned).collect();
        let plain = |part: &String| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        if path.len() > MAX_PARTS || !path.iter().all(plain) {
            return Err(wrong());
        }
        Ok(Self { step, path })
    }

    /// What is there.
    pub(super) fn value<'e>(&self, evidence: &Evidence<'e>) -> Result<&'e Value, String> {
        let out = match &self.step {
            None => evidence.out,
            Some(step) => evidence.others.get(step).copied(),
        };
        let out = out.ok_or_else(|| format!("{self}: there is no output"))?;
        walk(out, &self.path).ok_or_else(|| format!("{self}: there is nothing at this path"))
    }

    pub(super) fn text(
        &self,
        evidence: &Evidence<'_>,
        holds: impl Fn(&str) -> bool,
    ) -> Result<(bool, String), String> {
        match self.value(evidence)? {
            Value::String(text) => Ok((holds(text), shown(&Value::String(text.clone())))),
            other => Err(format!("{self}: found {}, expected a text", shown(other))),
        }
    }

    pub(super) fn number(
        &self,
        evidence: &Evidence<'_>,
        holds: impl Fn(Decimal) -> bool,
    ) -> Result<(bool, String), String> {
        let value = self.value(evidence)?;
        let number = match value {
            Value::Number(number) => Decimal::parse(&number.to_string()).ok(),
            Value::String(text) => Decimal::parse(text.trim()).ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let number = number.ok_or_else(|| format!("{self}: found {}, expected a number", shown(value)))?;
        Ok((holds(number), number.to_string()))
    }

    pub(super) fn count(
        &self,
        evidence: &Evidence<'_>,
        holds: impl Fn(Decimal) -> bool,
    ) -> Result<(bool, String), String> {
        let value = self.value(evidence)?;
        let count = match value {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            Value::String(text) => text.chars().count(),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                return Err(format!("{self}: found {}, expected a list or a text", shown(value)));
            }
        };
        let count = Decimal::whole(i64::try_from(count).unwrap_or(i64::MAX));
        Ok((holds(count), count.to_string()))
    }
}

/// Follows a path of names and indices.
pub fn walk<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// A value as a person reads it in an error.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    let start: String = text.chars().take(80).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            write!(f, "{step}.")?;
        }
        f.write_str("out")?;
        self.path.iter().try_for_each(|part| write!(f, ".{part}"))
    }
}

impl FromStr for Subject {
    type Err = SubjectError;
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;
    fn try_from(text: String) -> Result<Self, SubjectError> {
        Self::parse(&text)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}
