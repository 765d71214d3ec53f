//! The coordinator: command line, control plane, store, scheduler and SSH.
//!
//! Arrows: `cli, rpc → fleet → {domain, store, ssh, agents}`. `domain` is pure; only `app` names concrete backends.

pub mod agents;
pub mod app;
pub mod blobs;
pub mod cli;
pub mod clock;
pub mod config;
mod data_folder;
pub mod domain;
mod fault;
pub mod fleet;
pub mod rpc;
pub mod sources;
pub mod ssh;
pub mod store;
