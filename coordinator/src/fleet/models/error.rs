//! Why no model answered, and what to do about it. No text of it has a key in it.

use llm::error::{Kind, ProviderError};
use llm::tier::{Failure, Tier};
use proto::code::Code;

use crate::config::llm::EXAMPLE;
use crate::fleet::FleetError;
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    #[error("no language model is configured{}", for_tier(*tier))]
    NotConfigured { tier: Tier },
    #[error("a step that thinks names no tier")]
    NoTier,
    #[error("{model} needs a key, and there is no secret {secret}")]
    NoSecret { model: String, secret: String },
    #[error("{model} needs a key, and the variable {variable} is not set")]
    NoVariable { model: String, variable: String },
    #[error("could not open the key of {model}")]
    Key {
        model: String,
        #[source]
        cause: Box<FleetError>,
    },
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("no model of tier {} answered:\n{}", tier_name(*tier), told(failures))]
    Unanswered { tier: Tier, failures: Vec<Failure> },
    #[error("the budget could not be read: {reason}")]
    State { reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model answered, and what it said cannot be used.
    #[error("{what}:\n{}", problems.join("\n"))]
    Unusable { what: &'static str, problems: Vec<String> },
    /// A model was asked what a README says, and its answer has not the form for it.
    #[error("{model} gave no answer that can be used: {why}")]
    NoFills { model: String, why: String },
}

impl ModelsError {
    pub fn code(&self) -> Code {
        match self {
            ModelsError::NotConfigured { .. }
            | ModelsError::NoTier
            | ModelsError::NoSecret { .. }
            | ModelsError::NoVariable { .. } => Code::InvalidInput,
            ModelsError::Key { cause, .. } => cause.code(),
            ModelsError::Provider(error) => error.code(),
            ModelsError::Unanswered { failures, .. } => match failures.last() {
                Some(Failure::Refused { .. }) => Code::Denied,
                // A request that a provider finds wrong is ours, not that of the person.
                Some(Failure::Provider { cause, .. }) if cause.kind() == Kind::Invalid => Code::Failed,
                Some(Failure::Provider { cause, .. }) => cause.code(),
                None => Code::Failed,
            },
            ModelsError::State { .. } | ModelsError::Unusable { .. } | ModelsError::NoFills { .. } => {
                Code::Failed
            }
            ModelsError::Store(error) => error.code(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            ModelsError::NotConfigured { .. } => Some(EXAMPLE.to_owned()),
            ModelsError::NoSecret { secret, .. } => {
                Some(format!("`orchestrator secret set {secret}` asks for it, or reads it from stdin"))
            }
            ModelsError::NoVariable { variable, .. } => {
                Some(format!("set {variable} where the coordinator runs, or keep the key as a secret"))
            }
            ModelsError::Key { cause, .. } => cause.hint(),
            ModelsError::Provider(error) => error.hint(),
            ModelsError::Unanswered { failures, .. } => failures.last().and_then(hint),
            ModelsError::Store(error) => error.hint(),
            ModelsError::NoTier | ModelsError::State { .. } => None,
            ModelsError::NoFills { .. } => Some("try again, or import without --fill".to_owned()),
            ModelsError::Unusable { .. } => Some(
                "say it in other words, or write the plan by hand (`orchestrator plan check FILE`)".into(),
            ),
        }
    }

    /// Whether the budget stopped it.
    pub fn is_over_budget(&self) -> bool {
        let ModelsError::Unanswered { failures, .. } = self else { return false };
        matches!(failures.last(), Some(Failure::Refused { cause, .. }) if !cause.only_here)
    }
}

fn hint(failure: &Failure) -> Option<String> {
    match failure {
        Failure::Refused { cause, .. } if cause.only_here => {
            Some("`orchestrator budget` shows which provider is left alone, and for how long".to_owned())
        }
        Failure::Refused { .. } => Some(
            "`orchestrator budget` shows what is spent; caps are in [llm.caps] of config.toml, a plan's own is --budget"
                .to_owned(),
        ),
        Failure::Provider { cause, .. } => cause.hint(),
    }
}

/// Each failure with its cause; the same one in a row is told once, with how often it came.
fn told(failures: &[Failure]) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for failure in failures {
        let line = match failure {
            Failure::Refused { model, cause } => format!("{model}: {cause}"),
            Failure::Provider { model, cause } => {
                let reason = std::error::Error::source(&cause.fault).map(ToString::to_string);
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("{model} at {}: {}{reason}", cause.provider, cause.fault)
            }
        };
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => lines.push((line, 1)),
        }
    }
    let lines = lines.into_iter().map(|(line, count)| match count {
        1 => line,
        _ => format!("{line} ({count} times)"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn for_tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Low => "",
        Tier::High => " that may plan (tier high)",
    }
}

pub(super) fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Low => "low",
        Tier::High => "high",
    }
}
