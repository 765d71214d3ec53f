//! Stopping the agent, and on request all that it runs.

use std::time::{Duration, Instant};

use futures::future::join_all;
use proto::ids::InstanceId;

use crate::agent;
use crate::cli::CliError;
use crate::config::DataDir;
use crate::disk::{Lock, Locked};
use crate::lane::Lane;
use crate::runtime::cgroup::Cgroups;
use crate::runtime::kill::{self, Family, Marked};
use crate::runtime::process::{Place, Process};
use crate::runtime::reaper;
use crate::runtime::record::former;

mod elsewhere;

const LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);

pub fn stop(data: &DataDir, instances: bool) -> Result<(), CliError> {
    if !data.0.exists() {
        return Ok(());
    }
    stop_agent(data)?;
    if !instances {
        return Ok(());
    }
    // Held while we stop them, so that no agent starts them again.
    let Locked::Ours(_lock) = Lock::try_take(&data.agent_lock())? else {
        return Err(CliError::NotStopped);
    };
    former::take_over(data);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|cause| CliError::System { action: "start", cause })?;
    runtime.block_on(async {
        reaper::start().map_err(|cause| CliError::System { action: "handle signals", cause })?;
        stop_instances(data).await
    })
}

fn stop_agent(data: &DataDir) -> Result<(), CliError> {
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        let begin = Instant::now();
        let mut is_first = true;
        while begin.elapsed() < LIMIT {
            let holders = [Lock::holder(&data.supervisor_lock())?, Lock::holder(&data.agent_lock())?];
            if holders == [None, None] {
                return Ok(());
            }
            if std::mem::take(&mut is_first) {
                holders.into_iter().flatten().for_each(|pid| kill::signal(pid, signal));
            }
            std::thread::sleep(POLL);
        }
    }
    Err(CliError::NotStopped)
}

async fn stop_instances(data: &DataDir) -> Result<(), CliError> {
    let token = agent::token(data)?;
    let cgroups = Cgroups::probe(&token);
    let mut ids = agent::left_instances(data);
    let lanes = Lane::in_use(data);
    let tokens: Vec<String> = lanes.iter().map(|lane| lane.token(&token)).collect();
    let marked = Marked::all().into_iter().filter(|process| tokens.contains(&process.token));
    ids.extend(marked.filter_map(|process| process.instance));
    ids.sort();
    ids.dedup();
    let mut left = elsewhere::end_units(data, &ids).await;
    left.append(&mut elsewhere::end_containers(data, &token, &ids).await);
    let all = ids.iter().map(|id| stop_instance(data, id, &lanes, &token, cgroups.as_ref()));
    for (id, is_clean) in ids.iter().zip(join_all(all).await) {
        if !is_clean {
            left.entry(id.clone()).or_insert_with(|| "some processes do not end".to_owned());
        }
    }
    let installs: Vec<String> = tokens.iter().map(|token| kill::install_token(token)).collect();
    for process in Marked::all().iter().filter(|process| installs.contains(&process.token)) {
        kill::signal(process.pid, libc::SIGKILL);
    }
    if let Some(cgroups) = &cgroups {
        cgroups.close();
    }
    let left: Vec<String> = left.iter().map(|(id, why)| format!("{id}: {why}")).collect();
    if left.is_empty() { Ok(()) } else { Err(CliError::InstancesLeft(left.join("; "))) }
}

async fn stop_instance(
    data: &DataDir,
    id: &InstanceId,
    lanes: &[Lane],
    token: &str,
    cgroups: Option<&Cgroups>,
) -> bool {
    let mut is_clean = true;
    for &lane in lanes {
        let token = lane.token(token);
        let family = Family { id, lane, token: &token, cgroups };
        let records = lane.records(data, id);
        is_clean &= match Process::adopt(&records) {
            Some(process) => process.stop(None, Place { records: &records, family: &family }, &[]).await,
            None => family.end(&[]).await,
        };
    }
    is_clean
}
