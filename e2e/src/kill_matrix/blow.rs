//! What can happen to a host in the middle of something, and how it ends.

use anyhow::Result;

use super::inventory;
use crate::host::Host;

/// One thing that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
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
    /// Every fifth packet is lost.
    LinkBad,
}

impl Blow {
    pub const ALL: [Blow; 6] = [
        Blow::KillAgent,
        Blow::KillAgentAndSupervisor,
        Blow::PowerLoss,
        Blow::DiskFull,
        Blow::LinkCut,
        Blow::LinkBad,
    ];

    pub fn strike(self, host: &Host) -> Result<()> {
        match self {
            Blow::KillAgent => kill(host, "node-agent run"),
            Blow::KillAgentAndSupervisor => kill(host, "node-agent"),
            Blow::PowerLoss => host.power_off(),
            Blow::DiskFull => host.fill_disk_but(16 << 10),
            Blow::LinkCut => host.cut(),
            Blow::LinkBad => host.drop_share(20),
        }
    }

    pub fn repair(self, host: &Host) -> Result<()> {
        match self {
            Blow::KillAgent | Blow::KillAgentAndSupervisor => Ok(()),
            Blow::PowerLoss => host.power_on(),
            Blow::DiskFull => host.free_disk(),
            Blow::LinkCut | Blow::LinkBad => host.heal(),
        }
    }
}

/// Kills the processes whose command line says so; there may be none at this moment.
fn kill(host: &Host, pattern: &str) -> Result<()> {
    for process in inventory::processes(host) {
        if process.command.contains(pattern) {
            // SAFETY: kill takes two integers.
            unsafe { libc::kill(process.pid as i32, libc::SIGKILL) };
        }
    }
    Ok(())
}
