//! `plan check|show|list|approve|run`: plans as files and as the fleet keeps them.

pub mod run;
pub(super) mod show;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::v1;

use super::Context;
use super::ask;
use super::problem::Failure;
use super::units;
use crate::rpc::PlansClient;
use show::Summary;
pub use show::short;

#[derive(Debug, clap::Subcommand)]
pub enum PlanCommand {
    /// Checks a file: whether it holds together, and may run on the nodes that it is for
    #[command(after_help = "Examples:
  orchestrator plan check ./cleanup.yaml
  orchestrator plan check - < cleanup.yaml
  orchestrator plan check ./cleanup.yaml -o json | jq .nodes")]
    Check {
        /// A plan as YAML or JSON; - reads it from stdin
        file: PathBuf,
    },
    /// Shows a plan as a tree, what it costs at worst, and what people will be asked
    #[command(after_help = "Examples:
  orchestrator plan show ./cleanup.yaml
  orchestrator plan show 3fa9c2d1")]
    Show(Named),
    /// Has a model write a plan for a goal, and keeps it for you to look at
    #[command(after_help = "Examples:
  orchestrator plan draft \"free disk space on every Pi that is above 85 %\"
  orchestrator plan draft \"update all packages\" --on label:room=attic --yaml > update.yaml")]
    Draft {
        /// What is to be reached
        goal: String,
        /// Print the plan as a file, to change it by hand
        #[arg(long)]
        yaml: bool,
        #[command(flatten)]
        wanted: ask::Wanted,
    },
    /// Lists the plans that the fleet keeps
    #[command(after_help = "Examples:\n  orchestrator plan list")]
    List,
    /// Says yes to exactly this plan, so that it can run without a further question
    #[command(after_help = "Examples:
  orchestrator plan approve ./cleanup.yaml
  orchestrator plan approve 3fa9c2d1 --until 12h")]
    Approve {
        #[command(flatten)]
        plan: Named,
        /// For how long it counts [default: 30d]
        #[arg(long, value_name = "DURATION", value_parser = parse_validity)]
        until: Option<Duration>,
    },
    /// Carries a plan out on its nodes: canary first, batch after batch, with the approvals that the policy asks for
    Run(run::RunArgs),
}

#[derive(Debug, clap::Args)]
pub struct Named {
    /// A file (./plan.yaml), or the beginning of a plan's hash
    #[arg(value_name = "FILE|HASH")]
    plan: String,
}

/// `30d`, or what other durations are.
pub fn parse_validity(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    match days {
        Some(days @ 1..=3650) => Ok(Duration::from_secs(u64::from(days) * 24 * 3600)),
        Some(_) => Err("it is not between 1d and 3650d".to_owned()),
        None => units::parse_duration(text),
    }
}

pub async fn run(context: &Context, command: PlanCommand) -> Result<u8, Failure> {
    match command {
        PlanCommand::Check { file } => check(context, &file).await,
        PlanCommand::Show(named) => {
            let detail = match named.file() {
                Some(file) => put(context, &mut context.plans().await?, &file, true).await?,
                None => {
                    let request = context.request(v1::ShowPlanRequest { plan: named.plan });
                    context.plans().await?.show_plan(request).await?.into_inner()
                }
            };
            context.print_or(&show::Detail::from(&detail), |look| show::text(&detail, look))?;
            Ok(0)
        }
        PlanCommand::List => {
            let request = context.request(v1::ListPlansRequest {});
            let plans = context.plans().await?.list_plans(request).await?.into_inner().plans;
            let now = context.now();
            let shapes: Vec<Summary<'_>> = plans.iter().map(|plan| Summary::new(plan, now)).collect();
            let nothing = "no plan is kept; `orchestrator plan run ./plan.yaml` keeps one";
            context.print_list(&shapes, nothing, |look| show::list(&plans, look, now))?;
            Ok(0)
        }
        PlanCommand::Run(args) => run::run(context, args).await,
        PlanCommand::Draft { goal, yaml, wanted } => ask::draft(context, &goal, &wanted, yaml).await,
        PlanCommand::Approve { plan, until } => approve(context, &plan, until).await,
    }
}

async fn check(context: &Context, file: &Path) -> Result<u8, Failure> {
    let detail = put(context, &mut context.plans().await?, file, true).await?;
    context.print_or(&show::Detail::from(&detail), |look| show::verdict(&detail, look))?;
    if show::may_run(&detail) {
        return Ok(0);
    }
    Err(Failure::invalid("the plan may not run on every node it is for")
        .with_hint("change it, name other nodes, or look at `orchestrator policy show`"))
}

async fn approve(context: &Context, named: &Named, until: Option<Duration>) -> Result<u8, Failure> {
    let mut client = context.plans().await?;
    let plan = match named.file() {
        Some(file) => hash(&put(context, &mut client, &file, false).await?),
        None => named.plan.clone(),
    };
    let valid_ms = until.map_or(0, |until| u64::from(units::to_millis(until)));
    let request = context.request(v1::ApprovePlanRequest { plan, valid_ms });
    let plan = client.approve_plan(request).await?.into_inner();
    context.print_or(&Summary::new(&plan, context.now()), |_| String::new())?;
    let until = plan.approval.as_ref().and_then(|approval| units::rfc3339(approval.until_unix_ms));
    let short = show::short(&plan.hash);
    context.console.say(&format!("plan {short} is approved until {}", until.unwrap_or_default()));
    Ok(0)
}

impl Named {
    /// The file that is meant, where it is none of the plans that the fleet keeps.
    fn file(&self) -> Option<PathBuf> {
        let path = Path::new(&self.plan);
        let is_named_so =
            matches!(path.extension().and_then(|end| end.to_str()), Some("yaml" | "yml" | "json"));
        (self.plan == "-" || self.plan.contains('/') || is_named_so || path.is_file())
            .then(|| path.to_owned())
    }
}

fn hash(detail: &v1::PlanDetail) -> String {
    detail.plan.as_ref().map(|plan| plan.hash.clone()).unwrap_or_default()
}

/// Plans are smaller by far.
const MAX_FILE: u64 = 1 << 20;

/// Sends a file to be checked, and kept unless it is only to be checked.
async fn put(
    context: &Context,
    client: &mut PlansClient,
    file: &Path,
    only_check: bool,
) -> Result<v1::PlanDetail, Failure> {
    let (name, text) = (file.display().to_string(), read_file(file)?);
    let request = context.request(v1::PutPlanRequest { file: name, text, only_check });
    Ok(client.put_plan(request).await?.into_inner())
}

/// A file, or stdin for `-`.
pub fn read_file(file: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |cause| Failure::io(format!("could not read {}", file.display()), &cause);
    let mut text = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().take(MAX_FILE).read_to_end(&mut text).map_err(failed)?;
    } else {
        std::fs::File::open(file).map_err(failed)?.take(MAX_FILE).read_to_end(&mut text).map_err(failed)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_a_hash() {
        for (text, is_file) in
            [("./a", true), ("a.yaml", true), ("-", true), ("3fa9c2d1", false), ("sha256:3fa9", false)]
        {
            assert_eq!(Named { plan: text.to_owned() }.file().is_some(), is_file, "{text}");
        }
    }

    #[test]
    fn a_yes_may_count_for_days() {
        assert_eq!(parse_validity("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        assert_eq!(parse_validity("12h"), Ok(Duration::from_secs(12 * 3600)));
        for text in ["0d", "4000d", "-1d", "d", ""] {
            assert!(parse_validity(text).is_err(), "{text}");
        }
    }
}
