//! Wires the parts of a running agent together.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::agent::Agent;
use crate::cli::CliError;
use crate::config::DataDir;
use crate::disk::{self, Durability, Lock, Locked};
use crate::fault;
use crate::identity::{self, Identity};
use crate::log;
use crate::report::{Facts, Meter};
use crate::rpc::Rpc;
use crate::rpc::runs::RunsRpc;
use crate::runs::{Runs, RunsError};
use crate::runtime::kill::Marked;
use crate::runtime::procfs;
use crate::runtime::reaper;
use crate::server::{self, End};
use crate::tls::Tls;
use crate::upgrade::Upgrades;

const ENGINES: Duration = Duration::from_millis(300);

/// Why the agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("could not listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        cause: io::Error,
    },
    #[error("could not use the fleet's CA")]
    Tls(#[source] rustls::Error),
    #[error("could not take up the runs of plans")]
    Runs(#[source] RunsError),
    #[error("could not serve")]
    Serve(#[source] tonic::transport::Error),
}

impl AppError {
    pub fn hint(&self) -> Option<String> {
        let Self::Listen { address, cause } = self else { return None };
        if cause.kind() != io::ErrorKind::AddrInUse {
            return None;
        }
        let listener = procfs::listeners().into_iter().find(|socket| socket.port == address.port());
        let pid = procfs::socket_owner(listener?.inode)?;
        let name = procfs::name(pid).unwrap_or_default();
        Some(format!("{name} (pid {pid}) listens there; stop it, or choose another with --listen"))
    }
}

/// Runs the agent until it is told to end. Its instances keep running then.
///
/// # Errors
/// When it cannot start or go on.
pub fn run(data: &DataDir, listen: SocketAddr, is_supervised: bool) -> Result<(), CliError> {
    log::init();
    // This very process may have held it as another program.
    let is_another =
        |pid| procfs::is_anyone(pid) && !i32::try_from(std::process::id()).is_ok_and(|own| own == pid);
    let _lock = match Lock::try_inherit(&data.agent_lock(), is_another)? {
        Locked::Ours(lock) => lock,
        Locked::Held(pid) => return Err(CliError::AlreadyRunning { pid, is_supervised }),
    };
    let upgrades = Upgrades::open(data);
    let identity = identity::load(data)?;
    identity::sweep(data);
    limit_allocator();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(1))
        .thread_stack_size(512 << 10)
        .build()
        .map_err(|cause| CliError::System { action: "start", cause })?;
    let end = runtime.block_on(serve(data, &identity, listen, &upgrades));
    runtime.shutdown_background();
    match end? {
        End::Stopped => Ok(()),
        End::Restarting => Err(upgrades.restart().into()),
    }
}

async fn serve(
    data: &DataDir,
    identity: &Identity,
    listen: SocketAddr,
    upgrades: &Arc<Upgrades>,
) -> Result<End, CliError> {
    let system = |action| move |cause| CliError::System { action, cause };
    reaper::start().map_err(system("handle signals"))?;
    let end = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let reload = signal(SignalKind::hangup()).map_err(system("handle signals"))?;
    let listener = bind(data, listen).await?;
    let address = listener.local_addr().map_err(system("listen"))?;
    let agent = Agent::open(data.clone(), identity.node.clone())?;
    fault::point("start.opened");
    // What is there already is known before anybody asks; an engine that is slow is found later.
    let _ = tokio::time::timeout(ENGINES, agent.engines.look()).await;
    let marked = Marked::all();
    agent.start(&marked);
    let runs = Runs::open(agent.clone()).map_err(AppError::Runs)?;
    let rpc = Rpc {
        agent: agent.clone(),
        tls: Arc::new(Tls::new(identity).map_err(AppError::Tls)?),
        facts: Arc::new(Facts::new(runs.receipt_key())),
        meter: Arc::<Meter>::default(),
        runs: runs.clone(),
        upgrades: upgrades.clone(),
        certificate_expires_unix: Arc::new(AtomicI64::new(identity.expires_unix)),
    };
    tokio::spawn(keep_reloading(rpc.clone(), reload));
    find_digest(rpc.facts.clone());
    runs.start(&marked);
    tokio::spawn(probe_sandboxes(agent.clone()));
    tokio::spawn(upgrades.clone().watch_trial());
    publish(data, address)?;
    fault::point("start.listening");
    tracing::info!(%address, node = %identity.node, "listening");
    let [terminate, interrupt] = end;
    let (mut terminate, mut interrupt) =
        (terminate.map_err(system("handle signals"))?, interrupt.map_err(system("handle signals"))?);
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("ending; instances keep running");
    };
    let result = server::serve(rpc, RunsRpc(runs), listener, stop).await.map_err(AppError::Serve);
    if let Some(cgroups) = &agent.cgroups {
        cgroups.close();
    }
    Ok(result?)
}

/// Touched also when it is the same, for those who wait for it; on a full disk the same is good enough.
fn publish(data: &DataDir, address: SocketAddr) -> Result<(), CliError> {
    let text = address.to_string();
    let is_there = std::fs::read_to_string(data.address()).is_ok_and(|before| before == text);
    match disk::replace(&data.address(), text.as_bytes(), 0o644, Durability::Crash) {
        Err(error) if !is_there => Err(error.into()),
        Err(_) => {
            let file = std::fs::OpenOptions::new().append(true).open(data.address());
            let _ = file.and_then(|file| file.set_modified(std::time::SystemTime::now()));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// With port 0 the agent keeps the port it had before, so that a restart does not lose the coordinator.
async fn bind(data: &DataDir, listen: SocketAddr) -> Result<TcpListener, AppError> {
    let before = std::fs::read_to_string(data.address()).ok().and_then(|text| text.trim().parse().ok());
    let before = before.filter(|before: &SocketAddr| listen.port() == 0 && before.ip() == listen.ip());
    if let Some(before) = before
        && let Ok(listener) = TcpListener::bind(before).await
    {
        return Ok(listener);
    }
    TcpListener::bind(listen).await.map_err(|cause| AppError::Listen { address: listen, cause })
}

async fn keep_reloading(rpc: Rpc, mut reload: Signal) {
    while reload.recv().await.is_some() {
        if let Err(error) = rpc.reload() {
            tracing::error!(error = log::chain(&error), "certificate not reloaded");
        }
    }
}

/// Its canaries take longer than all the rest of the start, too.
async fn probe_sandboxes(agent: Arc<Agent>) {
    agent.sandboxes.probe().await;
    agent.board.touch();
}

/// Hashing the binary takes longer than all the rest of the start.
fn find_digest(facts: Arc<Facts>) {
    tokio::task::spawn_blocking(move || facts.find_digest());
}

/// One arena: the few helper threads would otherwise each keep memory of their own.
fn limit_allocator() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes plain numbers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 128 << 10);
    }
}
