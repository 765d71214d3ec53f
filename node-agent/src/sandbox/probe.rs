//! Finds out what this machine offers. Each part is put to the test by a child that tries what the part must stop:
//! kernels accept limits that they then ignore.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use futures::future::join_all;
use plan::sandbox::{Network, Offer, Part, Probed, Sandbox, Tier};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::log;
use crate::report::facts::is_root;
use crate::runtime::procfs;
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::SpawnError;
use crate::sandbox::cgroup::Base;
use crate::sandbox::child::Canary;
use crate::sandbox::prepare::{self, Goal, Rig};
use crate::sandbox::{
    Caps, Confined, Ended, Over, SandboxError, Sandboxes, account, bubblewrap, keeper, launch,
};

mod canary;

/// More than a canary lives at most, and than what is left of it takes to die on a machine that is busy just now.
const LIMIT: Duration = Duration::from_secs(15);
/// How often a canary is sent at most, and how long the first pause is between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

const BARE: Rig =
    Rig { cgroup: false, landlock: false, bubblewrap: false, namespace: false, rlimits: true, proxy: false };

/// Enough for a canary, which begins as a copy of the agent.
const SMALL: Caps = Caps {
    memory_bytes: 48 << 20,
    cpu_seconds: 5,
    processes: 8,
    file_bytes: 1 << 20,
    scratch_bytes: 1 << 20,
    open_files: 16,
};

/// Tries all parts at once.
pub async fn offer(sandboxes: &Sandboxes) -> Offer {
    account::sweep().await;
    if let Ok(base) = Base::find() {
        base.sweep(&sandboxes.token);
    }
    // Who is not root has no account for it; then Landlock keeps the agent's files out of reach, or nothing does.
    let base = Rig { landlock: !is_root(), ..BARE };
    let tests: [(Part, Rig, Canary); 6] = [
        (Part::NoNewPrivs, base, canary::no_new_privs),
        (Part::Seccomp, base, canary::seccomp),
        (Part::Rlimits, base, canary::rlimits),
        (Part::Apart, base, canary::reads_the_key),
        (Part::Landlock, Rig { landlock: true, ..BARE }, canary::leaves_its_folder),
        (Part::NetworkNamespace, Rig { namespace: true, ..base }, canary::leaves_the_machine),
    ];
    let tests = tests.map(|(part, rig, canary)| async move {
        let goal = Goal::Canary(canary, SMALL);
        (part, send(sandboxes, rig, goal, SMALL.memory_bytes, stopped).await)
    });
    let (simple, memory, bubblewrap) =
        tokio::join!(join_all(tests), over_memory(sandboxes, base), until_sure(|| in_bubblewrap(sandboxes)));
    let mut parts: BTreeMap<Part, Probed> = simple.into_iter().chain(memory).collect();
    parts.insert(Part::Bubblewrap, bubblewrap);
    Offer { parts }
}

/// What became of a canary, and whether sending it again could show anything else.
struct Shown {
    probed: Probed,
    is_sure: bool,
}

/// Sends a canary, and again while it is not sure what became of it: on a machine that is short of processes, memory or
/// time just now it may not even have come to try.
async fn until_sure<F: Future<Output = Shown>>(mut send: impl FnMut() -> F) -> Probed {
    let mut tries = 0;
    loop {
        let Shown { probed, is_sure } = send().await;
        tries += 1;
        if is_sure || tries == TRIES {
            return probed;
        }
        tokio::time::sleep(PAUSE * tries).await;
    }
}

type Judge = fn(Result<Ended, SandboxError>) -> Shown;

/// Whether the canary is stopped, in the judge's words.
async fn send(sandboxes: &Sandboxes, rig: Rig, goal: Goal<'_>, watched: u64, judge: Judge) -> Probed {
    let (goal, send) = (&goal, |goal| run(sandboxes, rig, goal, watched));
    until_sure(|| async move { judge(send(goal).await) }).await
}

/// The greedy ones, one after another: together they would not fit on a small machine.
async fn over_memory(sandboxes: &Sandboxes, base: Rig) -> [(Part, Probed); 3] {
    let small = |canary| Goal::Canary(canary, SMALL);
    let watched = small(canary::takes_memory);
    let watched = send(sandboxes, base, watched, SMALL.memory_bytes, killed_for_memory).await;
    let capped = Rig { cgroup: true, rlimits: false, ..BARE };
    let greedy = Goal::Canary(canary::takes_memory, Caps { memory_bytes: 16 << 20, ..SMALL });
    // Unwatched, or one would not know who stopped it.
    let greedy = send(sandboxes, capped, greedy, u64::MAX, killed_for_memory).await;
    let many = send(sandboxes, capped, small(canary::starts_processes), u64::MAX, stopped).await;
    [(Part::MemoryWatchdog, watched), (Part::MemoryCgroup, greedy), (Part::PidsCgroup, many)]
}

/// A program this time, as it comes after an exec.
async fn in_bubblewrap(sandboxes: &Sandboxes) -> Shown {
    const LOOKS: &str = "test ! -e \"$0\" && test ! -w /var/tmp && test ! -w /etc && test $$ -lt 20 && \
                         grep -q '^Seccomp:.*2' /proc/self/status";
    let identity = sandboxes.data.join("identity").to_string_lossy().into_owned();
    let confined = Confined {
        argv: ["/bin/sh", "-c", LOOKS, &identity].map(str::to_owned).into(),
        env: BTreeMap::new(),
        stdin: Vec::new(),
        dir: None,
        writable: Vec::new(),
        egress: None,
        sandbox: Sandbox { tier: Tier::T3, network: Network::CutBySeccomp },
        caps: Caps { processes: 16, ..SMALL },
    };
    let rig = Rig { bubblewrap: true, ..BARE };
    let mut said = Vec::new();
    let ended = match start(sandboxes, rig, &Goal::Program(&confined), u64::MAX) {
        Ok((ended, _, stderr)) => {
            let mut stderr = stderr.take(4096);
            let (ended, _) = tokio::join!(wait(ended), timeout(LIMIT, stderr.read_to_end(&mut said)));
            ended
        }
        Err(SandboxError::Command(SpawnError::NotFound { .. })) => {
            let why = "bubblewrap is not installed: `apt-get install bubblewrap`".to_owned();
            return Shown { probed: Probed::Missing { why }, is_sure: true };
        }
        Err(error) => return failed(&error),
    };
    match ended.exit {
        Exit::Code(0) => Shown::WORKS,
        Exit::Code(_) => {
            let said = String::from_utf8_lossy(&said);
            let why = bubblewrap::why(&said, procfs::read_small);
            Shown { probed: Probed::Missing { why }, is_sure: true }
        }
        Exit::Signal(_) | Exit::Unknown => unsure(ended),
    }
}

type End = (oneshot::Receiver<Ended>, oneshot::Sender<()>);

async fn run(sandboxes: &Sandboxes, rig: Rig, goal: &Goal<'_>, watched: u64) -> Result<Ended, SandboxError> {
    let (end, ..) = start(sandboxes, rig, goal, watched)?;
    Ok(wait(end).await)
}

fn start(
    sandboxes: &Sandboxes,
    rig: Rig,
    goal: &Goal<'_>,
    watched: u64,
) -> Result<(End, pipe::Receiver, pipe::Receiver), SandboxError> {
    let prepared = prepare::prepare(sandboxes, rig, goal)?;
    let started = launch::launch(prepared.orders, &prepared.place)?;
    let (sender, end) = oneshot::channel();
    let (kill, killed) = oneshot::channel();
    let caps = Caps { memory_bytes: watched, ..SMALL };
    let (pid, exit) = (started.pid, started.exit);
    let kept = keeper::Kept { place: prepared.place, pid, exit, caps, way_out: None };
    tokio::spawn(kept.keep(killed, sender));
    Ok(((end, kill), prepared.stdout, prepared.stderr))
}

/// Its end, which comes soon; what takes longer is killed and counts as not stopped.
async fn wait((end, _kill): End) -> Ended {
    let unknown = Ended { exit: Exit::Unknown, over: None, is_stuck: true };
    timeout(LIMIT, end).await.ok().and_then(Result::ok).unwrap_or(unknown)
}

fn stopped(run: Result<Ended, SandboxError>) -> Shown {
    let why = match run {
        Ok(Ended { exit: Exit::Code(canary::STOPPED), .. }) => return Shown::WORKS,
        Ok(Ended { exit: Exit::Code(canary::GOT_THROUGH), .. }) => "a canary got through".to_owned(),
        Ok(Ended { exit: Exit::Code(canary::NOTHING_THERE), .. }) => {
            "not tried: this node has no key yet that it could read (`node-agent enrol`)".to_owned()
        }
        Ok(ended) => return unsure(ended),
        Err(error) => return failed(&error),
    };
    Shown { probed: Probed::Missing { why }, is_sure: true }
}

fn killed_for_memory(run: Result<Ended, SandboxError>) -> Shown {
    match run {
        Ok(Ended { over: Some(Over::Memory), .. }) => Shown::WORKS,
        Ok(ended) => {
            let why = format!("a canary took more memory than allowed, and {}", end_of(ended));
            let is_sure = ended.exit == Exit::Code(canary::GOT_THROUGH);
            Shown { probed: Probed::Missing { why }, is_sure }
        }
        Err(error) => failed(&error),
    }
}

impl Shown {
    const WORKS: Self = Self { probed: Probed::Works, is_sure: true };
}

fn unsure(ended: Ended) -> Shown {
    Shown { probed: Probed::Missing { why: format!("a canary {}", end_of(ended)) }, is_sure: false }
}

/// What this machine does not have, it has no more at the next try; what the kernel refused, it may give then.
fn failed(error: &SandboxError) -> Shown {
    let is_sure = matches!(error, SandboxError::System { cause, .. } if cause.kind() == io::ErrorKind::Other);
    Shown { probed: Probed::Missing { why: log::chain(error) }, is_sure }
}

fn end_of(ended: Ended) -> String {
    if ended.is_stuck { "could not be ended".to_owned() } else { ended.exit.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: Exit, is_stuck: bool) -> Result<Ended, SandboxError> {
        Ok(Ended { exit, over: None, is_stuck })
    }

    fn check(shown: Shown, is_sure: bool, expected: Option<&str>) {
        let why = match &shown.probed {
            Probed::Works => None,
            Probed::Missing { why } => Some(why.as_str()),
        };
        assert_eq!((why, shown.is_sure), (expected, is_sure));
    }

    #[test]
    fn what_became_of_a_canary_is_told_as_it_was() {
        let got_through = || ended(Exit::Code(canary::GOT_THROUGH), false);
        check(stopped(ended(Exit::Code(canary::STOPPED), false)), true, None);
        check(stopped(got_through()), true, Some("a canary got through"));
        check(stopped(ended(Exit::Unknown, true)), false, Some("a canary could not be ended"));
        check(stopped(ended(Exit::Signal(9), false)), false, Some("a canary killed by signal 9"));
        let took = "a canary took more memory than allowed, and exited with code 1";
        check(killed_for_memory(got_through()), true, Some(took));
        let stuck = "a canary took more memory than allowed, and could not be ended";
        check(killed_for_memory(ended(Exit::Unknown, true)), false, Some(stuck));
        let system = |cause| SandboxError::System { action: "make a cgroup", cause };
        assert!(failed(&system(io::Error::other("no controllers"))).is_sure);
        assert!(!failed(&system(io::ErrorKind::WouldBlock.into())).is_sure);
    }

    #[tokio::test(start_paused = true)]
    async fn a_canary_is_sent_again_until_it_is_sure_and_not_for_ever() {
        for (sure_at, sent, expected) in [(1, 1, Probed::Works), (2, 2, Probed::Works), (9, TRIES, missing())]
        {
            let tries = std::cell::Cell::new(0);
            let tries = &tries;
            let probed = until_sure(|| async move {
                tries.set(tries.get() + 1);
                let is_sure = tries.get() == sure_at;
                Shown { probed: if is_sure { Probed::Works } else { missing() }, is_sure }
            });
            assert_eq!((probed.await, tries.get()), (expected, sent));
        }
    }

    fn missing() -> Probed {
        Probed::Missing { why: "a canary exited".to_owned() }
    }
}
