//! `policy show|check|set`: what plans may do on nodes.

use std::path::{Path, PathBuf};

use proto::v1;
use serde::Serialize;

use super::Context;
use super::console::{Format, Style};
use super::plan::read_file;
use super::problem::Failure;
use super::units::rfc3339;

#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Prints the policy in force
    #[command(after_help = "Examples:
  orchestrator policy show > policy.yaml
  orchestrator policy show -o json | jq .standard")]
    Show,
    /// Checks a policy, or says what is decided of a command
    #[command(after_help = "Examples:
  orchestrator policy check ./policy.yaml
  orchestrator policy check -- apt-get install nginx
  orchestrator policy check ./policy.yaml -- systemctl restart nginx")]
    Check {
        /// A policy as YAML [default: the one in force]
        file: Option<PathBuf>,
        /// A command to be judged
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Puts another policy in force; runs that have begun keep theirs
    #[command(after_help = "Examples:
  orchestrator policy set ./policy.yaml
  orchestrator policy set --standard")]
    Set {
        /// A policy as YAML; - reads it from stdin
        #[arg(required_unless_present = "standard")]
        file: Option<PathBuf>,
        /// Back to the one that is shipped
        #[arg(long, conflicts_with = "file")]
        standard: bool,
    },
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    standard: bool,
    by: Option<&'a str>,
    since: Option<String>,
    yaml: &'a str,
}

#[derive(Debug, Serialize)]
struct Verdict<'a> {
    valid: bool,
    decision: Option<&'a str>,
    effect: Option<&'a str>,
    reasons: &'a [String],
}

pub async fn run(context: &Context, command: PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Show => {
            let request = context.request(v1::ShowPolicyRequest {});
            let policy = context.plans().await?.show_policy(request).await?.into_inner();
            context.print_or(&shown(&policy), |_| policy.yaml.clone())?;
        }
        PolicyCommand::Check { file, command } => return check(context, file.as_deref(), command).await,
        PolicyCommand::Set { file, standard } => {
            let (name, text) = match &file {
                Some(file) => (file.display().to_string(), read_file(file)?),
                None => (String::new(), Vec::new()),
            };
            let request = context.request(v1::SetPolicyRequest { file: name, text, standard });
            let policy = context.plans().await?.set_policy(request).await?.into_inner();
            if context.console.format == Format::Json {
                context.console.print_json(&shown(&policy))?;
            }
            context.console.say("the policy is in force; runs that have begun keep theirs");
        }
    }
    Ok(0)
}

fn shown(policy: &v1::PolicyReply) -> Shown<'_> {
    Shown {
        standard: policy.is_standard,
        by: (!policy.by.is_empty()).then_some(&policy.by),
        since: rfc3339(policy.unix_ms),
        yaml: &policy.yaml,
    }
}

async fn check(context: &Context, file: Option<&Path>, argv: Vec<String>) -> Result<u8, Failure> {
    if file.is_none() && argv.is_empty() {
        return Err(
            Failure::invalid("there is nothing to check").with_hint("name a file, or a command behind --")
        );
    }
    let (name, text) = match file {
        Some(file) => (file.display().to_string(), read_file(file)?),
        None => (String::new(), Vec::new()),
    };
    let has_command = !argv.is_empty();
    let request = context.request(v1::CheckPolicyRequest { file: name, text, argv });
    let verdict = context.plans().await?.check_policy(request).await?.into_inner();
    let shape = Verdict {
        valid: true,
        decision: has_command.then_some(&verdict.decision),
        effect: has_command.then_some(&verdict.effect),
        reasons: &verdict.reasons,
    };
    context.print_or(&shape, |look| {
        if !has_command {
            return "the policy is valid\n".to_owned();
        }
        let style = match verdict.decision.as_str() {
            "allow" => Style::Good,
            "ask" => Style::Warn,
            _ => Style::Bad,
        };
        let mut text = format!("{}, at least {}\n", look.paint(style, &verdict.decision), verdict.effect);
        for reason in &verdict.reasons {
            text += &format!("  {reason}\n");
        }
        text
    })?;
    Ok(0)
}
