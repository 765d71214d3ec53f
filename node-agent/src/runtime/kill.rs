//! Ending everything an instance ever started: its process group, what is in its cgroup, what descends from it,
//! and what carries its mark in the environment, however far it has moved.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::ids::InstanceId;

use crate::lane::Lane;
use crate::runtime::cgroup::Cgroups;
use crate::runtime::procfs;

pub const INSTANCE_VARIABLE: &str = "ORCHESTRATOR_INSTANCE";
/// Which agent started it, so that two agents on one machine never touch each other's processes.
pub const TOKEN_VARIABLE: &str = "ORCHESTRATOR_AGENT";

const ROUNDS: u32 = 200;
const ROUND: Duration = Duration::from_millis(10);

/// How to know the processes of one instance.
#[derive(Debug, Clone)]
pub struct Family<'a> {
    pub id: &'a InstanceId,
    pub lane: Lane,
    /// The agent's for this lane.
    pub token: &'a str,
    pub cgroups: Option<&'a Cgroups>,
}

impl Family<'_> {
    /// All its living processes but `except` (which are known to be something else).
    pub fn members(&self) -> BTreeSet<i32> {
        let token = format!("{TOKEN_VARIABLE}={}", self.token);
        let instance = format!("{INSTANCE_VARIABLE}={}", self.id);
        let marks = [token.as_bytes(), instance.as_bytes()];
        let mut members: BTreeSet<i32> = procfs::pids().filter(|pid| is_marked(*pid, &marks)).collect();
        members.extend(self.cgroups.into_iter().flat_map(|cgroups| cgroups.members(&self.folder())));
        let with_children: Vec<i32> = members.iter().copied().flat_map(procfs::descendants).collect();
        members.extend(with_children);
        members.retain(|pid| procfs::is_anyone(*pid));
        members
    }

    /// Kills until none is left. Several rounds, as what forks while it is being killed may slip through one.
    /// False when something could not be killed (it hangs in the kernel).
    pub async fn end(&self, also: &[i32]) -> bool {
        let mut targets: BTreeSet<i32> = also.iter().copied().collect();
        for _ in 0..ROUNDS {
            if let Some(cgroups) = self.cgroups {
                cgroups.kill(&self.folder());
            }
            targets.extend(self.members());
            targets.retain(|pid| procfs::is_anyone(*pid));
            if targets.is_empty() {
                self.close();
                return true;
            }
            for pid in &targets {
                signal(*pid, libc::SIGKILL);
            }
            tokio::time::sleep(ROUND).await;
        }
        false
    }

    /// The name of its cgroup.
    pub fn folder(&self) -> String {
        self.lane.folder(self.id)
    }

    fn close(&self) {
        if let Some(cgroups) = self.cgroups {
            cgroups.remove(&self.folder());
        }
    }
}

/// Whether it carries all of the marks (`NAME=value`); no where it may not be looked at.
pub fn is_marked(pid: i32, marks: &[&[u8]]) -> bool {
    procfs::environ(pid).is_some_and(|environ| procfs::carries(&environ, marks))
}

/// The mark of commands that install something.
pub fn install_token(token: &str) -> String {
    format!("{token}-install")
}

/// A process that carries the mark of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    pub pid: i32,
    pub token: String,
    /// The instance that it says it belongs to.
    pub instance: Option<InstanceId>,
}

impl Marked {
    /// All there are on this machine, of any agent. Reads each environment once: on a machine with many processes
    /// that takes longer than the rest of an agent's start.
    pub fn all() -> Vec<Self> {
        let look = |pid| {
            let environ = procfs::environ(pid)?;
            let token = procfs::variable(&environ, TOKEN_VARIABLE)?;
            let instance = procfs::variable(&environ, INSTANCE_VARIABLE);
            Some(Self { pid, token, instance: instance.and_then(|id| InstanceId::parse(&id).ok()) })
        };
        procfs::pids().filter_map(look).collect()
    }

    /// Whether its mark is this one, or begins with it and a hyphen.
    pub fn is_below(&self, token: &str) -> bool {
        let rest = self.token.strip_prefix(token);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

pub fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes plain numbers; a process that is gone is fine.
    unsafe { libc::kill(pid, signal) };
}

/// Signals a whole process group.
pub fn signal_group(leader: i32, signal: i32) {
    // SAFETY: as above.
    unsafe { libc::kill(-leader, signal) };
}

pub fn group_exists(leader: i32) -> bool {
    // SAFETY: signal 0 only asks.
    unsafe { libc::kill(-leader, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_family_is_found_by_its_mark_and_nobody_else_is_harmed() {
        let id = InstanceId::parse("web/0").expect("an id");
        let start = |token: &str, id: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", "setsid sh -c 'sleep 1000 & sleep 1000' & exec sleep 1000"]);
            command.env(TOKEN_VARIABLE, token).env(INSTANCE_VARIABLE, id).process_group(0);
            command.spawn().expect("spawned")
        };
        let token = format!("kill-test-{}", std::process::id());
        let [mut ours, mut other, mut sibling] =
            [start(&token, "web/0"), start("other", "web/0"), start(&token, "web/1")];
        let family = Family { id: &id, lane: Lane::First, token: &token, cgroups: None };
        while family.members().len() < 4 {
            tokio::time::sleep(ROUND).await;
        }
        // Nobody reaps for us here, and a zombie is not alive.
        assert!(family.end(&[]).await && family.members().is_empty());
        ours.wait().expect("ended");
        for (child, family) in [
            (&mut other, Family { token: "other", ..family.clone() }),
            (&mut sibling, Family { id: &InstanceId::parse("web/1").expect("an id"), ..family.clone() }),
        ] {
            assert!(child.try_wait().expect("asked").is_none());
            family.end(&[]).await;
            child.wait().expect("ended");
        }
    }
}
