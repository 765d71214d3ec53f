//! Server-sent events (WHATWG HTML, section 9.2): bytes → events.

use crate::error::Fault;
use crate::provider::lines::Lines;

/// One event. The stream's `id` and `retry` fields mean nothing to a client that never reconnects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Empty where the stream names none.
    pub(crate) name: String,
    pub(crate) data: String,
}

#[derive(Debug)]
pub(crate) struct Sse {
    lines: Lines,
    event: SseEvent,
    has_data: bool,
    is_first: bool,
    limit: usize,
}

impl Sse {
    /// Neither a line nor the data of one event may be longer than `limit` bytes.
    pub(crate) fn new(limit: usize) -> Sse {
        Sse { lines: Lines::new(limit), event: SseEvent::default(), has_data: false, is_first: true, limit }
    }

    /// The events that `bytes` complete, in order.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(SseEvent) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Sse { lines, event, has_data, is_first, limit } = self;
        lines.push(bytes, |line| {
            let line = if std::mem::take(is_first) { line.trim_start_matches('\u{feff}') } else { line };
            if !line.is_empty() {
                return field(line, event, has_data, *limit);
            }
            let complete = std::mem::take(event);
            if std::mem::take(has_data) { each(complete) } else { Ok(()) }
        })
    }

    /// The event that stands at the end of the stream without the blank line it should have: servers forget it.
    pub(crate) fn end(&mut self) -> Result<Option<SseEvent>, Fault> {
        let rest = self.lines.rest()?.to_owned();
        if !rest.is_empty() {
            field(&rest, &mut self.event, &mut self.has_data, self.limit)?;
        }
        Ok(std::mem::take(&mut self.has_data).then(|| std::mem::take(&mut self.event)))
    }
}

fn field(line: &str, event: &mut SseEvent, has_data: &mut bool, limit: usize) -> Result<(), Fault> {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.strip_prefix(' ').unwrap_or(value);
    match name {
        "event" => value.clone_into(&mut event.name),
        // Older llama.cpp servers report errors as a field of this name.
        "data" | "error" => {
            if event.data.len() + value.len() >= limit {
                return Err(Fault::LineTooLong { limit });
            }
            if std::mem::replace(has_data, true) {
                event.data.push('\n');
            }
            event.data.push_str(value);
        }
        // A comment (an empty name), or a field that is not for us.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: OPENROUTER PROCESSING\n\nevent: ping\r\ndata: {\"a\":\"ä\"}\r\n\r\ndata: one\rdata:two\r\rid: 7\nretry: 1\n\ndata: [DONE]";

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let whole = events(&[STREAM.as_bytes()]);
        assert_eq!(
            whole,
            [("ping", "{\"a\":\"ä\"}"), ("", "one\ntwo"), ("", "[DONE]")]
                .map(|(name, data)| (name.to_owned(), data.to_owned()))
        );
        for cut in 0..STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(cut);
            assert_eq!(events(&[left, right]), whole, "cut at {cut}");
        }
        let single: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(events(&single), whole);
    }

    #[test]
    fn endless_lines_and_events_are_refused() {
        let mut sse = Sse::new(100);
        let error = (0..50).find_map(|_| sse.push(b"data: aaaa", |_| Ok(())).err());
        assert!(matches!(error, Some(Fault::LineTooLong { limit: 100 })), "{error:?}");
        let mut sse = Sse::new(100);
        let error = (0..50).find_map(|_| sse.push(b"data: aaaa\n", |_| Ok(())).err());
        assert!(matches!(error, Some(Fault::LineTooLong { limit: 100 })), "{error:?}");
        assert!(matches!(Sse::new(9).push(b"data\xff\n", |_| Ok(())), Err(Fault::NotUtf8)));
    }

    fn events(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut sse = Sse::new(1_000);
        let mut all = Vec::new();
        for chunk in chunks {
            sse.push(chunk, |event| {
                all.push((event.name, event.data));
                Ok(())
            })
            .expect("a stream");
        }
        all.extend(sse.end().expect("an end").map(|event| (event.name, event.data)));
        all
    }
}
