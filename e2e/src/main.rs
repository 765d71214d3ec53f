//! The test fleet for people: `cargo run -p e2e -- fleet up 3` makes hosts to try things on.

mod people;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Fleet(command) => people::run(command),
    }
}
