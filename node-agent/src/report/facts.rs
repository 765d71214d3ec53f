//! What the machine is and what it offers. Probed when the agent starts and again now and then, as people plug
//! in cameras and install Docker.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use plan::sandbox::{Offer, Probed, Tier};
use proto::v1::NodeFacts;
use tokio::time::Instant;

use crate::clock;
use crate::report::load;
use crate::runtime::procfs;

const AGAIN: Duration = Duration::from_secs(60);

/// The machine's facts, as probed last.
#[derive(Default)]
pub struct Facts {
    last: Mutex<Option<(Instant, NodeFacts)>>,
    /// Takes a moment to find, so that it comes after the agent listens.
    digest: Mutex<String>,
    receipt_key: Vec<u8>,
}

impl Facts {
    pub fn new(receipt_key: Vec<u8>) -> Self {
        Self { receipt_key, ..Self::default() }
    }

    pub fn read(&self, data: &Path) -> NodeFacts {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(at, _)| clock::now() - *at > AGAIN) {
            *last = Some((clock::now(), probe(data)));
        }
        let mut facts = last.as_ref().map(|(_, facts)| facts.clone()).unwrap_or_default();
        facts.receipt_key.clone_from(&self.receipt_key);
        facts.agent_digest.clone_from(&self.digest.lock().unwrap_or_else(PoisonError::into_inner));
        facts
    }

    /// Reads the running binary.
    pub fn find_digest(&self) {
        let Ok(bytes) = fs::read("/proc/self/exe") else { return };
        let digest = modules::digest::Digest::of(&bytes).to_string();
        *self.digest.lock().unwrap_or_else(PoisonError::into_inner) = digest;
    }
}

pub fn probe(data: &Path) -> NodeFacts {
    let Names { kernel, hostname, machine } = uname();
    NodeFacts {
        arch: arch(std::env::consts::ARCH, &machine).to_owned(),
        os: os(),
        kernel,
        cpu_cores: cpu_cores(),
        memory_bytes: memory_bytes(),
        disk_bytes: load::disk(data).1,
        capabilities: capabilities(),
        hostname,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        agent_digest: String::new(),
        sandbox: BTreeMap::new(),
        receipt_key: Vec::new(),
    }
}

/// What kind of processor this node has, as in its facts.
pub fn processor() -> &'static str {
    static PROCESSOR: OnceLock<String> = OnceLock::new();
    PROCESSOR.get_or_init(|| arch(std::env::consts::ARCH, &uname().machine).to_owned())
}

/// As builds of the agent are called. One for 32-bit ARM runs on machines that differ in what else runs there.
fn arch<'b>(built_for: &'b str, machine: &str) -> &'b str {
    match built_for {
        "arm" if machine.starts_with("armv6") => "armv6",
        "arm" => "armv7",
        other => other,
    }
}

fn os() -> String {
    let text = procfs::read_small("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// What the kernel says of itself and of the machine.
struct Names {
    kernel: String,
    hostname: String,
    machine: String,
}

fn uname() -> Names {
    // SAFETY: a zeroed utsname is valid, the kernel fills it with NUL-terminated texts.
    unsafe {
        let mut names: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut names);
        let text = |field: *const libc::c_char| CStr::from_ptr(field).to_string_lossy().into_owned();
        Names {
            kernel: text(names.release.as_ptr()),
            hostname: text(names.nodename.as_ptr()),
            machine: text(names.machine.as_ptr()),
        }
    }
}

/// Those the agent may use, or fewer where its cgroup has a quota.
fn cpu_cores() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let cores = f64::from(u32::try_from(cores).unwrap_or(u32::MAX));
    let quota = procfs::read_small("/sys/fs/cgroup/cpu.max").and_then(|text| {
        let (quota, period) = text.trim().split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    });
    quota.map_or(cores, |quota| quota.min(cores))
}

fn memory_bytes() -> u64 {
    let limit = procfs::read_small("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    let all = load::memory("MemTotal:");
    limit.map_or(all, |limit: u64| limit.min(all))
}

fn capabilities() -> Vec<String> {
    let exists = |path: &str| Path::new(path).exists();
    let any = |paths: &[&str]| paths.iter().any(|path| exists(path));
    let offers = [
        ("apt", may_install()),
        ("camera", any(&["/dev/video0"])),
        ("gpio", any(&["/dev/gpiochip0"])),
        ("gpu", has_gpu()),
        ("node", has_program("node")),
        ("npm", has_program("npm")),
        ("pip", has_program("pip3") || has_program("pip") || has_module("pip")),
        ("python3", has_program("python3")),
        ("root", is_root()),
        ("systemd", exists("/run/systemd/system")),
        ("venv", has_module("ensurepip")),
    ];
    offers.into_iter().filter(|(_, is_there)| *is_there).map(|(name, _)| name.to_owned()).collect()
}

/// Whether packages of the distribution can be installed.
pub fn may_install() -> bool {
    is_root() && has_program("apt-get")
}

/// The rungs that are offered, as capabilities.
pub fn sandboxes(offer: &Offer) -> Vec<String> {
    let rungs = Tier::NAMED.iter().filter(|(_, tier)| offer.missing(*tier).is_empty());
    rungs.map(|(name, _)| format!("sandbox.{name}")).collect()
}

/// What was found of each part, by the name it has on the wire: empty where it works, else why not.
pub fn parts(offer: &Offer) -> BTreeMap<String, String> {
    let why = |probed: &Probed| match probed {
        Probed::Works => String::new(),
        Probed::Missing { why } => why.clone(),
    };
    offer.parts.iter().map(|(part, probed)| (part.name().to_owned(), why(probed))).collect()
}

pub fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

fn has_gpu() -> bool {
    let entries = fs::read_dir("/dev/dri").into_iter().flatten().flatten();
    let renders =
        entries.into_iter().any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"renderD"));
    renders || Path::new("/dev/nvidia0").exists()
}

fn has_program(name: &str) -> bool {
    const DIRS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    DIRS.iter().any(|dir| Path::new(dir).join(name).exists())
}

/// Whether any Python 3 of the distribution has a module.
pub fn has_module(name: &str) -> bool {
    let below = |root: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let mut libraries = below("/usr/lib");
    libraries.extend(below("/usr/local/lib"));
    libraries
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"python3")))
        .any(|path| {
            ["", "dist-packages", "site-packages"].iter().any(|part| path.join(part).join(name).is_dir())
        })
}

#[cfg(test)]
mod tests {
    use super::arch;

    #[test]
    fn a_32_bit_agent_tells_what_its_machine_is() {
        for (built_for, machine, expected) in [
            ("arm", "armv6l", "armv6"),
            ("arm", "armv7l", "armv7"),
            ("arm", "armv8l", "armv7"),
            ("arm", "aarch64", "armv7"),
            ("aarch64", "aarch64", "aarch64"),
            ("x86_64", "x86_64", "x86_64"),
        ] {
            assert_eq!(arch(built_for, machine), expected, "{built_for} on {machine}");
        }
    }
}
