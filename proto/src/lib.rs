//! The contract between the parts: generated gRPC types and the ids both ends share.

pub mod code;
pub mod ids;
mod redact;

/// Generated from `proto/orchestrator/v1/*.proto`.
#[expect(clippy::all, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("orchestrator.v1");
}
