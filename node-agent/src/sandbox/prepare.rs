//! From what is wanted to what the child is told: everything is made before the fork.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use plan::sandbox::{Network, Offer, Part, Probed, Refused, Tier};
use tokio::net::unix::pipe;

use crate::report::facts::is_root;
use crate::runtime::kill::TOKEN_VARIABLE;
use crate::runtime::spawn::{self, SpawnError};
use crate::sandbox::account::Account;
use crate::sandbox::birth::Birthplace;
use crate::sandbox::bubblewrap::{self, View};
use crate::sandbox::cgroup::{Base, Cgroup};
use crate::sandbox::child::{Last, Orders, Pointers};
use crate::sandbox::fence;
use crate::sandbox::launch::{Ends, Line};
use crate::sandbox::network::{Cut, PROXY_PORT};
use crate::sandbox::scratch::Scratch;
use crate::sandbox::seccomp::{Filter, Sockets};
use crate::sandbox::{Caps, Confined, SandboxError, Sandboxes};

/// What a program has for itself while it runs.
pub struct Place {
    pub account: Option<Account>,
    pub cgroup: Option<Cgroup>,
    pub scratch: Scratch,
    /// In its environment.
    pub mark: String,
}

/// The child's orders, and the agent's side of them.
pub struct Prepared {
    pub orders: (Orders, Ends),
    pub place: Place,
    pub stdout: pipe::Receiver,
    pub stderr: pipe::Receiver,
    /// Where the child hands over the socket that listens inside.
    pub proxy: Option<OwnedFd>,
}

const ROUNDS: u32 = 100;
const ROUND: Duration = Duration::from_millis(3);

/// What of the sandbox's parts are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rig {
    pub cgroup: bool,
    pub landlock: bool,
    pub bubblewrap: bool,
    pub namespace: bool,
    pub rlimits: bool,
    /// A port in the namespace, behind which the agent waits.
    pub proxy: bool,
}

/// What is done at the end: the program, or a canary.
pub enum Goal<'c> {
    Program(&'c Confined),
    Canary(crate::sandbox::child::Canary, Caps),
}

impl Rig {
    pub fn of(tier: Tier, network: Network) -> Self {
        Self {
            cgroup: tier != Tier::T1,
            // Who may not change the user has no other way to keep the agent's files out of reach.
            landlock: tier == Tier::T2 || (tier == Tier::T1 && !is_root()),
            bubblewrap: tier == Tier::T3,
            namespace: network != Network::CutBySeccomp,
            rlimits: true,
            proxy: network == Network::Named,
        }
    }
}

impl Place {
    /// The cgroup that the child can be born in.
    pub fn birthplace(&self) -> Option<Birthplace> {
        self.cgroup.as_ref().and_then(Cgroup::birthplace)
    }

    /// Puts a child that was not born there where it belongs, before it begins.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn admit(&self, pid: i32) -> io::Result<()> {
        self.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.enter(pid))
    }

    pub fn was_out_of_memory(&self) -> bool {
        self.cgroup.as_ref().is_some_and(Cgroup::was_out_of_memory)
    }

    /// Clears away what was the program's.
    pub async fn clear(self, is_stuck: bool) {
        let Self { account, cgroup, scratch, mark: _ } = self;
        for _ in 0..ROUNDS {
            // What has just ended may still be in it.
            if cgroup.as_ref().is_none_or(Cgroup::remove) {
                break;
            }
            tokio::time::sleep(ROUND).await;
        }
        // Most programs leave it empty, and then another thread would take longer than the removal.
        if std::fs::remove_dir(&scratch.0).is_err()
            && tokio::task::spawn_blocking(move || scratch.remove()).await.is_err()
        {
            tracing::warn!("a scratch folder could not be cleared away");
        }
        // What hangs may still come back to life, so its account stays marked as used.
        if let Some(account) = account.filter(|_| !is_stuck) {
            account.give_back();
        }
    }
}

/// Refuses what this node does not offer, and what no program may have.
///
/// # Errors
/// With all that is missing.
pub fn check(confined: &Confined, offer: &Offer) -> Result<(), SandboxError> {
    let tier = confined.sandbox.tier;
    let missing = offer.missing(tier);
    if !missing.is_empty() {
        return Err(Refused { tier, missing }.into());
    }
    if confined.sandbox.network == Network::Named && confined.egress.is_none() {
        return Err(SandboxError::Domains);
    }
    if confined.sandbox.network != Network::CutBySeccomp {
        match offer.parts.get(&Part::NetworkNamespace) {
            Some(Probed::Works) => {}
            Some(Probed::Missing { why }) => return Err(SandboxError::NoNamespace(why.clone())),
            None => return Err(SandboxError::NoNamespace("not probed".to_owned())),
        }
    }
    let is_barred = |name: &&String| {
        name.is_empty() || name.contains('=') || name.starts_with("LD_") || name.starts_with("ORCHESTRATOR_")
    };
    match confined.env.keys().find(is_barred) {
        Some(name) => Err(SandboxError::Variable(name.clone())),
        None => Ok(()),
    }
}

/// Makes all that a program needs.
///
/// # Errors
/// When something cannot be made; what was made goes again.
pub fn prepare(sandboxes: &Sandboxes, rig: Rig, goal: &Goal<'_>) -> Result<Prepared, SandboxError> {
    let system = |action| move |cause| SandboxError::System { action, cause };
    let account = is_root().then(Account::take).transpose().map_err(system("take an account"))?;
    let caps = goal.caps();
    let cgroup = match (rig.cgroup, Base::find()) {
        (false, _) => None,
        (true, Ok(base)) => {
            Some(Cgroup::make(&base, &sandboxes.token, &caps).map_err(system("make a cgroup"))?)
        }
        (true, Err(why)) => return Err(system("make a cgroup")(io::Error::other(why))),
    };
    let uid = account.as_ref().map(|account| account.uid);
    let scratch = Scratch::make(&sandboxes.token, uid).map_err(system("make a scratch folder"))?;
    let place = Place { account, cgroup, scratch, mark: format!("{}-step", sandboxes.token) };
    let pipe = || spawn::pipe().map_err(system("open a pipe"));
    let ((out, stdout), (err, stderr), line) =
        (pipe()?, pipe()?, Line::open().map_err(system("open a pipe"))?);
    let (gate, errors, ends) = line.split();
    let filter = filter(rig);
    // What `bwrap` reads; where there is none, the child loads the filter itself.
    let inherited = rig.bubblewrap.then(|| memory_file(&filter.bytes())).transpose();
    let inherited = inherited.map_err(system("hand over the seccomp filter"))?;
    let folder = goal.folder().unwrap_or(&place.scratch.0);
    let pair = rig.proxy.then(pair).transpose().map_err(system("open a socket"))?;
    let (proxy, inside) = pair.unzip();
    let orders = Orders {
        last: last(sandboxes, goal, &place, inherited.as_ref())?,
        stdin: input(goal.stdin()).map_err(system("hand over its input"))?,
        stdout,
        stderr,
        gate,
        errors,
        network: cut(rig, inside),
        limits: if rig.rlimits { limits(&caps, uid) } else { Vec::new() },
        uid,
        landlock: rig
            .landlock
            .then(|| fence::of(&sandboxes.data, &place.scratch.0, goal.writable()))
            .transpose()?,
        folder: c_string(folder.as_os_str())?,
        filter: inherited.is_none().then_some(filter),
        inherited,
        data: c_string(sandboxes.data.as_os_str())?,
        identity: c_string(sandboxes.data.join("identity").as_os_str())?,
    };
    let receiver = |fd| pipe::Receiver::from_owned_fd(fd).map_err(system("read its output"));
    Ok(Prepared { orders: (orders, ends), place, stdout: receiver(out)?, stderr: receiver(err)?, proxy })
}

impl Goal<'_> {
    fn caps(&self) -> Caps {
        match self {
            Goal::Program(confined) => confined.caps,
            Goal::Canary(_, caps) => *caps,
        }
    }

    fn stdin(&self) -> &[u8] {
        match self {
            Goal::Program(confined) => &confined.stdin,
            Goal::Canary(..) => &[],
        }
    }

    fn folder(&self) -> Option<&PathBuf> {
        match self {
            Goal::Program(confined) => confined.dir.as_ref(),
            Goal::Canary(..) => None,
        }
    }

    fn writable(&self) -> &[PathBuf] {
        match self {
            Goal::Program(confined) => &confined.writable,
            Goal::Canary(..) => &[],
        }
    }
}

/// Its program, or the launcher that is to start it.
fn last(
    sandboxes: &Sandboxes,
    goal: &Goal<'_>,
    place: &Place,
    filter: Option<&OwnedFd>,
) -> Result<Last, SandboxError> {
    let confined = match goal {
        Goal::Program(confined) => confined,
        Goal::Canary(canary, _) => return Ok(Last::Canary(*canary)),
    };
    let env = environment(confined, place);
    // What is not there is said of the program itself, not of the launcher.
    let mut program = spawn::find_program(&confined.argv, &env)?;
    let mut argv = confined.argv.clone();
    if let Some(filter) = filter {
        let scratch = &place.scratch.0;
        let folder = confined.dir.as_deref().unwrap_or(scratch);
        let hidden = &sandboxes.data.canonicalize().unwrap_or_else(|_| sandboxes.data.clone());
        let view = View { hidden, scratch, folder, writable: &confined.writable, filter };
        argv = bubblewrap::command(&view, &argv);
        program = spawn::find_program(&argv, &env)?;
    }
    let env = env.iter().map(|(name, value)| c_string(OsStr::new(&format!("{name}={value}"))));
    Ok(Last::Exec {
        program: c_string(program.as_os_str())?,
        argv: Pointers::new(spawn::strings(argv.iter().map(String::as_str))?),
        env: Pointers::new(env.collect::<Result<_, _>>()?),
    })
}

/// The agent's end and the child's.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (own, inside) = std::os::unix::net::UnixStream::pair()?;
    Ok((own.into(), inside.into()))
}

fn cut(rig: Rig, proxy: Option<OwnedFd>) -> Cut {
    if !rig.namespace {
        return Cut::BySeccomp;
    }
    // SAFETY: neither call has preconditions.
    let own = unsafe { (libc::geteuid(), libc::getegid()) };
    Cut::Namespace { through_user: (!is_root()).then_some(own), proxy }
}

/// Nothing of the agent's own.
fn environment(confined: &Confined, place: &Place) -> Vec<(String, String)> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let scratch = place.scratch.0.to_string_lossy().into_owned();
    let own = [
        ("PATH", PATH.to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("HOME", scratch.clone()),
        ("TMPDIR", scratch),
        (TOKEN_VARIABLE, place.mark.clone()),
    ];
    let proxy = format!("http://127.0.0.1:{PROXY_PORT}");
    let names = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
    let names = names.into_iter().filter(|_| confined.egress.is_some());
    let own = own.into_iter().chain(names.map(|name| (name, proxy.clone())));
    let own = own.filter(|(name, _)| !confined.env.contains_key(*name));
    let own = own.map(|(name, value)| (name.to_owned(), value));
    own.chain(confined.env.clone()).collect()
}

fn limits(caps: &Caps, uid: Option<u32>) -> Vec<(i32, u64)> {
    // The kernel counts by user; where that is the agent's own, what runs already counts, too.
    let others = if uid.is_some() { 0 } else { own_threads() };
    let of = |resource, most| (resource as i32, most);
    vec![
        of(libc::RLIMIT_CORE, 0),
        of(libc::RLIMIT_CPU, caps.cpu_seconds),
        // Not the address space: Go, Java and Node reserve gigabytes of it and use little.
        of(libc::RLIMIT_DATA, caps.memory_bytes),
        of(libc::RLIMIT_FSIZE, caps.file_bytes),
        of(libc::RLIMIT_NOFILE, caps.open_files),
        of(libc::RLIMIT_NPROC, caps.processes + others),
        of(libc::RLIMIT_MEMLOCK, 64 << 10),
        of(libc::RLIMIT_MSGQUEUE, 0),
    ]
}

fn own_threads() -> u64 {
    use std::os::unix::fs::MetadataExt;
    // SAFETY: getuid has no preconditions.
    let own = unsafe { libc::getuid() };
    let folders = crate::runtime::procfs::pids().map(|pid| format!("/proc/{pid}/task"));
    let mine = folders.filter(|folder| std::fs::metadata(folder).is_ok_and(|meta| meta.uid() == own));
    mine.map(|folder| std::fs::read_dir(folder).map_or(0, |tasks| tasks.count() as u64)).sum()
}

fn filter(rig: Rig) -> Filter {
    let sockets = if rig.namespace { Sockets::Namespace } else { Sockets::Local };
    let agent = i32::try_from(std::process::id()).expect("a pid");
    Filter::new(sockets, agent)
}

/// A file without a name, so that nobody has to write while the program reads.
fn input(bytes: &[u8]) -> io::Result<OwnedFd> {
    if bytes.is_empty() {
        return Ok(File::open("/dev/null")?.into());
    }
    memory_file(bytes)
}

pub fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: a fresh descriptor that nobody else owns.
    let fd = unsafe {
        let fd = libc::memfd_create(c"sandbox".as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn c_string(text: &OsStr) -> Result<CString, SandboxError> {
    CString::new(text.as_bytes()).map_err(|_| SpawnError::Nul(text.to_string_lossy().into_owned()).into())
}
