//! A container engine of this node, Docker or Podman, reached through the socket of its API.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

mod containers;
pub mod http;
pub mod images;
mod probe;
#[cfg(test)]
pub mod stub;

pub use containers::{Stream, text};
pub use probe::Engines;

use http::{Body, Request, Response};

/// For what does not wait for anything by its nature.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What we speak at most; an engine that is older says so.
const NEWEST: (u32, u32) = (1, 44);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Docker,
    Podman,
}

impl Kind {
    pub fn parse(text: &str) -> Option<Self> {
        [Kind::Docker, Kind::Podman].into_iter().find(|kind| kind.to_string() == text)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Docker => "Docker",
            Kind::Podman => "Podman",
        })
    }
}

/// Why an engine did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{kind} does not answer")]
    Unreachable {
        kind: Kind,
        #[source]
        cause: io::Error,
    },
    #[error("{kind} does not answer within {limit:?}")]
    Slow { kind: Kind, limit: Duration },
    #[error("{kind} says: {message}")]
    Refused { kind: Kind, status: u16, message: String },
    #[error("{0}")]
    Image(String),
    #[error("could not read {}", path.display())]
    Archive {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

impl EngineError {
    /// Whether it may pass by itself: the engine is away, or has too much to do.
    pub fn passes(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } => true,
            // A port, an address or a name that a former container is about to leave.
            Self::Refused { status: 409 | 500, message, .. } => is_taken(message),
            Self::Refused { .. } | Self::Image(_) | Self::Archive { .. } => false,
        }
    }

    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

/// A reachable engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    pub kind: Kind,
    socket: PathBuf,
    /// Goes before each path, such as `/v1.41`.
    version: String,
}

impl Engine {
    /// Asks whether anybody answers at this socket, and who.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn at(socket: &Path) -> io::Result<Self> {
        let request = Request { method: "GET", path: "/_ping", headers: String::new(), body: Body::Nothing };
        let response = http::send(socket, request).await?;
        if response.status != 200 {
            return Err(io::Error::other(format!("it answers {}", response.status)));
        }
        let kind = if response.server.starts_with("Libpod") { Kind::Podman } else { Kind::Docker };
        let offered = response
            .api_version
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (major, minor) = offered.unwrap_or(NEWEST).min(NEWEST);
        Ok(Self { kind, socket: socket.to_owned(), version: format!("/v{major}.{minor}") })
    }

    /// Sends a request; the body of a good answer is yet to be read.
    ///
    /// # Errors
    /// When the engine is away or refuses.
    pub async fn open(&self, request: Request<'_>) -> Result<Response, EngineError> {
        let path = format!("{}{}", self.version, request.path);
        let sent = http::send(&self.socket, Request { path: &path, ..request }).await;
        let response = sent.map_err(|cause| self.unreachable(cause))?;
        if response.status < 400 {
            return Ok(response);
        }
        let status = response.status;
        let body = timeout(PATIENCE, response.body()).await.unwrap_or_else(|_| Ok(Vec::new()));
        let body = body.map_err(|cause| self.unreachable(cause))?;
        Err(EngineError::Refused { kind: self.kind, status, message: message(&body) })
    }

    /// Sends a request and reads the answer, `null` where there is none.
    ///
    /// # Errors
    /// When the engine is away or refuses, or does not answer in time.
    pub async fn call(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Result<Value, EngineError> {
        let bytes = body.map(|body| body.to_string().into_bytes());
        let body = bytes.as_deref().map_or(Body::Nothing, Body::Json);
        let request = Request { method, path, headers: String::new(), body };
        let asked = async {
            let response = self.open(request).await?;
            response.body().await.map_err(|cause| self.unreachable(cause))
        };
        let slow = |_| EngineError::Slow { kind: self.kind, limit };
        let bytes = timeout(limit, asked).await.map_err(slow)??;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, EngineError> {
        self.call("GET", path, None, PATIENCE).await
    }

    pub(crate) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, EngineError> {
        self.call("POST", path, body, PATIENCE).await
    }

    /// What is not there need not be deleted.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), EngineError> {
        match self.call("DELETE", path, None, PATIENCE).await {
            Err(error) if !error.is_missing() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    pub(crate) fn unreachable(&self, cause: io::Error) -> EngineError {
        EngineError::Unreachable { kind: self.kind, cause }
    }
}

/// Whether a refusal says that somebody has what is asked for. Each engine, and each part of it, has its own words.
fn is_taken(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["is already allocated", "address already in use", "is already in use"]
        .iter()
        .any(|words| message.contains(words))
}

/// Docker says `message`, Podman `cause` as well.
fn message(body: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let text = json.as_ref().and_then(|json| json["message"].as_str());
    let text = text.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let text = text.trim();
    text.chars().take(1000).collect()
}

/// For a part of a path or a query: all but the plain letters in their escaped form.
pub(crate) fn escape(text: &str) -> String {
    use fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a string cannot fail");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_former_container_is_about_to_leave_is_waited_for_and_nothing_else() {
        for (status, message, passes) in [
            (500, "Bind for 0.0.0.0:80 failed: port is already allocated", true),
            (409, "Conflict. The container name \"/web\" is already in use by container \"1f\".", true),
            (500, "creating container storage: the container name \"web\" is already in use by 1f", true),
            (500, "driver failed: listen tcp4 0.0.0.0:80: bind: address already in use", true),
            (500, "cannot listen on the TCP port: listen tcp4 :80: bind: Address already in use", true),
            (409, "You cannot remove a running container", false),
            (404, "No such image: web:1", false),
            (500, "no space left on device", false),
            (400, "invalid reference: is already in use", false),
        ] {
            let error = EngineError::Refused { kind: Kind::Docker, status, message: message.to_owned() };
            assert_eq!(error.passes(), passes, "{status} {message}");
        }
    }
}
