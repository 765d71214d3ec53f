//! What is asked of a model and what it answers, in the words of no provider. Every provider translates these to its
//! own wire and back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// One request. `max_tokens` has no default: it is half of the worst case that a budget reserves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The model's name as its provider knows it.
    pub model: String,
    /// The instructions that stand above the conversation; empty for none.
    pub system: String,
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: ToolChoice,
    pub output: Output,
    /// The most tokens the answer may have.
    pub max_tokens: u32,
    pub temperature: Option<f32>,
    pub stop: Vec<String>,
}

impl Request {
    /// A request with one message of the user and no tools.
    pub fn new(model: &str, system: &str, user: &str, max_tokens: u32) -> Request {
        Request {
            model: model.to_owned(),
            system: system.to_owned(),
            messages: vec![Message::User { text: user.to_owned() }],
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            output: Output::Text,
            max_tokens,
            temperature: None,
            stop: Vec::new(),
        }
    }

    /// More input tokens than the provider can count: tokens of byte-level vocabularies hold at least one byte each,
    /// and what chat templates and the providers' own tool prompts add is covered by a fixed allowance for each message and tool.
    pub fn worst_input_tokens(&self) -> u64 {
        const ALLOWANCE: usize = 1024;
        const EACH: usize = 64;
        let messages: usize = self.messages.iter().map(|message| message.bytes() + EACH).sum();
        let tools: usize = self.tools.iter().map(|tool| tool.bytes() + EACH).sum();
        let schema = match &self.output {
            // Dialects without schemas get it as text beside the system prompt.
            Output::Schema { name, schema } => name.len() + schema.to_string().len() + 2 * EACH,
            Output::Text | Output::Json => 0,
        };
        (ALLOWANCE + self.system.len() + messages + tools + schema) as u64
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum Message {
    User {
        text: String,
    },
    Assistant {
        text: String,
        tool_calls: Vec<ToolCall>,
    },
    /// What a tool gave for the call `call_id` of the assistant's message before.
    Tool {
        call_id: String,
        name: String,
        text: String,
        is_error: bool,
    },
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Message::User { text } => text.len(),
            Message::Assistant { text, tool_calls } => {
                let calls = tool_calls.iter();
                text.len() + calls.map(|c| c.id.len() + c.name.len() + c.arguments.len() + 64).sum::<usize>()
            }
            Message::Tool { call_id, name, text, .. } => call_id.len() + name.len() + text.len(),
        }
    }
}

/// A tool the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments, an object.
    pub parameters: Value,
}

impl Tool {
    fn bytes(&self) -> usize {
        self.name.len() + self.description.len() + self.parameters.to_string().len()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    Auto,
    /// The model must call one of the tools.
    Required,
    None,
}

/// The form the answer must have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    Text,
    /// Some JSON object.
    Json,
    /// JSON of this schema. A provider that cannot enforce it is told it in words: check the answer either way.
    Schema {
        name: String,
        schema: Value,
    },
}

/// A call the model asks for. The arguments are its own words and may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON as the model wrote it.
    pub arguments: String,
}

impl ToolCall {
    /// The arguments as an object; no arguments at all are an empty one.
    pub fn parsed(&self) -> Result<Map<String, Value>, ArgumentsError> {
        if self.arguments.trim().is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_str(&self.arguments) {
            Ok(Value::Object(arguments)) => Ok(arguments),
            Ok(_) => Err(ArgumentsError::NotAnObject { tool: self.name.clone() }),
            Err(cause) => Err(ArgumentsError::NotJson { tool: self.name.clone(), cause }),
        }
    }
}

/// Why the arguments of a call cannot be used: worth telling the model, who may try again.
#[derive(Debug, Error)]
pub enum ArgumentsError {
    #[error("the arguments of {tool} are not JSON")]
    NotJson {
        tool: String,
        #[source]
        cause: serde_json::Error,
    },
    #[error("the arguments of {tool} are not an object")]
    NotAnObject { tool: String },
}

/// What comes while a model answers. `Done` is the last one and comes only for a whole answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Text(String),
    /// What a model thinks before it answers; never part of the answer.
    Thinking(String),
    ToolStarted {
        index: usize,
        id: String,
        name: String,
    },
    ToolArguments {
        index: usize,
        delta: String,
    },
    Done(Response),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    pub text: String,
    pub thinking: String,
    pub tool_calls: Vec<ToolCall>,
    pub stop: Stop,
    /// None where the provider told no counts: the worst case is then what counts.
    pub usage: Option<Usage>,
    /// The model that answered, as the provider names it; may differ from the one asked.
    pub model: String,
}

/// Why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It was done.
    End,
    /// It waits for the results of its tool calls.
    ToolCalls,
    /// It ran into `max_tokens` or the end of its context: the answer is cut off.
    Length,
    /// The model or a filter of the provider would not answer.
    Refusal,
    Other(String),
}

/// Tokens as the provider counted them. `input` holds all input, also what came from a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input: u64,
    /// The part of `input` that was read from a prompt cache.
    pub cache_read: u64,
    /// The part of `input` that was written to a prompt cache.
    pub cache_write: u64,
    /// Thinking included.
    pub output: u64,
}

impl Usage {
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
