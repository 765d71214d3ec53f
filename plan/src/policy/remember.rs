//! Approvals that are remembered: a rule over the words of a command that a person can read, not a hash.
//!
//! A remembered rule turns an ask into an allow, never a forbid. It is proposed as narrow as it makes sense and never for
//! what could run anything.

use modules::effect::Effect;
use serde::{Deserialize, Serialize};

use super::rule::{Rule, Token};
use super::verdict::Decision;
use super::{Policy, hazard};

/// What a person agreed to for later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    pub rule: Rule,
    /// Only on this node; on all of them otherwise.
    pub node: Option<String>,
    pub by: String,
    pub until_ms: u64,
}

/// Why a command cannot be remembered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRemembered {
    #[error("{program} is not an absolute path")]
    NotBound { program: String },
    #[error("{program} can run other programs; approve it each time")]
    RunsOthers { program: String },
}

impl Remembered {
    /// As a person reads it: `/usr/bin/apt-get install -y <word>, on pi-1, until …`.
    pub fn pattern(&self) -> String {
        let token = |token: &Token| match token {
            Token::Words(words) if words.len() == 1 => words[0].clone(),
            Token::Words(words) => format!("[{}]", words.join(" ")),
            Token::Word => "<word>".to_owned(),
            Token::Number => "<number>".to_owned(),
            Token::Rest => "<words>".to_owned(),
            Token::Any => "<any>".to_owned(),
        };
        self.rule.argv.iter().map(token).collect::<Vec<_>>().join(" ")
    }

    /// Whether it still counts, and here.
    pub fn counts(&self, node: &str, now_ms: u64) -> bool {
        now_ms < self.until_ms && self.node.as_deref().is_none_or(|own| own == node)
    }
}

/// A rule for exactly this command; `open` words at its end may be others the next time.
///
/// # Errors
/// When the command could run anything, or its program is not bound to a path.
pub fn propose(argv: &[String], open: usize, effect: Effect) -> Result<Rule, NotRemembered> {
    let program = argv.first().cloned().unwrap_or_default();
    if !program.starts_with('/') {
        return Err(NotRemembered::NotBound { program });
    }
    if !hazard::find(&program, &argv[1..]).is_empty() {
        return Err(NotRemembered::RunsOthers { program });
    }
    let fixed = argv.len().saturating_sub(open).max(1);
    let token = |(index, word): (usize, &String)| match index < fixed || word.starts_with('-') {
        true => Token::Words(vec![word.clone()]),
        false => Token::Word,
    };
    Ok(Rule {
        argv: argv.iter().enumerate().map(token).collect(),
        decision: Decision::Allow,
        effect,
        options: Vec::new(),
        why: "approved before".to_owned(),
        matches: vec![argv.to_vec()],
        not: Vec::new(),
    })
}

impl Policy {
    /// The policy with what was agreed to: asks that a remembered rule speaks of are allowed, forbids stay.
    pub fn with(&self, remembered: &[Remembered], node: &str, now_ms: u64) -> Policy {
        let mut policy = self.clone();
        let counting = remembered.iter().filter(|remembered| remembered.counts(node, now_ms));
        policy.remembered.extend(counting.map(|remembered| remembered.rule.clone()));
        policy
    }
}
