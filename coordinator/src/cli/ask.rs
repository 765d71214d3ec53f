//! `ask`: from a goal in plain words to a plan that a person says yes to, and its run.

use std::io::IsTerminal as _;

use futures::StreamExt as _;
use proto::v1;
use proto::v1::ask_event::{Drafted, Event, ModuleDrafted, Routed, Spent};
use serde::Serialize;

use super::Context;
use super::confirm::confirm;
use super::console::{Style, printable};
use super::interrupt::Interrupt;
use super::plan::show;
use super::problem::Failure;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator ask \"free disk space on every Pi that is above 85 %\"
  orchestrator ask \"restart nginx where it has failed\" --on label:room=attic --budget 0.10
  orchestrator ask \"which node has the most free memory?\"
  orchestrator ask \"update all packages\" --plan-only -o json

A model writes a plan, code checks it, and you are shown it with what it can cost at worst before anything is
done. Models are configured in [llm] of config.toml; without one, `ask` says what to write there.
Exit status: 0 done, 1 failed or no usable plan, 2 wrong usage or not approved, 3 waiting.")]
pub struct AskArgs {
    /// What is to be reached, or a question about the fleet
    goal: String,
    /// Run the plan without asking; the policy may still ask for steps of it
    #[arg(long)]
    yes: bool,
    /// Carry the plan out as far as it only looks
    #[arg(long, conflicts_with = "plan_only")]
    dry_run: bool,
    /// Draft the plan and keep it, no more
    #[arg(long)]
    plan_only: bool,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Debug, clap::Args)]
pub struct Wanted {
    /// What planning and the run may cost together, in USD
    #[arg(long, value_name = "USD")]
    budget: Option<String>,
    /// Only this node; may be given several times
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Only nodes that have this, as for `deploy`
    #[arg(long, value_name = "SELECTOR")]
    on: Option<String>,
    /// Have a new plan written, even where an earlier one did the same
    #[arg(long)]
    fresh: bool,
}

/// What a request came to.
enum Outcome {
    Plan(Box<Drafted>),
    Module(String),
    Answered(String),
}

/// The shape of `-o json`, where no run follows.
#[derive(Serialize)]
struct Shown<'a> {
    route: &'a str,
    reasons: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<show::Detail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_earlier: Option<bool>,
    spent: Cost,
}

/// What answers took, added up.
#[derive(Debug, Clone, Default, Serialize)]
struct Cost {
    calls: u64,
    tokens: u64,
    /// USD.
    money: String,
}

pub async fn run(context: &Context, args: AskArgs) -> Result<u8, Failure> {
    let asked = ask(context, &args.goal, &args.wanted, args.plan_only).await?;
    match &asked.outcome {
        Outcome::Answered(text) => {
            context.print_or(&asked.shown(), |_| format!("{}\n", multiline(text)))?;
            Ok(0)
        }
        Outcome::Module(module) => offer(context, &args, &asked, module).await,
        Outcome::Plan(drafted) if args.plan_only => {
            let detail = drafted.plan.as_ref().ok_or_else(no_plan)?;
            context.print_or(&asked.shown(), |look| show::text(detail, look))?;
            next(context, detail);
            Ok(0)
        }
        Outcome::Plan(drafted) => carry_out(context, &args, drafted).await,
    }
}

/// `plan draft`: a plan, whatever else a request could come to.
pub async fn draft(context: &Context, goal: &str, wanted: &Wanted, as_yaml: bool) -> Result<u8, Failure> {
    let asked = ask(context, goal, wanted, true).await?;
    let Outcome::Plan(drafted) = &asked.outcome else { return Err(no_plan()) };
    let detail = drafted.plan.as_ref().ok_or_else(no_plan)?;
    if as_yaml {
        context.console.print(&yaml(detail)?)?;
    } else {
        context.print_or(&asked.shown(), |look| show::text(detail, look))?;
    }
    next(context, detail);
    Ok(0)
}

/// What was told while it was worked on.
struct Asked {
    routed: Routed,
    spent: Cost,
    outcome: Outcome,
}

impl Asked {
    fn shown(&self) -> Shown<'_> {
        let plan = match &self.outcome {
            Outcome::Plan(drafted) => drafted.plan.as_ref(),
            Outcome::Module(_) | Outcome::Answered(_) => None,
        };
        Shown {
            route: &self.routed.route,
            reasons: &self.routed.reasons,
            answer: match &self.outcome {
                Outcome::Answered(text) => Some(text),
                Outcome::Plan(_) | Outcome::Module(_) => None,
            },
            module: match &self.outcome {
                Outcome::Module(module) => Some(module),
                Outcome::Plan(_) | Outcome::Answered(_) => None,
            },
            plan: plan.map(show::Detail::from),
            is_earlier: match &self.outcome {
                Outcome::Plan(drafted) => Some(drafted.is_earlier),
                Outcome::Module(_) | Outcome::Answered(_) => None,
            },
            spent: self.spent.clone(),
        }
    }
}

async fn ask(context: &Context, goal: &str, wanted: &Wanted, only_plan: bool) -> Result<Asked, Failure> {
    let request = v1::AskRequest {
        goal: goal.to_owned(),
        nodes: wanted.node.clone(),
        selector: wanted.on.clone().unwrap_or_default(),
        budget: wanted.budget.clone().unwrap_or_default(),
        only_plan,
        fresh: wanted.fresh,
    };
    let interrupt = Interrupt::listen();
    let mut client = context.assistant().await?;
    let mut events = client.ask(request).await?.into_inner();
    let (mut routed, mut spent, mut money) = (Routed::default(), Cost::default(), ::plan::money::Money::ZERO);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = interrupt.pressed() => {
                context.console.say("interrupted: nothing was carried out");
                return Err(Failure::Interrupted);
            }
        };
        let event = event.transpose()?.and_then(|event| event.event).ok_or_else(no_plan)?;
        let outcome = match event {
            Event::Routed(told) => {
                told.reasons.iter().for_each(|reason| context.console.say(&dim(context, &printable(reason))));
                if told.route == "plan" {
                    context.console.say("a plan is being written …");
                }
                routed = told;
                continue;
            }
            Event::Spent(told) => {
                add(&mut spent, &mut money, &told);
                context.console.say(&dim(context, &took(&told)));
                continue;
            }
            Event::Corrected(told) => {
                context.console.say("the plan cannot be used as it is, and is corrected once:");
                told.problems
                    .iter()
                    .for_each(|problem| context.console.say(&format!("  {}", printable(problem))));
                continue;
            }
            Event::Module(told) => {
                context.console.say(&module(&told));
                continue;
            }
            Event::Drafted(drafted) => Outcome::Plan(Box::new(drafted)),
            Event::Answered(answered) => Outcome::Answered(answered.text),
            Event::Offered(offered) => Outcome::Module(offered.module),
        };
        spent.money = money.to_string();
        return Ok(Asked { routed, spent, outcome });
    }
}

/// The request asks for a module: deploying it is a command of its own.
async fn offer(context: &Context, args: &AskArgs, asked: &Asked, module: &str) -> Result<u8, Failure> {
    let mut words = vec!["deploy".to_owned(), module.to_owned()];
    args.wanted.node.iter().for_each(|node| words.extend(["--node".to_owned(), node.clone()]));
    args.wanted.on.iter().for_each(|on| words.extend(["--on".to_owned(), on.clone()]));
    let command = format!("orchestrator {}", words.join(" "));
    if args.dry_run || (!args.yes && !is_person()) {
        context.print_or(&asked.shown(), |_| format!("{command}\n"))?;
        context.console.say("hint: that is the command for it; --yes runs it");
        return Ok(0);
    }
    let interrupt = Interrupt::listen();
    if !args.yes && !confirm(context, &format!("run `{command}`?"), &interrupt).await? {
        return Err(Failure::invalid("not approved, and nothing was done"));
    }
    super::instead(context, super::command_of(&words)?).await
}

/// Shows the plan, asks for a yes to exactly this one, and runs it.
async fn carry_out(context: &Context, args: &AskArgs, drafted: &Drafted) -> Result<u8, Failure> {
    let detail = drafted.plan.as_ref().ok_or_else(no_plan)?;
    let hash = detail.plan.as_ref().map(|plan| plan.hash.clone()).unwrap_or_default();
    context.console.say(show::text(detail, &context.console.err).trim_end());
    if drafted.is_earlier {
        context.console.say("it was written for an earlier request, and did what was asked");
    }
    if !args.yes && !args.dry_run {
        if !is_person() {
            return Err(Failure::invalid("nobody is there to approve the plan, so nothing was done")
                .with_hint(format!(
                    "`orchestrator plan approve {0} && orchestrator plan run {0}`, or --yes",
                    show::short(&hash)
                )));
        }
        let interrupt = Interrupt::listen();
        if !confirm(context, "\ncarry this plan out?", &interrupt).await? {
            return Err(Failure::invalid("the plan was not approved, and nothing was done")
                .with_hint(format!("`orchestrator plan show {}` shows it again", show::short(&hash))));
        }
    }
    let dry_run = args.dry_run.then(|| "--dry-run".to_owned());
    let words = ["plan".to_owned(), "run".to_owned(), hash.clone()].into_iter().chain(dry_run);
    let run = super::command_of(&words.collect::<Vec<_>>())?;
    if !args.dry_run {
        let request = v1::ApprovePlanRequest { plan: hash, valid_ms: APPROVED_FOR_MS };
        context.plans().await?.approve_plan(context.request(request)).await?;
    }
    super::instead(context, run).await
}

/// A yes at the terminal is for now.
const APPROVED_FOR_MS: u64 = 3_600_000;

fn next(context: &Context, detail: &v1::PlanDetail) {
    let hash = detail.plan.as_ref().map(|plan| show::short(&plan.hash)).unwrap_or_default();
    context.console.say(&format!("hint: `orchestrator plan run {hash}` carries it out"));
}

/// As a file has it, so that it can be changed by hand.
fn yaml(detail: &v1::PlanDetail) -> Result<String, Failure> {
    let unreadable = |_| Failure::invalid("the plan cannot be read; the coordinator is of another version");
    let plan: ::plan::plan::Plan = serde_json::from_str(&detail.json).map_err(unreadable)?;
    Ok(plan.to_yaml())
}

fn add(spent: &mut Cost, money: &mut ::plan::money::Money, told: &Spent) {
    spent.calls += 1;
    spent.tokens = spent.tokens.saturating_add(told.tokens);
    *money = money.plus(::plan::money::Money::parse(&told.money).unwrap_or_default());
}

fn took(told: &Spent) -> String {
    let (model, money) = (printable(&told.model), printable(&told.money));
    format!("{model} answered: {} tokens, {money}", told.tokens)
}

fn module(told: &ModuleDrafted) -> String {
    let (name, version) = (printable(&told.module), printable(&told.version));
    if told.problem.is_empty() {
        return format!(
            "module {name} {version} was drafted; `orchestrator module show {name}` before you deploy it"
        );
    }
    format!("a module that the model drafted was not kept: {}", printable(&told.problem))
}

fn dim(context: &Context, text: &str) -> String {
    context.console.err.paint(Style::Dim, text)
}

/// A model's words on several lines, with nothing that steers the terminal.
fn multiline(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn is_person() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

fn no_plan() -> Failure {
    Failure::invalid("the coordinator ended without an answer").with_hint("ask again")
}
