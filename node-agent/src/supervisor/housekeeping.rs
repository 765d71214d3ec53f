//! What is looked at twice a second while an instance runs: its log's size, who descends from it, and its memory
//! where it has a limit. A few small files of /proc each time.

use std::time::Duration;

use crate::clock;
use crate::decide::Goal;
use crate::logs;
use crate::runtime::body::{Body, End};
use crate::runtime::process::Process;
use crate::runtime::procfs;
use crate::supervisor::Supervisor;

const ROUND: Duration = Duration::from_millis(500);

impl Supervisor {
    pub(super) async fn keep_house(&mut self, goal: &Goal) {
        self.next_housekeeping = clock::now() + ROUND;
        if self.is_leading() {
            logs::rotate(&self.agent.data.instance_log(&self.id));
        }
        self.mark_log();
        let Some(running) = &mut self.running else { return };
        running.look_at_kin();
        if let Some(why) = running.excess() {
            // Like a crash: for a new release it counts as one.
            self.have_ended(End { how: why, is_final: false }, goal).await;
        }
    }
}

impl super::Running {
    /// Who has left the tree and wiped its environment is still known from here, where there is no cgroup.
    fn look_at_kin(&mut self) {
        let Body::Process(process) = &self.body else { return };
        self.kin.retain(|(pid, start)| procfs::is_alive(*pid, *start));
        let roots: Vec<i32> = self.kin.iter().map(|(pid, _)| *pid).chain([process.pid]).collect();
        for pid in roots.into_iter().flat_map(procfs::descendants) {
            if pid != process.pid
                && !self.kin.iter().any(|(known, _)| *known == pid)
                && let Some(stat) = procfs::stat(pid)
            {
                self.kin.push((pid, stat.start));
            }
        }
    }

    /// The kernel limits each process; this limits all of the instance together. Containers are limited as a whole.
    fn excess(&self) -> Option<String> {
        let Body::Process(process) = &self.body else { return None };
        let limits = self.candidate.as_ref()?.spec.limits?;
        if limits.memory_bytes == 0 {
            return None;
        }
        let (used, _) = Process::usage(process.pid);
        let mib = |bytes: u64| bytes >> 20;
        (used > limits.memory_bytes).then(|| {
            format!("used {} MiB of memory, its limit is {} MiB", mib(used), mib(limits.memory_bytes))
        })
    }
}
