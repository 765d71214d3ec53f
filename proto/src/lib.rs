//! The contract between the parts: generated gRPC types and the ids both ends share.

pub mod code;
pub mod ids;
#[cfg(feature = "server")]
pub mod peer;
mod redact;

/// Generated from `proto/orchestrator/v1/*.proto`.
#[allow(
    clippy::all,
    clippy::allow_attributes,
    reason = "generated code; which lints fire depends on the features"
)]
pub mod v1 {
    tonic::include_proto!("orchestrator.v1");
}
