//! `serve`: the coordinator as a daemon, until it is told to stop.

use std::path::PathBuf;

use super::Context;
use super::interrupt::Interrupt;
use super::problem::Failure;
use crate::rpc;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator serve
  orchestrator serve --socket /run/orchestrator.sock

Commands of this machine find it by its socket. It keeps the fleet as wished: what waits for a node is
delivered when the node is back. Without it, every command does that when it runs.")]
pub struct ServeArgs {
    /// The socket to listen on [default: orchestrator.sock in the data folder]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

pub async fn run(context: &Context, args: ServeArgs) -> Result<u8, Failure> {
    let socket = args.socket.unwrap_or_else(|| context.settings.socket());
    let interrupt = Interrupt::listen();
    let stop = interrupt.token();
    rpc::serve(&context.settings, &socket, stop).await?;
    Ok(0)
}
