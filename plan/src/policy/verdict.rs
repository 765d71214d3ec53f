//! What a policy says of a call.

use std::fmt;

use modules::effect::Effect;
use serde::{Deserialize, Serialize};

/// From the mildest to the strictest; where several apply, the strictest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Allow,
    /// A person is asked.
    Ask,
    Forbid,
}

impl Decision {
    pub const NAMED: [(&'static str, Decision); 3] =
        [("allow", Decision::Allow), ("ask", Decision::Ask), ("forbid", Decision::Forbid)];
}

/// A decision, with all its reasons, and what the call may change at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub decision: Decision,
    pub effect: Effect,
    pub reasons: Vec<Reason>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub decision: Decision,
    pub text: String,
}

impl Verdict {
    /// Nothing is against it, and it changes nothing.
    pub fn allow() -> Self {
        Self { decision: Decision::Allow, effect: Effect::Read, reasons: Vec::new() }
    }

    pub fn add(&mut self, decision: Decision, text: impl Into<String>) {
        self.decision = self.decision.max(decision);
        self.reasons.push(Reason { decision, text: text.into() });
    }

    /// The stricter of both, with the reasons of both.
    pub fn join(&mut self, other: Verdict) {
        self.decision = self.decision.max(other.decision);
        self.effect = self.effect.max(other.effect);
        self.reasons.extend(other.reasons);
    }

    /// The first reason for the decision.
    pub fn reason(&self) -> String {
        let found = self.reasons.iter().find(|reason| reason.decision == self.decision);
        found.map_or_else(|| "no reason".to_owned(), |reason| reason.text.clone())
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::NAMED.iter().find(|(_, named)| named == self).map_or("", |(name, _)| name))
    }
}
