//! The test fleet for people: `cargo run -p e2e -- fleet up 3` makes hosts to try things on.

mod people;

use std::time::SystemTime;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use e2e::bench::figures::Figures;
use e2e::{bench, kill_matrix};

#[derive(Parser)]
#[command(name = "e2e", about = "A fleet of real hosts on this machine, and what is measured on it")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes, changes and removes fleets that stay until they are taken down
    #[command(subcommand)]
    Fleet(people::FleetCommand),
    /// Times deploys beside raw ssh and Ansible
    BenchDeploy(BenchDeploy),
    /// Measures the agent and the idle coordinator: size, start, memory, what they do when there is nothing to do
    AgentFigures(AgentFigures),
    /// Shows what the benchmark of placement found
    PlacementFigures,
    /// All three, with one table at the end
    Bench {
        #[command(flatten)]
        deploy: BenchDeploy,
        #[command(flatten)]
        agent: AgentFigures,
    },
    /// Strikes commands at random moments and checks what is left
    KillMatrix {
        /// Kills both programs at every named point instead, once in each thing a person does
        #[arg(long)]
        sweep: bool,
        /// Lets several coordinators deploy at once, and kills them
        #[arg(long)]
        races: bool,
        #[arg(long, default_value_t = 100)]
        schedules: u64,
        /// Where the schedules follow from; the time of day when it is not given
        #[arg(long)]
        seed: Option<u64>,
        /// Runs only the schedule with this index
        #[arg(long)]
        only: Option<u64>,
    },
}

#[derive(Args)]
struct BenchDeploy {
    #[arg(long, default_value_t = 8)]
    hosts: u8,
    #[arg(long, default_value_t = 5_000_000)]
    bytes: usize,
    #[arg(long, default_value_t = 5)]
    rounds: u8,
    /// How many of the rounds Ansible takes part in
    #[arg(long, default_value_t = 3)]
    ansible_rounds: u8,
}

impl BenchDeploy {
    fn wish(&self) -> bench::deploy::Wish {
        bench::deploy::Wish {
            hosts: self.hosts,
            package_bytes: self.bytes,
            rounds: self.rounds,
            ansible_rounds: self.ansible_rounds,
        }
    }
}

#[derive(Args)]
struct AgentFigures {
    /// How often the agent is started
    #[arg(long, default_value_t = 25)]
    starts: u32,
    /// How many deploys its memory must bear
    #[arg(long, default_value_t = 1000)]
    deploys: u32,
}

impl AgentFigures {
    fn wish(&self) -> bench::agent::Wish {
        bench::agent::Wish { starts: self.starts, deploys: self.deploys }
    }
}

fn measure(run: impl FnOnce(&mut Figures) -> Result<()>) -> Result<()> {
    let mut figures = Figures::default();
    let outcome = run(&mut figures);
    figures.print();
    outcome.and_then(|()| figures.verdict())
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Fleet(command) => people::run(command),
        Command::BenchDeploy(deploy) => measure(|figures| bench::deploy(&deploy.wish(), figures)),
        Command::AgentFigures(agent) => measure(|figures| bench::agent(&agent.wish(), figures)),
        Command::PlacementFigures => measure(bench::placement),
        Command::Bench { deploy, agent } => measure(|figures| {
            bench::placement(figures)?;
            bench::agent(&agent.wish(), figures)?;
            bench::deploy(&deploy.wish(), figures)
        }),
        Command::KillMatrix { sweep: true, .. } => kill_matrix::sweep_all(),
        Command::KillMatrix { races, schedules, seed, only, .. } => {
            let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
            let indices = only.map_or(0..schedules, |index| index..index + 1);
            let kind = if races { kill_matrix::Kind::Races } else { kill_matrix::Kind::Any };
            kill_matrix::run(kind, seed.unwrap_or_else(clock), indices)
        }
    }
}
