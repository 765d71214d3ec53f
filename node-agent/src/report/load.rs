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
    cpu_busy_cores: f64,
    /// By instance: its processes, their CPU ticks, and what was reported.
    instances: BTreeMap<String, Usage>,
}

#[derive(Clone, Default)]
struct Usage {
    pids: Vec<i32>,
    ticks: u64,
    memory_bytes: u64,
    cpu_cores: f64,
}

impl Meter {
    /// The node's load; also fills in what each instance uses. What is free is looked at anew each time: right after
    /// an instance was removed, another is placed where that one was.
    pub fn read(
        &self,
        data: &Path,
        instances: &mut [InstanceReport],
        pids: &BTreeMap<String, Vec<i32>>,
    ) -> NodeLoad {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = last.as_ref().is_some_and(|last| clock::now() - last.at < SHORTEST);
        if !is_fresh {
            *last = Some(sample(pids, last.as_ref()));
        }
        let Some(sample) = last.as_mut() else { return NodeLoad::default() };
        for report in instances.iter_mut() {
            let Some(pids) = pids.get(&report.id).filter(|pids| !pids.is_empty()) else { continue };
            let usage = sample.instances.entry(report.id.clone()).or_default();
            if usage.pids != *pids {
                *usage = measure(pids, None, 0.0);
            }
            report.memory_bytes = usage.memory_bytes;
            report.cpu_cores = usage.cpu_cores;
        }
        NodeLoad {
            cpu_busy_cores: sample.cpu_busy_cores,
            load1: load1(),
            memory_available_bytes: memory("MemAvailable:"),
            disk_free_bytes: disk(data).0,
            listening_ports: listening(),
        }
    }
}

fn sample(pids: &BTreeMap<String, Vec<i32>>, last: Option<&Sample>) -> Sample {
    let at = clock::now();
    let seconds = last.map_or(0.0, |last| (at - last.at).as_secs_f64());
    let busy_ticks = busy_ticks();
    let running = pids.iter().filter(|(_, pids)| !pids.is_empty());
    let usage = |(id, pids): (&String, &Vec<i32>)| {
        let before = last.and_then(|last| last.instances.get(id));
        (id.clone(), measure(pids, before.filter(|usage| usage.pids == *pids), seconds))
    };
    let cpu_busy_cores = last.map_or(0.0, |last| cores(busy_ticks, last.busy_ticks, seconds));
    Sample { at, busy_ticks, cpu_busy_cores, instances: running.map(usage).collect() }
}

/// All of them together: an instance may be several containers.
fn measure(pids: &[i32], before: Option<&Usage>, seconds: f64) -> Usage {
    let used = pids.iter().map(|pid| Process::usage(*pid));
    let (memory_bytes, ticks) = used.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let cpu_cores = before.map_or(0.0, |before| cores(ticks, before.ticks, seconds));
    Usage { pids: pids.to_vec(), ticks, memory_bytes, cpu_cores }
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

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_port_is_free_in_the_report_as_soon_as_nobody_listens_on_it() {
        let meter = Meter::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = u32::from(listener.local_addr().expect("bound").port());
        let told = || meter.read(Path::new("/"), &mut [], &BTreeMap::new()).listening_ports;
        assert!(told().contains(&port));
        drop(listener);
        assert!(!told().contains(&port));
    }

    #[test]
    fn what_an_instance_uses_is_the_sum_over_its_processes() {
        let start = || Command::new("sleep").arg("1000").spawn().expect("spawned");
        let mut children = [start(), start()];
        let pids = children.each_ref().map(|child| i32::try_from(child.id()).expect("a pid"));
        // Until they sleep, they are being loaded, and use more with every look.
        let sleeps = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains("(sleep) S"))
                && std::fs::read_to_string(format!("/proc/{pid}/wchan"))
                    .is_ok_and(|at| at.contains("nanosleep"))
        };
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !pids.iter().all(sleeps) {
            assert!(std::time::Instant::now() < end, "they sleep");
            std::thread::yield_now();
        }
        let meter = Meter::default();
        let mut instances = [
            InstanceReport { id: "both/0".to_owned(), ..Default::default() },
            InstanceReport { id: "one/0".to_owned(), ..Default::default() },
            InstanceReport { id: "none/0".to_owned(), ..Default::default() },
        ];
        let by_id = BTreeMap::from([
            ("both/0".to_owned(), pids.to_vec()),
            ("one/0".to_owned(), pids[..1].to_vec()),
            ("none/0".to_owned(), Vec::new()),
        ]);
        meter.read(Path::new("/"), &mut instances, &by_id);
        let [both, one, none] = instances.map(|report| report.memory_bytes);
        let (first, second) = (Process::usage(pids[0]).0, Process::usage(pids[1]).0);
        for child in &mut children {
            child.kill().and_then(|()| child.wait()).expect("ended");
        }
        assert!(one > 0 && first > 0 && none == 0);
        assert_eq!((both, one), (first + second, first));
    }
}
