//! The agent's port by way of SSH, for nodes behind NAT or a firewall.

use std::pin::Pin;

use crate::agents::AgentError;
use crate::domain::node::{NodeRecord, Supervisor};
use crate::ssh::shell::quote;
use crate::ssh::{ByteStream, Host};

/// The agent's binary in its folder on the node, run as the agent's user.
pub fn agent_command(node: &NodeRecord, words: &str) -> String {
    let data_dir = node.data_dir.to_string_lossy();
    let sudo = if node.sudo { "sudo -n " } else { "" };
    let binary = quote(&format!("{data_dir}/bin/node-agent"));
    format!("{sudo}{binary} {words} --data-dir {}", quote(&data_dir))
}

/// Starts the agent unless it runs; the script says where it listens.
pub fn start_script(node: &NodeRecord) -> String {
    let sudo = if node.sudo { "sudo -n " } else { "" };
    let listen = quote(&node.install.listen);
    let start = agent_command(node, &format!("start --listen {listen}"));
    match node.install.supervisor {
        Supervisor::Systemd => format!("{sudo}systemctl start {UNIT} && {start}"),
        Supervisor::Cron | Supervisor::Contact => start,
    }
}

/// The agent's systemd unit.
pub const UNIT: &str = "orchestrator-agent.service";

/// Starts the agent unless it runs, and connects with its port: all in one round trip.
pub async fn open(node: &NodeRecord, host: &dyn Host) -> Result<Pin<Box<dyn ByteStream>>, AgentError> {
    let script =
        format!("{} >/dev/null </dev/null && exec {}", start_script(node), agent_command(node, "proxy"));
    host.open(&script).await.map_err(|cause| no_way(node, cause))
}

/// Starts the agent unless it runs.
pub async fn start(node: &NodeRecord, host: &dyn Host) -> Result<(), AgentError> {
    let output = host.run(&start_script(node), b"").await.map_err(|cause| no_way(node, cause))?;
    output
        .checked(host, "starting the agent")
        .map_err(|cause| AgentError::Start { node: node.name.clone(), cause })?;
    Ok(())
}

fn no_way(node: &NodeRecord, cause: crate::ssh::HostError) -> AgentError {
    AgentError::NoWay { node: node.name.clone(), address: node.address.clone(), cause }
}
