//! `completion <shell>`: the script that teaches a shell our commands.

use clap::CommandFactory;
use clap_complete::Shell;

use super::problem::Failure;
use super::{Cli, Context};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  orchestrator completion bash > /etc/bash_completion.d/orchestrator
  orchestrator completion zsh > ~/.zfunc/_orchestrator
  orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish")]
pub struct CompletionArgs {
    shell: Shell,
}

pub fn run(context: &Context, args: &CompletionArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "orchestrator", &mut script);
    context.console.print_bytes(&script)?;
    Ok(0)
}
