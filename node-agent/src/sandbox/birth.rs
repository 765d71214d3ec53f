//! A fork whose child is born in its cgroup. To move a process there later, the kernel waits until no process forks
//! anywhere, which takes milliseconds.

use std::os::fd::{AsRawFd, OwnedFd};

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
    use crate::sandbox::cgroup::Cgroup;

    #[test]
    fn a_child_is_born_in_the_cgroup_and_dies_with_it() {
        let Some(cgroup) = Cgroup::bare("born") else { return };
        let folder = cgroup.birthplace().expect("of version 2");
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
