//! The end-to-end tests: everything here runs on real hosts with real sshd, etcd and binaries.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod actions;
mod ask;
mod ask_again;
mod bad_input;
mod catalog;
mod catalog_servers;
mod changes;
mod compose;
mod containers;
mod depends;
mod engines;
mod exclusive;
mod fleet;
mod imported;
mod kills;
mod offline;
mod own_model;
mod pi;
mod plans;
mod spine;
mod start_first;
mod systemd;
mod units;
mod upgrade;
