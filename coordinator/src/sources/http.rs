//! Reads from web servers: bounded in time and size, with redirects, and with what a host says when it has had enough.

use std::io::Read as _;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Timeout};

use super::wanted::FILE_BYTES;
use super::{Project, SourceError, Token, folder};
use crate::clock::{Clock as _, SystemClock};

/// How long one request may take, redirects included.
const DEADLINE: Duration = Duration::from_secs(60);
const CONNECT: Duration = Duration::from_secs(15);
const REDIRECTS: u32 = 5;
/// A host that takes requests again this soon is waited for.
const PATIENCE: Duration = Duration::from_secs(8);
/// Some hosts ask for a minute and mean it; what says nothing is taken for that.
const UNSAID: Duration = Duration::from_secs(60);

/// A client for one import.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    token: Option<Token>,
}

/// What a server said.
#[derive(Debug)]
pub struct Answer {
    pub bytes: Vec<u8>,
    /// Whether `bytes` is all of it.
    pub is_whole: bool,
    /// After redirects.
    pub url: String,
}

impl Client {
    pub fn new(token: Option<Token>) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .save_redirect_history(true)
            .timeout_global(Some(DEADLINE))
            .timeout_connect(Some(CONNECT))
            .user_agent(concat!("orchestrator/", env!("CARGO_PKG_VERSION")));
        if let Some(roots) = own_roots() {
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Self { agent: Agent::new_with_config(config.build()), token }
    }

    /// Reads at most `limit` bytes. Where the host asks for a short pause, it gets it, once.
    pub fn get(&self, url: &str, accept: &str, limit: u64) -> Result<Answer, SourceError> {
        match self.try_get(url, accept, limit) {
            Err(SourceError::RateLimited { wait, .. }) if wait <= PATIENCE => {
                std::thread::sleep(wait);
                self.try_get(url, accept, limit)
            }
            answer => answer,
        }
    }

    fn try_get(&self, url: &str, accept: &str, limit: u64) -> Result<Answer, SourceError> {
        let host = host_of(url);
        let mut request = self.agent.get(url).header("accept", accept);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {}", token.reveal()));
        }
        let mut response = request.call().map_err(|cause| failure(&host, url, cause))?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(self.refusal(&host, url, status, &mut response));
        }
        let mut bytes = Vec::new();
        let body = response.body_mut().as_reader();
        body.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|cause| SourceError::Read { what: url.to_owned(), cause })?;
        let is_whole = bytes.len() as u64 <= limit;
        let url = last_url(&response).unwrap_or_else(|| url.to_owned());
        Ok(Answer { bytes, is_whole, url })
    }

    fn refusal(
        &self,
        host: &str,
        url: &str,
        status: u16,
        response: &mut ureq::http::Response<ureq::Body>,
    ) -> SourceError {
        let (host, what) = (host.to_owned(), url.to_owned());
        let has_token = self.token.is_some();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let number = |name: &str| header(name)?.trim().parse::<u64>().ok();
        let pause = number("retry-after").map(Duration::from_secs);
        let is_used_up = number("x-ratelimit-remaining") == Some(0);
        let reset = number("x-ratelimit-reset").map(until);
        match status {
            429 => SourceError::RateLimited { host, wait: pause.or(reset).unwrap_or(UNSAID), has_token },
            403 if pause.is_some() || is_used_up => {
                SourceError::RateLimited { host, wait: pause.or(reset).unwrap_or(UNSAID), has_token }
            }
            401 => SourceError::BadToken { host },
            403 => {
                let message = message(response);
                if message.to_lowercase().contains("rate limit") {
                    return SourceError::RateLimited { host, wait: reset.unwrap_or(UNSAID), has_token };
                }
                SourceError::Forbidden { host, what, message }
            }
            404 | 410 | 451 => SourceError::NotFound { what, has_token },
            300..=399 => SourceError::Redirects { what },
            _ => SourceError::Status { host, status, what },
        }
    }
}

/// How long from now until a moment that a host named, in seconds since 1970.
fn until(reset: u64) -> Duration {
    let now = u64::try_from(SystemClock.now() / 1000).unwrap_or_default();
    Duration::from_secs(reset.saturating_sub(now).max(1))
}

/// What GitHub and its like say in words: `{"message": …}`.
fn message(response: &mut ureq::http::Response<ureq::Body>) -> String {
    let mut text = String::new();
    let read = response.body_mut().as_reader().take(4096).read_to_string(&mut text);
    let said = read.ok().and_then(|_| serde_json::from_str::<serde_json::Value>(&text).ok());
    let said = said.and_then(|value| value.get("message")?.as_str().map(str::to_owned));
    said.unwrap_or_else(|| "forbidden".to_owned())
}

fn last_url(response: &ureq::http::Response<ureq::Body>) -> Option<String> {
    use ureq::ResponseExt as _;
    response.get_redirect_history()?.last().map(ToString::to_string)
}

/// Certificates of an own authority, where the environment names some, as for most programs.
fn own_roots() -> Option<RootCerts> {
    let path = std::env::var_os("SSL_CERT_FILE")?;
    let pem = std::fs::read(path).ok()?;
    let items = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    });
    let certificates: Vec<_> = items.collect();
    (!certificates.is_empty()).then(|| RootCerts::new_with_certs(&certificates))
}

fn failure(host: &str, url: &str, error: ureq::Error) -> SourceError {
    let host = host.to_owned();
    match error {
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
            SourceError::TimedOut { host, after: CONNECT }
        }
        ureq::Error::Timeout(_) => SourceError::TimedOut { host, after: DEADLINE },
        ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => {
            SourceError::Redirects { what: url.to_owned() }
        }
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            SourceError::Refused { text: url.to_owned(), reason: "it is not a web address" }
        }
        cause => SourceError::Unreachable { host, cause: cause.into() },
    }
}

/// The host of an address, for people.
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit('@').next().unwrap_or(authority).to_owned()
}

/// A single file on the web.
pub fn read_one(url: &str) -> Result<Project, SourceError> {
    let answer = Client::new(None).get(url, "*/*", FILE_BYTES)?;
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("README.md");
    let is_page = answer
        .bytes
        .trim_ascii_start()
        .get(..9)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"<!doctype"));
    if is_page {
        return Err(SourceError::Answer {
            host: host_of(url),
            what: url.to_owned(),
            reason: "it is a web page; name the raw file, or the repository".to_owned(),
        });
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    folder::one(name, answer.bytes, answer.is_whole, &answer.url, parent)
}
