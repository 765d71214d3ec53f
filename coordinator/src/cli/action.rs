//! `action <deployment> [<action>]`: what a module lets people run on its instances.

use std::collections::BTreeMap;

use proto::v1::{self, Action, Effect, FleetActRequest, ShowActionsReply, ShowActionsRequest};
use serde::Serialize;

use super::Context;
use super::confirm::confirm;
use super::console::Look;
use super::deploy::values::{parse_pair, unique};
use super::interrupt::Interrupt;
use super::node::exec;
use super::problem::Failure;
use super::table::{Fit, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator action mosquitto                                # what there is, and what it takes
  orchestrator action mosquitto clients
  orchestrator action mosquitto publish --arg topic=attic/lamp --arg text=on
  orchestrator action mosquitto/1 clients -o json              # one instance

It runs where the instance runs, as the same user; of a module in containers, in the container.
What can destroy something is asked about first; a script that gives the action's name is not asked.
Exit status: 0 where it succeeded on every instance, else 1.")]
pub struct ActionArgs {
    /// A deployment, or one instance of it like mosquitto/0
    #[arg(value_name = "DEPLOYMENT[/INDEX]")]
    deployment: String,
    /// What to run [default: nothing; lists what there is]
    action: Option<String>,
    /// A value that it takes
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = parse_pair, requires = "action")]
    args: Vec<(String, String)>,
    /// Only on the instances of this node
    #[arg(long = "node", value_name = "NODE", requires = "action")]
    nodes: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub async fn run(context: &Context, args: ActionArgs) -> Result<u8, Failure> {
    let mut client = context.connect().await?;
    let request = context.request(ShowActionsRequest { deployment: args.deployment.clone() });
    let offered = client.show_actions(request).await?.into_inner();
    let Some(name) = args.action else { return list(context, &offered) };
    // What is not there is told by the coordinator, with what is.
    let effect = match offered.actions.get(&name).map_or(Effect::Read, Action::effect) {
        Effect::Unspecified => Effect::Destructive,
        known => known,
    };
    let targets = targets(&offered, &args.nodes);
    if effect >= Effect::Destructive && !args.yes {
        let question = format!("{name} is {} on {}; run it?", word(effect), targets.join(", "));
        if !confirm(context, &question, &Interrupt::listen()).await? {
            context.console.say("nothing was run");
            return Ok(1);
        }
    } else if effect > Effect::Read {
        context.console.say(&format!("{name} is {} on {}", word(effect), targets.join(", ")));
    }
    let request = FleetActRequest {
        deployment: args.deployment,
        action: name,
        args: unique("--arg", args.args)?,
        nodes: args.nodes,
        accepts: effect.into(),
    };
    let outputs = client.act(request).await?.into_inner();
    exec::print(context, outputs, targets.len() == 1).await
}

fn targets(offered: &ShowActionsReply, nodes: &[String]) -> Vec<String> {
    let places = offered.places.iter().filter(|(_, node)| nodes.is_empty() || nodes.contains(node));
    places.map(|(instance, node)| format!("{instance}@{node}")).collect()
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    action: &'a str,
    effect: &'static str,
    description: &'a str,
    args: BTreeMap<&'a str, Argument<'a>>,
}

#[derive(Debug, Serialize)]
struct Argument<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    values: &'a [String],
    default: Option<&'a str>,
    required: bool,
    description: &'a str,
}

fn list(context: &Context, offered: &ShowActionsReply) -> Result<u8, Failure> {
    let shown: Vec<Shown<'_>> = offered.actions.iter().map(|(name, action)| shown(name, action)).collect();
    let release = offered.release.clone().unwrap_or_default();
    let nothing = format!("{} {} has no actions", release.module, release.version);
    context.print_list(&shown, &nothing, |look| table(&shown, look))?;
    Ok(0)
}

fn shown<'a>(name: &'a str, action: &'a Action) -> Shown<'a> {
    let argument = |argument: &'a v1::Argument| Argument {
        r#type: &argument.r#type,
        values: &argument.values,
        default: argument.default.as_deref(),
        required: argument.required,
        description: &argument.description,
    };
    Shown {
        action: name,
        effect: word(action.effect()),
        description: &action.description,
        args: action.args.iter().map(|(name, given)| (name.as_str(), argument(given))).collect(),
    }
}

/// What does not say what it may change may change everything.
fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Idempotent => "idempotent",
        Effect::Reversible => "reversible",
        Effect::Destructive | Effect::Unspecified => "destructive",
    }
}

fn table(shown: &[Shown<'_>], look: &Look) -> String {
    let columns = [("ACTION", Fit::Keep), ("EFFECT", Fit::Keep), ("TAKES", Fit::Wrap), ("", Fit::Wrap)];
    let mut table = Table::new(&columns);
    for action in shown {
        let takes: Vec<String> = action.args.iter().map(|(name, argument)| argument.in_words(name)).collect();
        table.row([
            action.action.into(),
            action.effect.into(),
            takes.join(" ").into(),
            action.description.into(),
        ]);
    }
    table.render(look)
}

impl Argument<'_> {
    /// `topic=string [count=10] [qos=low|high]`
    fn in_words(&self, name: &str) -> String {
        let value = match (self.default, self.values) {
            (Some(default), _) => default.to_owned(),
            (None, []) => self.r#type.to_owned(),
            (None, values) => values.join("|"),
        };
        if self.required { format!("{name}={value}") } else { format!("[{name}={value}]") }
    }
}
