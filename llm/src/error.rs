//! What can go wrong with a provider, by name, and by the kind that decides what to do next.

use std::time::Duration;

use proto::code::Code;
use thiserror::Error;

use crate::limits::Limits;

/// What an error means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Too many requests or tokens for now.
    Rate,
    /// The account has no credit or its plan is used up: waiting does not help, another provider does.
    Quota,
    /// The provider or the model has too much to do.
    Overload,
    /// The key is wrong, or not allowed to do this.
    Auth,
    /// The request is wrong: the same one fails everywhere in the same way.
    Invalid,
    /// No connection, or it broke.
    Network,
    /// No answer in time.
    Timeout,
    /// The answer began and did not come to its end.
    Truncated,
    /// The answer is not what the protocol says.
    Protocol,
}

/// The named fault behind an error.
#[derive(Debug, Error)]
pub enum Fault {
    #[error("the endpoint {url:?} is not usable: {why}")]
    Endpoint { url: String, why: &'static str },
    #[error("could not connect to {address}")]
    Connect {
        address: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("the connection to {address} broke")]
    Broken {
        address: String,
        #[source]
        cause: hyper::Error,
    },
    #[error("nothing came from the provider for {after:?} while {doing}")]
    Timeout { doing: &'static str, after: Duration },
    #[error("the provider answered {status} ({name}): {message}")]
    Status { status: u16, kind: Kind, name: String, message: String },
    #[error("the provider reported an error in mid-stream ({name}): {message}")]
    MidStream { kind: Kind, name: String, message: String },
    #[error("the answer ended before {awaited}")]
    Truncated { awaited: &'static str },
    #[error("a line of the answer is longer than {limit} bytes")]
    LineTooLong { limit: usize },
    #[error("the answer is longer than {limit} bytes")]
    AnswerTooLong { limit: usize },
    #[error("the answer has more than {limit} tool calls")]
    TooManyToolCalls { limit: usize },
    #[error("the answer is not UTF-8")]
    NotUtf8,
    #[error("the answer is not JSON: {start:?}")]
    NotJson {
        start: String,
        #[source]
        cause: serde_json::Error,
    },
    #[error("the answer does not have the shape of the protocol: {what}")]
    Shape { what: &'static str },
    #[error("the answer is {content_type:?} instead of a model's answer: {start:?}")]
    NotAnAnswer { content_type: String, start: String },
}

impl Fault {
    pub fn kind(&self) -> Kind {
        match self {
            Fault::Endpoint { .. } => Kind::Invalid,
            Fault::Connect { .. } | Fault::Broken { .. } => Kind::Network,
            Fault::Timeout { .. } => Kind::Timeout,
            Fault::Status { kind, .. } | Fault::MidStream { kind, .. } => *kind,
            Fault::Truncated { .. } => Kind::Truncated,
            Fault::LineTooLong { .. }
            | Fault::AnswerTooLong { .. }
            | Fault::TooManyToolCalls { .. }
            | Fault::NotUtf8
            | Fault::NotJson { .. }
            | Fault::Shape { .. }
            | Fault::NotAnAnswer { .. } => Kind::Protocol,
        }
    }
}

/// A request that failed, and all that the provider told about when to come again.
#[derive(Debug, Error)]
#[error("{provider} failed")]
pub struct ProviderError {
    /// The name the provider has in the configuration.
    pub provider: String,
    #[source]
    pub fault: Fault,
    /// From `retry-after` and its relatives.
    pub retry_after: Option<Duration>,
    /// What the headers of the answer told, if one came.
    pub limits: Box<Limits>,
}

impl ProviderError {
    pub fn new(provider: &str, fault: Fault) -> ProviderError {
        ProviderError { provider: provider.to_owned(), fault, retry_after: None, limits: Box::default() }
    }

    pub fn kind(&self) -> Kind {
        self.fault.kind()
    }

    /// Whether the provider may have done (and will charge) work for this request.
    pub fn may_be_charged(&self) -> bool {
        match &self.fault {
            Fault::Endpoint { .. } | Fault::Connect { .. } | Fault::Status { .. } => false,
            Fault::Broken { .. }
            | Fault::Timeout { .. }
            | Fault::MidStream { .. }
            | Fault::Truncated { .. }
            | Fault::LineTooLong { .. }
            | Fault::AnswerTooLong { .. }
            | Fault::TooManyToolCalls { .. }
            | Fault::NotUtf8
            | Fault::NotJson { .. }
            | Fault::Shape { .. }
            | Fault::NotAnAnswer { .. } => true,
        }
    }

    pub fn code(&self) -> Code {
        match self.kind() {
            Kind::Rate | Kind::Overload | Kind::Network | Kind::Truncated => Code::Unreachable,
            Kind::Quota | Kind::Auth => Code::Denied,
            Kind::Invalid => Code::InvalidInput,
            Kind::Timeout => Code::TimedOut,
            Kind::Protocol => Code::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self.kind() {
            Kind::Auth => Some(format!("check the key of {} (orchestrator secret set)", self.provider)),
            Kind::Quota => {
                Some(format!("the account at {} has no credit left, or its plan is used up", self.provider))
            }
            Kind::Network => Some(format!("check the endpoint of {} and the way to it", self.provider)),
            Kind::Protocol => {
                Some(format!("check that the endpoint of {} speaks the configured protocol", self.provider))
            }
            Kind::Rate | Kind::Overload | Kind::Invalid | Kind::Timeout | Kind::Truncated => None,
        }
    }
}
