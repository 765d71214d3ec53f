//! All the processes of one program: how to find them, what memory they hold, and how to end them.

use std::collections::BTreeSet;

use crate::runtime::kill::{self, TOKEN_VARIABLE};
use crate::runtime::procfs;
use crate::sandbox::account::{self, Account};
use crate::sandbox::cgroup::Cgroup;

/// How the processes of one program are known.
pub struct Tree<'p> {
    /// The first of them.
    pub pid: i32,
    /// All processes of this user are its.
    pub account: Option<&'p Account>,
    pub cgroup: Option<&'p Cgroup>,
    /// Whose environment carries this is its; for where there is neither of the above.
    pub mark: &'p str,
    /// Those that were seen before, however far they have moved since: pid and start time.
    seen: BTreeSet<(i32, u64)>,
    /// Pids that were looked at and are somebody else's.
    others: BTreeSet<i32>,
}

impl<'p> Tree<'p> {
    pub fn new(pid: i32, account: Option<&'p Account>, cgroup: Option<&'p Cgroup>, mark: &'p str) -> Self {
        Self { pid, account, cgroup, mark, seen: BTreeSet::new(), others: BTreeSet::new() }
    }

    /// Resident memory of all of them, in bytes. What they share counts once for each.
    pub fn resident(&mut self) -> u64 {
        self.members().into_iter().filter_map(procfs::resident).sum()
    }

    /// Forgets whose the others were, as pids come back.
    pub fn look_anew(&mut self) {
        self.others.clear();
    }

    /// Those alive.
    pub fn members(&mut self) -> BTreeSet<i32> {
        let mut members = match self.account {
            Some(account) => self.of_user(account.uid),
            None => self.of_family(),
        };
        members.extend(self.cgroup.into_iter().flat_map(Cgroup::members));
        members.retain(|pid| procfs::is_anyone(*pid));
        members
    }

    fn of_user(&mut self, uid: u32) -> BTreeSet<i32> {
        let mut members = BTreeSet::new();
        for pid in procfs::pids() {
            if self.others.contains(&pid) {
                continue;
            }
            if account::is_of(pid, uid) {
                members.insert(pid);
            } else {
                self.others.insert(pid);
            }
        }
        members
    }

    fn of_family(&mut self) -> BTreeSet<i32> {
        let mark = format!("{TOKEN_VARIABLE}={}", self.mark);
        let mut members: BTreeSet<i32> = self
            .seen
            .iter()
            .filter(|(pid, start)| procfs::is_alive(*pid, *start))
            .map(|(pid, _)| *pid)
            .collect();
        members.insert(self.pid);
        members.extend(procfs::pids().filter(|pid| kill::is_marked(*pid, &[mark.as_bytes()])));
        let with_children: Vec<i32> = members.iter().copied().flat_map(procfs::descendants).collect();
        members.extend(with_children);
        let with_start = |pid: &i32| Some((*pid, procfs::stat(*pid)?.start));
        self.seen = members.iter().filter_map(with_start).collect();
        members
    }

    /// Signals all of them once; true when nobody was left. To be called until it is.
    pub async fn kill(&mut self) -> bool {
        let is_whole = self.cgroup.is_some_and(Cgroup::kill);
        match self.account {
            // Nobody but root can take a process out of its cgroup.
            Some(_) if is_whole => self.is_cgroup_empty(),
            Some(account) if account.end_all().await.is_ok() => account.is_empty() && self.is_cgroup_empty(),
            // Where no process can be made, one by one has to do.
            Some(_) | None => {
                self.look_anew();
                let members = self.members();
                for pid in &members {
                    kill::signal(*pid, libc::SIGKILL);
                }
                members.is_empty()
            }
        }
    }

    fn is_cgroup_empty(&self) -> bool {
        self.cgroup.is_none_or(Cgroup::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_cgroup_is_ended_with_all_that_is_in_it() {
        let Some(cgroup) = Cgroup::bare("ended") else { return };
        // What has a session of its own is still in it. It begins once it is in.
        let mut leader = Command::new("sh");
        leader.args(["-c", "read -r go; setsid sh -c 'sleep 1000 & sleep 1000' & exec sleep 1000"]);
        leader.process_group(0).stdin(Stdio::piped());
        let mut leader = leader.spawn().expect("spawned");
        let pid = i32::try_from(leader.id()).expect("a pid");
        cgroup.enter(pid).expect("entered");
        drop(leader.stdin.take());
        while cgroup.members().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let account = Account::take().expect("an account");
        let mut tree = Tree::new(pid, Some(&account), Some(&cgroup), "nobody's");
        let mut is_over = false;
        for _ in 0..1000 {
            is_over = tree.kill().await;
            if is_over {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(is_over && cgroup.is_empty() && cgroup.remove());
        let _ = leader.wait();
        account.give_back();
    }
}
