//! OpenAI's chat completions, and the many servers that speak something like it: llama.cpp, vLLM, OpenRouter, GLM and
//! Ollama's `/v1`.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::error::ProviderError;
use crate::message::{Message, Output, Request, Tool, ToolCall, ToolChoice};
use crate::provider::connection::Endpoint;
#[cfg(feature = "coordinator")]
use crate::provider::names;
use crate::provider::{Provider, Reply};

pub use parse::OpenAiParser;

mod parse;
#[cfg(test)]
mod tests;

/// What differs between the servers that call themselves compatible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// `max_completion_tokens` instead of `max_tokens`: OpenAI's reasoning models refuse the older name.
    pub max_completion_tokens: bool,
    /// `response_format: json_schema`. Without it the schema is told in words, beside `json_object`.
    pub json_schema: bool,
    /// `stream_options: {include_usage: true}`, without which some servers tell no counts.
    pub stream_usage: bool,
    /// `tool_choice: required`.
    pub required_tools: bool,
}

impl Dialect {
    pub const OPENAI: Dialect =
        Dialect { max_completion_tokens: true, json_schema: true, stream_usage: true, required_tools: true };
    pub const VLLM: Dialect = Dialect { max_completion_tokens: false, ..Dialect::OPENAI };
    pub const LLAMA_CPP: Dialect = Dialect::VLLM;
    pub const OPENROUTER: Dialect = Dialect::VLLM;
    pub const OLLAMA: Dialect = Dialect { required_tools: false, ..Dialect::VLLM };
    pub const GLM: Dialect = Dialect { json_schema: false, required_tools: false, ..Dialect::VLLM };

    /// The dialect of this name in a configuration.
    pub fn named(name: &str) -> Option<Dialect> {
        match name {
            "openai" => Some(Dialect::OPENAI),
            "vllm" => Some(Dialect::VLLM),
            "llama.cpp" => Some(Dialect::LLAMA_CPP),
            "openrouter" => Some(Dialect::OPENROUTER),
            "ollama" => Some(Dialect::OLLAMA),
            "glm" => Some(Dialect::GLM),
            _ => None,
        }
    }
}

/// An endpoint whose base URL ends where `/chat/completions` begins, such as `http://10.0.0.7:8080/v1`.
pub struct OpenAi {
    endpoint: Endpoint,
    dialect: Dialect,
}

impl OpenAi {
    pub fn new(endpoint: Endpoint, dialect: Dialect) -> OpenAi {
        OpenAi { endpoint, dialect }
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
impl Provider for OpenAi {
    fn name(&self) -> &str {
        self.endpoint.name()
    }

    async fn send(&self, request: &Request) -> Result<Reply, ProviderError> {
        let headers = self.headers();
        let body = body(request, self.dialect);
        self.endpoint.post("/chat/completions", headers, &body, Box::new(OpenAiParser::new())).await
    }

    #[cfg(feature = "coordinator")]
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        let list = self.endpoint.get("/models", self.headers()).await?;
        names(self.name(), &list["data"], "id")
    }
}

/// The body of a request.
fn body(request: &Request, dialect: Dialect) -> Value {
    let most = if dialect.max_completion_tokens { "max_completion_tokens" } else { "max_tokens" };
    let mut body = json!({
        "model": request.model,
        "messages": messages(request, dialect),
        "stream": true,
        most: request.max_tokens,
    });
    if dialect.stream_usage {
        body["stream_options"] = json!({"include_usage": true});
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    if !request.stop.is_empty() {
        body["stop"] = json!(request.stop);
    }
    match &request.output {
        Output::Text => {}
        Output::Schema { name, schema } if dialect.json_schema => {
            let format = json!({"name": name, "schema": schema, "strict": is_strict(schema)});
            body["response_format"] = json!({"type": "json_schema", "json_schema": format});
        }
        Output::Json | Output::Schema { .. } => body["response_format"] = json!({"type": "json_object"}),
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
        match request.tool_choice {
            ToolChoice::Required if dialect.required_tools => body["tool_choice"] = json!("required"),
            ToolChoice::None => body["tool_choice"] = json!("none"),
            ToolChoice::Auto | ToolChoice::Required => {}
        }
    }
    body
}

/// Whether OpenAI takes the schema in strict mode, which refuses objects with optional or further properties.
fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_object =
                fields.get("type").is_some_and(|kind| kind == "object" || kind == &json!(["object", "null"]));
            (!is_object || is_closed(schema)) && fields.values().all(is_strict)
        }
        Value::Array(items) => items.iter().all(is_strict),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn is_closed(object: &Value) -> bool {
    let required: Vec<&str> =
        object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let names = object["properties"].as_object();
    object["additionalProperties"] == json!(false)
        && names.is_none_or(|names| names.keys().all(|name| required.contains(&name.as_str())))
}

fn messages(request: &Request, dialect: Dialect) -> Vec<Value> {
    let mut system = request.system.clone();
    if let (Output::Schema { schema, .. }, false) = (&request.output, dialect.json_schema) {
        system.push_str(&format!("\n\nAnswer with JSON of this schema and nothing else:\n{schema}"));
    }
    let mut messages = Vec::new();
    if !system.is_empty() {
        messages.push(json!({"role": "system", "content": system}));
    }
    messages.extend(request.messages.iter().map(message));
    messages
}

fn message(message: &Message) -> Value {
    match message {
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, tool_calls } if tool_calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Message::Assistant { text, tool_calls } => {
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            json!({"role": "assistant", "content": content, "tool_calls": tool_calls.iter().map(call).collect::<Vec<_>>()})
        }
        Message::Tool { call_id, text, .. } => {
            json!({"role": "tool", "tool_call_id": call_id, "content": text})
        }
    }
}

fn call(call: &ToolCall) -> Value {
    // Servers parse what they are sent back: what the model wrote wrong must not fail the next request.
    let arguments = call.parsed().map(|_| call.arguments.trim()).unwrap_or_default();
    let arguments = if arguments.is_empty() { "{}" } else { arguments };
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}})
}

fn tool(tool: &Tool) -> Value {
    let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
    json!({"type": "function", "function": function})
}
