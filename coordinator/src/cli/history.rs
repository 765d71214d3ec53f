//! `history <deployment>`: every change to it, newest first.

use proto::v1;
use proto::v1::history_reply::Entry;

use super::console::{Look, Style};
use super::problem::Failure;
use super::table::{Cell, Fit, Table};
use super::units::{ago, span};
use super::{Context, explain, json};
use crate::clock::UnixMillis;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator history redis
  orchestrator rollback redis --to 4")]
pub struct HistoryArgs {
    deployment: String,
}

pub async fn run(context: &Context, args: HistoryArgs) -> Result<u8, Failure> {
    let request = context.request(v1::HistoryRequest { deployment: args.deployment });
    let entries = context.connect().await?.history(request).await?.into_inner().entries;
    let shapes: Vec<json::HistoryEntry<'_>> = entries.iter().map(Into::into).collect();
    context.print_list(&shapes, "no changes yet", |look| table(&entries, look, context.now()))?;
    Ok(0)
}

fn table(entries: &[Entry], look: &Look, now: UnixMillis) -> String {
    let mut table = Table::new(&[
        ("GENERATION", Fit::Keep),
        ("ACTION", Fit::Keep),
        ("RELEASE", Fit::Cut),
        ("OUTCOME", Fit::Keep),
        ("STARTED", Fit::Keep),
        ("TOOK", Fit::Keep),
        ("BY", Fit::Cut),
        ("MESSAGE", Fit::Wrap),
    ]);
    for entry in entries {
        let took = entry.finished_unix_ms - entry.started_unix_ms;
        table.row([
            Cell::from(entry.generation.to_string()),
            (&entry.action).into(),
            entry.release.as_ref().map_or_else(String::new, explain::release).into(),
            Cell::styled(&entry.outcome, style(&entry.outcome)),
            ago(entry.started_unix_ms, now).into(),
            if entry.finished_unix_ms == 0 { "runs".into() } else { span(took.max(0) / 1_000) }.into(),
            (&entry.by).into(),
            (&entry.message).into(),
        ]);
    }
    table.render(look)
}

fn style(outcome: &str) -> Style {
    match outcome {
        "done" | "healthy" => Style::Good,
        "failed" | "rolled_back" => Style::Bad,
        _ => Style::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_has_its_outcome_and_author() {
        let entry = |generation, outcome: &str, message: &str, finished| Entry {
            generation,
            action: "deploy".into(),
            outcome: outcome.into(),
            message: message.into(),
            started_unix_ms: 1_000_000,
            finished_unix_ms: finished,
            by: "eve@laptop".into(),
            ..Default::default()
        };
        let entries = [
            entry(3, "running", "", 0),
            entry(2, "failed", "exited with status 1", 1_002_000),
            entry(1, "done", "", 1_001_000),
        ];
        insta::assert_snapshot!(table(&entries, &Look::default(), 1_180_000), @r"
        GENERATION  ACTION  OUTCOME  STARTED  TOOK  BY          MESSAGE
        3           deploy  running  3m ago   runs  eve@laptop
        2           deploy  failed   3m ago   2s    eve@laptop  exited with status 1
        1           deploy  done     3m ago   1s    eve@laptop
        ");
    }
}
