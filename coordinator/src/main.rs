//! The `orchestrator` binary: argv in, exit status out.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use coordinator::cli::{Cli, Verbosity};
use tracing_subscriber::EnvFilter;

/// Commands wait far more than they compute.
const THREADS: usize = 2;

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::from_argv();
    limit_allocator();
    start_logging(cli.verbosity());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let status = runtime.block_on(cli.run());
    runtime.shutdown_background();
    Ok(ExitCode::from(status))
}

/// As many arenas as threads that work: each one that helps for a moment would keep memory of its own.
fn limit_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes plain numbers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
    }
}

/// `ORCHESTRATOR_LOG` (like `info,coordinator=debug`) wins over `-v`.
fn start_logging(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity(0) => "error",
        Verbosity(1) => "coordinator=info,warn",
        Verbosity(2) => "coordinator=debug,info",
        Verbosity(_) => "trace",
    };
    let filter = EnvFilter::try_from_env("ORCHESTRATOR_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    format.with_ansi(std::io::stderr().is_terminal()).init();
}
