//! Upgrading the agent itself, with a dead man's switch: another build takes this one's place only when the coordinator
//! has confirmed it over a fresh connection. What comes next is decided in `decide.rs`; here are the effects.
//!
//! A trial is ended by the build itself when its time is over, and by the kernel (an alarm, which outlives `exec`) where
//! the build hangs. Then, as after any crash, whoever supervises the agent starts the installed program.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::code::Code;
use proto::v1::UpgradeReply;
use proto::v1::upgrade_reply::Stage as WireStage;
use tokio::sync::watch;

use crate::config::DataDir;
use crate::disk::DiskError;
use crate::fault;
use crate::log;

mod decide;
pub mod files;
mod record;

use decide::{Asked, Program, Stage, Start, Upgrade};
use files::Files;

/// A build that cannot end its trial itself gets this much longer.
const HANGS: Duration = Duration::from_secs(2);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3600);

/// Why an upgrade does not go on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("another build is being tried")]
    Busy,
    #[error("this agent does not run from {}", .0.display())]
    NotInstalled(PathBuf),
    #[error("the build {0} was not received, or another one since")]
    NotReceived(String),
    #[error("it is {0}")]
    AtWork(&'static str),
    #[error("could not execute {}", program.display())]
    Exec {
        program: PathBuf,
        #[source]
        cause: io::Error,
    },
}

impl UpgradeError {
    pub fn code(&self) -> Code {
        match self {
            Self::Busy | Self::AtWork(_) | Self::NotReceived(_) => Code::Conflict,
            Self::Disk(_) | Self::NotInstalled(_) | Self::Exec { .. } => Code::Failed,
        }
    }
}

/// The upgrades of this agent.
pub struct Upgrades {
    path: PathBuf,
    files: Files,
    program: Program,
    record: Mutex<Option<Upgrade>>,
    /// True once this process is to give way to the installed program.
    restart: watch::Sender<bool>,
}

impl Upgrades {
    /// Takes up what is on record. Does not return where another program is to run in this process.
    pub fn open(data: &DataDir) -> Arc<Self> {
        let (path, files) = (data.upgrade(), Files::of(data));
        let record = record::read(&path).unwrap_or_else(|error| {
            tracing::error!(error = log::chain(&error), "upgrade");
            None
        });
        let program = files.running();
        let start = decide::at_start(record.as_ref(), program, files.has_trial());
        let upgrades =
            Self { path, files, program, record: Mutex::new(record), restart: watch::Sender::new(false) };
        if start != Start::RunOnTrial {
            alarm(Duration::ZERO);
        }
        upgrades.begin(&start);
        Arc::new(upgrades)
    }

    /// What cannot be done is told in the log; the program that is running goes on then.
    fn begin(&self, start: &Start) {
        let done = match start {
            Start::Run => self.files.forget_all().map_err(UpgradeError::from),
            Start::RunOnTrial => Ok(()),
            Start::Try => {
                let Err(error) = self.hand_over();
                self.give_up(&log::chain(&error))
            }
            Start::GiveUp { why } => self.give_up(why),
            Start::Install => self.files.install().map_err(UpgradeError::from).and_then(|()| {
                let Err(error) = become_program(&self.files.installed, &self.files.installed);
                Err(error)
            }),
            Start::Leave => {
                let Err(error) = become_program(&self.files.installed, &self.files.installed);
                Err(error)
            }
        };
        if let Err(error) = done {
            tracing::error!(error = log::chain(&error), "upgrade");
        }
    }

    /// Becomes the build on trial. From its note on, no other start tries it again.
    fn hand_over(&self) -> Result<Infallible, UpgradeError> {
        let within = self.change(&mut self.lock(), Stage::OnTrial)?;
        fault::point("upgrade.begun");
        alarm(within + HANGS);
        let tried = become_program(&self.files.on_trial, &self.files.installed);
        alarm(Duration::ZERO);
        tried
    }

    fn give_up(&self, why: &str) -> Result<(), UpgradeError> {
        tracing::error!(why, "the upgrade is rolled back");
        let noted = self.change(&mut self.lock(), Stage::RolledBack { why: why.to_owned() });
        fault::point("upgrade.given_up");
        self.files.forget_trial()?;
        noted.map(drop)
    }

    /// How the latest upgrade stands. Reads the running program.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn look(&self) -> Result<UpgradeReply, UpgradeError> {
        let running_digest = files::running_digest()?;
        let record = self.lock().clone();
        let (stage, reason) = match record.as_ref().map(|upgrade| &upgrade.stage) {
            None => (WireStage::None, String::new()),
            Some(Stage::Asked) => (WireStage::Asked, String::new()),
            Some(Stage::OnTrial) => (WireStage::OnTrial, String::new()),
            Some(Stage::Confirmed) => (WireStage::Confirmed, String::new()),
            Some(Stage::RolledBack { why }) => (WireStage::RolledBack, why.clone()),
        };
        Ok(UpgradeReply {
            running_digest,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            stage: stage.into(),
            digest: record.map(|upgrade| upgrade.digest).unwrap_or_default(),
            reason,
        })
    }

    /// Whether a build may be received and tried now.
    ///
    /// # Errors
    /// When another one is being tried, or a restart would not come back to this program.
    pub fn check_ready(&self) -> Result<(), UpgradeError> {
        if !self.files.is_installed() {
            return Err(match self.program {
                Program::OnTrial => UpgradeError::Busy,
                Program::Installed => UpgradeError::NotInstalled(self.files.installed.clone()),
            });
        }
        match decide::when_asked(self.lock().as_ref(), "") {
            Asked::Begin => Ok(()),
            Asked::Known | Asked::Busy => Err(UpgradeError::Busy),
        }
    }

    /// Nothing of a build stays that did not come whole.
    pub fn sweep(&self) {
        self.files.sweep();
    }

    /// Nor one that came and is not to be tried.
    pub fn forget_received(&self) {
        if let Err(error) = self.files.forget_received() {
            tracing::warn!(error = log::chain(&error), "upgrade");
        }
    }

    /// Notes that the build that was received is to be tried, and gives way to it: then this is true. It is false where
    /// that was asked for before.
    ///
    /// # Errors
    /// When it is not the one that was received; this agent goes on then.
    pub fn try_received(&self, digest: &str, within: Duration) -> Result<bool, UpgradeError> {
        let mut record = self.lock();
        match decide::when_asked(record.as_ref(), digest) {
            Asked::Known => return Ok(false),
            Asked::Busy => return Err(UpgradeError::Busy),
            Asked::Begin => {}
        }
        let within = within.clamp(SHORTEST, LONGEST);
        let mut upgrade = Upgrade { stage: Stage::Asked, digest: digest.to_owned(), within };
        // The note comes first: a build in place without one would be taken for that of an older note.
        record::write(&self.path, &upgrade)?;
        fault::point("upgrade.noted");
        let taken = self.files.take_received().and_then(|()| files::digest(&self.files.on_trial));
        fault::point("upgrade.taken");
        if taken.as_ref().is_ok_and(|found| found == digest) {
            *record = Some(upgrade);
            self.restart.send_replace(true);
            return Ok(true);
        }
        let error = UpgradeError::NotReceived(digest.to_owned());
        upgrade.stage = Stage::RolledBack { why: log::chain(&error) };
        let noted = record::write(&self.path, &upgrade);
        *record = Some(upgrade);
        self.files.forget_trial()?;
        noted?;
        Err(error)
    }

    /// Makes the build on trial the installed one, if this is it; else nothing.
    ///
    /// # Errors
    /// When it cannot be noted; the trial goes on then.
    pub fn confirm(&self, digest: &str) -> Result<(), UpgradeError> {
        let mut record = self.lock();
        if !decide::is_to_confirm(record.as_ref(), self.program, digest) {
            return Ok(());
        }
        let Some(mut upgrade) = record.clone() else { return Ok(()) };
        upgrade.stage = Stage::Confirmed;
        record::write(&self.path, &upgrade)?;
        fault::point("upgrade.confirmed");
        *record = Some(upgrade);
        alarm(Duration::ZERO);
        // If this fails now, the next start does it.
        self.files.install()?;
        tracing::info!(digest, "the upgrade is confirmed");
        Ok(())
    }

    /// Goes back when the time of the trial is over.
    pub async fn watch_trial(self: Arc<Self>) {
        let within = {
            let record = self.lock();
            let upgrade = record.as_ref().filter(|_| self.program == Program::OnTrial);
            upgrade.map(|upgrade| upgrade.within)
        };
        let Some(within) = within else { return };
        fault::point("upgrade.on_trial");
        tokio::time::sleep(within).await;
        let gone_back = tokio::task::spawn_blocking(move || self.end_trial(within));
        if let Ok(Err(error)) = gone_back.await {
            tracing::error!(error = log::chain(&error), "the end of the trial could not be noted");
        }
    }

    /// The restart comes also where nothing can be written: it finds a trial that has ended.
    fn end_trial(&self, within: Duration) -> Result<(), UpgradeError> {
        let mut record = self.lock();
        if !decide::is_on_trial(record.as_ref()) {
            return Ok(());
        }
        let why = format!("it was not confirmed within {} s", within.as_secs_f32());
        tracing::error!(why, "the upgrade is rolled back");
        let noted = self.change(&mut record, Stage::RolledBack { why });
        fault::point("upgrade.timed_out");
        self.restart.send_replace(true);
        noted.map(drop)
    }

    /// Returns when this process is to give way to the installed program.
    pub async fn restarting(&self) {
        // The sender is ours.
        let _ = self.restart.subscribe().wait_for(|restart| *restart).await;
    }

    /// Becomes the installed program, with the same arguments and the same pid. What runs is adopted by it.
    ///
    /// # Errors
    /// Always: where it succeeds, it does not return.
    pub fn restart(&self) -> UpgradeError {
        fault::point("upgrade.restart");
        let Err(error) = become_program(&self.files.installed, &self.files.installed);
        error
    }

    /// Gives the time of the trial. Where it cannot be written, it holds for this process all the same.
    fn change(&self, record: &mut Option<Upgrade>, stage: Stage) -> Result<Duration, UpgradeError> {
        let Some(upgrade) = record else { return Ok(Duration::ZERO) };
        upgrade.stage = stage;
        record::write(&self.path, upgrade)?;
        Ok(upgrade.within)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Upgrade>> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an agent that ended by itself is to be started again all the same.
pub fn has_open_trial(data: &DataDir) -> bool {
    decide::is_on_trial(record::read(&data.upgrade()).ok().flatten().as_ref())
}

/// Executes a program in this process, under a name that people know.
fn become_program(program: &Path, name: &Path) -> Result<Infallible, UpgradeError> {
    const CLOSE_ON_EXEC: libc::c_uint = 4;
    // SAFETY: plain numbers. Descriptors close when something is executed, not now; an old kernel refuses.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_ON_EXEC) };
    let cause = Command::new(program).arg0(name).args(std::env::args_os().skip(1)).exec();
    Err(UpgradeError::Exec { program: program.to_owned(), cause })
}

/// Has the kernel end this process then, whatever it executes meanwhile; zero: no more.
fn alarm(after: Duration) {
    let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
    // SAFETY: a plain number.
    unsafe { libc::alarm(libc::c_uint::try_from(seconds).unwrap_or(libc::c_uint::MAX)) };
}
