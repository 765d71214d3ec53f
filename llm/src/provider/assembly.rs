//! Puts an answer together from its deltas, and keeps it within bounds.

use std::mem;

use crate::error::Fault;
use crate::message::{Event, Response, Stop, ToolCall, Usage};
use crate::provider::parser::{ANSWER_LIMIT, CALL_LIMIT};

#[derive(Debug, Default)]
pub(crate) struct Assembly {
    text: String,
    thinking: String,
    tool_calls: Vec<ToolCall>,
    model: String,
    stop: Option<Stop>,
    usage: Option<Usage>,
    bytes: usize,
    events: Vec<Event>,
    is_done: bool,
}

impl Assembly {
    pub(crate) fn text(&mut self, delta: &str) -> Result<(), Fault> {
        self.count(delta)?;
        if !delta.is_empty() {
            self.text.push_str(delta);
            self.events.push(Event::Text(delta.to_owned()));
        }
        Ok(())
    }

    /// Forgets the text so far: it was talk before the answer.
    #[cfg(feature = "coordinator")]
    pub(crate) fn drop_text(&mut self) {
        self.text.clear();
    }

    pub(crate) fn thinking(&mut self, delta: &str) -> Result<(), Fault> {
        self.count(delta)?;
        if !delta.is_empty() {
            self.thinking.push_str(delta);
            self.events.push(Event::Thinking(delta.to_owned()));
        }
        Ok(())
    }

    /// Begins a tool call and gives its index. A call without an id gets one: results must name what they belong to.
    pub(crate) fn start_tool(&mut self, id: &str, name: &str) -> Result<usize, Fault> {
        let index = self.tool_calls.len();
        if index == CALL_LIMIT {
            return Err(Fault::TooManyToolCalls { limit: CALL_LIMIT });
        }
        self.count(id)?;
        self.count(name)?;
        let id = if id.is_empty() { format!("call_{index}") } else { id.to_owned() };
        self.tool_calls.push(ToolCall { id: id.clone(), name: name.to_owned(), arguments: String::new() });
        self.events.push(Event::ToolStarted { index, id, name: name.to_owned() });
        Ok(index)
    }

    pub(crate) fn arguments(&mut self, index: usize, delta: &str) -> Result<(), Fault> {
        self.count(delta)?;
        let call =
            self.tool_calls.get_mut(index).ok_or(Fault::Shape { what: "arguments of no tool call" })?;
        if !delta.is_empty() {
            call.arguments.push_str(delta);
            self.events.push(Event::ToolArguments { index, delta: delta.to_owned() });
        }
        Ok(())
    }

    pub(crate) fn model(&mut self, model: &str) {
        if self.model.is_empty() {
            model.clone_into(&mut self.model);
        }
    }

    pub(crate) fn usage(&mut self) -> &mut Usage {
        self.usage.get_or_insert_default()
    }

    pub(crate) fn stop(&mut self, stop: Stop) {
        self.stop = Some(stop);
    }

    pub(crate) fn has_stop(&self) -> bool {
        self.stop.is_some()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Ends the answer. Tool calls make a plain end an end with tool calls: half of the servers do not say so.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        let stop = self.stop.take().ok_or(Fault::Truncated { awaited: "the reason why it stopped" })?;
        let stop = if stop == Stop::End && !self.tool_calls.is_empty() { Stop::ToolCalls } else { stop };
        self.is_done = true;
        self.events.push(Event::Done(Response {
            text: mem::take(&mut self.text),
            thinking: mem::take(&mut self.thinking),
            tool_calls: mem::take(&mut self.tool_calls),
            stop,
            usage: self.usage.take(),
            model: mem::take(&mut self.model),
        }));
        Ok(())
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        mem::take(&mut self.events)
    }

    fn count(&mut self, delta: &str) -> Result<(), Fault> {
        self.bytes += delta.len();
        if self.bytes > ANSWER_LIMIT { Err(Fault::AnswerTooLong { limit: ANSWER_LIMIT }) } else { Ok(()) }
    }
}
