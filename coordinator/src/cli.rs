//! The command line. Speaks only the coordinator's gRPC API, wherever that runs.

mod access;
mod action;
mod approval;
mod ask;
mod budget;
mod completion;
mod confirm;
pub mod console;
mod deploy;
mod doctor;
mod explain;
mod history;
mod import;
mod interrupt;
mod json;
mod lifecycle;
mod logs;
mod module;
mod node;
mod package;
mod plan;
mod policy;
mod problem;
mod progress;
mod registry;
mod run;
mod secret;
mod serve;
mod state;
mod status;
mod suggest;
mod table;
mod units;
mod version;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde::Serialize;

use self::console::{Color, Console, Format, Look};
use self::problem::Failure;
use crate::clock::{Clock, SystemClock, UnixMillis};
use crate::config::{ConfigError, File, Given, Settings};
use crate::rpc::{self, AssistantClient, Client, ConnectError, PlansClient};

/// One place to run a fleet of Raspberry Pis and servers
#[derive(Debug, Parser)]
#[command(name = "orchestrator", version, max_term_width = 100)]
#[command(after_help = "Examples:
  orchestrator deploy hello-web                       # on this machine, with nothing set up before
  orchestrator node add attic --ssh pi@attic.local    # a second machine
  orchestrator deploy hello-web --count 2
  orchestrator status

Exit status: 0 done and healthy, 1 failed, 2 wrong usage or input, 3 accepted but waiting.
Global options are also read from ORCHESTRATOR_… variables and ~/.config/orchestrator/config.toml.")]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct GlobalArgs {
    /// How results are printed [default: table]
    #[arg(short, long, global = true, value_name = "FORMAT", env = "ORCHESTRATOR_OUTPUT", hide_env = true)]
    output: Option<Format>,
    /// Where the fleet's state is kept: sqlite:PATH or etcd://HOST:PORT[,HOST:PORT]
    #[arg(long, global = true, value_name = "ADDRESS", env = "ORCHESTRATOR_STORE", hide_env = true)]
    store: Option<String>,
    /// Where this machine keeps the coordinator's data
    #[arg(long, global = true, value_name = "FOLDER", env = "ORCHESTRATOR_DATA_DIR", hide_env = true)]
    data_dir: Option<PathBuf>,
    /// A coordinator that runs elsewhere
    #[arg(long, global = true, value_name = "URL", env = "ORCHESTRATOR_COORDINATOR", hide_env = true)]
    coordinator: Option<String>,
    /// The file that lets you into it, made there by `access add` [default: access.pem in the data folder]
    #[arg(long, global = true, value_name = "FILE", env = "ORCHESTRATOR_ACCESS", hide_env = true)]
    access: Option<PathBuf>,
    /// Tell more on stderr; -vv and -vvv still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// When to use colour [default: auto]
    #[arg(long, global = true, value_name = "WHEN", env = "ORCHESTRATOR_COLOR", hide_env = true)]
    color: Option<Color>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a module on the best node, and waits until it is healthy
    Deploy(deploy::DeployArgs),
    /// Goes back to the release that ran before
    Rollback(lifecycle::RollbackArgs),
    /// Restarts the instances of a deployment
    Restart(lifecycle::RestartArgs),
    /// Stops a deployment and takes it off its nodes
    Remove(lifecycle::RemoveArgs),
    /// Shows what runs where, and how well
    Status(status::StatusArgs),
    /// Shows what a deployment says
    Logs(logs::LogsArgs),
    /// Runs what a module offers to run on its instances, or lists that
    Action(action::ActionArgs),
    /// Shows every change to a deployment, newest first
    History(history::HistoryArgs),
    /// The machines of the fleet
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// What can be deployed
    #[command(subcommand)]
    Module(module::ModuleCommand),
    /// Makes a module of a project: its README, compose file and the like
    Import(import::ImportArgs),
    /// Names modules for what you need, and where they would go
    Suggest(suggest::SuggestArgs),
    /// Reaches a goal in plain words: a model plans, you approve, the nodes carry it out
    Ask(ask::AskArgs),
    /// Work for the nodes, written down as steps: checked, approved, carried out
    #[command(subcommand)]
    Plan(plan::PlanCommand),
    /// Runs of plans: what the nodes do and did
    #[command(subcommand)]
    Run(run::RunCommand),
    /// What runs ask people
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// What plans may do on the nodes
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Repositories of modules by others
    #[command(subcommand)]
    Registry(registry::RegistryCommand),
    /// Values that modules need and nobody should read
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// What language models cost so far, and what they may cost
    Budget(budget::BudgetArgs),
    /// Who may use this coordinator from elsewhere
    #[command(subcommand)]
    Access(access::AccessCommand),
    /// Runs the coordinator as a daemon
    Serve(serve::ServeArgs),
    /// Checks that all that is needed is there
    Doctor(doctor::DoctorArgs),
    /// Prints the completion script of a shell
    Completion(completion::CompletionArgs),
    /// Prints the version of this program, and of the coordinator it is told to use
    #[command(after_help = "Examples:\n  orchestrator version -o json")]
    Version,
}

/// What every command needs.
struct Context {
    settings: Settings,
    console: Console,
}

/// No answer that is not a stream takes longer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

impl Context {
    async fn connect(&self) -> Result<Client, Failure> {
        rpc::connect(&self.settings).await.map_err(Failure::from)
    }

    async fn assistant(&self) -> Result<AssistantClient, Failure> {
        rpc::connect_assistant(&self.settings).await.map_err(Failure::from)
    }

    async fn plans(&self) -> Result<PlansClient, Failure> {
        rpc::connect_plans(&self.settings).await.map_err(Failure::from)
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(ANSWER_DEADLINE);
        request
    }

    fn now(&self) -> UnixMillis {
        SystemClock.now()
    }

    /// Prints the value as JSON, or the text for people.
    fn print_or(&self, value: &impl Serialize, text: impl FnOnce(&Look) -> String) -> Result<(), Failure> {
        match self.console.format {
            Format::Json => self.console.print_json(value),
            Format::Table => self.console.print(&text(&self.console.out)),
        }
    }

    /// The same for a list; that there is nothing is told, not printed.
    fn print_list<T: Serialize>(
        &self,
        values: &[T],
        nothing: &str,
        text: impl FnOnce(&Look) -> String,
    ) -> Result<(), Failure> {
        if values.is_empty() && self.console.format == Format::Table {
            self.console.say(nothing);
            return Ok(());
        }
        self.print_or(&values, text)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        with_hint(Failure::new(error.code(), &error), error.hint())
    }
}

impl From<crate::sources::SourceError> for Failure {
    fn from(error: crate::sources::SourceError) -> Self {
        with_hint(Failure::new(error.code(), &error), error.hint())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        with_hint(Failure::new(error.code(), &error), error.hint())
    }
}

fn with_hint(failure: Failure, hint: Option<String>) -> Failure {
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// How much goes to stderr besides the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity(pub u8);

impl Cli {
    /// Reads argv; a mistake there ends the process with status 2, `--help` with 0.
    pub fn from_argv() -> Self {
        Cli::parse()
    }

    pub fn verbosity(&self) -> Verbosity {
        let is_daemon = matches!(self.command, Command::Serve(_));
        Verbosity(self.global.verbose.max(u8::from(is_daemon)))
    }

    /// Runs the command and gives the exit status; errors are on stderr by then.
    pub async fn run(self) -> u8 {
        let env = |name: &str| std::env::var(name).ok();
        let file = File::load(&env);
        let color = self.global.color.or(file.as_ref().ok().and_then(|file| file.color));
        let format = self.global.output.or(file.as_ref().ok().and_then(|file| file.output));
        let console = Console::new(format.unwrap_or_default(), color.unwrap_or_default());
        let given = Given {
            data_dir: self.global.data_dir,
            store: self.global.store,
            coordinator: self.global.coordinator,
            access: self.global.access,
        };
        let settings = file.and_then(|file| Settings::resolve(given, &file, &env));
        let result = match settings {
            Ok(settings) => dispatch(&Context { settings, console }, self.command).await,
            Err(error) => Err(error.into()),
        };
        result.unwrap_or_else(|failure| {
            if let Failure::Problem(problem) = &failure {
                console.say(problem.render(&console.err).trim_end());
            }
            failure.exit()
        })
    }
}

async fn dispatch(context: &Context, command: Command) -> Result<u8, Failure> {
    match command {
        Command::Deploy(args) => deploy::run(context, args).await,
        Command::Rollback(args) => lifecycle::rollback(context, args).await,
        Command::Restart(args) => lifecycle::restart(context, args).await,
        Command::Remove(args) => lifecycle::remove(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Logs(args) => logs::run(context, args).await,
        Command::Action(args) => action::run(context, args).await,
        Command::History(args) => history::run(context, args).await,
        Command::Node(command) => node::run(context, command).await,
        Command::Module(command) => module::run(context, command).await,
        Command::Import(args) => import::run(context, args).await,
        Command::Suggest(args) => suggest::run(context, args).await,
        Command::Plan(command) => plan::run(context, command).await,
        Command::Run(command) => run::run(context, command).await,
        Command::Approval(command) => approval::run(context, command).await,
        Command::Policy(command) => policy::run(context, command).await,
        Command::Registry(command) => registry::run(context, command).await,
        Command::Secret(command) => secret::run(context, command).await,
        Command::Ask(args) => ask::run(context, args).await,
        Command::Budget(args) => budget::run(context, args).await,
        Command::Access(command) => access::run(context, command).await,
        Command::Serve(args) => serve::run(context, args).await,
        Command::Doctor(args) => doctor::run(context, args).await,
        Command::Completion(args) => completion::run(context, &args),
        Command::Version => version::run(context).await,
    }
}

/// Another command, as its words say it.
fn command_of(words: &[String]) -> Result<Command, Failure> {
    let argv = std::iter::once("orchestrator".to_owned()).chain(words.iter().cloned());
    let cli = Cli::try_parse_from(argv).map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(cli.command)
}

/// Runs another command in place of this one, with the same settings.
async fn instead(context: &Context, command: Command) -> Result<u8, Failure> {
    Box::pin(dispatch(context, command)).await
}

#[cfg(test)]
mod tests;
