//! One attempt to make an ssh master. It belongs to nobody: whoever began it may end before, and then the next process
//! that wants the same connection waits for it instead of beginning anew.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The connection stands, and its socket could not be put in its place.
pub const NOT_KEPT: i32 = 94;
/// As shells say it.
pub const NO_SSH: i32 = 127;

/// Connects, then gives the socket the name under which all look for it. Whoever connects at the same time does the same;
/// the last one's master is used, the others idle out.
const SCRIPT: &str = "fresh=$1; socket=$2; trying=$3; shift 3; echo $$ >\"$trying\"\n\
     ssh \"$@\"; status=$?\n\
     if [ $status = 0 ]; then mv -f -- \"$fresh\" \"$socket\" || status=94; else rm -f -- \"$fresh\"; fi\n\
     rm -f -- \"$trying\"; exit $status";

const LOOK: Duration = Duration::from_millis(50);

/// See the module's words.
pub struct Attempt {
    child: Child,
}

impl Attempt {
    pub fn start(arguments: &[OsString], fresh: &Path, socket: &Path) -> io::Result<Self> {
        // Its own process group: Ctrl-C is not meant for it.
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(fresh)
            .arg(socket)
            .arg(trying(socket))
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self { child })
    }

    /// How it ended, and what ssh said. ssh closes its stderr when it goes to the background and when it ends.
    pub async fn end(&mut self) -> io::Result<(ExitStatus, String)> {
        let mut log = Vec::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_end(&mut log).await?;
        }
        let status = self.child.wait().await?;
        Ok((status, String::from_utf8_lossy(&log).into_owned()))
    }

    pub fn give_up(&self) {
        let leader = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Waits for the attempt that another process has begun for this socket; whether a master listens there after it.
pub async fn is_finished_by_another(socket: &Path, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut is_any = false;
    while is_under_way(socket) && Instant::now() < deadline {
        is_any = true;
        sleep(LOOK).await;
    }
    is_any && UnixStream::connect(socket).is_ok()
}

fn is_under_way(socket: &Path) -> bool {
    let Ok(pid) = fs::read_to_string(trying(socket)) else { return false };
    let Ok(words) = fs::read(format!("/proc/{}/cmdline", pid.trim())) else { return false };
    // Another process may have the number by now.
    words.split(|byte| *byte == 0).any(|word| word == socket.as_os_str().as_bytes())
}

/// Where the process of the attempt under way is written down.
fn trying(socket: &Path) -> PathBuf {
    socket.with_extension("trying")
}
