//! `rollback`, `restart`, `remove`: the changes to a deployment that need no module.

use std::time::{Duration, Instant};

use proto::v1;

use super::deploy::{self, WaitArgs};
use super::problem::Failure;
use super::{Context, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator rollback redis
  orchestrator rollback redis --to 4      # a generation of `orchestrator history redis`")]
pub struct RollbackArgs {
    deployment: String,
    /// The generation to go back to [default: the last one that was healthy before this]
    #[arg(long, value_name = "GENERATION", default_value_t = 0, hide_default_value = true)]
    to: u64,
    /// Also where instances move away from their data: they start empty, and it stays where it is
    #[arg(long)]
    leave_data: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  orchestrator restart redis")]
pub struct RestartArgs {
    deployment: String,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator remove redis              # volumes stay on their nodes
  orchestrator remove redis --purge      # volumes go too")]
pub struct RemoveArgs {
    deployment: String,
    /// Delete its volumes too
    #[arg(long)]
    purge: bool,
    /// How long to wait until all of it has stopped
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = units::parse_duration)]
    timeout: Duration,
}

pub async fn rollback(context: &Context, args: RollbackArgs) -> Result<u8, Failure> {
    let started = Instant::now();
    let WaitArgs { timeout, no_wait } = args.wait;
    let request = v1::RollbackRequest {
        deployment: args.deployment,
        to_generation: args.to,
        timeout_ms: units::to_millis(timeout),
        no_wait,
        leave_data: args.leave_data,
    };
    let events = context.connect().await?.rollback(request).await?.into_inner();
    deploy::finish(context, events, timeout, started).await
}

pub async fn restart(context: &Context, args: RestartArgs) -> Result<u8, Failure> {
    let started = Instant::now();
    let WaitArgs { timeout, no_wait } = args.wait;
    let request =
        v1::RestartRequest { deployment: args.deployment, timeout_ms: units::to_millis(timeout), no_wait };
    let events = context.connect().await?.restart(request).await?.into_inner();
    deploy::finish(context, events, timeout, started).await
}

pub async fn remove(context: &Context, args: RemoveArgs) -> Result<u8, Failure> {
    let started = Instant::now();
    let RemoveArgs { deployment, purge, timeout } = args;
    let request = v1::RemoveRequest { deployment, purge, timeout_ms: units::to_millis(timeout) };
    let events = context.connect().await?.remove(request).await?.into_inner();
    deploy::finish(context, events, timeout, started).await
}
