//! `plan run`: an approved plan on its nodes; on a terminal, approved right here.

use std::io::IsTerminal as _;
use std::time::Duration;

use proto::v1;

use super::{Named, hash, put, show};
use crate::cli::Context;
use crate::cli::confirm::confirm;
use crate::cli::console::Format;
use crate::cli::interrupt::Interrupt;
use crate::cli::problem::Failure;
use crate::cli::run::follow;
use crate::cli::units;
use crate::rpc::PlansClient;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator plan run ./cleanup.yaml                # shows it, asks, runs it and follows it
  orchestrator plan run ./cleanup.yaml --dry-run      # looks at the nodes and changes nothing
  orchestrator plan approve ./cleanup.yaml && orchestrator plan run ./cleanup.yaml --yes-to delete
  orchestrator plan run 3fa9c2d1 --no-wait

Exit status: 0 done on all nodes that it was for; 1 failed, rolled back, stopped or cancelled; 2 not valid, or not
approved; 3 waiting: for people, or for nodes that do not answer.")]
pub struct RunArgs {
    #[command(flatten)]
    plan: Named,
    /// Look and judge, but change nothing
    #[arg(long)]
    dry_run: bool,
    /// Approve this step beforehand, on every node; may be given several times
    #[arg(long, value_name = "STEP")]
    yes_to: Vec<String>,
    /// How long people may take for an answer; then it is a no
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = units::parse_duration)]
    approval_timeout: Duration,
    /// Return as soon as the run is recorded
    #[arg(long)]
    no_wait: bool,
}

pub async fn run(context: &Context, args: RunArgs) -> Result<u8, Failure> {
    let is_person = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let mut client = context.plans().await?;
    let plan = match args.plan.file() {
        Some(file) => hash(&put(context, &mut client, &file, false).await?),
        None => args.plan.plan.clone(),
    };
    if is_person {
        approve_here(context, &mut client, &plan, args.dry_run).await?;
    }
    let request = v1::StartRunRequest {
        plan,
        dry_run: args.dry_run,
        yes_to: args.yes_to,
        approval_timeout_ms: units::to_millis(args.approval_timeout),
    };
    let run = client.start_run(context.request(request)).await?.into_inner();
    context.console.say(&format!("run {} has begun", run.run));
    if args.no_wait {
        if context.console.format == Format::Json {
            context.console.print_json(&crate::cli::run::Summary::from(&run))?;
        }
        context.console.say(&format!("hint: `orchestrator run logs {}` follows it", run.run));
        return Ok(3);
    }
    follow::follow(context, &mut client, &run.run, is_person).await
}

/// Shows a plan that nobody has approved yet, and asks.
async fn approve_here(
    context: &Context,
    client: &mut PlansClient,
    plan: &str,
    dry_run: bool,
) -> Result<(), Failure> {
    let request = context.request(v1::ShowPlanRequest { plan: plan.to_owned() });
    let detail = client.show_plan(request).await?.into_inner();
    let now = context.now();
    let approval = detail.plan.as_ref().and_then(|plan| plan.approval.as_ref());
    if dry_run || approval.is_some_and(|approval| now < approval.until_unix_ms) || !show::may_run(&detail) {
        return Ok(());
    }
    context.console.say(show::text(&detail, &context.console.err).trim_end());
    let interrupt = Interrupt::listen();
    let question = format!("\nRun this plan on {} nodes?", detail.nodes.len());
    if !confirm(context, &question, &interrupt).await? {
        return Err(Failure::invalid("the plan was not approved, and nothing was done"));
    }
    let request = v1::ApprovePlanRequest { plan: hash(&detail), valid_ms: 0 };
    client.approve_plan(context.request(request)).await?;
    Ok(())
}
