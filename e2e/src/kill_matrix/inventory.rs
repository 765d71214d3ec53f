//! What is on the hosts, seen from outside: processes by their environment, and files that should have gone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::host::Host;
use crate::scene::DATA;

/// Where the coordinator keeps its things on the desk.
const DESK_DATA: &str = "/root/.local/share/orchestrator";

/// One process of a host.
#[derive(Debug, Clone)]
pub struct Process {
    pub pid: u32,
    parent: u32,
    pub command: String,
    /// The instance it belongs to, by its environment.
    instance: Option<String>,
}

/// All processes in the PID namespace of the host, with this machine's numbers. None while it is off.
pub fn processes(host: &Host) -> Vec<Process> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let Some(home) = host.init().ok().and_then(|init| namespace(&init.to_string())) else {
        return Vec::new();
    };
    let names = entries(Path::new("/proc"));
    let pids = names.iter().filter_map(|path| path.file_name()?.to_str()?.parse::<u32>().ok());
    pids.filter(|pid| namespace(&pid.to_string()).as_ref() == Some(&home)).filter_map(read_process).collect()
}

fn read_process(pid: u32) -> Option<Process> {
    let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).ok();
    let words = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\0', "\n");
    let stat = words(read("stat")?);
    let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
    let environment = words(read("environ")?);
    let variable =
        |name: &str| environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    // What is being installed runs beside what serves; it is no copy of the instance.
    let is_install = variable("ORCHESTRATOR_AGENT").is_some_and(|token| token.ends_with("-install"));
    let instance = variable("ORCHESTRATOR_INSTANCE").filter(|_| !is_install);
    let command = words(read("cmdline")?).trim_end().replace('\n', " ");
    Some(Process { pid, parent, command, instance: instance.map(str::to_owned) })
}

/// How many copies of each instance run: processes of it whose parent is none of it.
pub fn copies(processes: &[Process]) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for process in processes {
        let Some(instance) = &process.instance else { continue };
        let has_parent_within =
            processes.iter().any(|it| it.pid == process.parent && it.instance.as_ref() == Some(instance));
        if !has_parent_within {
            *copies.entry(instance.clone()).or_default() += 1;
        }
    }
    copies
}

/// How many agents run; the canaries that one sends into its sandboxes begin as copies of it and are none.
fn agents(processes: &[Process]) -> usize {
    let is_agent = |it: &Process| it.command.contains("node-agent run");
    let is_canary = |it: &Process| processes.iter().any(|other| other.pid == it.parent && is_agent(other));
    processes.iter().filter(|it| is_agent(it) && !is_canary(it)).count()
}

/// Whatever is wrong with an idle node, in words: its agent, uploads under way, files that should have gone.
pub fn untidy(host: &Host, instances: &[String], is_deployed: bool) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let processes = processes(host);
    let run = |what: &str| processes.iter().filter(|it| it.command.contains(what)).count();
    let agents = agents(&processes);
    if agents != 1 {
        found.push(format!("{agents} agents run"));
    }
    if run("node-agent start") > 1 || run("node-agent receive") > 0 {
        found.push(format!("{} supervisors, {} uploads", run("node-agent start"), run("node-agent receive")));
    }
    let data = host.path(DATA)?;
    found.extend(temporary_files(&data));
    found.extend(entries(&host.path("/tmp")?).iter().map(|path| path.display().to_string()));
    for folder in entries(&data.join("instances")) {
        if !instances.contains(&name(&folder).replace('.', "/")) {
            found.push(format!("the folder of {}", name(&folder)));
        }
    }
    // One that runs, one to go back to, also where only that one was, and one that the agent itself could go back to.
    let allowed = if is_deployed { 3 } else { 0 };
    let kept = releases_on_record(&data);
    if kept > allowed {
        found.push(format!("{kept} releases"));
    }
    Ok(found)
}

/// Releases that the agent was ever told of, but for those that somebody asked to have kept for a deploy to come: that
/// holds for ten minutes. Another, uploaded by a deploy that was given up before it came to the node, may stay for an
/// hour.
fn releases_on_record(data: &Path) -> usize {
    let ledger = fs::read(data.join("ledger")).unwrap_or_default();
    let is_on_record = |path: &&PathBuf| {
        let digest = name(path);
        let is_leased = path.join(".lease").exists();
        !is_leased
            && !digest.is_empty()
            && ledger.windows(digest.len()).any(|window| window == digest.as_bytes())
    };
    entries(&data.join("releases")).iter().filter(is_on_record).count()
}

/// Files on the desk that an interrupted command left.
pub fn untidy_desk(desk: &Host) -> Result<Vec<String>> {
    let mut found = temporary_files(&desk.path(DESK_DATA)?);
    found.extend(entries(&desk.path("/tmp")?).iter().map(|path| path.display().to_string()));
    Ok(found)
}

fn temporary_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if is_temporary(&name(&path)) {
                found.push(path.display().to_string());
            }
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    found
}

fn is_temporary(name: &str) -> bool {
    let beginnings = [".incoming", ".removing", ".node-agent.", ".machine.", ".tmp", ".pack-", "pending-"];
    let endings = [".tmp", ".new", ".partial"];
    beginnings.iter().any(|start| name.starts_with(start))
        || endings.iter().any(|end| name.ends_with(end))
        || name.contains('#')
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
