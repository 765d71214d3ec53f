//! node-agent: runs module instances on one machine and reports what runs.

mod action;
mod agent;
mod app;
mod cli;
mod clock;
mod config;
mod content;
mod decide;
mod disk;
mod fault;
mod health;
mod identity;
mod install;
mod lane;
mod ledger;
mod log;
mod logs;
mod ports;
mod report;
mod resolve;
mod rpc;
mod runs;
mod runtime;
mod sandbox;
mod scene;
mod server;
mod supervisor;
mod tls;
mod upgrade;

use std::process::ExitCode;

use proto::code::Code;

fn main() -> ExitCode {
    let (command, data) = match config::parse(std::env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!("error: {error}\n{}", config::USAGE);
            return ExitCode::from(error.code().exit());
        }
    };
    fault::arm(&data.0);
    match cli::run(command, &data) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", log::chain(&error));
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(exit_status(&error))
        }
    }
}

/// Usage errors are 2, everything else 1; the supervisor must know one case from a crash.
fn exit_status(error: &cli::CliError) -> u8 {
    match error {
        cli::CliError::AlreadyRunning { is_supervised: true, .. } => cli::supervise::ALREADY_RUNNING,
        _ if error.code() == Code::InvalidInput => 2,
        _ => 1,
    }
}
