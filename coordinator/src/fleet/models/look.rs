//! Which models answer, looked at without spending anything: their providers are asked for a list of what they offer.

use futures::future::join_all;
use llm::tier::Tier;
use proto::v1;

use super::error::tier_name;
use super::{Models, ModelsError};
use crate::config::llm::{Model, Wire};

impl Models {
    /// Every model that is configured, all looked at at once.
    pub async fn look(&self) -> Vec<v1::ModelStatus> {
        let of = |tier| self.config.of(tier).iter().map(move |model| (tier, model));
        let looks = of(Tier::Low).chain(of(Tier::High)).map(|(tier, model)| self.look_at(tier, model));
        join_all(looks).await
    }

    async fn look_at(&self, tier: Tier, model: &Model) -> v1::ModelStatus {
        let (problem, hint) = match self.offered(model).await {
            Ok(names) => lacking(model, &names),
            Err(error) => (chain(&error), error.hint().unwrap_or_default()),
        };
        v1::ModelStatus {
            tier: tier_name(tier).to_owned(),
            name: model.name(),
            provider: wire(model.provider).to_owned(),
            model: model.model.clone(),
            problem,
            hint,
        }
    }

    async fn offered(&self, model: &Model) -> Result<Vec<String>, ModelsError> {
        Ok(self.candidate(model).await?.provider.models().await?)
    }
}

/// An endpoint that has none of the names tells nothing: some list only their own.
fn lacking(model: &Model, names: &[String]) -> (String, String) {
    let is_it = |name: &String| *name == model.model || name.strip_suffix(":latest") == Some(&model.model);
    if names.is_empty() || names.iter().any(is_it) {
        return (String::new(), String::new());
    }
    let shown: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
    let more = if names.len() > shown.len() { " and others" } else { "" };
    let hint = match model.provider {
        Wire::Ollama => {
            format!("`ollama pull {}` there, or name one of: {}{more}", model.model, shown.join(", "))
        }
        Wire::OpenAi | Wire::Anthropic => format!("it has {}{more}", shown.join(", ")),
    };
    (format!("it answers, but offers no model {}", model.model), hint)
}

fn wire(wire: Wire) -> &'static str {
    match wire {
        Wire::OpenAi => "openai",
        Wire::Anthropic => "anthropic",
        Wire::Ollama => "ollama",
    }
}

/// An error with its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    let mut told: Vec<String> = Vec::new();
    for cause in causes {
        if told.last().is_none_or(|last| !last.contains(&cause)) {
            told.push(cause);
        }
    }
    told.join(": ")
}
