//! The child's side, between fork and exec: it puts itself under everything that confines it, the strictest last.
//! Nothing here may allocate or lock.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use crate::sandbox::birth;
use crate::sandbox::landlock;
use crate::sandbox::network;
use crate::sandbox::seccomp::Filter;

/// Why the child could not begin: the errno, and at what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    Streams,
    Network,
    Limits,
    Account,
    NoNewPrivs,
    Landlock,
    Folder,
    Seccomp,
    Exec,
}

impl Stage {
    const ALL: [Stage; 9] = [
        Stage::Streams,
        Stage::Network,
        Stage::Limits,
        Stage::Account,
        Stage::NoNewPrivs,
        Stage::Landlock,
        Stage::Folder,
        Stage::Seccomp,
        Stage::Exec,
    ];

    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| *stage as u8 == byte)
    }

    pub fn action(self) -> &'static str {
        match self {
            Stage::Streams => "connect its output",
            Stage::Network => "cut its network",
            Stage::Limits => "set its limits",
            Stage::Account => "give it an account of its own",
            Stage::NoNewPrivs => "take its way to more rights",
            Stage::Landlock => "fence it in with Landlock",
            Stage::Folder => "enter its folder",
            Stage::Seccomp => "load the seccomp filter",
            Stage::Exec => "execute it",
        }
    }
}

/// What it does when it is confined.
pub enum Last {
    Exec {
        program: CString,
        argv: Pointers,
        env: Pointers,
    },
    /// Tries something that must be stopped; its answer is the exit code.
    Canary(Canary),
}

pub type Canary = unsafe fn(&Orders) -> i32;

/// A NULL-terminated array of C strings, together with the strings.
pub struct Pointers {
    pointers: Vec<*const libc::c_char>,
    _strings: Vec<CString>,
}

// SAFETY: the pointers lead into the strings, which move with them and never change.
unsafe impl Send for Pointers {}
// SAFETY: as above.
unsafe impl Sync for Pointers {}

impl Pointers {
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Self { pointers, _strings: strings }
    }
}

/// All that the child needs, made before the fork.
pub struct Orders {
    pub last: Last,
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// A byte comes when the child may begin.
    pub gate: OwnedFd,
    /// Takes a stage and an errno; closes without a word when all is well.
    pub errors: OwnedFd,
    pub network: network::Cut,
    /// By their RLIMIT number.
    pub limits: Vec<(i32, u64)>,
    /// User and group; none where the agent may not choose.
    pub uid: Option<u32>,
    pub landlock: Option<OwnedFd>,
    pub folder: CString,
    /// None where the program started is a launcher that loads it.
    pub filter: Option<Filter>,
    /// What a launcher reads, and what closes with its exec.
    pub inherited: Option<OwnedFd>,
    /// For canaries: the agent's folder, and in it that with its key.
    pub data: CString,
    pub identity: CString,
}

const UMASK: libc::mode_t = 0o077;

/// Forks a child that does what it is told, in the cgroup of the folder.
pub fn fork(orders: &Orders, opener: &OwnedFd, cgroup: Option<&OwnedFd>) -> io::Result<i32> {
    // SAFETY: the child calls only async-signal-safe functions on data made before, then execs or exits.
    match unsafe { cgroup.map_or_else(|| libc::fork(), |folder| birth::fork_into(folder)) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: as above; the child's copy of the opener must go, or the gate would never read EOF.
        0 => unsafe {
            libc::close(opener.as_raw_fd());
            let (stage, errno) = match confine(orders) {
                Ok(()) => (Stage::Exec, last(orders)),
                Err(failed) => failed,
            };
            let [a, b, c, d] = errno.to_ne_bytes();
            let message = [stage as u8, a, b, c, d];
            libc::write(orders.errors.as_raw_fd(), message.as_ptr().cast(), message.len());
            libc::_exit(127)
        },
        pid => Ok(pid),
    }
}

unsafe fn last(orders: &Orders) -> i32 {
    match &orders.last {
        // SAFETY: all pointers are valid and end with NULL.
        Last::Exec { program, argv, env } => unsafe {
            libc::execve(program.as_ptr(), argv.pointers.as_ptr(), env.pointers.as_ptr());
            errno()
        },
        // SAFETY: canaries only make system calls.
        Last::Canary(canary) => unsafe {
            libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0);
            // For kernels before 5.9.
            for fd in 3..64 {
                libc::close(fd);
            }
            end_with_parent();
            libc::_exit(canary(orders))
        },
    }
}

/// For canaries, which are not to outlive an agent that ends meanwhile: killed with it, or else soon.
///
/// # Safety
/// For a forked child.
pub unsafe fn end_with_parent() {
    // SAFETY: plain numbers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        libc::signal(libc::SIGALRM, libc::SIG_DFL);
        libc::alarm(6);
    }
}

unsafe fn confine(orders: &Orders) -> Result<(), (Stage, i32)> {
    let at = |stage, answer: i32| if answer < 0 { Err((stage, errno())) } else { Ok(()) };
    // SAFETY: each call gets valid pointers or plain numbers, and is async-signal-safe.
    unsafe {
        libc::setsid();
        reset_signals();
        let mut byte = 0u8;
        if libc::read(orders.gate.as_raw_fd(), (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(127);
        }
        at(Stage::Streams, connect(orders))?;
        offer_to_oom_killer();
        at(Stage::Network, orders.network.make())?;
        for (resource, most) in &orders.limits {
            let limit = libc::rlimit { rlim_cur: *most as _, rlim_max: *most as _ };
            at(Stage::Limits, libc::setrlimit(*resource as _, &raw const limit))?;
        }
        if let Some(uid) = orders.uid {
            at(Stage::Account, become_user(uid))?;
        }
        at(Stage::NoNewPrivs, libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        libc::umask(UMASK);
        at(Stage::Folder, libc::chdir(orders.folder.as_ptr()))?;
        if let Some(ruleset) = &orders.landlock {
            at(Stage::Landlock, landlock::restrict(ruleset.as_raw_fd()))?;
        }
        if let Some(filter) = &orders.filter {
            at(Stage::Seccomp, filter.load())?;
        }
    }
    Ok(())
}

unsafe fn reset_signals() {
    // SAFETY: the set is initialised before its use; signals that cannot be reset are not there.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        for signal in 1..=31 {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Output on 1 and 2, everything else closed by the exec.
unsafe fn connect(orders: &Orders) -> i32 {
    let streams = [(&orders.stdin, 0), (&orders.stdout, 1), (&orders.stderr, 2)];
    // SAFETY: plain descriptors.
    unsafe {
        for (from, to) in streams {
            if libc::dup2(from.as_raw_fd(), to) < 0 {
                return -1;
            }
        }
        const CLOEXEC_RANGE: libc::c_uint = 4;
        if libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOEXEC_RANGE) < 0 {
            close_one_by_one();
        }
        match &orders.inherited {
            Some(fd) => libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0),
            None => 0,
        }
    }
}

/// For kernels before 5.11.
unsafe fn close_one_by_one() {
    const MOST: libc::c_int = 65_536;
    // SAFETY: a descriptor that is not open is fine.
    unsafe {
        let limit = libc::sysconf(libc::_SC_OPEN_MAX);
        for fd in 3..libc::c_int::try_from(limit).unwrap_or(MOST).min(MOST) {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Of all processes, the kernel is to choose these first.
unsafe fn offer_to_oom_killer() {
    // SAFETY: where this cannot be written it matters little.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, c"500".as_ptr().cast(), 3);
            libc::close(file);
        }
    }
}

/// Group and user at once, by bare system calls: the C library's would take locks to tell other threads. All
/// capabilities go with the user.
unsafe fn become_user(uid: u32) -> i32 {
    #[cfg(not(target_arch = "arm"))]
    const CALLS: [libc::c_long; 3] = [libc::SYS_setgroups, libc::SYS_setresgid, libc::SYS_setresuid];
    // Here the plain names are those of 16-bit users.
    #[cfg(target_arch = "arm")]
    const CALLS: [libc::c_long; 3] = [libc::SYS_setgroups32, libc::SYS_setresgid32, libc::SYS_setresuid32];
    // SAFETY: plain numbers; no group is read from the null pointer.
    unsafe {
        if libc::syscall(CALLS[0], 0, std::ptr::null::<u32>()) < 0
            || libc::syscall(CALLS[1], uid, uid, uid) < 0
            || libc::syscall(CALLS[2], uid, uid, uid) < 0
        {
            return -1;
        }
        i32::from(libc::getuid() == uid && libc::geteuid() == uid) - 1
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}
