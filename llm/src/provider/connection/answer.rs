//! The body of an answer as a stream of events.

use std::collections::VecDeque;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::{Fault, ProviderError};
use crate::message::Event;
use crate::provider::connection::link::Link;
use crate::provider::connection::{Endpoint, Timeouts};
use crate::provider::parser::{ANSWER_LIMIT, Parser};

pub(super) struct Answer {
    endpoint: Endpoint,
    link: Link,
    body: Incoming,
    parser: Box<dyn Parser>,
    form: Form,
    deadline: Instant,
    ready: VecDeque<Event>,
    failed: Option<Fault>,
    is_over: bool,
}

/// How the body is to be read, by its content type.
enum Form {
    Stream,
    /// One JSON text, read when it is whole.
    Whole(Vec<u8>),
    /// Not from a model: a login page, a proxy.
    Foreign(String),
}

impl Answer {
    pub(super) fn new(
        endpoint: &Endpoint,
        link: Link,
        body: Incoming,
        parser: Box<dyn Parser>,
        content_type: &str,
    ) -> Answer {
        let form = match content_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Form::Whole(Vec::new()),
            html @ ("text/html" | "application/xhtml+xml") => Form::Foreign(html.to_owned()),
            _ => Form::Stream,
        };
        Answer {
            endpoint: endpoint.clone(),
            link,
            body,
            parser,
            form,
            deadline: Instant::now() + endpoint.timeouts.total,
            ready: VecDeque::new(),
            failed: None,
            is_over: false,
        }
    }

    pub(super) fn events(self) -> BoxStream<'static, Result<Event, ProviderError>> {
        stream::unfold(self, |mut answer| async move { answer.next().await.map(|event| (event, answer)) })
            .boxed()
    }

    async fn next(&mut self) -> Option<Result<Event, ProviderError>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.is_over |= matches!(event, Event::Done(_));
                return Some(Ok(event));
            }
            if self.is_over {
                return None;
            }
            if let Some(fault) = self.failed.take() {
                self.is_over = true;
                return Some(Err(self.error(fault)));
            }
            self.failed = self.read().await.err();
            self.ready.extend(self.parser.events());
        }
    }

    /// Takes the next part of the body to the parser.
    async fn read(&mut self) -> Result<(), Fault> {
        let Timeouts { idle, total, .. } = self.endpoint.timeouts;
        let frame = timeout(idle, self.link.drive(self.body.frame()));
        let frame = timeout_at(self.deadline, frame)
            .await
            .map_err(|_| Fault::Timeout { doing: "reading the answer", after: total })?
            .map_err(|_| Fault::Timeout { doing: "waiting for the next part of the answer", after: idle })?;
        match frame {
            Some(Ok(frame)) => match frame.data_ref() {
                Some(data) => self.take(data),
                None => Ok(()),
            },
            Some(Err(cause)) => {
                // What came before may be all there is to the answer; a server that just hangs up is common.
                self.end().map_err(|fault| match fault {
                    Fault::Truncated { .. }
                        if !cause.is_incomplete_message() && !cause.is_body_write_aborted() =>
                    {
                        Fault::Broken { address: self.endpoint.address(), cause }
                    }
                    fault => fault,
                })
            }
            None => self.end(),
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Fault> {
        match &mut self.form {
            Form::Stream => self.parser.push(data),
            Form::Whole(body) => {
                if body.len() + data.len() > 2 * ANSWER_LIMIT {
                    return Err(Fault::AnswerTooLong { limit: 2 * ANSWER_LIMIT });
                }
                body.extend_from_slice(data);
                Ok(())
            }
            Form::Foreign(content_type) => Err(Fault::NotAnAnswer {
                content_type: content_type.clone(),
                start: String::from_utf8_lossy(data).chars().take(80).collect(),
            }),
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        match &self.form {
            Form::Stream => self.parser.end().map_err(cut_off),
            Form::Whole(body) if body.is_empty() => Err(Fault::Truncated { awaited: "its first byte" }),
            Form::Whole(body) => {
                let body = std::str::from_utf8(body).map_err(|_| Fault::NotUtf8)?;
                self.parser.whole(body).map_err(cut_off)
            }
            Form::Foreign(content_type) => {
                Err(Fault::NotAnAnswer { content_type: content_type.clone(), start: String::new() })
            }
        }
    }

    fn error(&self, fault: Fault) -> ProviderError {
        let scrub = |text: String| self.endpoint.scrub(&text);
        let fault = match fault {
            Fault::MidStream { kind, name, message } => {
                Fault::MidStream { kind, name, message: scrub(message) }
            }
            Fault::NotJson { start, cause } => Fault::NotJson { start: scrub(start), cause },
            Fault::NotAnAnswer { content_type, start } => {
                Fault::NotAnAnswer { content_type, start: scrub(start) }
            }
            fault => fault,
        };
        ProviderError::new(&self.endpoint.name, fault)
    }
}

/// JSON that ends too early was cut off on its way.
fn cut_off(fault: Fault) -> Fault {
    match fault {
        Fault::NotJson { cause, .. } if cause.is_eof() => Fault::Truncated { awaited: "the end of its JSON" },
        fault => fault,
    }
}
