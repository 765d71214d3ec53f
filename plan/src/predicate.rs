//! What must hold, decided by code from evidence: before a step (`when`) and after it (`success`).
//!
//! What cannot be decided does not hold.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decimal::Decimal;
use crate::glob;
use crate::step::StepId;

mod subject;
#[cfg(test)]
mod tests;

pub use subject::{Subject, SubjectError, walk};

/// One claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Predicate {
    /// The program ended with this status.
    Exit(i32),
    /// The text has these words in it.
    Contains {
        of: Subject,
        text: String,
    },
    /// The text does not have these words in it.
    Lacks {
        of: Subject,
        text: String,
    },
    /// The whole text fits a pattern of `*` and `?`.
    Matches {
        of: Subject,
        pattern: String,
    },
    Number {
        of: Subject,
        is: Comparison,
        to: Decimal,
    },
    /// How many items of a list, or characters of a text.
    Count {
        of: Subject,
        is: Comparison,
        to: Decimal,
    },
    Equals {
        of: Subject,
        value: Value,
    },
    /// There is something at this path of the output.
    Present {
        of: Subject,
    },
    /// A file is there, or not; looked at anew.
    File {
        path: String,
        exists: bool,
    },
    /// A systemd unit is active, or not; asked anew.
    Service {
        name: String,
        active: bool,
    },
}

/// How two numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    Below,
    Above,
    AtMost,
    AtLeast,
    Equal,
}

impl Comparison {
    pub const NAMED: [(&'static str, Comparison); 5] = [
        ("below", Comparison::Below),
        ("above", Comparison::Above),
        ("at_most", Comparison::AtMost),
        ("at_least", Comparison::AtLeast),
        ("equal", Comparison::Equal),
    ];

    fn holds(self, left: Decimal, right: Decimal) -> bool {
        match self {
            Comparison::Below => left < right,
            Comparison::Above => left > right,
            Comparison::AtMost => left <= right,
            Comparison::AtLeast => left >= right,
            Comparison::Equal => left == right,
        }
    }

    pub fn as_str(self) -> &'static str {
        Self::NAMED.iter().find(|(_, named)| *named == self).map_or("", |(name, _)| name)
    }
}

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence<'e> {
    /// Of this step; nothing before it has run.
    pub out: Option<&'e Value>,
    pub others: BTreeMap<&'e StepId, &'e Value>,
    /// Of the files and units that [`Predicate::probe`] names: whether it is there, whether it is active.
    pub seen: BTreeMap<Probe, bool>,
}

/// What the node must look at for a claim.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    File(String),
    Service(String),
}

impl Predicate {
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Predicate::Contains { of, .. }
            | Predicate::Lacks { of, .. }
            | Predicate::Matches { of, .. }
            | Predicate::Number { of, .. }
            | Predicate::Count { of, .. }
            | Predicate::Equals { of, .. }
            | Predicate::Present { of } => Some(of),
            Predicate::Exit(_) | Predicate::File { .. } | Predicate::Service { .. } => None,
        }
    }

    pub fn probe(&self) -> Option<Probe> {
        match self {
            Predicate::File { path, .. } => Some(Probe::File(path.clone())),
            Predicate::Service { name, .. } => Some(Probe::Service(name.clone())),
            Predicate::Exit(_)
            | Predicate::Contains { .. }
            | Predicate::Lacks { .. }
            | Predicate::Matches { .. }
            | Predicate::Number { .. }
            | Predicate::Count { .. }
            | Predicate::Equals { .. }
            | Predicate::Present { .. } => None,
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// Why it does not, for a person: what was found.
    pub fn check(&self, evidence: &Evidence<'_>) -> Result<(), String> {
        let (holds, found) = match self {
            Predicate::Exit(status) => {
                let found = evidence.out.and_then(|out| out.get("exit")).and_then(Value::as_i64);
                let text = found.map_or_else(|| "no exit status".to_owned(), |found| format!("exit {found}"));
                (found == Some(i64::from(*status)), text)
            }
            Predicate::Contains { of, text } => of.text(evidence, |found| found.contains(text.as_str()))?,
            Predicate::Lacks { of, text } => of.text(evidence, |found| !found.contains(text.as_str()))?,
            Predicate::Matches { of, pattern } => {
                of.text(evidence, |found| glob::matches(pattern, found.trim_end_matches(['\n', '\r'])))?
            }
            Predicate::Number { of, is, to } => of.number(evidence, |found| is.holds(found, *to))?,
            Predicate::Count { of, is, to } => of.count(evidence, |found| is.holds(found, *to))?,
            Predicate::Equals { of, value } => {
                let found = of.value(evidence)?;
                (same(found, value), subject::shown(found))
            }
            Predicate::Present { of } => {
                (of.value(evidence).is_ok_and(|found| !found.is_null()), "nothing".to_owned())
            }
            Predicate::File { path, exists } => evidence.probed(&Probe::File(path.clone()), *exists)?,
            Predicate::Service { name, active } => evidence.probed(&Probe::Service(name.clone()), *active)?,
        };
        if holds { Ok(()) } else { Err(format!("{self}: found {found}")) }
    }
}

/// Equal as values, where a number and the text of it are the same.
fn same(found: &Value, value: &Value) -> bool {
    match (found, value) {
        (Value::String(found), Value::String(value)) => found.trim_end() == value.trim_end(),
        (Value::String(text), Value::Number(number)) | (Value::Number(number), Value::String(text)) => {
            text.trim() == number.to_string()
        }
        (found, value) => found == value,
    }
}

impl Evidence<'_> {
    fn probed(&self, probe: &Probe, wanted: bool) -> Result<(bool, String), String> {
        let seen = self.seen.get(probe).ok_or_else(|| format!("{probe} was not looked at"))?;
        let found = match (probe, seen) {
            (Probe::File(_), true) => "it there",
            (Probe::File(_), false) => "no such file",
            (Probe::Service(_), true) => "it active",
            (Probe::Service(_), false) => "it not active",
        };
        Ok((*seen == wanted, found.to_owned()))
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::File(path) => write!(f, "file {path}"),
            Probe::Service(name) => write!(f, "service {name}"),
        }
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::Exit(status) => write!(f, "exit {status}"),
            Predicate::Contains { of, text } => write!(f, "{of} contains {text:?}"),
            Predicate::Lacks { of, text } => write!(f, "{of} lacks {text:?}"),
            Predicate::Matches { of, pattern } => write!(f, "{of} matches {pattern:?}"),
            Predicate::Number { of, is, to } => write!(f, "{of} {} {to}", is.as_str().replace('_', " ")),
            Predicate::Count { of, is, to } => {
                write!(f, "count of {of} {} {to}", is.as_str().replace('_', " "))
            }
            Predicate::Equals { of, value } => write!(f, "{of} equals {value}"),
            Predicate::Present { of } => write!(f, "{of} is present"),
            Predicate::File { path, exists: true } => write!(f, "file {path} is there"),
            Predicate::File { path, exists: false } => write!(f, "file {path} is gone"),
            Predicate::Service { name, active: true } => write!(f, "service {name} is active"),
            Predicate::Service { name, active: false } => write!(f, "service {name} is not active"),
        }
    }
}

/// The first claim that does not hold.
///
/// # Errors
/// Why it does not.
pub fn check_all(predicates: &[Predicate], evidence: &Evidence<'_>) -> Result<(), String> {
    predicates.iter().try_for_each(|predicate| predicate.check(evidence))
}
