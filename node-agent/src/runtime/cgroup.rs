//! A cgroup for each instance where cgroup v2 may be written: the one sure way to end everything in it. Where
//! there is none, marks in the environment and the process tree have to do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proto::ids::InstanceId;

use crate::runtime::procfs;

/// The folder below which instances get theirs.
#[derive(Debug, Clone)]
pub struct Cgroups {
    root: PathBuf,
}

impl Cgroups {
    /// None where cgroup v2 is not mounted or not ours to write.
    pub fn probe(token: &str) -> Option<Self> {
        let mounts = procfs::read_small("/proc/self/mounts")?;
        let mount = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let path = fields.next()?;
            (fields.next()? == "cgroup2").then_some(path)
        })?;
        let own = procfs::read_small("/proc/self/cgroup")?;
        let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let root = Path::new(mount).join(base(own)).join(format!("orchestrator-{token}"));
        let is_ours = fs::create_dir_all(&root).is_ok() && root.join("cgroup.kill").exists();
        if !is_ours {
            let _ = fs::remove_dir(&root);
        }
        is_ours.then_some(Self { root })
    }

    /// Moves a process that does nothing yet into the instance's cgroup.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self, id: &InstanceId, pid: i32) -> io::Result<()> {
        let dir = self.dir(id);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("cgroup.procs"), pid.to_string())
    }

    pub fn members(&self, id: &InstanceId) -> Vec<i32> {
        let text = fs::read_to_string(self.dir(id).join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    pub fn kill(&self, id: &InstanceId) {
        let _ = fs::write(self.dir(id).join("cgroup.kill"), "1");
    }

    /// Fails quietly while something lives in it; the next stop tries again.
    pub fn remove(&self, id: &InstanceId) {
        let _ = fs::remove_dir(self.dir(id));
    }

    /// Gives the folder back when no instance is in it.
    pub fn close(&self) {
        let _ = fs::remove_dir(&self.root);
    }

    fn dir(&self, id: &InstanceId) -> PathBuf {
        self.root.join(id.file_name())
    }
}

/// An agent that was itself started inside such a folder does not nest another one.
fn base(own: &str) -> &str {
    own.split_once("/orchestrator-").map_or(own, |(before, _)| before)
}
