//! Events of a streamed message → our events.
//!
//! `message_start`, then for each block `content_block_start`, `content_block_delta`… and `content_block_stop`, then
//! `message_delta` with the reason to stop and the counts, then `message_stop`; `ping` and `error` anywhere. Events and
//! deltas of unknown types are to be ignored. Without `message_stop` an answer is not whole.

use serde_json::Value;

use crate::error::Fault;
use crate::message::{Event, Stop};
use crate::provider::assembly::Assembly;
use crate::provider::parser::{LINE_LIMIT, Parser};
use crate::provider::refusal::Refusal;
use crate::provider::sse::Sse;

#[derive(Debug)]
pub struct AnthropicParser {
    sse: Sse,
    answer: Answer,
}

#[derive(Debug)]
struct Answer {
    assembly: Assembly,
    /// The open block: its number on the wire and what it is.
    open: Option<(u64, Block)>,
    /// The tool whose input is the answer's text.
    answer_tool: Option<&'static str>,
    answered_by_tool: bool,
    has_started: bool,
}

#[derive(Debug, Clone, Copy)]
enum Block {
    Text,
    Thinking,
    Tool(usize),
    /// The tool that stands for the answer.
    Answer,
    /// A type that came after this was written.
    Unknown,
}

impl AnthropicParser {
    /// `answer_tool` is a tool whose input is to be read as the text of the answer.
    pub fn new(answer_tool: Option<&'static str>) -> AnthropicParser {
        AnthropicParser {
            sse: Sse::new(LINE_LIMIT),
            answer: Answer {
                assembly: Assembly::default(),
                open: None,
                answer_tool,
                answered_by_tool: false,
                has_started: false,
            },
        }
    }
}

impl Parser for AnthropicParser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let AnthropicParser { sse, answer } = self;
        sse.push(bytes, |event| answer.data(&event.data))
    }

    fn whole(&mut self, body: &str) -> Result<(), Fault> {
        let message = json(body)?;
        if let Some(refusal) = Refusal::in_stream(&message) {
            return Err(refusal.mid_stream());
        }
        self.answer.start(&message)?;
        let parts = message.get("content").and_then(Value::as_array);
        for part in parts.ok_or(Fault::Shape { what: "a message without content" })? {
            self.answer.open_block(0, part)?;
            self.answer.open = None;
        }
        self.answer.delta(&message, &message)?;
        self.answer.assembly.finish()
    }

    fn end(&mut self) -> Result<(), Fault> {
        if let Some(event) = self.sse.end()? {
            self.answer.data(&event.data)?;
        }
        if self.answer.assembly.is_done() {
            Ok(())
        } else {
            Err(Fault::Truncated { awaited: "message_stop" })
        }
    }

    fn events(&mut self) -> Vec<Event> {
        self.answer.assembly.events()
    }
}

impl Answer {
    fn data(&mut self, data: &str) -> Result<(), Fault> {
        if data.trim().is_empty() || self.assembly.is_done() {
            return Ok(());
        }
        let event = json(data)?;
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .ok_or(Fault::Shape { what: "an event without a type" })?;
        if kind == "error" {
            let refusal =
                Refusal::in_stream(&event).ok_or(Fault::Shape { what: "an error event without an error" })?;
            return Err(refusal.mid_stream());
        }
        if kind == "message_start" {
            return self.start(event.get("message").unwrap_or(&Value::Null));
        }
        let is_part = kind.starts_with("content_block_") || kind.starts_with("message_");
        if is_part && !self.has_started {
            return Err(Fault::Shape { what: "an event before message_start" });
        }
        match kind {
            "content_block_start" => {
                let block = event.get("content_block").ok_or(Fault::Shape { what: "a start of no block" })?;
                self.open_block(number(&event)?, block)
            }
            "content_block_delta" => self.block_delta(
                number(&event)?,
                event.get("delta").ok_or(Fault::Shape { what: "a delta without delta" })?,
            ),
            "content_block_stop" => {
                self.open = None;
                Ok(())
            }
            "message_delta" => self.delta(event.get("delta").unwrap_or(&Value::Null), &event),
            "message_stop" => self.assembly.finish(),
            _ => Ok(()),
        }
    }

    fn start(&mut self, message: &Value) -> Result<(), Fault> {
        if !message.is_object() {
            return Err(Fault::Shape { what: "message_start without a message" });
        }
        self.has_started = true;
        if let Some(model) = message.get("model").and_then(Value::as_str) {
            self.assembly.model(model);
        }
        self.usage(message);
        Ok(())
    }

    fn open_block(&mut self, number: u64, block: &Value) -> Result<(), Fault> {
        let text = |field: &str| block.get(field).and_then(Value::as_str).unwrap_or_default();
        let opened = match text("type") {
            "text" => {
                self.assembly.text(text("text"))?;
                Block::Text
            }
            "thinking" => {
                self.assembly.thinking(text("thinking"))?;
                Block::Thinking
            }
            "tool_use" if self.answer_tool == Some(text("name")) => {
                self.answered_by_tool = true;
                self.assembly.drop_text();
                self.assembly.text(&given(block))?;
                Block::Answer
            }
            "tool_use" if text("name").is_empty() => {
                return Err(Fault::Shape { what: "a tool call without a name" });
            }
            "tool_use" => {
                let index = self.assembly.start_tool(text("id"), text("name"))?;
                self.assembly.arguments(index, &given(block))?;
                Block::Tool(index)
            }
            _ => Block::Unknown,
        };
        self.open = Some((number, opened));
        Ok(())
    }

    fn block_delta(&mut self, number: u64, delta: &Value) -> Result<(), Fault> {
        let text = |field: &str| delta.get(field).and_then(Value::as_str).unwrap_or_default();
        let (_, block) = self
            .open
            .filter(|(open, _)| *open == number)
            .ok_or(Fault::Shape { what: "a delta of no open block" })?;
        match (text("type"), block) {
            ("text_delta", Block::Text) => self.assembly.text(text("text")),
            ("thinking_delta", Block::Thinking) => self.assembly.thinking(text("thinking")),
            ("input_json_delta", Block::Tool(index)) => self.assembly.arguments(index, text("partial_json")),
            ("input_json_delta", Block::Answer) => self.assembly.text(text("partial_json")),
            ("text_delta" | "thinking_delta" | "input_json_delta", Block::Unknown) => Ok(()),
            ("text_delta" | "thinking_delta" | "input_json_delta", _) => {
                Err(Fault::Shape { what: "a delta that does not fit its block" })
            }
            _ => Ok(()),
        }
    }

    /// `delta` has the reason to stop, `event` the counts.
    fn delta(&mut self, delta: &Value, event: &Value) -> Result<(), Fault> {
        self.usage(event);
        match delta.get("stop_reason").and_then(Value::as_str) {
            None => {}
            Some("tool_use") if self.answered_by_tool => self.assembly.stop(Stop::End),
            Some("end_turn" | "stop_sequence") => self.assembly.stop(Stop::End),
            Some("tool_use") => self.assembly.stop(Stop::ToolCalls),
            Some("max_tokens" | "model_context_window_exceeded") => self.assembly.stop(Stop::Length),
            Some("refusal") => self.assembly.stop(Stop::Refusal),
            Some(other) => self.assembly.stop(Stop::Other(other.chars().take(40).collect())),
        }
        Ok(())
    }

    /// The counts of `message_start` are overwritten by those of `message_delta`, which are totals too. Input is told
    /// in three parts that do not overlap.
    fn usage(&mut self, holder: &Value) {
        let Some(told) = holder.get("usage").filter(|usage| usage.is_object()) else { return };
        let count = |field: &str| told.get(field).and_then(Value::as_u64);
        let usage = self.assembly.usage();
        let fresh = count("input_tokens")
            .unwrap_or(usage.input.saturating_sub(usage.cache_read).saturating_sub(usage.cache_write));
        usage.cache_read = count("cache_read_input_tokens").unwrap_or(usage.cache_read);
        usage.cache_write = count("cache_creation_input_tokens").unwrap_or(usage.cache_write);
        usage.input = fresh.saturating_add(usage.cache_read).saturating_add(usage.cache_write);
        usage.output = count("output_tokens").unwrap_or(usage.output);
    }
}

fn number(event: &Value) -> Result<u64, Fault> {
    event.get("index").and_then(Value::as_u64).ok_or(Fault::Shape { what: "a block without an index" })
}

/// The input that a block begins with: in a stream an empty object that means nothing.
fn given(block: &Value) -> String {
    match block.get("input") {
        Some(Value::Object(input)) if !input.is_empty() => block["input"].to_string(),
        _ => String::new(),
    }
}

fn json(data: &str) -> Result<Value, Fault> {
    serde_json::from_str(data)
        .map_err(|cause| Fault::NotJson { start: data.chars().take(80).collect(), cause })
}
