//! A cgroup for each instance where cgroup v2 may be written: the one sure way to end everything in it. Where
//! there is none, marks in the environment and the process tree have to do.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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

    /// Moves a process that does nothing yet into the cgroup of an instance, which is named by its folder.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self, instance: &str, pid: i32) -> io::Result<()> {
        let dir = self.root.join(instance);
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("cgroup.procs"), pid.to_string())
    }

    pub fn members(&self, instance: &str) -> Vec<i32> {
        let text = fs::read_to_string(self.root.join(instance).join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|pid| pid.parse().ok()).collect()
    }

    pub fn kill(&self, instance: &str) {
        let _ = fs::write(self.root.join(instance).join("cgroup.kill"), "1");
    }

    /// Fails quietly while something lives in it; the next stop tries again.
    pub fn remove(&self, instance: &str) {
        let _ = fs::remove_dir(self.root.join(instance));
    }

    /// Gives the folder back when no instance is in it.
    pub fn close(&self) {
        let _ = fs::remove_dir(&self.root);
    }
}

/// An agent that was itself started inside such a folder does not nest another one.
fn base(own: &str) -> &str {
    own.split_once("/orchestrator-").map_or(own, |(before, _)| before)
}
