//! Asks a person for a yes, where one sits at the terminal. A script is not asked: it said what it wants.

use std::io::IsTerminal as _;

use super::Context;
use super::interrupt::Interrupt;
use super::problem::{Failure, INTERRUPTED};

pub async fn confirm(context: &Context, question: &str, interrupt: &Interrupt) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(true);
    }
    eprint!("{question} [y/N] ");
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    let line = tokio::select! {
        line = line => line.expect("reading a line does not panic"),
        () = interrupt.pressed() => {
            context.console.say("\ninterrupted: nothing was changed");
            // The reader still waits for a line, and would keep the process with it.
            std::process::exit(i32::from(INTERRUPTED));
        }
    };
    let line = line.map_err(|cause| Failure::io("could not read from the terminal", &cause))?;
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}
