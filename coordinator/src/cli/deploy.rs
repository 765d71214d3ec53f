//! `deploy <module>`: from argv to a DeployRequest, and from its events to a verdict.

pub mod source;
pub mod values;
mod verdict;

use std::time::{Duration, Instant};

use proto::v1;
use proto::v1::put_package_request::Options;

use self::source::Source;
use super::console::Format;
use super::problem::Failure;
use super::progress::{self, Story};
use super::{Context, explain, json, package, units};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator deploy hello-web
  orchestrator deploy redis@7.2.4 --name cache --node attic --set port=6380
  orchestrator deploy ./my-module --on arch=aarch64,room=attic --count 2
  orchestrator deploy node-exporter --every-node
  orchestrator deploy mosquitto --secret password=- < password.txt
  orchestrator deploy hello-web --dry-run --explain

Exit status: 0 healthy; 1 failed, and rolled back where there was something to roll back to;
2 wrong usage or input; 3 accepted but waiting for a node.")]
pub struct DeployArgs {
    /// A module of the registry, a folder with a MODULE.yaml, or a package file
    #[arg(value_name = "MODULE[@VERSION]")]
    module: String,
    /// Name of the deployment [default: the module's name]
    #[arg(long, value_name = "DEPLOYMENT")]
    name: Option<String>,
    /// Run only on this node; may be given several times
    #[arg(long = "node", value_name = "NODE")]
    nodes: Vec<String>,
    /// Run only where all of these labels and capabilities hold, like arch=aarch64,room=attic,gpu
    #[arg(long, value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    on: String,
    /// How many instances [default: as before, or 1]
    #[arg(long, value_name = "N", conflicts_with = "every_node", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// One instance on every node that fits, also on those that join later
    #[arg(long)]
    every_node: bool,
    /// Sets a config value of the module
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::parse_pair)]
    set: Vec<(String, String)>,
    /// Sets a secret config value, read from stdin (-) or a file
    #[arg(long = "secret", value_name = "KEY=-|KEY=@FILE")]
    secrets: Vec<String>,
    /// Move instances that keep data, too: they start empty elsewhere, and their data stays where it is
    #[arg(long)]
    leave_data: bool,
    /// Accept a high finding of the safety check of a folder or package; may be given several times
    #[arg(long, value_name = "FINDING")]
    accept: Vec<String>,
    /// Only show what would change; nothing is changed, and a folder is not registered
    #[arg(long, conflicts_with = "no_wait")]
    dry_run: bool,
    /// Show why each node was chosen or not
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WaitArgs {
    /// How long to wait until all is healthy
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = units::parse_duration)]
    pub timeout: Duration,
    /// Return as soon as the wish is recorded
    #[arg(long)]
    pub no_wait: bool,
}

pub async fn run(context: &Context, args: DeployArgs) -> Result<u8, Failure> {
    let started = Instant::now();
    let (is_dry_run, explains, wait) = (args.dry_run, args.explain, args.wait);
    let packed = match Source::find(&args.module)? {
        Source::Registry(_) => None,
        Source::Folder(path) => Some((package::pack(&path)?, package::signature(&path)?)),
        Source::Package(path) => Some((package::read(&path)?, package::signature(&path)?)),
    };
    let accept = args.accept.clone();
    let mut request = request(args).await?;
    let mut client = context.connect().await?;
    if let Some((packed, signature)) = packed.as_ref().filter(|_| is_dry_run) {
        request.unregistered = Some(package::unregistered(packed, &accept, signature)?);
    } else if let Some((packed, signature)) = packed {
        let options = Options { accept, signature, ..Options::default() };
        request.module = package::exact_name(&package::send_with(&mut client, packed, options).await?);
    }
    let events = client.deploy(request).await?.into_inner();
    let story = progress::follow(&context.console, events, wait.timeout).await?;
    if explains || is_dry_run {
        show_plan(context, &story, is_dry_run, explains)?;
    }
    if is_dry_run && story.finished.outcome() == v1::Outcome::Done {
        context.console.say(&story.finished.message);
        return Ok(0);
    }
    verdict::tell(context, &story, started.elapsed())
}

/// The request as argv has it; a module that is a folder or a file gets its name when it was sent.
async fn request(args: DeployArgs) -> Result<v1::DeployRequest, Failure> {
    use v1::replicas::{EveryNode, Replicas};
    let replicas = match (args.count, args.every_node) {
        (_, true) => Some(Replicas::EveryNode(EveryNode {})),
        (Some(count), false) => Some(Replicas::Count(count)),
        (None, false) => None,
    };
    Ok(v1::DeployRequest {
        module: args.module,
        deployment: args.name.unwrap_or_default(),
        nodes: args.nodes,
        selector: args.on,
        replicas: replicas.map(|replicas| v1::Replicas { replicas: Some(replicas) }),
        config: values::unique("--set", args.set)?,
        secrets: values::read_secrets(&args.secrets).await?,
        dry_run: args.dry_run,
        timeout_ms: units::to_millis(args.wait.timeout),
        no_wait: args.wait.no_wait,
        only_if_state: String::new(),
        unregistered: None,
        leave_data: args.leave_data,
    })
}

/// What a dry run finds, and the reasons where they are asked for.
fn show_plan(context: &Context, story: &Story, is_dry_run: bool, explains: bool) -> Result<(), Failure> {
    let Some(plan) = &story.plan else { return Ok(()) };
    let console = &context.console;
    match (console.format, is_dry_run) {
        (Format::Json, true) => console.print_json(&json::Plan::from(plan))?,
        (Format::Table, true) => console.print(&explain::plan(plan, &console.out))?,
        (Format::Json | Format::Table, false) => {}
    }
    let Some(explanation) = plan.explanation.as_ref().filter(|_| explains) else { return Ok(()) };
    match (console.format, is_dry_run) {
        (Format::Table, _) => console.print(&explain::explanation(explanation, &console.out, 0)),
        // The JSON of a dry run has the reasons; that of a deploy has no place for them.
        (Format::Json, true) => Ok(()),
        (Format::Json, false) => {
            console.say(explain::explanation(explanation, &console.err, 0).trim_end());
            Ok(())
        }
    }
}

/// Follows a rollback, restart, removal or drain to its verdict.
pub async fn finish(
    context: &Context,
    events: tonic::Streaming<v1::DeployEvent>,
    timeout: Duration,
    started: Instant,
) -> Result<u8, Failure> {
    let story = progress::follow(&context.console, events, timeout).await?;
    verdict::tell(context, &story, started.elapsed())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proto::v1::replicas::{EveryNode, Replicas};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DeployArgs,
    }

    async fn request_of(argv: &str) -> v1::DeployRequest {
        let line = Line::try_parse_from(argv.split(' ')).expect(argv);
        request(line.args).await.expect(argv)
    }

    #[tokio::test]
    async fn every_option_reaches_the_request() {
        let argv = "deploy redis@7.2.4 --name cache --node a --node b --on room=attic,gpu --count 2 \
                    --set port=6380 --set motd=a=b --timeout 2m --no-wait --leave-data";
        let got = request_of(argv).await;
        assert_eq!((got.module.as_str(), got.deployment.as_str()), ("redis@7.2.4", "cache"));
        assert_eq!(got.nodes, ["a", "b"]);
        assert_eq!(got.selector, "room=attic,gpu");
        assert_eq!(got.replicas.and_then(|r| r.replicas), Some(Replicas::Count(2)));
        assert_eq!(got.config["port"], "6380");
        assert_eq!(got.config["motd"], "a=b");
        assert_eq!(got.timeout_ms, 120_000);
        assert!(got.no_wait && got.leave_data && !got.dry_run);
    }

    #[tokio::test]
    async fn what_is_not_said_stays_as_it_was() {
        let got = request_of("deploy redis").await;
        assert_eq!(got.replicas, None);
        assert_eq!((got.deployment.as_str(), got.timeout_ms), ("", 120_000));
        let got = request_of("deploy redis --every-node --dry-run").await;
        assert_eq!(got.replicas.and_then(|r| r.replicas), Some(Replicas::EveryNode(EveryNode {})));
        assert!(got.dry_run && !got.leave_data);
    }
}
