//! The seam to language models: one request → a stream of events that ends with the whole answer.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::error::{Fault, ProviderError};
use crate::limits::Limits;
use crate::message::{Event, Request, Response};

#[cfg(feature = "coordinator")]
pub mod anthropic;
mod assembly;
pub mod connection;
mod lines;
pub mod ollama;
pub mod openai;
pub mod parser;
mod refusal;
mod sse;

/// One endpoint with its key. Implementations do no retries of their own: who asks knows the budget.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The name it has in the configuration; also in its errors and in quotas.
    fn name(&self) -> &str;

    /// Sends one request. An `Err` here means that no answer began; one in the events, that it broke off.
    async fn send(&self, request: &Request) -> Result<Reply, ProviderError>;

    /// The names of the models it offers, to see whether it answers and takes the key: costs nothing.
    #[cfg(feature = "coordinator")]
    async fn models(&self) -> Result<Vec<String>, ProviderError>;
}

/// An answer that has begun. Dropping it closes the connection, which is how a request is cancelled.
pub struct Reply {
    /// What the headers told about the provider's limits.
    pub limits: Limits,
    /// Ends after `Event::Done`, or after an error; never without one of them.
    pub events: BoxStream<'static, Result<Event, ProviderError>>,
}

impl Reply {
    /// Waits for the whole answer.
    pub async fn whole(mut self) -> Result<Response, ProviderError> {
        while let Some(event) = self.events.next().await {
            if let Event::Done(response) = event? {
                return Ok(response);
            }
        }
        Err(ProviderError::new("the provider", Fault::Truncated { awaited: "its last event" }))
    }
}

/// The names in a list of models.
#[cfg(feature = "coordinator")]
fn names(provider: &str, list: &serde_json::Value, name: &str) -> Result<Vec<String>, ProviderError> {
    let shape = || ProviderError::new(provider, Fault::Shape { what: "a list of models" });
    let names = list.as_array().ok_or_else(shape)?.iter().filter_map(|model| model[name].as_str());
    Ok(names.map(str::to_owned).collect())
}
