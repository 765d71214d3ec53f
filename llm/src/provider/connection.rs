//! One HTTP/1.1 request on a connection of its own: what a model takes to answer dwarfs the handshake, and a connection
//! that is never reused cannot be stale. Redirects are not followed: the key is for the configured host.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Uri;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::{Fault, ProviderError};
use crate::key::ApiKey;
use crate::limits::Limits;
use crate::provider::Reply;
use crate::provider::parser::Parser;
use crate::provider::refusal::Refusal;

mod answer;
mod link;
#[cfg(feature = "tls")]
mod tls;

use answer::Answer;
use link::Link;

const REFUSAL_LIMIT: usize = 64 << 10;
#[cfg(feature = "coordinator")]
const LIST_LIMIT: usize = 4 << 20;
/// A look at what a provider offers takes no longer.
#[cfg(feature = "coordinator")]
const LOOK: Duration = Duration::from_secs(10);

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// From the request to the first byte of the answer: a local model may have to be loaded first.
    pub first_byte: Duration,
    /// Between two parts of the answer.
    pub idle: Duration,
    /// From the request to the end of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

/// Where a provider listens, checked.
#[derive(Clone)]
pub struct Endpoint {
    name: String,
    base: String,
    host: String,
    port: u16,
    is_tls: bool,
    key: Option<ApiKey>,
    timeouts: Timeouts,
}

impl Endpoint {
    /// Checks the base URL (`http://` or `https://`, a host, perhaps a port and a path; no user, no query).
    pub fn parse(
        name: &str,
        url: &str,
        key: Option<ApiKey>,
        timeouts: Timeouts,
    ) -> Result<Endpoint, ProviderError> {
        // The URL is shown without what may be a password in it.
        let unusable = |why| {
            let url = url.rsplit_once('@').map_or(url.to_owned(), |(_, rest)| format!("***@{rest}"));
            ProviderError::new(name, Fault::Endpoint { url, why })
        };
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| unusable("it is no URL"))?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") if cfg!(feature = "tls") => true,
            Some("https") => return Err(unusable("https is not built in")),
            _ => return Err(unusable("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| unusable("it names no host"))?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err(unusable(
                "a user or a query does not belong into it; the key is a secret of its own",
            ));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(unusable("it names no host"));
        }
        Ok(Endpoint {
            name: name.to_owned(),
            base: uri.path().trim_end_matches('/').to_owned(),
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            is_tls,
            key,
            timeouts,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn key(&self) -> Option<&ApiKey> {
        self.key.as_ref()
    }

    fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Sends `body` to the base URL with `path` behind it, and reads the answer through `parser`.
    pub(crate) async fn post(
        &self,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: &Value,
        parser: Box<dyn Parser>,
    ) -> Result<Reply, ProviderError> {
        let request = hyper::Request::post(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("accept", "text/event-stream, application/x-ndjson, application/json");
        let (link, head, body) =
            self.ask(request, headers, Bytes::from(body.to_string()), self.timeouts).await?;
        let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok());
        let answer = Answer::new(self, link, body, parser, content_type.unwrap_or_default());
        Ok(Reply { limits: limits(&head.headers), events: answer.events() })
    }

    /// Fetches a JSON text from the base URL with `path` behind it, with little patience.
    #[cfg(feature = "coordinator")]
    pub(crate) async fn get(
        &self,
        path: &str,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Value, ProviderError> {
        let timeouts =
            Timeouts { connect: LOOK.min(self.timeouts.connect), first_byte: LOOK, idle: LOOK, total: LOOK };
        let request =
            hyper::Request::get(format!("{}{path}", self.base)).header("accept", "application/json");
        let (mut link, _, mut body) = self.ask(request, headers, Bytes::new(), timeouts).await?;
        let failed = |fault| ProviderError::new(&self.name, fault);
        let mut bytes = Vec::new();
        loop {
            let frame = timeout(LOOK, link.drive(body.frame())).await;
            let frame =
                frame.map_err(|_| failed(Fault::Timeout { doing: "reading the answer", after: LOOK }))?;
            match frame {
                None => break,
                Some(Err(cause)) => return Err(failed(Fault::Broken { address: self.address(), cause })),
                Some(Ok(frame)) => bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            }
            if bytes.len() > LIST_LIMIT {
                return Err(failed(Fault::AnswerTooLong { limit: LIST_LIMIT }));
            }
        }
        serde_json::from_slice(&bytes).map_err(|cause| {
            let start: String = String::from_utf8_lossy(&bytes).chars().take(80).collect();
            failed(Fault::NotJson { start: self.scrub(&start), cause })
        })
    }

    /// Sends a request and takes the head of the answer; a status that is not 200 is an error with all that it says.
    async fn ask(
        &self,
        request: hyper::http::request::Builder,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
        timeouts: Timeouts,
    ) -> Result<(Link, hyper::http::response::Parts, Incoming), ProviderError> {
        let exchange = self.exchange(request, headers, body, timeouts);
        let waited = timeout(timeouts.total, exchange).await.unwrap_or_else(|_| {
            Err(Fault::Timeout { doing: "waiting for the answer", after: timeouts.total })
        });
        let (link, response) = waited.map_err(|fault| ProviderError::new(&self.name, fault))?;
        let (head, body) = response.into_parts();
        if head.status.as_u16() == 200 {
            return Ok((link, head, body));
        }
        let limits = limits(&head.headers);
        let text = self.refusal(link, body, timeouts.idle).await;
        Err(ProviderError {
            provider: self.name.clone(),
            fault: Refusal::of_status(head.status.as_u16(), &text),
            retry_after: limits.retry_after,
            limits: Box::new(limits),
        })
    }

    async fn exchange(
        &self,
        request: hyper::http::request::Builder,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
        timeouts: Timeouts,
    ) -> Result<(Link, hyper::Response<Incoming>), Fault> {
        let address = self.address();
        let mut request = request
            .header("host", &address)
            .header("user-agent", concat!("orchestrator/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|_| Fault::Endpoint {
            url: address.clone(),
            why: "its key or path has bytes that no header may have",
        })?;
        let connect = self.connect(&address);
        let connected = timeout(timeouts.connect, connect)
            .await
            .map_err(|_| Fault::Timeout { doing: "connecting", after: timeouts.connect })?;
        let (mut link, mut sender) = connected?;
        let first = timeout(timeouts.first_byte, link.drive(sender.send_request(request))).await;
        let response = first
            .map_err(|_| Fault::Timeout { doing: "waiting for the first byte", after: timeouts.first_byte })?
            .map_err(|cause| Fault::Broken { address, cause })?;
        Ok((link, response))
    }

    async fn connect(
        &self,
        address: &str,
    ) -> Result<(Link, hyper::client::conn::http1::SendRequest<Full<Bytes>>), Fault> {
        let failed = |cause| Fault::Connect { address: address.to_owned(), cause };
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        #[cfg(feature = "tls")]
        if self.is_tls {
            let stream = tls::handshake(stream, &self.host).await.map_err(failed)?;
            return Link::open(stream, address).await;
        }
        Link::open(stream, address).await
    }

    /// The text of an answer with an error status, without the key and bounded; what breaks off is what there is.
    async fn refusal(&self, mut link: Link, mut body: Incoming, idle: Duration) -> String {
        let mut text = Vec::new();
        while text.len() < REFUSAL_LIMIT {
            match timeout(idle, link.drive(body.frame())).await {
                Ok(Some(Ok(frame))) => text.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                Ok(Some(Err(_)) | None) | Err(_) => break,
            }
        }
        self.scrub(&String::from_utf8_lossy(&text))
    }

    fn scrub(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.scrub(text))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{} at {scheme}://{}{}", self.name, self.address(), self.base)
    }
}

fn limits(headers: &HeaderMap) -> Limits {
    Limits::read(|name| headers.get(name).and_then(|value| value.to_str().ok()))
}
