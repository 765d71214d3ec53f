//! `node …`: the machines of the fleet.

mod add;
pub mod exec;
mod list;
mod upgrade;

use std::time::{Duration, Instant};

use proto::v1;
use proto::v1::node_event::Event;
use tonic::Streaming;

use super::console::Style;
use super::interrupt::Interrupt;
use super::problem::{Failure, Problem};
use super::{Context, deploy, json, state, units};
use proto::code::Code;

#[derive(Debug, clap::Subcommand)]
pub enum NodeCommand {
    /// Enrols a machine: over SSH, or this one
    Add(add::AddArgs),
    /// Lists the nodes of the fleet
    #[command(
        after_help = "Examples:\n  orchestrator node list\n  orchestrator node list -o json | jq '.[].name'"
    )]
    List,
    /// Shows all that is known of one node
    #[command(after_help = "Examples:\n  orchestrator node show attic")]
    Show { node: String },
    /// Runs a command on nodes
    Exec(exec::ExecArgs),
    /// Places nothing new on a node
    #[command(after_help = "Examples:\n  orchestrator node cordon attic")]
    Cordon { node: String },
    /// Lets a node take instances again
    #[command(after_help = "Examples:\n  orchestrator node uncordon attic")]
    Uncordon { node: String },
    /// Moves all instances off a node, and cordons it
    #[command(after_help = "Examples:
  orchestrator node drain attic --timeout 5m
  orchestrator node drain attic --leave-data  # also those with volumes; they start empty elsewhere

What keeps data on the node stays there, and the exit status is 3, unless --leave-data is given.")]
    Drain {
        node: String,
        /// How long to wait until all has moved
        #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = units::parse_duration)]
        timeout: Duration,
        /// Move instances that keep data here, too: they start empty elsewhere, and their data stays here
        #[arg(long)]
        leave_data: bool,
    },
    /// Brings the agents of nodes to the one that lies beside the coordinator
    Upgrade(upgrade::UpgradeArgs),
    /// Takes a node out of the fleet, and its agent off the machine
    #[command(after_help = "Examples:
  orchestrator node drain attic && orchestrator node remove attic
  orchestrator node remove attic --force      # it runs instances, or will never come back")]
    Remove {
        node: String,
        /// Also where it runs instances or cannot be reached
        #[arg(long)]
        force: bool,
    },
}

pub async fn run(context: &Context, command: NodeCommand) -> Result<u8, Failure> {
    match command {
        NodeCommand::Add(args) => add::run(context, args).await,
        NodeCommand::List => list::run(context).await,
        NodeCommand::Show { node } => list::show(context, node).await,
        NodeCommand::Exec(args) => exec::run(context, args).await,
        NodeCommand::Cordon { node } => cordon(context, node, true).await,
        NodeCommand::Uncordon { node } => cordon(context, node, false).await,
        NodeCommand::Drain { node, timeout, leave_data } => {
            let started = Instant::now();
            let request = v1::DrainRequest { node, timeout_ms: units::to_millis(timeout), leave_data };
            let events = context.connect().await?.drain(request).await?.into_inner();
            deploy::finish(context, events, timeout, started).await
        }
        NodeCommand::Upgrade(args) => upgrade::run(context, args).await,
        NodeCommand::Remove { node, force } => {
            let request = v1::RemoveNodeRequest { node, force };
            let events = context.connect().await?.remove_node(request).await?.into_inner();
            follow(context, events).await?;
            Ok(0)
        }
    }
}

async fn cordon(context: &Context, node: String, cordoned: bool) -> Result<u8, Failure> {
    let request = context.request(v1::CordonRequest { node, cordoned });
    let node = context.connect().await?.cordon(request).await?.into_inner();
    context.print_or(&json::Node::from(&node), |look| {
        let name = look.paint(Style::Bold, &node.name);
        match cordoned {
            true => format!("{name} is cordoned: it keeps what it runs and gets nothing new\n"),
            false => format!("{name} takes instances again\n"),
        }
    })?;
    Ok(0)
}

/// Prints the node a command has changed.
fn finished(context: &Context, node: &v1::Node) -> Result<u8, Failure> {
    context.print_or(&json::Node::from(node), |look| {
        let (word, style) = state::node(node.state);
        let facts =
            node.facts.as_ref().map_or_else(String::new, |facts| format!(" ({}, {})", facts.arch, facts.os));
        format!("{}{facts} is {}\n", look.paint(Style::Bold, &node.name), look.paint(style, word))
    })?;
    Ok(0)
}

/// Tells each step; gives the node where the work ends with one.
async fn follow(
    context: &Context,
    mut events: Streaming<v1::NodeEvent>,
) -> Result<Option<v1::Node>, Failure> {
    let interrupt = Interrupt::listen();
    let console = &context.console;
    loop {
        let event = tokio::select! {
            event = tokio::time::timeout(STEP_DEADLINE, events.message()) => event.map_err(|_| silent())??,
            () = interrupt.pressed() => {
                console.say("interrupted: the same command again completes or repairs it");
                return Err(Failure::Interrupted);
            }
        };
        let Some(event) = event else { return Ok(None) };
        match event.event {
            Some(Event::Step(step)) => console.say(&step),
            Some(Event::Warning(warning)) => {
                console.say(&format!("{} {warning}", console.err.paint(Style::Warn, "warning:")));
            }
            Some(Event::Finished(node)) => return Ok(Some(node)),
            None => {}
        }
    }
}

/// No step of an enrolment takes longer: the slowest is the upload of a few MB.
const STEP_DEADLINE: Duration = Duration::from_secs(300);

fn silent() -> Failure {
    Failure::from(Problem::new(Code::TimedOut, "the coordinator fell silent"))
        .with_hint("the same command again completes or repairs it")
}
