//! Starting a process with plain fork and exec. The standard library's way cannot do what adoption needs: the
//! child waits at a gate until its pid is on record, and ends by itself when the agent dies before that. So no
//! `kill -9` of the agent leaves a process that nobody knows of.

use std::ffi::{CString, OsStr};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

use crate::fault;
use crate::runtime::account::Account;
use crate::runtime::reaper::{self, Exit};

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    #[error("the command is empty")]
    NoCommand,
    #[error("{program:?} is not found in {path}")]
    NotFound { program: String, path: String },
    #[error("{0:?} holds a NUL character")]
    Nul(String),
    #[error("could not {action}")]
    System {
        action: &'static str,
        #[source]
        cause: io::Error,
    },
    #[error("could not execute {}", program.display())]
    Exec {
        program: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("could not record the process")]
    Record(#[source] io::Error),
}

/// All that is needed to start a process.
pub struct Launch {
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    pub account: Option<Account>,
    /// Resource limits, by their RLIMIT number.
    pub limits: Vec<(i32, u64)>,
    pub may_gain_privileges: bool,
}

/// A started child, leader of its own session and process group.
#[derive(Debug)]
pub struct Child {
    pub pid: i32,
    pub exit: oneshot::Receiver<Exit>,
}

/// What the forked child uses: it may neither allocate nor lock.
struct Plan {
    program: CString,
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    cwd: CString,
    stdin: OwnedFd,
    gate: OwnedFd,
    errors: OwnedFd,
}

/// Starts the process. `admit` is called with its pid before it executes anything; when that fails (or the
/// agent dies in it), the process never was.
///
/// # Errors
/// When it cannot be started; nothing runs then.
pub fn launch(launch: &Launch, admit: impl FnOnce(i32) -> io::Result<()>) -> Result<Child, SpawnError> {
    let system = |action| move |cause| SpawnError::System { action, cause };
    let program = find_program(&launch.argv, &launch.env)?;
    let argv = strings(launch.argv.iter().map(String::as_str))?;
    let env: Vec<String> = launch.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let env = strings(env.iter().map(String::as_str))?;
    let (gate, opener) = pipe().map_err(system("open a pipe"))?;
    let (errors_out, errors) = pipe().map_err(system("open a pipe"))?;
    let stdin = std::fs::File::open("/dev/null").map_err(system("open /dev/null"))?;
    let plan = Plan {
        program: c_string(program.as_os_str())?,
        argv: pointers(&argv),
        env: pointers(&env),
        cwd: c_string(launch.cwd.as_os_str())?,
        stdin: stdin.into(),
        gate,
        errors,
    };
    let (pid, exit) = reaper::register(|| fork(launch, &plan, &opener)).map_err(system("fork"))?;
    drop(plan);
    admit(pid).map_err(SpawnError::Record)?;
    fault::point("spawn.before_gate");
    open_gate(opener).map_err(system("start the process"))?;
    let cause = exec_error(errors_out);
    cause.map_or(Ok(Child { pid, exit }), |cause| Err(SpawnError::Exec { program, cause }))
}

fn fork(launch: &Launch, plan: &Plan, opener: &OwnedFd) -> io::Result<i32> {
    // SAFETY: the child calls only async-signal-safe functions on data made before, then execs or exits.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let opener = opener.as_raw_fd();
            // SAFETY: as above; the child's copy of the opener must go, or the gate would never read EOF.
            let errno = unsafe {
                libc::close(opener);
                become_program(launch, plan)
            };
            let bytes = errno.to_ne_bytes();
            // SAFETY: the buffer is valid; the child ends here.
            unsafe {
                libc::write(plan.errors.as_raw_fd(), bytes.as_ptr().cast(), bytes.len());
                libc::_exit(127)
            }
        }
        pid => Ok(pid),
    }
}

/// Runs in the forked child; returns only with the errno of what failed.
unsafe fn become_program(launch: &Launch, plan: &Plan) -> i32 {
    // SAFETY: each call gets valid pointers or plain numbers, and is async-signal-safe.
    unsafe {
        libc::setsid();
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut byte = 0u8;
        if libc::read(plan.gate.as_raw_fd(), (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(127);
        }
        let streams =
            [(plan.stdin.as_raw_fd(), 0), (launch.stdout.as_raw_fd(), 1), (launch.stderr.as_raw_fd(), 2)];
        for (from, to) in streams {
            if libc::dup2(from, to) < 0 {
                return errno();
            }
        }
        // All our descriptors are close-on-exec; this catches those that a library forgot. Old kernels lack it.
        const CLOEXEC_RANGE: libc::c_uint = 4;
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOEXEC_RANGE);
        if restrict(launch) < 0 || libc::chdir(plan.cwd.as_ptr()) < 0 {
            return errno();
        }
        libc::umask(0o022);
        calm_oom_killer();
        libc::execve(plan.program.as_ptr(), plan.argv.as_ptr(), plan.env.as_ptr());
        errno()
    }
}

unsafe fn restrict(launch: &Launch) -> i32 {
    // SAFETY: as in `become_program`.
    unsafe {
        for (resource, most) in &launch.limits {
            let limit = libc::rlimit { rlim_cur: *most as _, rlim_max: *most as _ };
            if libc::setrlimit(*resource as _, &raw const limit) < 0 {
                return -1;
            }
        }
        if let Some(account) = &launch.account
            && account.become_it().is_err()
        {
            return -1;
        }
        if !launch.may_gain_privileges && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 {
            return -1;
        }
    }
    0
}

/// The agent may be protected from the OOM killer; its instances are not.
unsafe fn calm_oom_killer() {
    // SAFETY: as in `become_program`; where this cannot be written it matters little.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, c"0".as_ptr().cast(), 1);
            libc::close(file);
        }
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

pub fn open_gate(opener: OwnedFd) -> io::Result<()> {
    // SAFETY: one byte from a valid buffer to a descriptor we own.
    match unsafe { libc::write(opener.as_raw_fd(), [1u8].as_ptr().cast(), 1) } {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits for the exec, which closes the pipe, or for the errno that says why there was none.
fn exec_error(errors: OwnedFd) -> Option<io::Error> {
    let mut bytes = [0; 4];
    let mut errors = std::fs::File::from(errors);
    errors.read_exact(&mut bytes).ok()?;
    Some(io::Error::from_raw_os_error(i32::from_ne_bytes(bytes)))
}

/// A pipe, close-on-exec: (to read, to write).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the array takes both descriptors, which nobody else owns.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Where the command's program is, by the PATH of the environment it gets.
pub fn find_program(argv: &[String], env: &[(String, String)]) -> Result<PathBuf, SpawnError> {
    let program = argv.first().filter(|name| !name.is_empty()).ok_or(SpawnError::NoCommand)?;
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let path = env.iter().find(|(name, _)| name == "PATH").map_or("", |(_, value)| value);
    path.split(':')
        .map(|dir| Path::new(dir).join(program))
        .find(|candidate| is_executable(candidate))
        .ok_or_else(|| SpawnError::NotFound { program: program.clone(), path: path.to_owned() })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

pub fn strings<'t>(texts: impl Iterator<Item = &'t str>) -> Result<Vec<CString>, SpawnError> {
    texts.map(|text| c_string(OsStr::new(text))).collect()
}

fn c_string(text: &OsStr) -> Result<CString, SpawnError> {
    CString::new(text.as_bytes()).map_err(|_| SpawnError::Nul(text.to_string_lossy().into_owned()))
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}
