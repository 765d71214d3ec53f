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
