//! NDJSON of `/api/chat` → events.
//!
//! `{"model","message":{"role","content","thinking","tool_calls":[{"function":{"name","arguments":{…}}}]},"done":false}`
//! for each part; the last has `"done":true,"done_reason","prompt_eval_count","eval_count"`. An error is
//! `{"error":"…"}` in a line of its own, with status 200 when the stream had begun.

use serde_json::Value;

use crate::error::Fault;
use crate::message::{Event, Stop};
use crate::provider::assembly::Assembly;
use crate::provider::lines::Lines;
use crate::provider::parser::{LINE_LIMIT, Parser};
use crate::provider::refusal::Refusal;

#[derive(Debug)]
pub struct OllamaParser {
    lines: Lines,
    answer: Answer,
}

#[derive(Debug, Default)]
struct Answer {
    assembly: Assembly,
    num_ctx: Option<u32>,
}

impl OllamaParser {
    /// `num_ctx` is what was asked for: an answer that fills it was cut off by it.
    pub fn new(num_ctx: Option<u32>) -> OllamaParser {
        OllamaParser { lines: Lines::new(LINE_LIMIT), answer: Answer { num_ctx, ..Answer::default() } }
    }
}

impl Parser for OllamaParser {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let OllamaParser { lines, answer } = self;
        lines.push(bytes, |line| answer.line(line))
    }

    fn whole(&mut self, body: &str) -> Result<(), Fault> {
        // A stream under the wrong content type, or one object that may be spread over lines.
        match serde_json::from_str(body) {
            Ok(part) => self.answer.part(&part)?,
            Err(_) => body.lines().try_for_each(|line| self.answer.line(line))?,
        }
        self.ended()
    }

    fn end(&mut self) -> Result<(), Fault> {
        let rest = self.lines.rest()?.to_owned();
        match self.answer.line(&rest) {
            Err(Fault::NotJson { cause, .. }) if cause.is_eof() => {
                Err(Fault::Truncated { awaited: "the end of a line" })
            }
            read => read.and_then(|()| self.ended()),
        }
    }

    fn events(&mut self) -> Vec<Event> {
        self.answer.assembly.events()
    }
}

impl OllamaParser {
    fn ended(&self) -> Result<(), Fault> {
        if self.answer.assembly.is_done() {
            Ok(())
        } else {
            Err(Fault::Truncated { awaited: "\"done\":true" })
        }
    }
}

impl Answer {
    fn line(&mut self, line: &str) -> Result<(), Fault> {
        if line.trim().is_empty() || self.assembly.is_done() {
            return Ok(());
        }
        let part = serde_json::from_str(line)
            .map_err(|cause| Fault::NotJson { start: line.chars().take(80).collect(), cause })?;
        self.part(&part)
    }

    fn part(&mut self, part: &Value) -> Result<(), Fault> {
        if let Some(refusal) = Refusal::in_stream(part) {
            return Err(refusal.mid_stream());
        }
        if let Some(model) = part.get("model").and_then(Value::as_str) {
            self.assembly.model(model);
        }
        let done =
            part.get("done").and_then(Value::as_bool).ok_or(Fault::Shape { what: "a part without done" })?;
        if let Some(message) = part.get("message").filter(|message| !message.is_null()) {
            self.message(message)?;
        }
        if done { self.done(part) } else { Ok(()) }
    }

    fn message(&mut self, message: &Value) -> Result<(), Fault> {
        let text = |field: &str| message.get(field).and_then(Value::as_str).unwrap_or_default();
        self.assembly.thinking(text("thinking"))?;
        self.assembly.text(text("content"))?;
        for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            let function =
                call.get("function").ok_or(Fault::Shape { what: "a tool call without a function" })?;
            let name = function.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
            let name = name.ok_or(Fault::Shape { what: "a tool call without a name" })?;
            let index =
                self.assembly.start_tool(call.get("id").and_then(Value::as_str).unwrap_or_default(), name)?;
            match function.get("arguments") {
                None | Some(Value::Null) => {}
                Some(Value::String(arguments)) => self.assembly.arguments(index, arguments)?,
                Some(arguments) => self.assembly.arguments(index, &arguments.to_string())?,
            }
        }
        Ok(())
    }

    fn done(&mut self, part: &Value) -> Result<(), Fault> {
        let count = |field: &str| part.get(field).and_then(Value::as_u64);
        // Servers before 0.4 leave the first count out when the prompt was in their cache.
        if let (Some(input), Some(output)) = (count("prompt_eval_count"), count("eval_count")) {
            let usage = self.assembly.usage();
            usage.input = input;
            usage.output = output;
            let fills_context =
                self.num_ctx.is_some_and(|most| input.saturating_add(output) >= u64::from(most));
            if fills_context {
                self.assembly.stop(Stop::Length);
                return self.assembly.finish();
            }
        }
        self.assembly.stop(match part.get("done_reason").and_then(Value::as_str) {
            Some("stop") | None => Stop::End,
            Some("length") => Stop::Length,
            // `load` and `unload` answer a request without messages; they are no answer to one that has some.
            Some(other) => Stop::Other(other.chars().take(40).collect()),
        });
        self.assembly.finish()
    }
}
