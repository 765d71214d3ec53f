//! A stage is a numbered claim on this machine: a folder in /run, a subnet and a loopback address of its own.
//!
//! Everything the fleet and the etcd servers make is found again by that number, so one script can remove it:
//! when the owner drops the stage, when the owner dies in whatever way, or later by a sweep.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// Each holds one folder per stage.
const MEMORY: &str = "/dev/shm/orchestrator-e2e";
pub const FOLDER: &str = "/run/orchestrator-e2e";
const STRIKE: &str = include_str!("stage/strike.sh");
const DETACHED: &str = "detached";

/// One claim; what was made on it goes when it is dropped, unless it is detached.
#[derive(Debug)]
pub struct Stage {
    slot: u8,
    guardian: Option<Child>,
}

impl Stage {
    /// Claims a free slot until this value is dropped or this process ends.
    pub fn claim() -> Result<Stage> {
        let mut stage = Stage { slot: claim_slot(&identity(std::process::id())?)?, guardian: None };
        stage.guardian = Some(stage.spawn_guardian()?);
        Ok(stage)
    }

    /// Claims a free slot that stays until somebody calls [`Stage::strike`].
    pub fn claim_detached() -> Result<Stage> {
        Ok(Stage { slot: claim_slot(DETACHED)?, guardian: None })
    }

    /// Finds the stage that another process claimed.
    pub fn open(slot: u8) -> Result<Stage> {
        let stage = Stage { slot, guardian: None };
        ensure!(stage.folder().is_dir(), "there is no fleet {slot}");
        Ok(stage)
    }

    pub fn slot(&self) -> u8 {
        self.slot
    }

    pub fn folder(&self) -> PathBuf {
        folder(self.slot)
    }

    /// The same in memory. It goes with the stage, not with a server that stops.
    pub fn memory(&self) -> PathBuf {
        Path::new(MEMORY).join(self.slot.to_string())
    }

    /// Says whether it outlives the process that made it.
    pub fn is_detached(&self) -> bool {
        owner(&self.folder()).is_some_and(|owner| owner == DETACHED)
    }

    /// An address of this machine that no other stage uses.
    pub fn loopback(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, 213, self.slot, 1)
    }

    /// Removes everything on the stage, whoever owns it.
    pub fn strike(&self) -> Result<()> {
        let Some(owner) = owner(&self.folder()) else { return Ok(()) };
        strike(self.slot, &owner)
    }

    /// Starts the process that strikes the stage once the pipe from this process closes, which the kernel does
    /// for us even after a `kill -9`.
    fn spawn_guardian(&self) -> Result<Child> {
        let script = format!("trap '' INT TERM HUP; cat >/dev/null; {STRIKE}");
        let owner = identity(std::process::id())?;
        let mut command = strike_command(&script, self.slot, &owner);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.spawn().context("could not start the guardian of the stage")
    }

    fn processes(&self) -> Vec<i32> {
        let pid_in = |path: PathBuf| fs::read_to_string(path).ok()?.split(' ').next()?.parse().ok();
        let inits = entries(&self.folder().join("hosts")).map(|host| host.join("init"));
        let recorded = entries(&self.folder().join("processes"));
        inits.chain(recorded).filter_map(pid_in).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let Some(mut guardian) = self.guardian.take() else { return };
        let processes = self.processes();
        drop(guardian.stdin.take());
        // A failure here is repaired by the next sweep; panicking in a drop would hide the test's own words.
        let _ = guardian.wait();
        let _ = self.strike();
        processes.into_iter().for_each(reap);
    }
}

/// Remembers a process in the folder of a stage, so that it is killed with it.
pub fn record_process(stage: &Path, name: &str, pid: u32) -> Result<()> {
    let folder = stage.join("processes");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), identity(pid)? + "\n").context("could not record a process")
}

/// Removes what dead owners left behind; returns the numbers of the stages.
pub fn sweep() -> Result<Vec<u8>> {
    let mut swept = Vec::new();
    for (slot, owner) in stages() {
        if !is_alive(&owner) {
            strike(slot, &owner)?;
            swept.push(slot);
        }
    }
    Ok(swept)
}

/// Lists all stages with their owners.
pub fn stages() -> BTreeMap<u8, String> {
    let slot = |path: &Path| path.file_name()?.to_str()?.parse().ok();
    entries(Path::new(FOLDER)).filter_map(|path| Some((slot(&path)?, owner(&path)?))).collect()
}

/// Waits a little for a child that was killed; nothing happens when it is not a child of this process.
pub fn reap(pid: i32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    // SAFETY: waitpid takes no pointer that we keep; a null status is allowed.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) } == 0 && Instant::now() < deadline
    {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn claim_slot(owner: &str) -> Result<u8> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        bail!("the fleet is made of namespaces, which takes root: run it with sudo (`make test` does)");
    }
    static CLAIMS: AtomicU32 = AtomicU32::new(0);
    fs::create_dir_all(Path::new(FOLDER).join("locks"))?;
    sweep()?;
    let pid = std::process::id();
    let prepared = Path::new(FOLDER).join(format!(".{pid}-{}", CLAIMS.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&prepared)?;
    fs::write(prepared.join("owner"), owner)?;
    for offset in 0..254 {
        let slot = ((pid + offset) % 254 + 1) as u8;
        let Some(_lock) = try_lock(slot)? else { continue };
        if !folder(slot).exists() {
            fs::rename(&prepared, folder(slot))?;
            return Ok(slot);
        }
    }
    fs::remove_dir_all(&prepared)?;
    bail!("all 254 fleets of this machine are taken: see `cargo run -p e2e -- fleet list`")
}

fn folder(slot: u8) -> PathBuf {
    Path::new(FOLDER).join(slot.to_string())
}

fn lock_path(slot: u8) -> PathBuf {
    Path::new(FOLDER).join("locks").join(slot.to_string())
}

/// Keeps others from claiming or striking the slot; `None` while somebody else does.
fn try_lock(slot: u8) -> Result<Option<File>> {
    let file = File::create(lock_path(slot)).context("could not open the lock of a stage")?;
    // SAFETY: the descriptor is open for the whole call.
    let answer = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    Ok((answer == 0).then_some(file))
}

fn strike_command(script: &str, slot: u8, owner: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "strike"]).arg(folder(slot)).arg(lock_path(slot));
    command.arg(slot.to_string()).arg(owner);
    command
}

fn strike(slot: u8, owner: &str) -> Result<()> {
    let output = strike_command(STRIKE, slot, owner).output().context("could not run sh")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "could not remove fleet {slot}: {said}");
    Ok(())
}

fn owner(folder: &Path) -> Option<String> {
    fs::read_to_string(folder.join("owner")).ok()
}

fn is_alive(owner: &str) -> bool {
    let pid = owner.split(' ').next().and_then(|pid| pid.parse().ok());
    owner == DETACHED || pid.is_some_and(|pid| identity(pid).is_ok_and(|now| now == owner))
}

/// Names a process so that a later one with the same pid is not mistaken for it: pid and start time.
pub fn identity(pid: u32) -> Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("no such process")?;
    // The name in parentheses may hold spaces; the start time is the 20th field behind it.
    let started = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(19));
    Ok(format!("{pid} {}", started.context("unreadable /proc/PID/stat")?))
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}
