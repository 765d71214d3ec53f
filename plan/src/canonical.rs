//! The canonical bytes of a plan and their hash, to which approvals bind.
//!
//! Canonical bytes are JSON without white space: keys of maps sorted by their bytes, every field written out (also
//! those a file left to their default), steps sorted by id, `needs` sorted; integers in decimal, no other numbers; in
//! texts only `"`, `\` and control characters below U+0020 are escaped, the latter as `\u00xx`. The hash is the sha256 of
//! `orchestrator plan v1`, a newline, and these bytes.

use std::fmt::Write as _;

use modules::digest::Digest;
use serde_json::Value;

use crate::plan::Plan;

const DOMAIN: &str = "orchestrator plan v1\n";
/// Bytes of a whole plan.
pub const MAX_PLAN: usize = 256 << 10;

/// Why bytes are not a plan.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    #[error("a plan of {length} bytes; at most {MAX_PLAN} are taken")]
    TooLong { length: usize },
    #[error("the bytes are not a plan")]
    NotAPlan(#[source] serde_json::Error),
    #[error("the plan is not in its canonical form")]
    NotCanonical,
    #[error("the plan has the hash {found}, not the approved {expected}")]
    OtherHash { found: Digest, expected: Digest },
}

impl Plan {
    /// The bytes that are hashed and sent to nodes.
    pub fn canonical(&self) -> String {
        let mut plan = self.clone();
        plan.steps.sort_by(|a, b| a.id.cmp(&b.id));
        let value = serde_json::to_value(&plan).expect("a plan has only what JSON can hold");
        canonical_json(&value)
    }

    /// What approvals bind to.
    pub fn hash(&self) -> Digest {
        hash_of(&self.canonical())
    }

    /// Reads canonical bytes, and nothing else.
    ///
    /// # Errors
    /// When they are too long, not a plan, not canonical, or have another hash than the expected one.
    pub fn from_canonical(bytes: &[u8], expected: &Digest) -> Result<Self, CanonicalError> {
        if bytes.len() > MAX_PLAN {
            return Err(CanonicalError::TooLong { length: bytes.len() });
        }
        let plan: Plan = serde_json::from_slice(bytes).map_err(CanonicalError::NotAPlan)?;
        let canonical = plan.canonical();
        if canonical.as_bytes() != bytes {
            return Err(CanonicalError::NotCanonical);
        }
        let found = hash_of(&canonical);
        if found != *expected {
            return Err(CanonicalError::OtherHash { found, expected: *expected });
        }
        Ok(plan)
    }
}

fn hash_of(canonical: &str) -> Digest {
    Digest::of(format!("{DOMAIN}{canonical}").as_bytes())
}

/// A value in the form described above; whatever order its maps have.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(string) => write_text(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_bytes());
            text.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_text(key, text);
                text.push(':');
                write_value(value, text);
            }
            text.push('}');
        }
    }
}

fn write_text(string: &str, text: &mut String) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c < ' ' => write!(text, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail"),
            c => text.push(c),
        }
    }
    text.push('"');
}
