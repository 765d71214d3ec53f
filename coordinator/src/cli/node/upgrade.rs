//! `node upgrade`: the agents of the fleet, brought to the build beside the coordinator.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::code::Code;
use proto::v1::UpgradeNodesRequest;
use proto::v1::upgrade_event::{Ended, Event, Outcome};
use serde::Serialize;
use tonic::Streaming;

use crate::cli::console::{Look, Style};
use crate::cli::interrupt::Interrupt;
use crate::cli::problem::{Failure, Problem};
use crate::cli::table::{Cell, Fit, Table};
use crate::cli::{Context, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator node upgrade attic
  orchestrator node upgrade --all --dry-run
  orchestrator node upgrade --on room=attic --timeout 2m
  orchestrator node upgrade --all -o json | jq -r '.[] | select(.outcome != \"upgraded\") | .node'

The agent is looked for where `node add` finds it: beside orchestrator. One node of each
architecture goes first; where that fails, the others are not touched. An agent that cannot be
reached anew within --timeout goes back by itself. What a node runs goes on all the while.
Exit status: 0 where all run this build, 1 where one failed or went back, 3 where one is offline.")]
pub struct UpgradeArgs {
    /// Their names
    #[arg(value_name = "NODE", required_unless_present_any = ["on", "all"])]
    nodes: Vec<String>,
    /// Those where all of these labels and capabilities hold
    #[arg(long, value_name = "SELECTOR")]
    on: Option<String>,
    /// All nodes
    #[arg(long, conflicts_with_all = ["nodes", "on"])]
    all: bool,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
    /// How long a new agent has to be reached and confirmed
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = units::parse_duration)]
    timeout: Duration,
}

pub async fn run(context: &Context, args: UpgradeArgs) -> Result<u8, Failure> {
    let request = UpgradeNodesRequest {
        nodes: args.nodes,
        selector: args.on.unwrap_or_default(),
        all: args.all,
        dry_run: args.dry_run,
        confirm_within_ms: units::to_millis(args.timeout),
    };
    let events = context.connect().await?.upgrade_nodes(request).await.map_err(unknown_call)?.into_inner();
    let ended = follow(context, events).await?;
    let shapes: Vec<Shape<'_>> = ended.iter().map(|(node, ended)| Shape::new(node, ended)).collect();
    context.print_list(
        &shapes,
        "no nodes yet; add one with `orchestrator node add NAME --ssh [USER@]HOST`",
        |look| table(&ended, look),
    )?;
    verdict(context, &ended)
}

fn unknown_call(status: tonic::Status) -> Failure {
    match status.code() {
        tonic::Code::Unimplemented => {
            Failure::from(Problem::new(Code::Failed, "the coordinator is too old to upgrade nodes"))
                .with_hint("restart `orchestrator serve` with this version")
        }
        _ => status.into(),
    }
}

async fn follow(
    context: &Context,
    mut events: Streaming<proto::v1::UpgradeEvent>,
) -> Result<BTreeMap<String, Ended>, Failure> {
    let interrupt = Interrupt::listen();
    let mut all = BTreeMap::new();
    loop {
        let event = tokio::select! {
            event = events.message() => event.map_err(unknown_call)?,
            () = interrupt.pressed() => {
                context.console.say("interrupted: an agent that is not confirmed goes back by itself");
                return Err(Failure::Interrupted);
            }
        };
        let Some(event) = event else { return Ok(all) };
        match event.event {
            Some(Event::Step(step)) => context.console.say(&format!("{}: {step}", event.node)),
            Some(Event::Ended(ended)) => {
                context.console.say(&format!("{}: {}", event.node, word(ended.outcome()).0));
                all.insert(event.node, ended);
            }
            None => {}
        }
    }
}

#[derive(Debug, Serialize)]
struct Shape<'a> {
    node: &'a str,
    outcome: &'static str,
    from_version: &'a str,
    from_digest: &'a str,
    to_digest: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    hint: &'a str,
}

impl<'a> Shape<'a> {
    fn new(node: &'a str, ended: &'a Ended) -> Self {
        Self {
            node,
            outcome: word(ended.outcome()).1,
            from_version: &ended.from_version,
            from_digest: &ended.from_digest,
            to_digest: &ended.to_digest,
            message: &ended.message,
            hint: &ended.hint,
        }
    }
}

/// For people, for scripts, and how it looks.
fn word(outcome: Outcome) -> (&'static str, &'static str, Style) {
    match outcome {
        Outcome::Unspecified => ("unknown", "unknown", Style::Bad),
        Outcome::UpToDate => ("up to date", "up_to_date", Style::Good),
        Outcome::WouldUpgrade => ("would be upgraded", "would_upgrade", Style::Plain),
        Outcome::Upgraded => ("upgraded", "upgraded", Style::Good),
        Outcome::RolledBack => ("rolled back", "rolled_back", Style::Bad),
        Outcome::Offline => ("offline", "offline", Style::Warn),
        Outcome::Failed => ("failed", "failed", Style::Bad),
        Outcome::NotTried => ("not tried", "not_tried", Style::Warn),
    }
}

fn table(all: &BTreeMap<String, Ended>, look: &Look) -> String {
    let mut table = Table::new(&[
        ("NODE", Fit::Keep),
        ("OUTCOME", Fit::Keep),
        ("FROM", Fit::Keep),
        ("TO", Fit::Keep),
        ("MESSAGE", Fit::Wrap),
    ]);
    for (node, ended) in all {
        let (text, _, style) = word(ended.outcome());
        table.row([
            Cell::styled(node, Style::Bold),
            Cell::styled(text, style),
            short(&ended.from_digest).into(),
            short(&ended.to_digest).into(),
            (&ended.message).into(),
        ]);
    }
    table.render(look)
}

/// Enough of a digest to tell builds apart.
fn short(digest: &str) -> String {
    digest.trim_start_matches("sha256:").chars().take(12).collect()
}

fn verdict(context: &Context, all: &BTreeMap<String, Ended>) -> Result<u8, Failure> {
    let of = |wanted: &[Outcome]| -> Vec<(&String, &Ended)> {
        all.iter().filter(|(_, ended)| wanted.contains(&ended.outcome())).collect()
    };
    let failed = of(&[Outcome::Failed, Outcome::RolledBack, Outcome::NotTried, Outcome::Unspecified]);
    let offline = of(&[Outcome::Offline]);
    if let Some((_, first)) = failed.iter().find(|(_, ended)| !ended.hint.is_empty()).or(failed.first()) {
        let mut problem = Problem::new(Code::Failed, "not all nodes were upgraded");
        let told = failed.iter().chain(&offline);
        problem.causes.extend(
            told.map(|(node, ended)| format!("{node} {}: {}", word(ended.outcome()).0, ended.message)),
        );
        problem.hint = Some(first.hint.clone()).filter(|hint| !hint.is_empty());
        return Err(problem.into());
    }
    if offline.is_empty() {
        return Ok(0);
    }
    let names: Vec<&str> = offline.iter().map(|(node, _)| node.as_str()).collect();
    context.console.say(&format!("skipped, as offline: {}", names.join(", ")));
    context.console.say("hint: the same command again when they are back");
    Ok(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_builds_apart_and_why() {
        let ended = |outcome: Outcome, message: &str| Ended {
            outcome: outcome.into(),
            from_digest: format!("sha256:{}", "a".repeat(64)),
            to_digest: format!("sha256:{}", "b".repeat(64)),
            message: message.into(),
            ..Default::default()
        };
        let all = BTreeMap::from([
            ("attic".to_owned(), ended(Outcome::Upgraded, "")),
            ("pi".to_owned(), ended(Outcome::RolledBack, "it was not confirmed within 60 s")),
        ]);
        insta::assert_snapshot!(table(&all, &Look::default()), @r"
        NODE   OUTCOME      FROM          TO            MESSAGE
        attic  upgraded     aaaaaaaaaaaa  bbbbbbbbbbbb
        pi     rolled back  aaaaaaaaaaaa  bbbbbbbbbbbb  it was not confirmed within 60 s
        ");
    }
}
