//! Approvals: a person says yes to exactly this call, on this node, of this plan, until then.

use modules::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::canonical::canonical_json;
use crate::step::{Call, StepId};

/// What a person is asked to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub plan: Digest,
    pub step: StepId,
    pub node: String,
    /// The call with all its values, as a person reads it: nothing is left out.
    pub shown: String,
    /// Of the call with all its values.
    pub call: Digest,
    pub expires_ms: u64,
}

impl Request {
    pub fn new(plan: Digest, step: StepId, node: &str, call: &Call, expires_ms: u64) -> Self {
        Self { plan, step, node: node.to_owned(), shown: shown(call), call: digest_of(call), expires_ms }
    }

    /// What the answer binds to: all of it, the expiry too.
    pub fn digest(&self) -> Digest {
        let value = serde_json::to_value(self).expect("a request has only what JSON can hold");
        Digest::of(format!("orchestrator approval v1\n{}", canonical_json(&value)).as_bytes())
    }

    /// The same thing is asked, whenever it expires.
    pub fn is_same(&self, other: &Request) -> bool {
        let bound =
            |request: &Request| (request.plan, request.call, request.step.clone(), request.node.clone());
        bound(self) == bound(other)
    }
}

/// What stands for a call with all its values in requests and receipts.
pub fn digest_of(call: &Call) -> Digest {
    let value = serde_json::to_value(call).expect("a call has only what JSON can hold");
    Digest::of(canonical_json(&value).as_bytes())
}

/// A call as a person reads it. Control characters and what looks like nothing are written out.
pub fn shown(call: &Call) -> String {
    let mut text = call.tool.name().to_owned();
    let words = call.args.get("argv").and_then(|argv| argv.as_array());
    for word in words.into_iter().flatten().filter_map(|word| word.as_str()) {
        text.push(' ');
        text.push_str(&quoted(word));
    }
    for (name, value) in call.args.iter().filter(|(name, _)| name.as_str() != "argv") {
        let value = value.as_str().map_or_else(|| visible(&canonical_json(value)), quoted);
        text.push_str(&format!(" {name}={value}"));
    }
    text
}

/// JSON in which nothing is hidden: beyond what JSON escapes, characters that turn or clear a line, or show as nothing.
fn visible(json: &str) -> String {
    let seen = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    json.chars().map(seen).collect()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("\"{}\"", word.escape_debug())
    }
}
