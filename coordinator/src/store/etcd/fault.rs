//! What can go wrong between us and etcd, sorted by what may be done about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::store::{Cause, Revision, StoreError};

/// One failed call, at one or all endpoints.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    /// For people: what each endpoint said.
    pub(super) text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection: the request was never sent.
    NotSent,
    /// This endpoint has no leader now; it refused the request before looking at it.
    Leaderless,
    /// The request may have been carried out or not.
    Lost,
    /// Our token is from before a change of users or a restart; a new one helps.
    StaleToken,
    Denied,
    Compacted,
    LeaseEnded,
    Full,
    /// etcd's definite no.
    Refused,
}

impl Trouble {
    pub(super) fn timed_out() -> Trouble {
        Trouble { kind: Kind::Lost, text: "no answer in time".into() }
    }

    pub(super) fn from_error(error: &etcd_client::Error) -> Trouble {
        use etcd_client::Error;
        match error {
            Error::GRpcStatus(status) => from_status(status),
            Error::LeaseKeepAliveError(text) => Trouble { kind: Kind::LeaseEnded, text: text.clone() },
            Error::WatchError(text) | Error::ElectError(text) => {
                Trouble { kind: Kind::Lost, text: text.clone() }
            }
            Error::IoError(_) | Error::TransportError(_) => {
                Trouble { kind: Kind::Lost, text: error.to_string() }
            }
            Error::InvalidArgs(_)
            | Error::InvalidUri(_)
            | Error::Utf8Error(_)
            | Error::InvalidMetadataValue(_)
            | Error::EndpointError(_)
            | Error::EndpointsNotManaged
            | Error::Internal(_) => Trouble { kind: Kind::Refused, text: error.to_string() },
        }
    }

    /// Names the endpoint that it happened at.
    pub(super) fn at(self, endpoint: &str) -> Trouble {
        Trouble { text: format!("{endpoint}: {}", self.text), ..self }
    }

    /// Whether another endpoint, or the same one a moment later, may answer; for calls that may be repeated.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.kind, Kind::NotSent | Kind::Leaderless | Kind::Lost)
    }

    pub(super) fn is_hang_up(&self) -> bool {
        let ends = ["broken pipe", "reset by peer", "connection closed"];
        self.kind == Kind::Lost && ends.iter().any(|end| self.text.contains(end))
    }

    pub(super) fn is_compacted(&self) -> bool {
        self.kind == Kind::Compacted
    }

    pub(super) fn is_lease_ended(&self) -> bool {
        self.kind == Kind::LeaseEnded
    }

    pub(super) fn into_error(self, store: &str, operation: &'static str) -> StoreError {
        let store = store.to_owned();
        let cause: Cause = Box::new(Said(self.text));
        match self.kind {
            Kind::NotSent | Kind::Leaderless | Kind::Lost => StoreError::Unreachable { store, cause },
            Kind::Denied | Kind::StaleToken => StoreError::Denied { store, cause },
            Kind::Full => StoreError::Full { store },
            Kind::Compacted => StoreError::Compacted { from: Revision::default() },
            Kind::LeaseEnded | Kind::Refused => StoreError::Backend { operation, store, cause },
        }
    }
}

/// What etcd, or the way to it, said.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Said {}

fn from_status(status: &tonic::Status) -> Trouble {
    let (mut is_connect, mut tls) = (false, None);
    let mut texts = vec![status.message().to_owned()];
    for cause in causes(status) {
        is_connect |= cause.is::<tonic::ConnectError>();
        tls = tls.or(cause.downcast_ref::<rustls::Error>().map(judge_tls));
        let text = cause.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let kind = match tls {
        Some(kind) => kind,
        // HTTP/2 keeps of an error of TLS its text only.
        None if texts.iter().any(|text| text.contains("received fatal alert")) => Kind::Denied,
        None if is_connect => Kind::NotSent,
        None => judge(status.code(), status.message()),
    };
    // The innermost cause says it best: "Connection refused (os error 111)".
    Trouble { kind, text: texts.pop().unwrap_or_default() }
}

fn judge_tls(error: &rustls::Error) -> Kind {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_) => Kind::Denied,
        _ => Kind::NotSent,
    }
}

fn judge(code: tonic::Code, message: &str) -> Kind {
    let says = |words: &str| message.contains(words);
    match code {
        // etcd checks the token first, then the user's rights, and only then does what it is asked.
        tonic::Code::Unauthenticated => Kind::StaleToken,
        _ if says("auth store is old") || says("invalid auth token") => Kind::StaleToken,
        tonic::Code::PermissionDenied => Kind::Denied,
        _ if !message.starts_with("etcdserver:") => Kind::Lost,
        _ if says("timed out") || says("leader changed") || says("server stopped") => Kind::Lost,
        _ if says("no leader") => Kind::Leaderless,
        _ if says("compacted") => Kind::Compacted,
        _ if says("lease not found") => Kind::LeaseEnded,
        _ if says("space exceeded") => Kind::Full,
        _ if says("permission denied") || says("user name") || says("authentication") => Kind::Denied,
        _ => Kind::Refused,
    }
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(cause_of(error), |cause| cause_of(*cause))
}

fn cause_of<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    // `source()` of an `io::Error` skips the error that it wraps.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
