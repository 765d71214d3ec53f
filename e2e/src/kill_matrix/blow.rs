//! What can happen to a fleet in the middle of a deploy, and how it ends.

use anyhow::Result;

use crate::host::Host;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9` of the command line.
    KillCoordinator,
    /// `kill -9` of the agent; its supervisor lives.
    KillAgent,
    /// `kill -9` of the agent and of all its relatives but the instances.
    KillAgentAndSupervisor,
    /// All processes of the node are gone at once, and its line is dead.
    PowerLoss,
    /// Hardly anything can be written.
    DiskFull,
    /// Packets go nowhere.
    LinkCut,
}

impl Blow {
    pub const ALL: [Blow; 6] = [
        Blow::KillCoordinator,
        Blow::KillAgent,
        Blow::KillAgentAndSupervisor,
        Blow::PowerLoss,
        Blow::DiskFull,
        Blow::LinkCut,
    ];

    pub fn strike(self, host: &Host) -> Result<()> {
        match self {
            Blow::KillCoordinator => Ok(()),
            Blow::KillAgent => kill_agents(host, "node-agent run"),
            Blow::KillAgentAndSupervisor => kill_agents(host, "node-agent"),
            Blow::PowerLoss => host.power_off(),
            Blow::DiskFull => host.fill_disk_but(16 << 10),
            Blow::LinkCut => host.cut(),
        }
    }

    pub fn repair(self, host: &Host) -> Result<()> {
        match self {
            Blow::KillCoordinator | Blow::KillAgent | Blow::KillAgentAndSupervisor => Ok(()),
            Blow::PowerLoss => host.power_on(),
            Blow::DiskFull => host.free_disk(),
            Blow::LinkCut => host.heal(),
        }
    }
}

/// Kills the processes whose command line says so; there may be none at this moment.
fn kill_agents(host: &Host, pattern: &str) -> Result<()> {
    let is_meant = |command: &str| command.contains(pattern) && !command.starts_with("ps ");
    let pids = host.processes()?.into_iter().filter(|(_, command)| is_meant(command));
    let pids: Vec<_> = pids.map(|(pid, _)| pid.to_string()).collect();
    host.run(&format!("kill -9 {} 2>/dev/null || true", pids.join(" "))).map(drop)
}
