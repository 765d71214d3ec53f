//! `serve`: the coordinator as a daemon, until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Context;
use super::interrupt::Interrupt;
use super::problem::Failure;
use crate::rpc;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator serve
  orchestrator serve --socket /run/orchestrator.sock
  orchestrator serve --listen                         # and: orchestrator access add laptop

Commands of this machine find it by its socket. It keeps the fleet as wished: what waits for a node is
delivered when the node is back. Without it, every command does that when it runs.

With the store in etcd it also lets etcd forget what is older than an hour. etcd has one history for all who use
it: where others do, write `keep-history = \"off\"` (or another duration) below `[etcd]` in config.toml.")]
pub struct ServeArgs {
    /// The socket to listen on [default: orchestrator.sock in the data folder]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Serve on the network too, for those who have access [default address: [::]:7643]
    #[arg(long, value_name = "[ADDRESS]:PORT", num_args = 0..=1, default_missing_value = EVERYWHERE)]
    listen: Option<SocketAddr>,
}

/// All addresses of this machine; see `rpc::PORT`.
const EVERYWHERE: &str = "[::]:7643";

pub async fn run(context: &Context, args: ServeArgs) -> Result<u8, Failure> {
    let socket = args.socket.unwrap_or_else(|| context.settings.socket());
    let interrupt = Interrupt::listen();
    let stop = interrupt.token();
    rpc::serve(&context.settings, &socket, args.listen, stop).await?;
    Ok(0)
}
