//! Starting the agent detached from whoever asks: idempotent, also when asked twice at once.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::cli::{CliError, proxy, supervise};
use crate::config::DataDir;
use crate::disk::Lock;
use crate::identity;

const LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(5);

/// The address the agent listens on, once it does.
pub fn start(data: &DataDir, listen: SocketAddr) -> Result<String, CliError> {
    if let Some(address) = serving(data)? {
        return Ok(address.to_string());
    }
    // Better said here than in a log.
    identity::load(data)?;
    if Lock::holder(&data.agent_lock())?.is_none() {
        detach(|| supervise::supervise(data, listen))?;
    }
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        if let Some(address) = serving(data)? {
            return Ok(address.to_string());
        }
        std::thread::sleep(POLL);
    }
    Err(CliError::NotStarted(LIMIT))
}

/// Where the agent listens, if one runs and answers.
fn serving(data: &DataDir) -> Result<Option<SocketAddr>, CliError> {
    if Lock::holder(&data.agent_lock())?.is_none() {
        return Ok(None);
    }
    Ok(address(data).filter(|address| proxy::connect(*address).is_ok()))
}

/// The address on record.
pub fn address(data: &DataDir) -> Option<SocketAddr> {
    std::fs::read_to_string(data.address()).ok()?.trim().parse().ok()
}

/// Runs something in a process that belongs to no session and no terminal of ours.
fn detach(work: impl FnOnce()) -> Result<(), CliError> {
    let system = |cause| CliError::System { action: "fork", cause };
    // SAFETY: this process has one thread, so that the child may do anything.
    match unsafe { libc::fork() } {
        -1 => Err(system(io::Error::last_os_error())),
        0 => {
            // SAFETY: as above; a second fork, so that the daemon leads no session and cannot get a terminal.
            unsafe {
                libc::setsid();
                if libc::fork() == 0 {
                    work();
                }
                libc::_exit(0)
            }
        }
        child => {
            let mut status = 0;
            // SAFETY: our own child.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            Ok(())
        }
    }
}
