//! How an instance is executed: as a process, in containers, or as a unit of systemd. All are started so that they outlive the agent,
//! found again after it was killed, and stopped with everything they ever started.

pub mod account;
pub mod body;
pub mod cgroup;
pub mod engine;
pub mod group;
pub mod images;
pub mod kill;
pub mod once;
pub mod process;
pub mod procfs;
pub mod reaper;
pub mod record;
mod sock_diag;
pub mod spawn;
pub mod unit;
