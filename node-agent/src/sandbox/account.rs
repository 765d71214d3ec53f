//! Users for programs of steps: one for each that runs, out of a range that nobody hands out (between those of
//! systemd-homed and those of its dynamic users). So they can neither read nor signal what is the agent's or each
//! other's, the kernel counts the processes of each, and all of one user's processes are one program's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::disk;
use crate::runtime::procfs;
use crate::runtime::reaper::{self, Exit};

const FIRST: u32 = 60_800;
const COUNT: u32 = 64;
const LOCKS: &str = "/run/orchestrator-sandbox";

/// A user that no other program has. Free again when dropped.
#[derive(Debug)]
pub struct Account {
    pub uid: u32,
    lock: File,
}

impl Account {
    /// Takes one of the range for this agent, whatever other agents there are. One that is not known to be empty is
    /// passed over.
    ///
    /// # Errors
    /// When all are taken, or locks cannot be made.
    pub fn take() -> io::Result<Self> {
        disk::make_dir(Path::new(LOCKS), 0o700).map_err(io::Error::other)?;
        for uid in FIRST..FIRST + COUNT {
            let Some(account) = Self::lock(uid)? else { continue };
            if account.lock.metadata()?.len() == 0 || processes(uid).next().is_none() {
                (&account.lock).write_all(b"in use\n")?;
                return Ok(account);
            }
        }
        Err(io::Error::other("all accounts for sandboxes are in use"))
    }

    fn lock(uid: u32) -> io::Result<Option<Self>> {
        let path = format!("{LOCKS}/{uid}");
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        // SAFETY: a descriptor we own.
        match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
            0 => Ok(Some(Self { uid, lock: file })),
            _ => Ok(None),
        }
    }

    /// Kills all its processes at once; none of them can fork or signal its way out.
    ///
    /// # Errors
    /// When no process can be made for it.
    pub async fn end_all(&self) -> io::Result<()> {
        let uid = self.uid;
        let (_, exit) = reaper::register(|| kill_all(uid))?;
        match exit.await {
            Ok(Exit::Code(0)) => Ok(()),
            Ok(exit) => Err(io::Error::other(format!("what was to kill the processes {exit}"))),
            Err(_) => Err(io::Error::other("nobody waits for processes")),
        }
    }

    /// Whether those that were killed are gone. It asks who owns their files in /proc, which is quick; what hides that
    /// has been killed like the others. A zombie is gone: it stays until its parent asks, which some never do.
    pub fn is_empty(&self) -> bool {
        let is_ours =
            |pid: &i32| fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == self.uid);
        !procfs::pids().filter(is_ours).any(procfs::is_anyone)
    }

    /// Gives it back as one that nothing runs as.
    pub fn give_back(self) {
        let _ = self.lock.set_len(0);
    }
}

/// Ends what an agent that was killed left running.
pub async fn sweep() {
    for uid in FIRST..FIRST + COUNT {
        let is_used = std::fs::metadata(format!("{LOCKS}/{uid}")).is_ok_and(|meta| meta.len() > 0);
        if !is_used {
            continue;
        }
        let Ok(Some(account)) = Account::lock(uid) else { continue };
        // What hangs is passed over until it is gone.
        if account.end_all().await.is_ok() && account.is_empty() {
            account.give_back();
        }
    }
}

/// Living processes of a user, also those that hide who they are from /proc's owners.
pub fn processes(uid: u32) -> impl Iterator<Item = i32> {
    procfs::pids().filter(move |pid| is_of(*pid, uid))
}

pub fn is_of(pid: i32, uid: u32) -> bool {
    let Some(status) = procfs::read_small(&format!("/proc/{pid}/status")) else { return false };
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let is_dead = matches!(line("State:").trim().as_bytes().first(), Some(b'Z' | b'X'));
    let real = line("Uid:").split_ascii_whitespace().next().and_then(|text| text.parse().ok());
    real == Some(uid) && !is_dead
}

/// A child that signals everything of this user. Its saved user stays root and its real one is nobody else's, so
/// that what it kills cannot kill it first.
fn kill_all(uid: u32) -> io::Result<i32> {
    #[cfg(not(target_arch = "arm"))]
    const SET_USER: libc::c_long = libc::SYS_setresuid;
    #[cfg(target_arch = "arm")]
    const SET_USER: libc::c_long = libc::SYS_setresuid32;
    let killer = uid + COUNT;
    // SAFETY: only system calls on plain numbers in the child. Without the change of user, it kills nothing.
    unsafe {
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let is_other = libc::syscall(SET_USER, killer, uid, 0) == 0;
                if is_other && libc::getuid() == killer && libc::geteuid() == uid && uid >= FIRST {
                    libc::kill(-1, libc::SIGKILL);
                    libc::_exit(0);
                }
                libc::_exit(1)
            }
            pid => Ok(pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::report::facts::is_root;

    #[test]
    fn a_process_is_known_as_its_users_whatever_its_name_is_cut_to() {
        if !is_root() {
            eprintln!("NOT TESTED: only root has accounts for programs");
            return;
        }
        let account = Account::take().expect("an account");
        let folder = tempfile::tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("open to it");
        let program = folder.path().join("fourteen-bytesé");
        std::os::unix::fs::symlink("/bin/sleep", &program).expect("linked");
        let mut child = Command::new(&program).arg("1000").uid(account.uid).spawn().expect("spawned");
        let found = processes(account.uid).count();
        child.kill().and_then(|()| child.wait()).expect("ended");
        assert_eq!(found, 1);
        account.give_back();
    }

    #[test]
    fn a_zombie_is_gone_whoever_its_parent_is() {
        if !is_root() {
            eprintln!("NOT TESTED: only root has accounts for programs");
            return;
        }
        let account = Account::take().expect("an account");
        let mut child = Command::new("cat");
        child.uid(account.uid).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = child.spawn().expect("spawned");
        let pid = i32::try_from(child.id()).expect("a pid");
        assert!(!account.is_empty());
        drop(child.stdin.take());
        while procfs::is_anyone(pid) {
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(account.is_empty());
        child.wait().expect("ended");
        account.give_back();
    }
}
