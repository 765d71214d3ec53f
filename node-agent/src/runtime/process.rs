//! A running instance: a process we started, or one that an earlier agent started and we adopted.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::content::{Candidate, Content};
use crate::fault;
use crate::runtime::cgroup::Cgroups;
use crate::runtime::kill::{self, Family};
use crate::runtime::procfs;
use crate::runtime::reaper::Exit;
use crate::runtime::record::{self, Record};
use crate::runtime::spawn::{self, Launch, SpawnError};

const DEFAULT_STOP: u32 = 10_000;

/// Where an instance's process is looked after.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub records: &'a Path,
    pub family: &'a Family<'a>,
}

/// A process that runs an instance.
#[derive(Debug)]
pub struct Process {
    pub pid: i32,
    pub content: Option<Content>,
    pub record: Record,
    exit: ExitWatch,
}

#[derive(Debug)]
enum ExitWatch {
    Child(oneshot::Receiver<Exit>),
    Adopted(AsyncFd<OwnedFd>),
    /// An adopted one on a kernel without pidfd.
    Polled {
        pid: i32,
        start: u64,
    },
    Done(Exit),
}

impl Process {
    /// Starts the candidate; its record is on disk before it executes anything.
    ///
    /// # Errors
    /// When it cannot be started or recorded; nothing runs then.
    pub fn start(
        launch: &Launch,
        candidate: &Candidate,
        restarts: u32,
        place: Place<'_>,
    ) -> Result<Self, SpawnError> {
        fault::point("spawn.before");
        let mut recorded = Record::default();
        let child = spawn::launch(launch, |pid| {
            recorded = describe(pid, candidate, restarts)?;
            record::write(place.records, &recorded)?;
            enter(place.family.cgroups, place.family, pid);
            Ok(())
        });
        let child = child.inspect_err(|_| record::clear(place.records))?;
        fault::point("spawn.after");
        Ok(Self {
            pid: child.pid,
            content: Some(candidate.content),
            record: recorded,
            exit: ExitWatch::Child(child.exit),
        })
    }

    /// Takes over what the record names, if that very process still lives.
    pub fn adopt(records: &Path) -> Option<Self> {
        let record = record::read(records)?;
        let (pid, start) = (record.pid, record.start);
        if record.boot_id != procfs::boot_id() || !record.engine.is_empty() {
            return None;
        }
        let exit = pidfd(pid).map_or(ExitWatch::Polled { pid, start }, ExitWatch::Adopted);
        // Only now the check: the pidfd is of this process or of none.
        procfs::is_alive(pid, start).then(|| Self { pid, content: record.known_content(), record, exit })
    }

    /// Returns when the process has ended; may be called again and again.
    pub async fn exited(&mut self) -> Exit {
        let exit = match &mut self.exit {
            ExitWatch::Done(exit) => return *exit,
            ExitWatch::Child(exit) => exit.await.unwrap_or(Exit::Unknown),
            ExitWatch::Adopted(fd) => match fd.readable().await {
                Ok(_) => Exit::Unknown,
                Err(_) => polled(self.record.pid, self.record.start).await,
            },
            ExitWatch::Polled { pid, start } => polled(*pid, *start).await,
        };
        self.exit = ExitWatch::Done(exit);
        exit
    }

    /// Ends the process and everything it started: politely at first, for no longer than `grace` (or what the
    /// module asks for). `kin` are processes known to descend from it. False when something survives.
    pub async fn stop(mut self, grace: Option<Duration>, place: Place<'_>, kin: &[(i32, u64)]) -> bool {
        fault::point("stop.before");
        let asked = Duration::from_millis(u64::from(self.record.stop_timeout_ms));
        let grace = grace.map_or(asked, |grace| grace.min(asked));
        if procfs::is_alive(self.record.pid, self.record.start) {
            kill::signal_group(self.pid, libc::SIGTERM);
            let pid = self.pid;
            let _ = timeout(grace, async {
                self.exited().await;
                group_gone(pid).await;
            })
            .await;
            kill::signal_group(self.pid, libc::SIGKILL);
        }
        let kin = kin.iter().filter(|(pid, start)| procfs::is_alive(*pid, *start)).map(|(pid, _)| *pid);
        let living: Vec<i32> = self.living().into_iter().chain(kin).collect();
        let is_clean = place.family.end(&living).await;
        fault::point("stop.after");
        record::clear(place.records);
        is_clean
    }

    /// The leader while it lives: only then its pid is still its own.
    fn living(&self) -> Vec<i32> {
        if procfs::is_alive(self.record.pid, self.record.start) {
            procfs::descendants(self.pid)
        } else {
            Vec::new()
        }
    }

    /// Resident bytes and CPU ticks of the process and all its descendants.
    pub fn usage(pid: i32) -> (u64, u64) {
        let members = procfs::descendants(pid);
        let resident = members.iter().filter_map(|pid| procfs::resident(*pid)).sum();
        let ticks = members.iter().filter_map(|pid| procfs::stat(*pid)).map(|stat| stat.cpu_ticks).sum();
        (resident, ticks)
    }
}

fn describe(pid: i32, candidate: &Candidate, restarts: u32) -> io::Result<Record> {
    let stat = procfs::stat(pid).ok_or_else(|| io::Error::other("the new process is not in /proc"))?;
    let asked = match &candidate.spec.runtime {
        Some(proto::v1::instance_spec::Runtime::Process(process)) => process.stop_timeout_ms,
        Some(
            proto::v1::instance_spec::Runtime::Containers(_) | proto::v1::instance_spec::Runtime::Systemd(_),
        )
        | None => 0,
    };
    Ok(Record {
        pid,
        start: stat.start,
        boot_id: procfs::boot_id().to_owned(),
        release: candidate.spec.release.clone(),
        stop_timeout_ms: if asked == 0 { DEFAULT_STOP } else { asked },
        restarts,
        content: candidate.content.as_bytes().to_vec(),
        engine: String::new(),
    })
}

/// Without its cgroup the instance is still found by its mark, so that a refusal is no reason not to start.
fn enter(cgroups: Option<&Cgroups>, family: &Family<'_>, pid: i32) {
    if let Some(Err(error)) = cgroups.map(|cgroups| cgroups.enter(&family.folder(), pid)) {
        tracing::warn!(instance = %family.id, %error, "no cgroup for the instance");
    }
}

fn pidfd(pid: i32) -> Option<AsyncFd<OwnedFd>> {
    // SAFETY: pidfd_open returns a new descriptor that nobody else owns, or an error.
    let fd = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        OwnedFd::from_raw_fd(i32::try_from(fd).ok().filter(|fd| *fd >= 0)?)
    };
    // SAFETY: the descriptor belongs to the AsyncFd alone until both end together.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE).ok() }
}

/// The leader may end at once while what it started still finishes its work.
async fn group_gone(leader: i32) {
    const POLL: Duration = Duration::from_millis(10);
    while kill::group_exists(leader) {
        tokio::time::sleep(POLL).await;
    }
}

async fn polled(pid: i32, start: u64) -> Exit {
    const POLL: Duration = Duration::from_millis(200);
    while procfs::is_alive(pid, start) {
        tokio::time::sleep(POLL).await;
    }
    Exit::Unknown
}
