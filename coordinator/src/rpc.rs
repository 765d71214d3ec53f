//! The coordinator's own gRPC API: served in this process over an in-memory stream, or by `serve` on a socket.
//! Either way the command line speaks to it through the same client.

mod connect;
mod problem;
mod service;

pub use connect::{Client, ConnectError, connect, serve};
