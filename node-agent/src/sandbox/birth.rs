//! A fork whose child is born in its cgroup. To move a process there later, the kernel waits until no process forks
//! anywhere, which takes milliseconds.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// What a child can be born in.
#[derive(Debug)]
pub enum Birthplace {
    /// The folder of a cgroup of version 2.
    Unified(OwnedFd),
    /// The files `tasks` of version 1. A child is born where the thread that forks is, and since Linux 5.18 a thread
    /// that moves itself has nobody to wait for.
    Split(Vec<File>),
}

impl Birthplace {
    /// Calls `fork` so that its child is born here: with the folder where it has one, else in a thread that goes there
    /// and ends.
    ///
    /// # Errors
    /// Those of `fork`, and when the kernel does not let the thread go there; then nothing was born.
    pub fn bear<T: Send>(
        &self,
        fork: impl FnOnce(Option<&OwnedFd>) -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let tasks = match self {
            Birthplace::Unified(folder) => return fork(Some(folder)),
            Birthplace::Split(tasks) => tasks,
        };
        let (tid, born) = thread::scope(|scope| {
            let traveller = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || {
                let there = tasks.iter().try_for_each(|mut tasks| tasks.write_all(b"0"));
                // SAFETY: gettid has no preconditions.
                (unsafe { libc::gettid() }, there.and_then(|()| fork(None)))
            })?;
            traveller.join().map_err(|_| io::Error::other("the thread that forks panicked"))
        })?;
        await_end(&format!("/proc/self/task/{tid}"));
        born
    }
}

const STACK: usize = 128 << 10;
const ROUNDS: u32 = 5000;
const ROUND: Duration = Duration::from_micros(200);

/// A thread that was joined has still to leave its cgroup and to tell its children; those that want to die with their
/// parent would do so if they began earlier.
fn await_end(task: &str) {
    for _ in 0..ROUNDS {
        if !Path::new(task).exists() {
            return;
        }
        thread::sleep(ROUND);
    }
}

/// As the kernel reads it: `clone_args` of version 2 in <linux/sched.h>, for Linux 5.7 and later.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// As fork: 0 in the child, -1 and errno where it cannot be done, which older kernels and version 1 of cgroups cannot.
///
/// # Safety
/// The child may only call async-signal-safe functions, and none that a handler of `pthread_atfork` prepares.
pub unsafe fn fork_into(cgroup: &OwnedFd) -> i32 {
    let args = CloneArgs {
        flags: CLONE_INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArgs::default()
    };
    // SAFETY: no memory is shared with the child; the arguments are as long as is said.
    unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::facts::is_root;
    use crate::sandbox::Caps;
    use crate::sandbox::cgroup::{Base, Cgroup};
    use crate::sandbox::child;

    #[test]
    fn a_child_is_born_in_either_kind_of_cgroup_and_outlives_the_thread_that_forked() {
        let base = match Base::find() {
            Ok(base) if is_root() => base,
            Ok(_) | Err(_) => {
                eprintln!("NOT TESTED: no cgroup can be made here, or not by this user");
                return;
            }
        };
        let caps = Caps {
            memory_bytes: 64 << 20,
            cpu_seconds: 1,
            processes: 4,
            file_bytes: 0,
            scratch_bytes: 0,
            open_files: 0,
        };
        let cgroup = Cgroup::make(&base, "birth-test", &caps).expect("made");
        let place = cgroup.birthplace().expect("a place");
        let (gate, mut opener) = io::pipe().expect("a pipe");
        let (told, teller) = io::pipe().expect("a pipe");
        let closed = opener.as_raw_fd();
        // SAFETY: the child makes only system calls.
        let fork = |folder: Option<&OwnedFd>| unsafe {
            match folder.map_or_else(|| libc::fork(), |folder| fork_into(folder)) {
                -1 => Err(io::Error::last_os_error()),
                0 => {
                    let mut byte = 0u8;
                    libc::close(closed);
                    libc::read(gate.as_raw_fd(), (&raw mut byte).cast(), 1);
                    child::end_with_parent();
                    libc::write(teller.as_raw_fd(), (&raw const byte).cast(), 1);
                    loop {
                        libc::pause();
                    }
                }
                pid => Ok(pid),
            }
        };
        let pid = place.bear(fork).expect("born");
        opener.write_all(b"x").expect("opened");
        io::Read::read_exact(&mut &told, &mut [0]).expect("it lives on without the thread");
        assert!(!cgroup.members().is_empty() && cgroup.members().iter().all(|member| *member == pid));
        cgroup.kill();
        let mut status = 0;
        // SAFETY: our own child, and a place for its end.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert!(cgroup.is_empty() && cgroup.remove());
        assert!(place.bear(|_| io::Result::Ok(())).is_err() || matches!(place, Birthplace::Unified(_)));
    }

    #[test]
    fn a_child_is_born_in_the_cgroup_and_dies_with_it() {
        let Some(cgroup) = Cgroup::bare("born") else { return };
        let Some(Birthplace::Unified(folder)) = cgroup.birthplace() else { panic!("of version 2") };
        // SAFETY: the child only waits.
        let pid = unsafe {
            let pid = fork_into(&folder);
            if pid == 0 {
                loop {
                    libc::pause();
                }
            }
            pid
        };
        assert!(pid > 0, "{}", std::io::Error::last_os_error());
        let members = cgroup.members();
        let is_whole = cgroup.kill();
        let mut status = 0;
        // SAFETY: our own child, and a place for its end.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(members, [pid]);
        assert!(is_whole && cgroup.is_empty() && cgroup.remove());
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL);
    }
}
