//! The agent's port by way of SSH, for nodes behind NAT or a firewall; and how SSH starts an agent.

use std::pin::Pin;

use ring::digest::{SHA256, digest};

use crate::agents::AgentError;
use crate::domain::node::{NodeRecord, Supervisor};
use crate::ssh::shell::quote;
use crate::ssh::{ByteStream, Contact, Host, HostError};

/// The agent's systemd unit. On this machine each coordinator's folder may have an agent of its own.
pub fn unit(node: &NodeRecord) -> String {
    match node.contact {
        Contact::Ssh { .. } => "orchestrator-agent.service".to_owned(),
        Contact::Local => {
            let digest = digest(&SHA256, node.data_dir.as_os_str().as_encoded_bytes());
            let place: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("orchestrator-agent-at-{place}.service")
        }
    }
}

/// The agent's binary in its folder on the node, run as the agent's user.
pub fn agent_command(node: &NodeRecord, words: &str) -> String {
    let data_dir = node.data_dir.to_string_lossy();
    let sudo = if node.sudo { "sudo -n " } else { "" };
    let binary = quote(&format!("{data_dir}/bin/node-agent"));
    format!("{sudo}{binary} {words} --data-dir {}", quote(&data_dir))
}

/// Starts the agent unless it runs, and prints where it listens. To be run as the agent's user.
pub fn start_script(node: &NodeRecord) -> String {
    let data_dir = quote(&node.data_dir.to_string_lossy());
    let listen = quote(&node.install.listen);
    match node.install.supervisor {
        Supervisor::Systemd => format!(
            "set -e; cd {data_dir}; if ! systemctl is-active -q {unit}; then rm -f agent.addr; \
             systemctl start {unit}; n=0; while [ ! -s agent.addr ]; do n=$((n+1)); \
             if [ $n -gt 100 ]; then journalctl -u {unit} -n 5 --no-pager -o cat >&2; exit 1; fi; \
             sleep 0.05 2>/dev/null || sleep 1; done; fi; cat agent.addr",
            unit = unit(node),
        ),
        Supervisor::Cron | Supervisor::Contact => {
            format!("{data_dir}/bin/node-agent start --listen {listen} --data-dir {data_dir} </dev/null")
        }
    }
}

/// The script as the agent's user would run it.
pub fn as_agent_user(node: &NodeRecord, script: &str) -> String {
    if node.sudo { format!("sudo -n sh -c {}", quote(script)) } else { script.to_owned() }
}

/// Starts the agent unless it runs, and connects with its port: all in one round trip.
pub async fn open(node: &NodeRecord, host: &dyn Host) -> Result<Pin<Box<dyn ByteStream>>, AgentError> {
    let start = start_script(node);
    let proxy = agent_command(&NodeRecord { sudo: false, ..node.clone() }, "proxy");
    let script = format!("( {start} ) >/dev/null </dev/null && exec {proxy}");
    host.open(&as_agent_user(node, &script)).await.map_err(|cause| no_way(node, cause))
}

/// Starts the agent unless it runs.
pub async fn start(node: &NodeRecord, host: &dyn Host) -> Result<(), AgentError> {
    let script = as_agent_user(node, &start_script(node));
    let output = host.run(&script, b"").await.map_err(|cause| no_way(node, cause))?;
    output
        .checked(host, "starting the agent")
        .map_err(|cause| AgentError::Start { node: node.name.clone(), cause: Box::new(cause) })?;
    Ok(())
}

fn no_way(node: &NodeRecord, cause: HostError) -> AgentError {
    let cause = Box::new(cause);
    AgentError::NoWay { node: node.name.clone(), address: node.address.clone(), cause }
}
