//! `collect.*`: what the machine is and how it fares, from the kernel's own words.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use plan::tool::Tool;
use serde_json::{Value, json};

use super::program::Plain;
use super::service;
use super::{Errand, Outcome};
use crate::report::{facts, load};
use crate::runtime::procfs;
use crate::runtime::reaper::Exit;

const MOST: u64 = 20;
const APT: &str = "/usr/bin/apt-get";
/// Names in one list.
const NAMES: usize = 500;

pub async fn run(errand: &Errand) -> Outcome {
    let collected = match errand.call.tool {
        Tool::CollectServices => services(errand).await,
        Tool::CollectPackages => packages(errand).await,
        _ => {
            let own = errand.clone();
            let work = tokio::task::spawn_blocking(move || match own.call.tool {
                Tool::CollectFacts => Ok(machine(&own)),
                Tool::CollectDisk => disk(own.text("path").unwrap_or("/")),
                Tool::CollectMemory => Ok(memory()),
                _ => Ok(processes(own.number("most").unwrap_or(MOST), own.text("name"))),
            });
            work.await.unwrap_or_else(|_| Err("the agent is stopping".to_owned())).map_err(Outcome::Failed)
        }
    };
    collected.map_or_else(|outcome| outcome, Outcome::Returned)
}

fn machine(errand: &Errand) -> Value {
    let mut facts = facts::probe(&errand.runs.agent.data.0);
    facts.capabilities.extend(errand.runs.agent.engines.capabilities().into_iter().map(str::to_owned));
    facts.capabilities.sort_unstable();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of cores")]
    let cpus = facts.cpu_cores.ceil() as u64;
    json!({
        "arch": facts.arch,
        "os": facts.os,
        "kernel": facts.kernel,
        "hostname": facts.hostname,
        "cpus": cpus,
        "memory_bytes": facts.memory_bytes,
        "load": load::load1(),
        "uptime_s": procfs::age(0).as_secs(),
        // Labels are the coordinator's; the node does not know them.
        "labels": {},
        "capabilities": facts.capabilities,
    })
}

fn disk(path: &str) -> Result<Value, String> {
    let c_path = CString::new(path).map_err(|_| format!("{path:?} is no path"))?;
    // SAFETY: a zeroed statvfs is valid, and the kernel fills it in.
    let stat = unsafe {
        let mut stat: libc::statvfs = std::mem::zeroed();
        if libc::statvfs(c_path.as_ptr(), &raw mut stat) != 0 {
            return Err(format!("{path}: {}", std::io::Error::last_os_error()));
        }
        stat
    };
    let block = whole(stat.f_frsize);
    let of = |blocks: u64| blocks.saturating_mul(block);
    let (all, free, left) = (whole(stat.f_blocks), whole(stat.f_bfree), whole(stat.f_bavail));
    let used = all.saturating_sub(free);
    let (inodes, free_inodes) = (whole(stat.f_files), whole(stat.f_ffree));
    Ok(json!({
        "size_bytes": of(all),
        "free_bytes": of(left),
        "used_bytes": of(used),
        // As df tells it: of what is there for everybody.
        "used_percent": percent(used, used.saturating_add(left)),
        "inodes_used_percent": percent(inodes.saturating_sub(free_inodes), inodes),
        "read_only": stat.f_flag & libc::ST_RDONLY != 0,
    }))
}

/// These have other widths on 32-bit machines.
fn whole(number: impl Into<u64>) -> u64 {
    number.into()
}

fn memory() -> Value {
    let (total, available) = (load::memory("MemTotal:"), load::memory("MemAvailable:"));
    let swap_used = load::memory("SwapTotal:").saturating_sub(load::memory("SwapFree:"));
    json!({
        "total_bytes": total,
        "available_bytes": available,
        "used_percent": percent(total.saturating_sub(available), total),
        "swap_used_bytes": swap_used,
    })
}

/// The largest first.
fn processes(most: u64, name: Option<&str>) -> Value {
    let mut found: Vec<(u64, Value)> = procfs::pids().filter_map(|pid| process(pid, name)).collect();
    found.sort_by_key(|(memory, _)| std::cmp::Reverse(*memory));
    let count = found.len();
    found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let processes: Vec<Value> = found.into_iter().map(|(_, process)| process).collect();
    json!({"processes": processes, "count": count})
}

fn process(pid: i32, wanted: Option<&str>) -> Option<(u64, Value)> {
    let name = procfs::name(pid)?;
    if wanted.is_some_and(|wanted| wanted != name) {
        return None;
    }
    let stat = procfs::stat(pid)?;
    let memory = procfs::resident(pid).unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "ticks of a process stay far below 2^52")]
    let cpu_s = (stat.cpu_ticks as f64 / procfs::ticks_per_second() * 10.0).round() / 10.0;
    let age_s = procfs::age(stat.start).as_secs();
    Some((memory, json!({"pid": pid, "name": name, "memory_bytes": memory, "cpu_s": cpu_s, "age_s": age_s})))
}

async fn services(errand: &Errand) -> Result<Value, Outcome> {
    let words = ["list-units", "--no-legend", "--plain", "--no-pager", "--type=service"];
    let mut lists = Vec::new();
    for state in ["--state=failed", "--state=active"] {
        let finished = service::systemctl(errand, &[&words[..], &[state]].concat()).await?;
        if finished.exit != Exit::Code(0) {
            return Err(Outcome::Failed(format!("systemctl list-units: {}", finished.stderr.text.trim())));
        }
        lists.push(first_words(&finished.stdout.text, ""));
    }
    let active = lists.pop();
    Ok(json!({"failed": lists.pop(), "active": active}))
}

/// What an upgrade would bring, as apt knows it; nothing is fetched and nothing changed.
async fn packages(errand: &Errand) -> Result<Value, Outcome> {
    if !Path::new(APT).exists() {
        return Err(Outcome::Failed("there is no apt-get on this node".to_owned()));
    }
    let argv = [APT, "--simulate", "--quiet", "-o", "Debug::NoLocking=1", "upgrade"].map(str::to_owned);
    let plain = Plain {
        argv: argv.to_vec(),
        env: service::plain_env(),
        dir: PathBuf::from("/"),
        account: None,
        beside: None,
    };
    let finished = errand.run_plain(plain).await?;
    if finished.exit != Exit::Code(0) {
        return Err(Outcome::Failed(format!("apt-get --simulate upgrade: {}", finished.stderr.text.trim())));
    }
    let upgradable = first_words(&finished.stdout.text, "Inst ");
    Ok(json!({"count": upgradable.len(), "upgradable": upgradable}))
}

/// The first word of each line that begins so.
fn first_words(text: &str, begin: &str) -> Vec<String> {
    let rests = text.lines().filter_map(|line| line.strip_prefix(begin));
    let words = rests.filter_map(|rest| rest.split_ascii_whitespace().next()).map(str::to_owned);
    words.take(NAMES).collect()
}

/// With one decimal.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_one_decimal_and_never_divides_by_nothing() {
        for (part, whole, expected) in [(0, 0, 0.0), (1, 3, 33.3), (3, 3, 100.0), (u64::MAX, u64::MAX, 100.0)]
        {
            assert!((percent(part, whole) - expected).abs() < f64::EPSILON, "{part}/{whole}");
        }
    }

    #[test]
    fn a_list_is_made_of_the_first_words() {
        let text = "Reading lists\nInst nginx [1.22] (1.24)\nConf nginx\nInst curl (8)\n";
        assert_eq!(first_words(text, "Inst "), ["nginx", "curl"]);
    }

    #[test]
    fn the_file_system_of_a_path_is_told_and_one_that_is_not_there_too() {
        let told = disk("/").expect("there is a root");
        assert!(told["size_bytes"].as_u64() >= told["free_bytes"].as_u64());
        assert!(disk("/no/such/path").expect_err("not there").contains("/no/such/path"));
        assert!(memory()["total_bytes"].as_u64() > Some(0));
        let me = processes(500, None);
        assert!(me["count"].as_u64() > Some(0) && !me.to_string().contains("environ"));
    }
}
