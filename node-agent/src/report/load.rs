//! How busy the machine and each instance is, measured between two reports. Nothing is measured while nobody
//! asks.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use proto::v1::{InstanceReport, NodeLoad};
use tokio::time::Instant;

use crate::clock;
use crate::runtime::process::Process;
use crate::runtime::procfs;

/// Reports that follow each other faster share one measurement.
const SHORTEST: Duration = Duration::from_millis(900);

/// Measures between calls.
#[derive(Default)]
pub struct Meter {
    last: Mutex<Option<Sample>>,
}

struct Sample {
    at: Instant,
    busy_ticks: u64,
    load: NodeLoad,
    /// By instance: pid, CPU ticks, and what was reported.
    instances: BTreeMap<String, Usage>,
}

#[derive(Clone, Copy, Default)]
struct Usage {
    pid: i32,
    ticks: u64,
    memory_bytes: u64,
    cpu_cores: f64,
}

impl Meter {
    /// The node's load; also fills in what each instance uses.
    pub fn read(&self, data: &Path, instances: &mut [InstanceReport]) -> NodeLoad {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = last.as_ref().is_some_and(|last| clock::now() - last.at < SHORTEST);
        if !is_fresh {
            *last = Some(sample(data, instances, last.as_ref()));
        }
        let Some(sample) = last.as_mut() else { return NodeLoad::default() };
        for report in instances.iter_mut().filter(|report| report.pid > 0) {
            let usage = sample.instances.entry(report.id.clone()).or_default();
            if usage.pid != report.pid {
                *usage = measure(report.pid, None, 0.0);
            }
            report.memory_bytes = usage.memory_bytes;
            report.cpu_cores = usage.cpu_cores;
        }
        sample.load.clone()
    }
}

fn sample(data: &Path, instances: &[InstanceReport], last: Option<&Sample>) -> Sample {
    let at = clock::now();
    let seconds = last.map_or(0.0, |last| (at - last.at).as_secs_f64());
    let busy_ticks = busy_ticks();
    let running = instances.iter().filter(|report| report.pid > 0);
    let usage = |report: &InstanceReport| {
        let before = last.and_then(|last| last.instances.get(&report.id));
        (report.id.clone(), measure(report.pid, before.filter(|usage| usage.pid == report.pid), seconds))
    };
    let load = NodeLoad {
        cpu_busy_cores: last.map_or(0.0, |last| cores(busy_ticks, last.busy_ticks, seconds)),
        load1: load1(),
        memory_available_bytes: memory("MemAvailable:"),
        disk_free_bytes: disk(data).0,
        listening_ports: listening(),
    };
    Sample { at, busy_ticks, load, instances: running.map(usage).collect() }
}

fn measure(pid: i32, before: Option<&Usage>, seconds: f64) -> Usage {
    let (memory_bytes, ticks) = Process::usage(pid);
    let cpu_cores = before.map_or(0.0, |before| cores(ticks, before.ticks, seconds));
    Usage { pid, ticks, memory_bytes, cpu_cores }
}

#[expect(clippy::cast_precision_loss, reason = "ticks between two reports are few")]
fn cores(now: u64, before: u64, seconds: f64) -> f64 {
    if seconds <= 0.0 {
        return 0.0;
    }
    let cores = now.saturating_sub(before) as f64 / procfs::ticks_per_second() / seconds;
    (cores * 1000.0).round() / 1000.0
}

/// All ticks that any CPU was not idle or waiting for a disk.
fn busy_ticks() -> u64 {
    let stat = procfs::read_small("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_ascii_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    const IDLE: usize = 3;
    const IOWAIT: usize = 4;
    const STEAL: usize = 7;
    let counted = ticks.iter().take(STEAL).enumerate();
    counted.filter(|(at, _)| *at != IDLE && *at != IOWAIT).map(|(_, ticks)| ticks).sum()
}

pub fn load1() -> f64 {
    let text = procfs::read_small("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

/// A line of /proc/meminfo, in bytes.
pub fn memory(line: &str) -> u64 {
    let text = procfs::read_small("/proc/meminfo").unwrap_or_default();
    let value = text.lines().find_map(|found| found.strip_prefix(line));
    let kib: Option<u64> = value.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.unwrap_or(0) * 1024
}

/// Free and total bytes of the file system that holds a path.
pub fn disk(path: &Path) -> (u64, u64) {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return (0, 0) };
    // SAFETY: a zeroed statvfs is valid, and the kernel fills it in.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(path.as_ptr(), &raw mut stat) != 0 {
            return (0, 0);
        }
        stat
    };
    // These have other widths on 32-bit machines.
    (bytes(stat.f_bavail, stat.f_frsize), bytes(stat.f_blocks, stat.f_frsize))
}

fn bytes(blocks: impl Into<u64>, size: impl Into<u64>) -> u64 {
    blocks.into().saturating_mul(size.into())
}

fn listening() -> Vec<u32> {
    let mut ports: Vec<u32> = procfs::listeners().iter().map(|socket| u32::from(socket.port)).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
