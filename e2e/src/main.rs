//! The test fleet for people: `cargo run -p e2e -- fleet up 3` makes hosts to try things on.

mod people;

use std::time::SystemTime;

use anyhow::Result;
use clap::{Parser, Subcommand};
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
    BenchDeploy {
        #[arg(long, default_value_t = 8)]
        hosts: u8,
        #[arg(long, default_value_t = 5_000_000)]
        bytes: usize,
        #[arg(long, default_value_t = 3)]
        runs: u8,
    },
    /// Strikes deploys at random moments and checks what is left
    KillMatrix {
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

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Fleet(command) => people::run(command),
        Command::BenchDeploy { hosts, bytes, runs } => {
            bench::deploy(&bench::Wish { hosts, package_bytes: bytes, runs })
        }
        Command::KillMatrix { schedules, seed, only } => {
            let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
            let indices = only.map_or(0..schedules, |index| index..index + 1);
            kill_matrix::run(seed.unwrap_or_else(clock), indices)
        }
    }
}
