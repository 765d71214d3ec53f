//! What the kernel says of a process on a host: memory, time on a processor, bytes written, calls to sync.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::host::Host;

const SYNCS: &str = "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync";

/// A running process of a host, as this machine numbers it.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    pub pid: u32,
}

/// In bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: f64,
    /// Not backed by a file: what the process has allocated, and what grows when it leaks.
    pub anonymous: f64,
}

/// What a process did in some seconds, for each of them.
#[derive(Debug, Clone, Copy)]
pub struct Idle {
    /// Share of one processor, in percent.
    pub cpu_percent: f64,
    pub written_bytes: f64,
    /// `None` where strace is missing.
    pub syncs: Option<f64>,
}

impl Process {
    /// Finds the only process on the host whose command line holds all of `words`.
    pub fn find(host: &Host, words: &[&str]) -> Result<Process> {
        let found = Process::find_all(host, words)?;
        ensure!(found.len() == 1, "{} processes on {} have {words:?}", found.len(), host.name());
        Ok(found[0])
    }

    pub fn find_all(host: &Host, words: &[&str]) -> Result<Vec<Process>> {
        let namespace = fs::read_link(format!("/proc/{}/ns/pid", host.init()?))?;
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let is_there = fs::read_link(entry.path().join("ns/pid")).is_ok_and(|own| own == namespace);
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if is_there && words.iter().all(|word| command.contains(word)) {
                found.push(Process { pid });
            }
        }
        Ok(found)
    }

    pub fn memory(self) -> Result<Memory> {
        let text = self.read("smaps_rollup")?;
        let resident = self.field(&text, "Rss:")? * 1024.0;
        let anonymous = self.field(&text, "Anonymous:")? * 1024.0;
        Ok(Memory { resident, anonymous })
    }

    /// Watches the process for a while, and again under strace to count its syncs.
    pub fn idle(self, span: Duration) -> Result<Idle> {
        let (cpu, written) = (self.cpu_nanoseconds()?, self.written_bytes()?);
        thread::sleep(span);
        let seconds = span.as_secs_f64();
        Ok(Idle {
            cpu_percent: (self.cpu_nanoseconds()? - cpu) / 1e7 / seconds,
            written_bytes: (self.written_bytes()? - written) / seconds,
            syncs: self.syncs(span)?.map(|count| count as f64 / seconds),
        })
    }

    fn cpu_nanoseconds(self) -> Result<f64> {
        let mut sum = 0.0;
        for task in fs::read_dir(self.path("task"))?.flatten() {
            // A thread may end while we look.
            let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
            sum += text.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0.0);
        }
        Ok(sum)
    }

    fn written_bytes(self) -> Result<f64> {
        self.field(&self.read("io")?, "write_bytes:")
    }

    fn syncs(self, span: Duration) -> Result<Option<usize>> {
        let mut strace = Command::new("timeout");
        strace.args(["--signal=INT", &span.as_secs().max(1).to_string(), "strace", "-f", "-qq", "-e", SYNCS]);
        strace.args(["-p", &self.pid.to_string()]);
        let output = strace.output().context("could not run timeout")?;
        // What timeout says where there is no strace.
        if matches!(output.status.code(), Some(126 | 127)) {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        // And when the time was up, as it should be: strace watched all the while.
        ensure!(output.status.code() == Some(124), "strace did not watch process {}: {said}", self.pid);
        Ok(Some(said.lines().filter(|line| line.contains("sync") && line.contains('(')).count()))
    }

    fn field(self, text: &str, name: &str) -> Result<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|rest| rest.split_whitespace().next()).and_then(|word| word.parse().ok());
        value.with_context(|| format!("process {} has no {name}", self.pid))
    }

    fn read(self, name: &str) -> Result<String> {
        fs::read_to_string(self.path(name)).with_context(|| format!("process {} is gone", self.pid))
    }

    fn path(self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.pid.to_string()).join(name)
    }
}
