//! The seam between bytes and events: what each wire protocol implements. Pure: no I/O, no clock.

use crate::error::Fault;
use crate::message::Event;

/// The most bytes of one line or one event on the wire.
pub const LINE_LIMIT: usize = 1 << 20;
/// The most bytes of one answer: text, thinking and arguments together.
pub const ANSWER_LIMIT: usize = 2 << 20;
/// The most tool calls of one answer.
pub const CALL_LIMIT: usize = 64;

/// Reads one answer. Chunks may be cut anywhere. After an error or `Event::Done`, further bytes are ignored.
pub trait Parser: Send {
    /// Takes the next bytes of a stream.
    fn push(&mut self, bytes: &[u8]) -> Result<(), Fault>;

    /// Takes an answer that is no stream, as servers send it that do not know how.
    fn whole(&mut self, body: &str) -> Result<(), Fault>;

    /// Says that no more bytes come. An error unless the answer is whole.
    fn end(&mut self) -> Result<(), Fault>;

    /// The events so far, each once. Take them also after an error: they came before it.
    fn events(&mut self) -> Vec<Event>;
}
