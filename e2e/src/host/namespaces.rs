//! Starting processes in the namespaces of a host: the first one, which makes them, and any later one.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Starts `command` as process 1 of new namespaces in the given network.
pub fn found(mut command: Command, network: File) -> io::Result<Child> {
    let enter = move || {
        // SAFETY: called between fork and exec; these are plain system calls on an open descriptor.
        unsafe {
            check(libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET))?;
            check(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC))?;
            let (root, none) = (c"/".as_ptr(), std::ptr::null());
            check(libc::mount(none, root, none, libc::MS_REC | libc::MS_PRIVATE, none.cast()))?;
            check(libc::setsid())
        }
    };
    // SAFETY: the closure neither allocates nor takes locks.
    unsafe { command.pre_exec(enter) };
    // SAFETY: unshare takes no pointers.
    spawn_after(command, || check(unsafe { libc::unshare(libc::CLONE_NEWPID) }))
}

/// Starts `command` in the namespaces of the process `init`. The child is the command itself: its id can be killed.
pub fn enter(mut command: Command, init: u32) -> io::Result<Child> {
    let host = open(init)?;
    let descriptor = host.as_raw_fd();
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWNET;
    // SAFETY: as above; `host` stays open until the child has been started.
    unsafe { command.pre_exec(move || check(libc::setns(descriptor, flags))) };
    // SAFETY: `host` is open.
    spawn_after(command, || check(unsafe { libc::setns(descriptor, libc::CLONE_NEWPID) }))
}

/// The child of `first` that is process 1 of a PID namespace below that of `first`.
pub fn founded_by(first: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
    let is_founder = |pid: &&str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        numbers.split_whitespace().count() > 2 && numbers.ends_with("\t1")
    };
    children.split_whitespace().find(is_founder)?.parse().ok()
}

/// A PID namespace is for the children of the thread that chose it, so a thread of its own chooses and spawns.
fn spawn_after(mut command: Command, choose: impl FnOnce() -> io::Result<()> + Send) -> io::Result<Child> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            choose()?;
            command.spawn()
        });
        thread.join().expect("spawning does not panic")
    })
}

fn open(init: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and returns a new descriptor or an error.
    unsafe {
        let descriptor = libc::syscall(libc::SYS_pidfd_open, init, 0);
        check(descriptor as i32)?;
        Ok(OwnedFd::from_raw_fd(descriptor as i32))
    }
}

fn check(answer: i32) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
