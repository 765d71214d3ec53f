//! A cgroup for each program: its memory and its number of processes are capped together with all that it starts.
//! Version 2 where its controllers can be used, else the two hierarchies of version 1.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::clock;
use crate::runtime::kill;
use crate::runtime::procfs;
use crate::sandbox::Caps;
use crate::sandbox::birth::Birthplace;

/// Where cgroups for programs can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// One folder for all controllers.
    Unified(PathBuf),
    Split {
        memory: PathBuf,
        pids: PathBuf,
    },
}

/// The cgroup of one program.
#[derive(Debug)]
pub struct Cgroup {
    base: Base,
}

impl Base {
    /// The first of the places where both controllers can be used; else why there is none.
    ///
    /// # Errors
    /// With what a person can do about it, where that is known.
    pub fn find() -> Result<Self, String> {
        let mounts = procfs::read_small("/proc/self/mounts").unwrap_or_default();
        let own = procfs::read_small("/proc/self/cgroup").unwrap_or_default();
        let places = places(&mounts, &own);
        places.unified.iter().find_map(|folder| unified(folder)).or(places.split).ok_or_else(missing)
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        let (first, second) = match self {
            Base::Unified(folder) => (folder, None),
            Base::Split { memory, pids } => (memory, Some(pids)),
        };
        std::iter::once(first).chain(second).map(PathBuf::as_path)
    }

    fn memory(&self) -> &Path {
        match self {
            Base::Unified(folder) | Base::Split { memory: folder, .. } => folder,
        }
    }

    fn pids(&self) -> &Path {
        match self {
            Base::Unified(folder) | Base::Split { pids: folder, .. } => folder,
        }
    }

    fn below(&self, name: &str) -> Self {
        match self {
            Base::Unified(folder) => Base::Unified(folder.join(name)),
            Base::Split { memory, pids } => Base::Split { memory: memory.join(name), pids: pids.join(name) },
        }
    }

    /// Ends what an agent with this token left when it was killed.
    pub fn sweep(&self, token: &str) {
        let prefix = prefix(token);
        let entries = fs::read_dir(self.memory()).into_iter().flatten().flatten();
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            if name.starts_with(&prefix) {
                Cgroup { base: self.below(&name) }.kill();
            }
        }
    }
}

impl Cgroup {
    /// # Errors
    /// When the kernel does not take a limit; then there is no cgroup.
    pub fn make(base: &Base, token: &str, caps: &Caps) -> io::Result<Self> {
        let cgroup = Self { base: base.below(&format!("{}{:016x}", prefix(token), clock::noise())) };
        let limited = cgroup.limit(caps);
        if limited.is_err() {
            cgroup.remove();
        }
        limited.map(|()| cgroup)
    }

    fn limit(&self, caps: &Caps) -> io::Result<()> {
        for folder in self.base.folders() {
            fs::create_dir(folder)?;
        }
        let (memory, bytes) = (self.base.memory(), caps.memory_bytes.to_string());
        match &self.base {
            Base::Unified(_) => {
                fs::write(memory.join("memory.max"), &bytes)?;
                if_there(&memory.join("memory.swap.max"), "0")?;
                if_there(&memory.join("memory.oom.group"), "1")?;
            }
            Base::Split { .. } => {
                fs::write(memory.join("memory.limit_in_bytes"), &bytes)?;
                if_there(&memory.join("memory.memsw.limit_in_bytes"), &bytes)?;
            }
        }
        fs::write(self.base.pids().join("pids.max"), caps.processes.to_string())
    }

    /// For a child to be born in it.
    pub fn birthplace(&self) -> Option<Birthplace> {
        let tasks = |folder: &Path| File::options().write(true).open(folder.join("tasks")).ok();
        match &self.base {
            Base::Unified(folder) => File::open(folder).ok().map(|folder| Birthplace::Unified(folder.into())),
            Base::Split { .. } => {
                self.base.folders().map(tasks).collect::<Option<_>>().map(Birthplace::Split)
            }
        }
    }

    /// Moves a process that does nothing yet into it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self, pid: i32) -> io::Result<()> {
        self.base.folders().try_for_each(|folder| fs::write(folder.join("cgroup.procs"), pid.to_string()))
    }

    /// Whether the kernel killed something in it for want of memory.
    pub fn was_out_of_memory(&self) -> bool {
        let file = match &self.base {
            Base::Unified(folder) => folder.join("memory.events"),
            Base::Split { memory, .. } => memory.join("memory.oom_control"),
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
    }

    pub fn members(&self) -> Vec<i32> {
        let of = |folder: &Path| fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let text: String = self.base.folders().map(of).collect();
        let others = text.lines().filter_map(|pid| pid.parse().ok());
        // A thread of the agent is there for the moment of a birth.
        others.filter(|pid| u32::try_from(*pid) != Ok(std::process::id())).collect()
    }

    /// Whether it is known that nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.base.folders().all(|folder| match fs::read_to_string(folder.join("cgroup.procs")) {
            Ok(text) => text.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        })
    }

    /// Kills all that is in it, and all that forks meanwhile. Where the kernel cannot do that at once, it answers
    /// false: call again until it is empty.
    pub fn kill(&self) -> bool {
        let is_whole = fs::write(self.base.memory().join("cgroup.kill"), "1").is_ok();
        if !is_whole {
            for pid in self.members() {
                kill::signal(pid, libc::SIGKILL);
            }
        }
        is_whole
    }

    /// False while something is in it.
    pub fn remove(&self) -> bool {
        self.base.folders().all(|folder| match fs::remove_dir(folder) {
            Err(error) => error.kind() == io::ErrorKind::NotFound,
            Ok(()) => true,
        })
    }
}

#[cfg(test)]
impl Cgroup {
    /// One of version 2 without limits, for a test; none, and it says so, where this user cannot make one.
    pub fn bare(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        let mount = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let path = fields.next()?;
            (fields.next()? == "cgroup2").then(|| PathBuf::from(path))
        });
        let folder =
            mount.map(|mount| mount.join(format!("orchestrator-test-{name}-{}", std::process::id())));
        let made = folder.filter(|folder| fs::create_dir(folder).is_ok());
        if made.is_none() {
            eprintln!("NOT TESTED: there is no cgroup of version 2 to make one in");
        }
        made.map(|folder| Self { base: Base::Unified(folder) })
    }
}

impl Drop for Cgroup {
    /// For when nothing ever ran in it.
    fn drop(&mut self) {
        self.remove();
    }
}

struct Places {
    /// Nearest first.
    unified: Vec<PathBuf>,
    split: Option<Base>,
}

/// Where a cgroup may hang. In version 2 a cgroup with processes of its own, as that of the agent, cannot hand out
/// controllers: its ancestors can.
fn places(mounts: &str, own: &str) -> Places {
    let mount = |kind: &str, option: &str| {
        mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [_, path, found, options, ..] = fields[..] else { return None };
            let fits = found == kind && options.split(',').any(|found| found == option);
            fits.then(|| PathBuf::from(path))
        })
    };
    let path = |controller: &str| {
        own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let is_it = fields.next()?.split(',').any(|found| found == controller);
            fields.next().filter(|_| is_it).map(|path| path.trim_start_matches('/').to_owned())
        })
    };
    let split = |controller| Some(mount("cgroup", controller)?.join(path(controller)?));
    let memory_and_pids = split("memory").zip(split("pids"));
    let unified = mount("cgroup2", "rw").zip(path("")).map_or_else(Vec::new, |(mount, own)| {
        let own = mount.join(own);
        let skipped = usize::from(own != mount);
        let up = own.ancestors().skip(skipped).take_while(|folder| folder.starts_with(&mount));
        up.map(Path::to_owned).collect()
    });
    Places { unified, split: memory_and_pids.map(|(memory, pids)| Base::Split { memory, pids }) }
}

/// A folder whose children have both controllers, given to them if need be.
fn unified(folder: &Path) -> Option<Base> {
    let file = folder.join("cgroup.subtree_control");
    let has_both = || {
        let given = fs::read_to_string(&file).unwrap_or_default();
        ["memory", "pids"].iter().all(|name| given.split_ascii_whitespace().any(|found| found == *name))
    };
    let gives = has_both() || (fs::write(&file, "+memory +pids").is_ok() && has_both());
    gives.then(|| Base::Unified(folder.to_owned()))
}

fn missing() -> String {
    let cmdline = procfs::read_small("/proc/cmdline").unwrap_or_default();
    if is_disabled(&cmdline) {
        return "the kernel was started with cgroup_disable=memory: put `cgroup_enable=memory` into \
                /boot/firmware/cmdline.txt and reboot"
            .to_owned();
    }
    "the agent cannot use the controllers memory and pids of any cgroup".to_owned()
}

/// The firmware of a Raspberry Pi adds the first; the second, which people add, wins.
pub fn is_disabled(cmdline: &str) -> bool {
    let words = || cmdline.split_ascii_whitespace();
    words().any(|word| word.starts_with("cgroup_disable=") && word.contains("memory"))
        && !words().any(|word| word == "cgroup_enable=memory")
}

fn if_there(file: &Path, text: &str) -> io::Result<()> {
    match fs::write(file, text) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(()),
        // Where the file cannot be made, it is not there either.
        Err(_) if !file.exists() => Ok(()),
        done => done,
    }
}

fn prefix(token: &str) -> String {
    format!("orchestrator-step-{token}-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_hangs_where_its_controllers_can_be_used() {
        let systemd = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let got = places(systemd, "0::/system.slice/agent.service\n");
        let above = ["/sys/fs/cgroup/system.slice", "/sys/fs/cgroup"].map(PathBuf::from);
        assert_eq!(got.unified, above);
        assert_eq!(places(systemd, "0::/\n").unified, above[1..]);
        assert_eq!(got.split, None);
        let hybrid = "cgroup /c/memory cgroup rw,relatime,memory 0 0\ncgroup /c/pids cgroup rw,pids 0 0\n\
                      cgroup2 /c/unified cgroup2 rw 0 0\n";
        let got = places(hybrid, "8:pids:/\n4:memory:/job/1\n0::/\n");
        let split = Base::Split { memory: "/c/memory/job/1".into(), pids: "/c/pids/".into() };
        assert_eq!((got.unified, got.split), (vec!["/c/unified".into()], Some(split)));
        assert_eq!(places(hybrid, "8:pids:/\n").split, None);
    }

    #[test]
    fn the_last_word_of_the_command_line_is_about_the_memory_cgroup() {
        for (cmdline, expected) in [
            ("coherent_pool=1M cgroup_disable=memory rootwait", true),
            ("cgroup_disable=memory rootwait cgroup_enable=memory", false),
            ("quiet", false),
        ] {
            assert_eq!(is_disabled(cmdline), expected, "{cmdline}");
        }
    }
}
