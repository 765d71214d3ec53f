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

#[cfg(all(test, feature = "coordinator"))]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::anthropic::AnthropicParser;
    use crate::provider::ollama::OllamaParser;
    use crate::provider::openai::OpenAiParser;

    const STREAMS: [&str; 3] = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"ä\",\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":1}}}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
        "{\"message\":{\"content\":\"ä\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"done\":false}\n{\"message\":{},\"done\":true,\"prompt_eval_count\":18446744073709551615,\"eval_count\":1}\n",
    ];

    proptest! {
        /// Bytes changed, lost and doubled: a named error or a whole answer, and the same however the bytes are cut.
        #[test]
        fn damaged_streams_are_read_the_same_however_they_are_cut(
            wire in 0usize..3,
            damages in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut bytes = STREAMS[wire].as_bytes().to_vec();
            for (place, kind, byte) in damages {
                let at = place.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, byte),
                }
            }
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            places.sort_unstable();
            prop_assert_eq!(read(wire, &bytes, &places), read(wire, &bytes, &[]));
        }
    }

    fn read(wire: usize, bytes: &[u8], cuts: &[usize]) -> (Vec<Event>, Option<String>) {
        let mut parser: Box<dyn Parser> = match wire {
            0 => Box::new(OpenAiParser::new()),
            1 => Box::new(AnthropicParser::new(None)),
            _ => Box::new(OllamaParser::new(Some(8))),
        };
        let mut from = 0;
        let mut fault = None;
        for to in cuts.iter().copied().chain([bytes.len()]) {
            fault = fault.or_else(|| parser.push(&bytes[from..to]).err());
            from = to;
        }
        fault = fault.or_else(|| parser.end().err());
        (parser.events(), fault.map(|fault| fault.to_string()))
    }
}
