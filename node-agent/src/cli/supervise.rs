//! The tiny parent of a detached agent: starts it again when it crashes, reaps what comes to it, and ends when
//! the agent ends by itself. It neither speaks to anybody nor knows anything.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crate::config::DataDir;
use crate::disk::{Lock, Locked};
use crate::runtime::kill;
use crate::upgrade;

/// The agent's exit status when another one holds the lock.
pub const ALREADY_RUNNING: u8 = 75;
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
const CALM: Duration = Duration::from_secs(30);

static AGENT: AtomicI32 = AtomicI32::new(0);
static IS_STOPPING: AtomicBool = AtomicBool::new(false);

/// Runs in the detached process.
pub fn supervise(data: &DataDir, listen: SocketAddr) {
    leave(data);
    let Ok(Locked::Ours(_lock)) = Lock::try_take(&data.supervisor_lock()) else { return };
    let handler = stop as extern "C" fn(libc::c_int);
    // SAFETY: the handler only uses atomics and kill; the others take plain numbers.
    unsafe {
        libc::signal(libc::SIGTERM, handler as libc::sighandler_t);
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    let mut pause = SHORTEST;
    while !IS_STOPPING.load(Ordering::SeqCst) {
        let begin = Instant::now();
        // A build on trial that thinks it is done is not the one to say so.
        if is_over(run(data, listen)) && !upgrade::has_open_trial(data) {
            return;
        }
        pause = if begin.elapsed() > CALM { SHORTEST } else { pause };
        // A signal cuts this short.
        let request = libc::timespec { tv_sec: pause.as_secs() as _, tv_nsec: pause.subsec_nanos() as _ };
        // SAFETY: a valid timespec.
        unsafe { libc::nanosleep(&raw const request, std::ptr::null_mut()) };
        pause = (pause * 2).min(LONGEST);
    }
}

/// The agent's exit status; none when it was killed or could not be started.
fn run(data: &DataDir, listen: SocketAddr) -> Option<i32> {
    let child = Command::new(binary(data))
        .args(["run", "--supervised", "--listen", &listen.to_string(), "--data-dir"])
        .arg(&data.0)
        .stdin(Stdio::null())
        .spawn();
    let pid = i32::try_from(child.ok()?.id()).ok()?;
    AGENT.store(pid, Ordering::SeqCst);
    if IS_STOPPING.load(Ordering::SeqCst) {
        kill::signal(pid, libc::SIGTERM);
    }
    loop {
        let mut status = 0;
        // SAFETY: a valid place for the status. Other children are orphans of instances.
        match unsafe { libc::waitpid(-1, &raw mut status, 0) } {
            found if found == pid => {
                AGENT.store(0, Ordering::SeqCst);
                return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
            }
            -1 if std::io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD) => return None,
            _ => {}
        }
    }
}

fn is_over(status: Option<i32>) -> bool {
    status == Some(0) || status == Some(i32::from(ALREADY_RUNNING))
}

extern "C" fn stop(_signal: libc::c_int) {
    IS_STOPPING.store(true, Ordering::SeqCst);
    let agent = AGENT.load(Ordering::SeqCst);
    if agent > 0 {
        kill::signal(agent, libc::SIGTERM);
    }
}

/// An upgraded agent is found by its path; the one we came from may be deleted.
fn binary(data: &DataDir) -> PathBuf {
    let installed = data.binary();
    if installed.is_file() {
        return installed;
    }
    std::env::current_exe().unwrap_or(installed)
}

/// Lets go of everything that came from the caller, above all its SSH connection.
fn leave(data: &DataDir) {
    // SAFETY: nothing in this process uses a descriptor above 2 any more.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    let _ = std::env::set_current_dir("/");
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(data.log());
    let Ok(null) = null else { return };
    let stderr = log.as_ref().map_or(null.as_raw_fd(), AsRawFd::as_raw_fd);
    for (from, to) in [(null.as_raw_fd(), 0), (null.as_raw_fd(), 1), (stderr, 2)] {
        // SAFETY: both descriptors are open.
        unsafe { libc::dup2(from, to) };
    }
}
