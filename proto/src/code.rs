//! One error code for gRPC, HTTP and the exit status.

use std::fmt;

/// The class of a failure. Every error enum answers `code()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The caller's input is wrong; trying again does not help.
    InvalidInput,
    NotFound,
    /// The state moved since the caller looked, or the thing exists already.
    Conflict,
    /// No node fits now; the wish waits.
    NoCapacity,
    /// Something that must be reached did not answer.
    Unreachable,
    /// The other side is not who it should be, or we are not allowed.
    Denied,
    /// The work was done as asked and failed.
    Failed,
    /// A deadline passed.
    TimedOut,
    /// A defect of ours.
    Internal,
}

impl Code {
    pub const ALL: [Code; 9] = [
        Code::InvalidInput,
        Code::NotFound,
        Code::Conflict,
        Code::NoCapacity,
        Code::Unreachable,
        Code::Denied,
        Code::Failed,
        Code::TimedOut,
        Code::Internal,
    ];

    /// Whether the same call may succeed later with nothing changed by the caller.
    pub fn retryable(self) -> bool {
        matches!(self, Code::Conflict | Code::Unreachable | Code::TimedOut)
    }

    /// The exit status of the command line.
    pub fn exit(self) -> u8 {
        match self {
            Code::InvalidInput | Code::NotFound => 2,
            Code::NoCapacity => 3,
            Code::Conflict
            | Code::Unreachable
            | Code::Denied
            | Code::Failed
            | Code::TimedOut
            | Code::Internal => 1,
        }
    }

    pub fn grpc(self) -> tonic::Code {
        match self {
            Code::InvalidInput => tonic::Code::InvalidArgument,
            Code::NotFound => tonic::Code::NotFound,
            Code::Conflict => tonic::Code::Aborted,
            Code::NoCapacity => tonic::Code::ResourceExhausted,
            Code::Unreachable => tonic::Code::Unavailable,
            Code::Denied => tonic::Code::PermissionDenied,
            Code::Failed => tonic::Code::FailedPrecondition,
            Code::TimedOut => tonic::Code::DeadlineExceeded,
            Code::Internal => tonic::Code::Internal,
        }
    }

    /// The code behind a gRPC status; what no code maps to is a defect.
    pub fn from_grpc(code: tonic::Code) -> Code {
        Code::ALL.into_iter().find(|own| own.grpc() == code).unwrap_or(Code::Internal)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Code::InvalidInput => "invalid_input",
            Code::NotFound => "not_found",
            Code::Conflict => "conflict",
            Code::NoCapacity => "no_capacity",
            Code::Unreachable => "unreachable",
            Code::Denied => "denied",
            Code::Failed => "failed",
            Code::TimedOut => "timed_out",
            Code::Internal => "internal",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in Code::ALL {
            assert_eq!(Code::from_grpc(code.grpc()), code);
        }
    }
}
