//! Ollama's own API (`/api/chat`): NDJSON, tool calls as whole objects, `format` for JSON, and the two settings that the
//! compatible API lacks: `num_ctx` and `keep_alive`.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::error::ProviderError;
use crate::message::{Message, Output, Request, ToolCall, ToolChoice};
use crate::provider::connection::Endpoint;
#[cfg(feature = "coordinator")]
use crate::provider::names;
use crate::provider::{Provider, Reply};

pub use parse::OllamaParser;

mod parse;
#[cfg(test)]
mod tests;

/// What is told to the server with each request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The size of the context in tokens. Ollama cuts longer prompts off at the front without a word, and its own
    /// default is small.
    pub num_ctx: Option<u32>,
    /// How long the model stays in memory: `5m`, `-1` for ever, `0` for not at all.
    pub keep_alive: Option<String>,
    /// Whether a model that can think is to do so.
    pub think: Option<bool>,
}

/// An endpoint whose base URL ends where `/api/chat` begins, such as `http://127.0.0.1:11434`.
pub struct Ollama {
    endpoint: Endpoint,
    settings: Settings,
}

impl Ollama {
    pub fn new(endpoint: Endpoint, settings: Settings) -> Ollama {
        Ollama { endpoint, settings }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = Vec::new();
        if let Some(key) = self.endpoint.key() {
            headers.push(("authorization", format!("Bearer {}", key.reveal())));
        }
        headers
    }
}

#[async_trait]
impl Provider for Ollama {
    fn name(&self) -> &str {
        self.endpoint.name()
    }

    async fn send(&self, request: &Request) -> Result<Reply, ProviderError> {
        let headers = self.headers();
        let body = body(request, &self.settings);
        self.endpoint
            .post("/api/chat", headers, &body, Box::new(OllamaParser::new(self.settings.num_ctx)))
            .await
    }

    #[cfg(feature = "coordinator")]
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        let list = self.endpoint.get("/api/tags", self.headers()).await?;
        names(self.name(), &list["models"], "name")
    }
}

fn body(request: &Request, settings: &Settings) -> Value {
    let mut options = json!({"num_predict": request.max_tokens});
    if let Some(num_ctx) = settings.num_ctx {
        options["num_ctx"] = json!(num_ctx);
    }
    if let Some(temperature) = request.temperature {
        options["temperature"] = json!(temperature);
    }
    if !request.stop.is_empty() {
        options["stop"] = json!(request.stop);
    }
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(json!({"role": "system", "content": request.system}));
    }
    messages.extend(request.messages.iter().map(message));
    let mut body = json!({"model": request.model, "messages": messages, "stream": true, "options": options});
    if let Some(keep_alive) = &settings.keep_alive {
        // A bare number must be one on the wire too: a string without a unit is refused.
        body["keep_alive"] =
            keep_alive.parse::<i64>().map_or_else(|_| json!(keep_alive), |seconds| json!(seconds));
    }
    if let Some(think) = settings.think {
        body["think"] = json!(think);
    }
    match &request.output {
        Output::Text => {}
        Output::Json => body["format"] = json!("json"),
        Output::Schema { schema, .. } => body["format"] = schema.clone(),
    }
    // There is no tool_choice: no tools are what keeps a model from calling one.
    if !request.tools.is_empty() && request.tool_choice != ToolChoice::None {
        let tools = request.tools.iter().map(|tool| {
            let function =
                json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
            json!({"type": "function", "function": function})
        });
        body["tools"] = tools.collect();
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, tool_calls } if tool_calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Message::Assistant { text, tool_calls } => {
            json!({"role": "assistant", "content": text, "tool_calls": tool_calls.iter().map(call).collect::<Vec<_>>()})
        }
        Message::Tool { name, text, .. } => json!({"role": "tool", "tool_name": name, "content": text}),
    }
}

fn call(call: &ToolCall) -> Value {
    json!({"function": {"name": call.name, "arguments": call.parsed().unwrap_or_default()}})
}
