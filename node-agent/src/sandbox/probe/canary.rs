//! The canaries: each tries what one part must stop, in a forked child that may do nothing but system calls.

use crate::sandbox::child::{self, Orders};

/// What a canary says that was not stopped.
pub const GOT_THROUGH: i32 = 1;
pub const STOPPED: i32 = 0;
/// What it was to try its luck on does not exist.
pub const NOTHING_THERE: i32 = 2;

const TAKEN: usize = 96 << 20;
const RIGHTS: libc::c_int = libc::PROT_READ | libc::PROT_WRITE;

/// # Safety
/// As all of these: for a forked child.
pub unsafe fn no_new_privs(_: &Orders) -> i32 {
    // SAFETY: plain numbers.
    i32::from(unsafe { libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) } != 1)
}

/// What anybody may do without a filter: be traced, make a socket for the network; and that the new clone is not there.
pub unsafe fn seccomp(_: &Orders) -> i32 {
    // SAFETY: plain numbers and null pointers that are never read.
    let got_through = unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) >= 0
            || libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) >= 0
            || libc::syscall(libc::SYS_clone3, 0, 0) >= 0
            || last_error() != libc::ENOSYS
    };
    i32::from(got_through)
}

pub unsafe fn rlimits(_: &Orders) -> i32 {
    // SAFETY: an anonymous mapping that nobody uses; descriptors of our own.
    unsafe {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        if libc::mmap(std::ptr::null_mut(), TAKEN, RIGHTS, kind, -1, 0) != libc::MAP_FAILED {
            return GOT_THROUGH;
        }
        for _ in 0..64 {
            if libc::dup(0) < 0 {
                return STOPPED;
            }
        }
    }
    GOT_THROUGH
}

pub unsafe fn reads_the_key(orders: &Orders) -> i32 {
    // SAFETY: a C string.
    unsafe { is_open(&orders.identity, libc::O_RDONLY) }
}

/// Looks into the agent's folder, and writes where every account may write.
pub unsafe fn leaves_its_folder(orders: &Orders) -> i32 {
    let beside = c"/tmp/orchestrator-canary";
    // SAFETY: C strings.
    unsafe {
        let is_hidden = is_open(&orders.data, libc::O_RDONLY) == STOPPED;
        if is_hidden && is_open(beside, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY) == STOPPED {
            return STOPPED;
        }
        libc::unlink(beside.as_ptr());
    }
    GOT_THROUGH
}

/// An address in documentation: no packet is sent, only a way to it looked up.
pub unsafe fn leaves_the_machine(_: &Orders) -> i32 {
    // SAFETY: the address is valid for the size that is said.
    unsafe {
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as _;
        address.sin_port = 53u16.to_be();
        address.sin_addr.s_addr = u32::from_be_bytes([192, 0, 2, 1]).to_be();
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let size = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let connected = libc::connect(socket, (&raw const address).cast(), size);
        i32::from(socket < 0 || connected == 0 || last_error() != libc::ENETUNREACH)
    }
}

/// Shared memory, which the limit on data does not count.
pub unsafe fn takes_memory(_: &Orders) -> i32 {
    const PAGE: usize = 4096;
    // SAFETY: the mapping is as long as what is written to.
    unsafe {
        let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let taken = libc::mmap(std::ptr::null_mut(), TAKEN, RIGHTS, kind, -1, 0);
        if taken == libc::MAP_FAILED {
            return STOPPED;
        }
        for place in (0..TAKEN).step_by(PAGE) {
            taken.cast::<u8>().add(place).write_volatile(1);
        }
        libc::usleep(1_000_000);
    }
    GOT_THROUGH
}

/// By bare calls, which run none of the C library's own code for forks.
pub unsafe fn starts_processes(_: &Orders) -> i32 {
    for _ in 0..32 {
        // SAFETY: the child waits to be killed, or for its own alarm.
        unsafe {
            match libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) {
                0 => {
                    child::end_with_parent();
                    loop {
                        libc::pause();
                    }
                }
                -1 if last_error() == libc::EAGAIN => return STOPPED,
                _ => {}
            }
        }
    }
    GOT_THROUGH
}

unsafe fn is_open(path: &std::ffi::CStr, flags: i32) -> i32 {
    // SAFETY: a C string.
    let file = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) };
    if file >= 0 {
        return GOT_THROUGH;
    }
    match last_error() {
        libc::EACCES => STOPPED,
        libc::ENOENT => NOTHING_THERE,
        _ => GOT_THROUGH,
    }
}

fn last_error() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
