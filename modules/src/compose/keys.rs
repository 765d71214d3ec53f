//! The keys a service may have, and what becomes of those that are not carried out.

use super::log::Log;
use super::read::Spot;

/// Read by `service.rs` and its neighbours.
pub const READ: [&str; 55] = [
    "build",
    "cap_add",
    "cap_drop",
    "command",
    "configs",
    "container_name",
    "cpu_count",
    "cpus",
    "depends_on",
    "deploy",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "entrypoint",
    "env_file",
    "environment",
    "expose",
    "extends",
    "extra_hosts",
    "gpus",
    "group_add",
    "healthcheck",
    "hostname",
    "image",
    "init",
    "ipc",
    "labels",
    "links",
    "mem_limit",
    "mem_reservation",
    "network_mode",
    "networks",
    "pid",
    "pids_limit",
    "platform",
    "ports",
    "privileged",
    "profiles",
    "read_only",
    "restart",
    "runtime",
    "scale",
    "secrets",
    "security_opt",
    "shm_size",
    "stdin_open",
    "stop_grace_period",
    "stop_signal",
    "sysctls",
    "tmpfs",
    "tty",
    "ulimits",
    "user",
    "volumes",
];
/// Read, and dealt with here.
const WORKING_DIR: &str = "working_dir";

/// The services work without these.
const IGNORED: [(&str, &str); 22] = [
    ("annotations", "has no effect"),
    ("attach", "has no effect: output goes to the logs"),
    ("blkio_config", "is not limited"),
    ("cpu_percent", "is for Windows"),
    ("cpu_period", "is not applied; deploy.resources.limits.cpus is"),
    ("cpu_quota", "is not applied; deploy.resources.limits.cpus is"),
    ("cpu_rt_period", "is not applied"),
    ("cpu_rt_runtime", "is not applied"),
    ("cpu_shares", "is not applied; deploy.resources.limits.cpus is"),
    ("cpuset", "is not applied; deploy.resources.limits.cpus is"),
    ("develop", "is for developing"),
    ("domainname", "is not applied"),
    ("label_file", "has no effect"),
    ("logging", "is not applied: the node keeps the logs, see `orchestrator logs`"),
    ("mac_address", "is not applied"),
    ("mem_swappiness", "is not applied"),
    ("memswap_limit", "is not applied"),
    ("oom_kill_disable", "is not applied"),
    ("oom_score_adj", "is not applied"),
    ("pull_policy", "is not applied: an image is pulled when the node lacks it"),
    ("storage_opt", "is not applied"),
    ("volume_driver", "is not applied"),
];

/// The services would not be what the file says without these.
const REFUSED: [(&str, &str); 16] = [
    ("cgroup", "containers in the node's own control group are not supported"),
    ("cgroup_parent", "the control group is the runtime's choice"),
    ("credential_spec", "is for Windows"),
    ("device_cgroup_rules", "name the devices in `devices` instead"),
    ("external_links", "containers outside the module cannot be linked; use `depends` in MODULE.yaml"),
    ("isolation", "is for Windows"),
    ("mem_swap", "is not part of the compose format"),
    ("models", "models are not supported; run a model server as a service"),
    ("post_start", "hooks are not supported; use an entrypoint"),
    ("pre_stop", "hooks are not supported; use an entrypoint"),
    ("provider", "providers are not supported; a service needs an image"),
    ("use_api_socket", "the runtime's socket is not handed out"),
    ("userns_mode", "user namespaces are the runtime's choice"),
    ("uts", "the node's host name is not shared"),
    ("volumes_from", "name the volumes in each service instead"),
    ("net", "write network_mode"),
];

/// Reports the keys of a service that nobody reads.
pub fn check(spot: &Spot<'_>, log: &mut Log) {
    let Some(entries) = spot.node.entries() else { return };
    for entry in entries {
        let key = entry.key.as_str();
        if READ.contains(&key) || key == WORKING_DIR {
            continue;
        }
        let path = crate::spec::yaml::join(&spot.path, key);
        let why =
            |list: &[(&str, &'static str)]| list.iter().find(|(name, _)| *name == key).map(|(_, why)| *why);
        if let Some(why) = why(&IGNORED) {
            log.ignored(entry.at, &path, why);
        } else if let Some(why) = why(&REFUSED) {
            log.wrong(
                entry.at,
                &path,
                format!("{key:?}"),
                "only what can be carried out",
                Some(why.to_owned()),
            );
        } else {
            let known: Vec<&str> = READ.into_iter().chain([WORKING_DIR]).collect();
            log.unknown(entry, &spot.path, &known);
        }
    }
}
