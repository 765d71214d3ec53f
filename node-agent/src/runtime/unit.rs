//! An instance that systemd runs: a unit out of the package, installed under a name of ours, or one that an install step
//! brought. The agent starts and watches it, and starts it again when it ends; its output goes into the instance's log.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::disk::{self, Durability};
use crate::log;
use crate::runtime::body::End;
use crate::runtime::procfs;

mod systemctl;

use systemctl::{known, state, systemctl};

const ETC: &str = "/etc/systemd/system";
const RUN: &str = "/run/systemd/system";
/// For what systemd itself does.
const PATIENCE: Duration = Duration::from_secs(30);
/// A unit may take its time to start; the release's deadline ends it earlier.
const START: Duration = Duration::from_secs(3600);
const STOP: Duration = Duration::from_secs(90);
/// Between looks at a unit without a process to watch.
const IDLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_millis(200);

/// Everything that is resolved about a unit.
#[derive(Debug, Clone)]
pub struct UnitPlan {
    /// The name that systemd knows it by.
    pub name: String,
    /// What is installed under that name; none where it is there already.
    pub text: Option<String>,
    pub environment: Vec<(String, String)>,
    pub memory_bytes: u64,
    pub processes: u32,
    pub open_files: u32,
    pub dir: PathBuf,
    pub log: PathBuf,
}

/// A unit that runs, or is about to.
pub struct Unit {
    plan: UnitPlan,
    pid: watch::Receiver<i32>,
    end: watch::Receiver<Option<End>>,
    task: JoinHandle<()>,
}

/// Why systemd did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    #[error("{0}")]
    Disk(#[from] disk::DiskError),
    #[error("systemctl {action}: {why}")]
    Refused { action: String, why: String },
    #[error("systemctl {action}: {why}")]
    Unknown { action: String, why: String },
    #[error("{0} does not end")]
    Runs(String),
}

/// By which a unit is on record as what runs an instance.
const RECORDED: &str = "systemd:";
/// Begins the names of those that come out of packages.
pub const OURS: &str = "orchestrator-";

pub fn record_of(name: &str) -> String {
    format!("{RECORDED}{name}")
}

/// The unit's name in what is on record.
pub fn recorded(engine: &str) -> Option<&str> {
    engine.strip_prefix(RECORDED)
}

pub fn is_ours(name: &str) -> bool {
    name.starts_with(OURS)
}

impl UnitPlan {
    /// A unit of which only the name is known; to be stopped and removed.
    pub fn unknown(name: &str, dir: &Path, log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            text: is_ours(name).then(String::new),
            environment: Vec::new(),
            memory_bytes: 0,
            processes: 0,
            open_files: 0,
            dir: dir.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Ends it, and removes what we installed.
    ///
    /// # Errors
    /// When it runs on, or nobody knows.
    pub async fn end(&self, grace: Option<Duration>) -> Result<(), UnitError> {
        let name = &self.name;
        let stopped = timeout(grace.unwrap_or(STOP), systemctl(self, &["stop", name], STOP)).await;
        if !matches!(stopped, Ok(Ok(_))) {
            let _ = systemctl(self, &["kill", "--signal=KILL", name], PATIENCE).await;
            let _ = systemctl(self, &["stop", name], PATIENCE).await;
        }
        let _ = fs::remove_dir_all(drop_in(name));
        if self.text.is_some() {
            let _ = fs::remove_file(Path::new(ETC).join(name));
        }
        let _ = systemctl(self, &["daemon-reload"], PATIENCE).await;
        let _ = systemctl(self, &["reset-failed", name], PATIENCE).await;
        if state(self).await?.is_active() { Err(UnitError::Runs(name.clone())) } else { Ok(()) }
    }
}

impl Unit {
    /// Starts it, unless it runs already.
    pub fn start(plan: UnitPlan) -> Self {
        Self::driven(plan, First::Starts)
    }

    /// Goes on with one that an earlier agent started.
    pub fn adopt(plan: UnitPlan) -> Self {
        Self::driven(plan, First::Runs)
    }

    fn driven(plan: UnitPlan, first: First) -> Self {
        let (pid, pid_seen) = watch::channel(0);
        let (end, end_seen) = watch::channel(None);
        let driver = plan.clone();
        let task = tokio::spawn(async move {
            let ended = match drive(&driver, first, &pid).await {
                Ok(end) => end,
                Err(error) => End { how: format!("could not be started: {error}"), is_final: true },
            };
            end.send_replace(Some(ended));
            // Whoever asks for the end later must still find it.
            end.closed().await;
        });
        Self { plan, pid: pid_seen, end: end_seen, task }
    }

    pub fn name(&self) -> &str {
        &self.plan.name
    }

    pub fn pid(&self) -> i32 {
        *self.pid.borrow()
    }

    /// Returns when it has ended by itself; may be called again and again.
    pub async fn ended(&mut self) -> End {
        loop {
            if let Some(end) = self.end.borrow_and_update().clone() {
                return end;
            }
            if self.end.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends it, and removes what we installed. False when it runs on.
    pub async fn stop(self, grace: Option<Duration>) -> bool {
        self.task.abort();
        let ended = self.plan.end(grace).await;
        ended.inspect_err(|error| tracing::warn!(error = log::chain(error), "unit stays")).is_ok()
    }
}

/// What is to be expected of a unit at first.
#[derive(Debug, Clone, Copy)]
enum First {
    Starts,
    Runs,
}

async fn drive(plan: &UnitPlan, first: First, pid: &watch::Sender<i32>) -> Result<End, UnitError> {
    let is_known = plan.text.as_ref().is_none_or(|text| !text.is_empty());
    let is_active = is_known
        && match first {
            First::Starts => state(plan).await?,
            First::Runs => known(plan).await?,
        }
        .is_active();
    if is_known && !is_active {
        install(plan)?;
        systemctl(plan, &["daemon-reload"], PATIENCE).await?;
        let _ = systemctl(plan, &["reset-failed", &plan.name], PATIENCE).await;
        let started = systemctl(plan, &["start", &plan.name], START).await;
        let now = state(plan).await?;
        if let (Err(error), false) = (started, now.is_active()) {
            return if now.load == "loaded" { Ok(now.end()) } else { Err(error) };
        }
    }
    loop {
        let now = known(plan).await?;
        if !now.is_active() {
            return Ok(now.end());
        }
        pid.send_replace(now.pid);
        match procfs::stat(now.pid).filter(|_| now.pid > 0) {
            Some(stat) => {
                while procfs::is_alive(now.pid, stat.start) {
                    sleep(WATCH).await;
                }
                sleep(WATCH).await;
            }
            None => sleep(IDLE).await,
        }
    }
}

fn install(plan: &UnitPlan) -> Result<(), UnitError> {
    if let Some(text) = &plan.text {
        disk::replace(&Path::new(ETC).join(&plan.name), text.as_bytes(), 0o600, Durability::Crash)?;
    }
    if Path::new(&plan.name).extension().is_none_or(|kind| kind != "service") {
        return Ok(());
    }
    let quoted = |value: &str| {
        value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`")
    };
    let lines = plan.environment.iter().map(|(name, value)| format!("{name}=\"{}\"\n", quoted(value)));
    let environment = plan.dir.join("environment");
    disk::replace(&environment, lines.collect::<String>().as_bytes(), 0o600, Durability::Crash)?;
    let folder = drop_in(&plan.name);
    disk::make_dir(&folder, 0o755)?;
    let log = plan.log.display();
    let mut text = format!(
        "# The agent of orchestrator starts it again, and keeps what it writes.\n[Service]\nRestart=no\n\
         EnvironmentFile={}\nStandardOutput=append:{log}\nStandardError=append:{log}\n",
        environment.display()
    );
    for (key, most) in [
        ("MemoryMax", plan.memory_bytes),
        ("TasksMax", plan.processes.into()),
        ("LimitNOFILE", plan.open_files.into()),
    ] {
        if most > 0 {
            text.push_str(&format!("{key}={most}\n"));
        }
    }
    disk::replace(&folder.join("orchestrator.conf"), text.as_bytes(), 0o644, Durability::Crash)?;
    Ok(())
}

fn drop_in(name: &str) -> PathBuf {
    Path::new(RUN).join(format!("{name}.d"))
}
