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
use crate::logs;
use crate::runtime::body::End;
use crate::runtime::once;
use crate::runtime::procfs;
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::Launch;

const ETC: &str = "/etc/systemd/system";
const RUN: &str = "/run/systemd/system";
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];
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
        let (pid, pid_seen) = watch::channel(0);
        let (end, end_seen) = watch::channel(None);
        let driver = plan.clone();
        let task = tokio::spawn(async move {
            let ended = match drive(&driver, &pid).await {
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

async fn drive(plan: &UnitPlan, pid: &watch::Sender<i32>) -> Result<End, UnitError> {
    let is_known = plan.text.as_ref().is_none_or(|text| !text.is_empty());
    if is_known && !state(plan).await?.is_active() {
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
        let now = state(plan).await?;
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

/// What systemd says of a unit.
#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    load: String,
    active: String,
    result: String,
    pid: i32,
    code: String,
    status: String,
}

impl State {
    fn is_active(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "activating" | "deactivating")
    }

    fn end(&self) -> End {
        let how = match (self.result.as_str(), self.code.as_str(), self.status.as_str()) {
            _ if self.load != "loaded" => format!("is not known to systemd ({})", self.load),
            ("oom-kill", ..) => "ran out of memory and was killed".to_owned(),
            ("timeout", ..) => "did not start in its time".to_owned(),
            // 1: exited; 2 and 3: killed, with or without a core dump.
            (_, "2" | "3", signal) => format!("was killed by signal {signal}"),
            (_, _, code) => format!("exited with code {code}"),
        };
        End { how, is_final: self.load != "loaded" }
    }

    fn read(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        Self {
            load: field("LoadState"),
            active: field("ActiveState"),
            result: field("Result"),
            pid: field("MainPID").parse().unwrap_or(0),
            code: field("ExecMainCode"),
            status: field("ExecMainStatus"),
        }
    }
}

async fn state(plan: &UnitPlan) -> Result<State, UnitError> {
    const ASKED: &str = "LoadState,ActiveState,Result,MainPID,ExecMainCode,ExecMainStatus";
    Ok(State::read(&systemctl(plan, &["show", "-p", ASKED, &plan.name], PATIENCE).await?))
}

/// Runs systemctl and gives what it wrote.
async fn systemctl(plan: &UnitPlan, args: &[&str], limit: Duration) -> Result<String, UnitError> {
    let action = args.join(" ");
    let refused = |why: String| UnitError::Refused { action: action.clone(), why };
    let program = SYSTEMCTL.iter().find(|path| Path::new(path).exists());
    let program = program.ok_or_else(|| refused("there is no systemd on this node".to_owned()))?;
    let output = plan.dir.join(format!("systemctl-{}.tmp", args[0]));
    let _ = fs::remove_file(&output);
    let open = || logs::open(&output).map_err(|error| refused(error.to_string()));
    let argv = std::iter::once(*program).chain(args.iter().copied()).map(str::to_owned).collect();
    let launch = Launch {
        argv,
        env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
        cwd: plan.dir.clone(),
        stdout: open()?,
        stderr: open()?,
        account: None,
        limits: Vec::new(),
        may_gain_privileges: false,
    };
    let mut running = once::Running::start(&launch).map_err(|error| refused(error.to_string()))?;
    let exit =
        timeout(limit, running.exited()).await.map_err(|_| refused(format!("took longer than {limit:?}")))?;
    let said = fs::read_to_string(&output).unwrap_or_default();
    let _ = fs::remove_file(&output);
    match exit {
        Exit::Code(0) => Ok(said),
        exit => Err(refused(if said.trim().is_empty() { exit.to_string() } else { said.trim().to_owned() })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_unit_ended_is_told_from_what_systemd_shows() {
        let shown = |fields: &str| State::read(&fields.replace(' ', "\n")).end().how;
        let cases = [
            (
                "LoadState=loaded ActiveState=failed Result=exit-code ExecMainCode=1 ExecMainStatus=3",
                "exited with code 3",
            ),
            (
                "LoadState=loaded ActiveState=failed Result=signal ExecMainCode=2 ExecMainStatus=9",
                "was killed by signal 9",
            ),
            (
                "LoadState=loaded ActiveState=failed Result=oom-kill ExecMainCode=2",
                "ran out of memory and was killed",
            ),
            (
                "LoadState=not-found ActiveState=inactive Result=success",
                "is not known to systemd (not-found)",
            ),
        ];
        for (fields, how) in cases {
            assert_eq!(shown(fields), how);
        }
        assert!(State::read("ActiveState=active\nMainPID=12\n").is_active());
    }
}
