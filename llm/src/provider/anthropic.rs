//! Anthropic's messages API (`/v1/messages`, version 2023-06-01).

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::error::ProviderError;
use crate::message::{Message, Output, Request, ToolCall, ToolChoice};
use crate::provider::connection::Endpoint;
#[cfg(feature = "coordinator")]
use crate::provider::names;
use crate::provider::{Provider, Reply};

pub use parse::AnthropicParser;

mod parse;
#[cfg(test)]
mod tests;

/// The tool that stands for an answer of a schema: calling it is the one way to answer, and its input is the answer.
const ANSWER_TOOL: &str = "answer";

/// An endpoint whose base URL ends where `/v1/messages` begins, such as `https://api.anthropic.com`.
pub struct Anthropic {
    endpoint: Endpoint,
}

impl Anthropic {
    pub fn new(endpoint: Endpoint) -> Anthropic {
        Anthropic { endpoint }
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("anthropic-version", "2023-06-01".to_owned())];
        if let Some(key) = self.endpoint.key() {
            headers.push(("x-api-key", key.reveal().to_owned()));
        }
        headers
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn name(&self) -> &str {
        self.endpoint.name()
    }

    async fn send(&self, request: &Request) -> Result<Reply, ProviderError> {
        let headers = self.headers();
        let parser = AnthropicParser::new(answers_by_tool(request).then_some(ANSWER_TOOL));
        self.endpoint.post("/v1/messages", headers, &body(request), Box::new(parser)).await
    }

    #[cfg(feature = "coordinator")]
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        let list = self.endpoint.get("/v1/models", self.headers()).await?;
        names(self.name(), &list["data"], "id")
    }
}

/// With tools of its own in a request, forcing ours would keep the model from using them: then words must do.
fn answers_by_tool(request: &Request) -> bool {
    matches!(request.output, Output::Schema { .. }) && request.tools.is_empty()
}

fn body(request: &Request) -> Value {
    let mut body = json!({
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": messages(&request.messages),
        "stream": true,
    });
    let system = system(request);
    if !system.is_empty() {
        body["system"] = json!(system);
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    if !request.stop.is_empty() {
        body["stop_sequences"] = json!(request.stop);
    }
    let (tools, choice) = tools(request);
    if !tools.is_empty() {
        body["tools"] = json!(tools);
        if let Some(choice) = choice {
            body["tool_choice"] = choice;
        }
    }
    body
}

fn system(request: &Request) -> String {
    let mut system = request.system.clone();
    match &request.output {
        Output::Json => system.push_str("\n\nAnswer with a JSON object and nothing else."),
        Output::Schema { schema, .. } if !answers_by_tool(request) => {
            system.push_str(&format!(
                "\n\nThe final answer is JSON of this schema and nothing else:\n{schema}"
            ));
        }
        Output::Text | Output::Schema { .. } => {}
    }
    system.trim().to_owned()
}

/// The tools and which of them must be called.
fn tools(request: &Request) -> (Vec<Value>, Option<Value>) {
    if let (Output::Schema { name, schema }, true) = (&request.output, answers_by_tool(request)) {
        let description = format!("Gives the answer ({name}).");
        let tool = json!({"name": ANSWER_TOOL, "description": description, "input_schema": schema});
        return (vec![tool], Some(json!({"type": "tool", "name": ANSWER_TOOL})));
    }
    let tools = request.tools.iter().map(
        |tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters}),
    );
    let choice = match request.tool_choice {
        ToolChoice::Auto => None,
        ToolChoice::Required => Some(json!({"type": "any"})),
        ToolChoice::None => Some(json!({"type": "none"})),
    };
    (tools.collect(), choice)
}

/// Results of tools are parts of the user's message, and all results of one turn must stand in one message.
fn messages(messages: &[Message]) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, parts) = match message {
            Message::User { text } => ("user", vec![json!({"type": "text", "text": text})]),
            Message::Assistant { text, tool_calls } => ("assistant", assistant(text, tool_calls)),
            Message::Tool { call_id, text, is_error, .. } => (
                "user",
                vec![
                    json!({"type": "tool_result", "tool_use_id": call_id, "content": text, "is_error": is_error}),
                ],
            ),
        };
        match turns.last_mut() {
            Some((last, held)) if *last == role => held.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    turns.into_iter().map(|(role, parts)| json!({"role": role, "content": parts})).collect()
}

/// Empty texts are refused by the server.
fn assistant(text: &str, tool_calls: &[ToolCall]) -> Vec<Value> {
    let text = (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text.trim_end()}));
    let calls = tool_calls.iter().map(|call| {
        json!({"type": "tool_use", "id": call.id, "name": call.name, "input": call.parsed().unwrap_or_default()})
    });
    text.into_iter().chain(calls).collect()
}
