//! A model on the node or beside it, asked by the node itself: Ollama, or what speaks like OpenAI. It has no key and costs
//! no money.

use llm::error::ProviderError;
use llm::message::Request;
use llm::provider::Provider;
use llm::provider::connection::{Endpoint, Timeouts};
use llm::provider::ollama::{Ollama, Settings};
use llm::provider::openai::{self, OpenAi};
use plan::money::Money;
use plan::policy::{address, web};
use proto::v1::LocalModel;
use proto::v1::local_model::Dialect;
use serde_json::Value;

use crate::log;
use crate::runs::live::Reply;

/// Ollama's own default cuts off what a step with tools is told.
const CONTEXT_TOKENS: u32 = 8192;
const MAX_NAME: usize = 512;

/// # Errors
/// Why this is no model that a node can ask.
pub fn check(model: &LocalModel) -> Result<(), String> {
    if model.model.is_empty() || model.model.len() > MAX_NAME {
        return Err("the node's own model has no name, or one that is longer than any".to_owned());
    }
    let host = web::Url::parse(&model.url).map(|url| url.host).unwrap_or_default();
    if address::is_metadata(&host) {
        return Err(format!("{host} gives out credentials of the machine, it is no model"));
    }
    provider(model).map(drop).map_err(|error| log::chain(&error))
}

/// Asks it; `request` is `llm::message::Request` as serde writes it. Where nobody tells what it took, the worst counts.
pub async fn ask(model: &LocalModel, request: Value) -> Reply {
    let request: Request = match serde_json::from_value(request) {
        Ok(request) => Request { model: model.model.clone(), ..request },
        Err(error) => {
            return Reply::Model { response: Err(error.to_string()), tokens: 0, money: Money::ZERO };
        }
    };
    let worst = request.worst_input_tokens().saturating_add(u64::from(request.max_tokens));
    let asked = async { provider(model)?.send(&request).await?.whole().await };
    let (response, tokens) = match asked.await {
        Ok(response) => {
            let tokens = response.usage.map_or(worst, |usage| usage.total());
            (serde_json::to_string(&response).map_err(|error| error.to_string()), tokens)
        }
        Err(error) => (Err(log::chain(&error)), if error.may_be_charged() { worst } else { 0 }),
    };
    Reply::Model { response, tokens, money: Money::ZERO }
}

fn provider(model: &LocalModel) -> Result<Box<dyn Provider>, ProviderError> {
    let name = format!("the node's own model {}", model.model);
    let endpoint = Endpoint::parse(&name, &model.url, None, Timeouts::default())?;
    Ok(match model.dialect() {
        Dialect::Openai => Box::new(OpenAi::new(endpoint, openai::Dialect::VLLM)),
        Dialect::Ollama => {
            let settings = Settings { num_ctx: Some(CONTEXT_TOKENS), ..Settings::default() };
            Box::new(Ollama::new(endpoint, settings))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_a_node_is_checked_before_it_is_taken() {
        let model =
            |url: &str, model: &str| LocalModel { dialect: 0, url: url.to_owned(), model: model.to_owned() };
        assert_eq!(check(&model("http://127.0.0.1:11434", "m")), Ok(()));
        for (url, name) in [
            ("ftp://x", "m"),
            ("127.0.0.1", "m"),
            ("http://x", ""),
            ("http://u:hunter2@x/", "m"),
            ("http://169.254.169.254", "m"),
        ] {
            let why = check(&model(url, name)).expect_err(url);
            assert!(!why.is_empty() && !why.contains("hunter2"), "{why}");
        }
        assert!(check(&model("http://x", &"m".repeat(MAX_NAME + 1))).is_err());
    }
}
