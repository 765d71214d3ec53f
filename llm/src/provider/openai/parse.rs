//! Chat completion chunks → events.
//!
//! `data: {"choices":[{"delta":{"content","reasoning_content","tool_calls"},"finish_reason"}],"usage"}` and `[DONE]`.
//! Seen in the wild: usage in a last chunk without choices; a null, empty or missing `finish_reason`; tool calls without
//! index, without id, or all with index 0; content as a list of parts; errors in mid-stream; no `[DONE]`.

use serde_json::Value;

use crate::error::Fault;
use crate::message::{Event, Stop};
use crate::provider::assembly::Assembly;
use crate::provider::parser::{LINE_LIMIT, Parser};
use crate::provider::refusal::Refusal;
use crate::provider::sse::Sse;

#[derive(Debug)]
pub struct OpenAiParser {
    sse: Sse,
    answer: Answer,
}

#[derive(Debug, Default)]
struct Answer {
    assembly: Assembly,
    calls: Vec<OpenCall>,
}

/// A tool call that has begun: the server's number for it and its id, and ours.
#[derive(Debug)]
struct OpenCall {
    number: u64,
    id: String,
    index: usize,
}

impl OpenAiParser {
    pub fn new() -> OpenAiParser {
        OpenAiParser { sse: Sse::new(LINE_LIMIT), answer: Answer::default() }
    }
}

impl Default for OpenAiParser {
    fn default() -> OpenAiParser {
        OpenAiParser::new()
    }
}

impl Parser for OpenAiParser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let OpenAiParser { sse, answer } = self;
        sse.push(bytes, |event| answer.event(&event.data))
    }

    fn whole(&mut self, body: &str) -> Result<(), Fault> {
        self.answer.chunk(&json(body)?)?;
        self.answer.assembly.finish()
    }

    fn end(&mut self) -> Result<(), Fault> {
        if let Some(event) = self.sse.end()? {
            self.answer.event(&event.data)?;
        }
        match (self.answer.assembly.is_done(), self.answer.assembly.has_stop()) {
            (true, _) => Ok(()),
            // Several servers close the stream after the last chunk without saying [DONE].
            (false, true) => self.answer.assembly.finish(),
            (false, false) => Err(Fault::Truncated { awaited: "[DONE]" }),
        }
    }

    fn events(&mut self) -> Vec<Event> {
        self.answer.assembly.events()
    }
}

impl Answer {
    fn event(&mut self, data: &str) -> Result<(), Fault> {
        if self.assembly.is_done() {
            return Ok(());
        }
        match data.trim() {
            "" => Ok(()),
            "[DONE]" => self.assembly.finish(),
            data => self.chunk(&json(data)?),
        }
    }

    fn chunk(&mut self, chunk: &Value) -> Result<(), Fault> {
        if let Some(refusal) = Refusal::in_stream(chunk) {
            return Err(refusal.mid_stream());
        }
        if !chunk.is_object() {
            return Err(Fault::Shape { what: "a chunk is no object" });
        }
        if let Some(model) = chunk.get("model").and_then(Value::as_str) {
            self.assembly.model(model);
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| usage.is_object()) {
            self.usage(usage)?;
        }
        match chunk.get("choices") {
            Some(Value::Array(choices)) => match choices.first() {
                Some(choice) => self.choice(choice),
                None => Ok(()),
            },
            Some(Value::Null) | None if chunk.get("usage").is_some() => Ok(()),
            _ => Err(Fault::Shape { what: "a chunk without choices" }),
        }
    }

    fn choice(&mut self, choice: &Value) -> Result<(), Fault> {
        if let Some(refusal) = Refusal::in_stream(choice) {
            return Err(refusal.mid_stream());
        }
        let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Value::Null);
        for field in ["reasoning_content", "reasoning"] {
            if let Some(thinking) = delta.get(field).and_then(Value::as_str) {
                self.assembly.thinking(thinking)?;
                break;
            }
        }
        self.content(delta.get("content").unwrap_or(&Value::Null))?;
        if let Some(refusal) = delta.get("refusal").and_then(Value::as_str) {
            self.assembly.text(refusal)?;
        }
        for call in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.call(call)?;
        }
        match choice.get("finish_reason").and_then(Value::as_str) {
            Some("error" | "network_error") => {
                Err(Fault::Truncated { awaited: "its end; the server gave up" })
            }
            Some("") | None => Ok(()),
            Some(reason) => {
                self.assembly.stop(stop(reason));
                Ok(())
            }
        }
    }

    fn content(&mut self, content: &Value) -> Result<(), Fault> {
        match content {
            Value::Null => Ok(()),
            Value::String(text) => self.assembly.text(text),
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part.get("text").and_then(Value::as_str))
                .try_for_each(|text| self.assembly.text(text)),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                Err(Fault::Shape { what: "content is no text" })
            }
        }
    }

    fn call(&mut self, call: &Value) -> Result<(), Fault> {
        let id = call.get("id").and_then(Value::as_str).unwrap_or_default();
        let function = call.get("function").unwrap_or(&Value::Null);
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
        let index = self.place(call.get("index").and_then(Value::as_u64), id, name)?;
        match function.get("arguments") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(delta)) => self.assembly.arguments(index, delta),
            // Servers that parse the model's arguments themselves send them as an object.
            Some(other) => self.assembly.arguments(index, &other.to_string()),
        }
    }

    /// Which call a delta belongs to. A new number begins one, and so does a new id under a number in use.
    fn place(&mut self, number: Option<u64>, id: &str, name: &str) -> Result<usize, Fault> {
        let open = match number {
            Some(number) => self.calls.iter().rev().find(|call| call.number == number),
            None if id.is_empty() && name.is_empty() => self.calls.last(),
            None => self.calls.iter().rev().find(|call| !id.is_empty() && call.id == id),
        };
        if let Some(call) = open.filter(|call| id.is_empty() || call.id.is_empty() || call.id == id) {
            return Ok(call.index);
        }
        if name.is_empty() {
            return Err(Fault::Shape { what: "a tool call without a name" });
        }
        let index = self.assembly.start_tool(id, name)?;
        self.calls.push(OpenCall { number: number.unwrap_or(index as u64), id: id.to_owned(), index });
        Ok(index)
    }

    fn usage(&mut self, usage: &Value) -> Result<(), Fault> {
        let count = |field: &str| usage.get(field).and_then(Value::as_u64);
        let (Some(input), Some(output)) = (count("prompt_tokens"), count("completion_tokens").or(Some(0)))
        else {
            return Err(Fault::Shape { what: "usage without counts" });
        };
        let cached = usage.pointer("/prompt_tokens_details/cached_tokens").and_then(Value::as_u64);
        let held = self.assembly.usage();
        held.input = input;
        held.output = output;
        held.cache_read = cached.unwrap_or(0).min(input);
        Ok(())
    }
}

fn json(data: &str) -> Result<Value, Fault> {
    serde_json::from_str(data)
        .map_err(|cause| Fault::NotJson { start: data.chars().take(80).collect(), cause })
}

fn stop(reason: &str) -> Stop {
    match reason {
        "stop" | "eos" | "end_turn" => Stop::End,
        "tool_calls" | "function_call" => Stop::ToolCalls,
        "length" | "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "content_filter" | "sensitive" | "refusal" => Stop::Refusal,
        other => Stop::Other(other.chars().take(40).collect()),
    }
}
