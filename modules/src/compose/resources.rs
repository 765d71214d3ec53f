//! Limits of a service: `deploy`, `mem_limit`, `cpus`, `ulimits`, and how it is restarted and checked.

use std::collections::BTreeMap;

use super::log::Log;
use super::model::{Healthcheck, Resources, Restart, Service, Test, Ulimit};
use super::node::{Value, shortened};
use super::read::{Spot, ignore};

const DEPLOY: [&str; 9] = [
    "resources",
    "replicas",
    "restart_policy",
    "placement",
    "update_config",
    "rollback_config",
    "labels",
    "mode",
    "endpoint_mode",
];

/// What `deploy` and the older keys say.
pub fn read(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    service.resources = Resources {
        memory: spot.get("mem_limit", log).and_then(|spot| log.size(&spot)).filter(|size| *size > 0),
        memory_reservation: spot.get("mem_reservation", log).and_then(|spot| log.size(&spot)),
        cpus: spot.get("cpus", log).and_then(|spot| cpus(&spot, log)),
        pids: spot.get("pids_limit", log).and_then(|spot| pids(&spot, log)),
        shm: spot.get("shm_size", log).and_then(|spot| log.size(&spot)),
    };
    service.replicas = spot.get("scale", log).and_then(|spot| replicas(&spot, log));
    if let Some(deploy) = spot.get("deploy", log) {
        read_deploy(&deploy, service, log);
    }
}

fn read_deploy(deploy: &Spot<'_>, service: &mut Service, log: &mut Log) {
    log.map(deploy, &DEPLOY);
    let of_swarms = ["placement", "update_config", "rollback_config", "labels", "mode", "endpoint_mode"];
    ignore(deploy, &of_swarms, "is for swarms; the fleet places and updates deployments", log);
    service.replicas = deploy.get("replicas", log).and_then(|spot| replicas(&spot, log)).or(service.replicas);
    if let Some(policy) = deploy.get("restart_policy", log)
        && service.restart == Restart::No
    {
        service.restart = restart_policy(&policy, log);
    }
    let Some(resources) = deploy.get("resources", log) else { return };
    log.map(&resources, &["limits", "reservations"]);
    if let Some(limits) = resources.get("limits", log) {
        log.map(&limits, &["cpus", "memory", "pids"]);
        let found = &mut service.resources;
        found.cpus = limits.get("cpus", log).and_then(|spot| cpus(&spot, log)).or(found.cpus);
        found.memory = limits.get("memory", log).and_then(|spot| log.size(&spot)).or(found.memory);
        found.pids = limits.get("pids", log).and_then(|spot| pids(&spot, log)).or(found.pids);
    }
    if let Some(reservations) = resources.get("reservations", log) {
        log.map(&reservations, &["cpus", "memory", "devices", "generic_resources"]);
        let memory = reservations.get("memory", log).and_then(|spot| log.size(&spot));
        service.resources.memory_reservation = memory.or(service.resources.memory_reservation);
        let why = "is not reserved; `requires` in MODULE.yaml is";
        ignore(&reservations, &["cpus", "generic_resources"], why, log);
        if let Some(devices) = reservations.get("devices", log) {
            gpus(&devices, service, log);
        }
    }
}

/// `gpus` or a reservation of devices.
pub fn gpus(spot: &Spot<'_>, service: &mut Service, log: &mut Log) {
    service.gpus = true;
    let expected = "services without reserved GPUs";
    let hint = Some("name the devices in `devices`, such as /dev/dri".to_owned());
    log.wrong(spot.at(), &spot.path, "a reserved GPU", expected, hint);
}

/// How many containers of a service may run in one instance.
const MAX_REPLICAS: u32 = 32;

fn replicas(spot: &Spot<'_>, log: &mut Log) -> Option<u32> {
    let count = log.number::<u32>(spot, "a whole number")?;
    if count == 0 {
        let hint = Some("give the service a profile to switch it off".to_owned());
        log.wrong(spot.at(), &spot.path, "0 replicas", "at least 1", hint);
        return None;
    }
    if count > MAX_REPLICAS {
        let hint = Some("more of all services: `orchestrator deploy --count`".to_owned());
        log.wrong(
            spot.at(),
            &spot.path,
            format!("{count} replicas"),
            format!("at most {MAX_REPLICAS}"),
            hint,
        );
        return None;
    }
    Some(count)
}

fn cpus(spot: &Spot<'_>, log: &mut Log) -> Option<f64> {
    let fits = |cpus: &f64| cpus.is_finite() && *cpus >= 0.0 && *cpus <= 4096.0;
    let cpus = log.parsed(spot, "a number of cores such as 1.5", |text| {
        text.parse().ok().filter(fits).ok_or_else(String::new)
    });
    cpus.filter(|cpus| *cpus > 0.0)
}

fn pids(spot: &Spot<'_>, log: &mut Log) -> Option<u32> {
    let count = log.number::<i64>(spot, "a whole number, or -1 for no limit")?;
    u32::try_from(count).ok().filter(|count| *count > 0)
}

pub fn restart(spot: &Spot<'_>, log: &mut Log) -> Restart {
    let restart = log.parsed(spot, "one of no, always, on-failure, on-failure:5, unless-stopped", |text| {
        match text.split_once(':').unwrap_or((text, "")) {
            ("no" | "false" | "off", "") => Ok(Restart::No),
            ("always", "") => Ok(Restart::Always),
            ("unless-stopped", "") => Ok(Restart::UnlessStopped),
            ("on-failure", "") => Ok(Restart::OnFailure { most: None }),
            ("on-failure", most) => {
                let most = most.parse().map_err(|_| "the number of attempts is a whole number".to_owned())?;
                Ok(Restart::OnFailure { most: Some(most) })
            }
            (other, _) => {
                let known = ["no", "always", "on-failure", "unless-stopped"];
                let hint = crate::suggest::closest(other, known);
                Err(hint.map(|known| format!("did you mean {known:?}?")).unwrap_or_default())
            }
        }
    });
    if let Some(Restart::OnFailure { most: Some(_) }) = restart {
        log.ignored(spot.at(), &spot.path, ATTEMPTS);
    }
    restart.unwrap_or_default()
}

const ATTEMPTS: &str =
    "the number of attempts is not applied: pauses grow, and the update's health deadline decides";

fn restart_policy(spot: &Spot<'_>, log: &mut Log) -> Restart {
    log.map(spot, &["condition", "delay", "max_attempts", "window"]);
    ignore(spot, &["delay", "window"], "is not applied: pauses grow by themselves", log);
    ignore(spot, &["max_attempts"], ATTEMPTS, log);
    let most = spot.get("max_attempts", log).and_then(|spot| log.number::<u32>(&spot, "a whole number"));
    let condition = spot.get("condition", log);
    let condition = condition.and_then(|spot| {
        log.parsed(&spot, "one of none, on-failure, any", |text| match text {
            "none" => Ok(Restart::No),
            "on-failure" => Ok(Restart::OnFailure { most }),
            "any" => Ok(Restart::Always),
            _ => Err(String::new()),
        })
    });
    condition.unwrap_or(Restart::Always)
}

pub fn ulimits(spot: &Spot<'_>, log: &mut Log) -> BTreeMap<String, Ulimit> {
    let mut ulimits = BTreeMap::new();
    for entry in log.any_map(spot) {
        let below = spot.below(entry, log);
        let limit = match entry.value.value {
            Value::Map(_) => {
                log.map(&below, &["soft", "hard"]);
                let soft = below.get("soft", log).and_then(|spot| ulimit(&spot, log));
                let hard = below.get("hard", log).and_then(|spot| ulimit(&spot, log));
                soft.or(hard).map(|soft| Ulimit { soft, hard: hard.unwrap_or(soft) })
            }
            Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::List(_) => {
                ulimit(&below, log).map(|limit| Ulimit { soft: limit, hard: limit })
            }
        };
        if let Some(limit) = limit {
            ulimits.insert(entry.key.clone(), limit);
        }
    }
    ulimits
}

fn ulimit(spot: &Spot<'_>, log: &mut Log) -> Option<i64> {
    log.parsed(spot, "a whole number, or -1 for no limit", |text| match text {
        "unlimited" | "infinity" => Ok(-1),
        text => text.parse().ok().filter(|limit| *limit >= -1).ok_or_else(String::new),
    })
}

const HEALTHCHECK: [&str; 7] =
    ["test", "disable", "interval", "timeout", "retries", "start_period", "start_interval"];

pub fn healthcheck(spot: &Spot<'_>, log: &mut Log) -> Option<Healthcheck> {
    log.map(spot, &HEALTHCHECK);
    spot.node.entries()?;
    let is_disabled = spot.get("disable", log).and_then(|spot| log.flag(&spot)).unwrap_or_default();
    let test = spot.get("test", log).and_then(|spot| test(&spot, log)).unwrap_or_default();
    if let Some(interval) = spot.get("start_interval", log) {
        log.ignored(interval.at(), &interval.path, "is not applied; `interval` is");
    }
    Some(Healthcheck {
        test: if is_disabled { Test::Disabled } else { test },
        interval: spot.get("interval", log).and_then(|spot| log.duration(&spot)),
        timeout: spot.get("timeout", log).and_then(|spot| log.duration(&spot)),
        retries: spot.get("retries", log).and_then(|spot| log.number(&spot, "a whole number")),
        start_period: spot.get("start_period", log).and_then(|spot| log.duration(&spot)),
    })
}

/// `[CMD, …]`, `[CMD-SHELL, …]`, `[NONE]`, or a text for the shell.
fn test(spot: &Spot<'_>, log: &mut Log) -> Option<Test> {
    if let Some(text) = spot.node.text() {
        return Some(if text == "NONE" { Test::Disabled } else { Test::Shell(text.to_owned()) });
    }
    let items = log.list(spot);
    let words: Vec<String> = items.iter().filter_map(|item| log.text(item)).collect();
    match words.split_first() {
        Some((kind, [])) if kind == "NONE" => Some(Test::Disabled),
        Some((kind, words)) if kind == "CMD" && !words.is_empty() => Some(Test::Exec(words.to_vec())),
        Some((kind, words)) if kind == "CMD-SHELL" && !words.is_empty() => Some(Test::Shell(words.join(" "))),
        Some((kind, _)) => {
            let found = format!("a list that begins with {:?}", shortened(kind));
            let hint = Some("write [CMD, …] or [CMD-SHELL, \"…\"]".to_owned());
            log.wrong(spot.at(), &spot.path, found, "CMD, CMD-SHELL or NONE, then the command", hint);
            None
        }
        None => {
            log.not(spot, "CMD, CMD-SHELL or NONE, then the command", None);
            None
        }
    }
}
