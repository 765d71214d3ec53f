//! Why a source could not be read, and what to do about it.

use std::time::Duration;

use proto::code::Code;

use super::wanted::FILE_BYTES;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{text:?} is no folder, file, repository or address that can be read")]
    Unknown { text: String },
    #[error("{text:?} is not an address that can be read: {reason}")]
    Refused { text: String, reason: &'static str },
    #[error("could not read {what}")]
    Read {
        what: String,
        #[source]
        cause: std::io::Error,
    },
    #[error("could not reach {host}")]
    Unreachable {
        host: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{host} did not answer within {} s", after.as_secs())]
    TimedOut { host: String, after: Duration },
    #[error("there is nothing at {what}")]
    NotFound { what: String, has_token: bool },
    #[error("{host} does not accept the token")]
    BadToken { host: String },
    #[error("{host} does not let us read {what}: {message}")]
    Forbidden { host: String, what: String, message: String },
    #[error("{host} has had enough requests from us for now; it takes new ones in {}", in_words(*wait))]
    RateLimited { host: String, wait: Duration, has_token: bool },
    #[error("{host} answered {status} for {what}")]
    Status { host: String, status: u16, what: String },
    #[error("{what} sends us round in circles")]
    Redirects { what: String },
    #[error("{what} is not what {host} should answer: {reason}")]
    Answer { host: String, what: String, reason: String },
    #[error("{what} has more than {limit} bytes")]
    TooBig { what: String, limit: u64 },
    #[error("{what} is not text")]
    Binary { what: String },
    #[error("{what} has no README, compose file or MODULE.yaml")]
    Nothing { what: String },
    #[error("git could not read {address}")]
    Git { address: String, message: String },
    #[error("git needed longer than {} s for {address}", after.as_secs())]
    GitTimedOut { address: String, after: Duration },
    #[error("git is not installed")]
    NoGit,
    #[error("{} is not a good package", path)]
    Package {
        path: String,
        #[source]
        cause: Box<modules::package::PackageError>,
    },
}

impl SourceError {
    pub fn code(&self) -> Code {
        match self {
            SourceError::Unknown { .. }
            | SourceError::Refused { .. }
            | SourceError::TooBig { .. }
            | SourceError::Binary { .. }
            | SourceError::Nothing { .. }
            | SourceError::Package { .. } => Code::InvalidInput,
            SourceError::NotFound { .. } => Code::NotFound,
            SourceError::Read { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => Code::NotFound,
            SourceError::Unreachable { .. } | SourceError::RateLimited { .. } => Code::Unreachable,
            SourceError::TimedOut { .. } | SourceError::GitTimedOut { .. } => Code::TimedOut,
            SourceError::BadToken { .. } | SourceError::Forbidden { .. } => Code::Denied,
            SourceError::Read { .. }
            | SourceError::Status { .. }
            | SourceError::Redirects { .. }
            | SourceError::Answer { .. }
            | SourceError::Git { .. }
            | SourceError::NoGit => Code::Failed,
        }
    }

    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            SourceError::Unknown { .. } => {
                "write https://github.com/OWNER/REPO, another git address, a folder or a file"
            }
            SourceError::NotFound { has_token: false, .. } => {
                "check the spelling; what is private needs a token in GITHUB_TOKEN"
            }
            SourceError::NotFound { has_token: true, .. } => {
                "check the spelling, and that the token may read it"
            }
            SourceError::BadToken { .. } => "check GITHUB_TOKEN, or unset it to read what is public",
            SourceError::RateLimited { has_token: false, .. } => {
                "with a token in GITHUB_TOKEN far more requests are allowed; or clone it and import the folder"
            }
            SourceError::RateLimited { has_token: true, .. } => "wait, or clone it and import the folder",
            SourceError::Nothing { .. } => "name the file to read, or write a MODULE.yaml for it",
            SourceError::TooBig { limit, .. } if *limit == FILE_BYTES => {
                "a README of that size is no README; import the compose file or a folder without it"
            }
            SourceError::NoGit => "install git, or import a folder",
            SourceError::Git { message, .. } => return Some(format!("git said: {message}")),
            SourceError::Package { cause, .. } => return cause.hint(),
            SourceError::Unreachable { .. } | SourceError::TimedOut { .. } => {
                "check the network and the address, or clone it elsewhere and import the folder"
            }
            SourceError::Refused { .. }
            | SourceError::Read { .. }
            | SourceError::Forbidden { .. }
            | SourceError::Status { .. }
            | SourceError::Redirects { .. }
            | SourceError::Answer { .. }
            | SourceError::TooBig { .. }
            | SourceError::Binary { .. }
            | SourceError::GitTimedOut { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn in_words(wait: Duration) -> String {
    match wait.as_secs() {
        seconds @ 0..=90 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}
