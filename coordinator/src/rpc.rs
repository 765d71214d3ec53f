//! The coordinator's own gRPC API: served in this process over an in-memory stream, or by `serve` on a socket
//! and, for those who have access, on the network.
//! Either way the command line speaks to it through the same client.

mod assistant;
mod connect;
mod listen;
mod pass;
mod plans;
mod problem;
mod remote;
mod service;
mod stream;
mod tls;

pub use connect::{
    AssistantClient, Client, ConnectError, PlansClient, connect, connect_assistant, connect_plans, serve,
};
pub use pass::{NewKey, PassError};
pub use remote::PORT;
