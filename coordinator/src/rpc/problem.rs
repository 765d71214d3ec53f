//! Errors on the wire: a gRPC status whose details carry the causes, the hint and the explanation.

use std::error::Error;

use prost::Message;
use proto::v1;
use tonic::Status;

use crate::fleet::{FleetError, wire};

/// The status a client sees for `error`.
pub fn to_status(error: &FleetError) -> Status {
    let problem = v1::Problem {
        code: error.code().as_str().to_owned(),
        message: causes(error).join("\n"),
        hint: error.hint().unwrap_or_default(),
        explanation: error.explanation().map(wire::explanation),
    };
    Status::with_details(error.code().grpc(), error.to_string(), problem.encode_to_vec().into())
}

/// One line per cause, outermost first, without repetitions.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        if lines.last().is_none_or(|last| !last.contains(&line)) {
            lines.push(line);
        }
        next = cause.source();
    }
    lines
}
