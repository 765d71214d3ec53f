//! Where the sandboxes of this agent come in. Until they do, none is offered, and what needs one is refused.
#![expect(dead_code, reason = "nothing can be started yet, and what is asked for is not looked at")]

use crate::runtime::reaper::Exit;
use plan::sandbox::{Offer, Sandbox};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::net::unix::pipe;

#[derive(Debug, Clone)]
pub struct Confined {
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub stdin: Vec<u8>,
    pub dir: Option<PathBuf>,
    pub writable: Vec<PathBuf>,
    pub sandbox: Sandbox,
    pub caps: Caps,
}
#[derive(Debug, Clone, Copy, Default)]
pub struct Caps {}
#[derive(Debug, thiserror::Error)]
#[error("this agent has no sandboxes")]
pub struct SandboxError;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Memory,
    Scratch,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    pub exit: Exit,
    pub over: Option<Over>,
    pub is_stuck: bool,
}
pub struct Child {
    output: Option<(pipe::Receiver, pipe::Receiver)>,
}
impl Child {
    pub fn take_output(&mut self) -> Option<(pipe::Receiver, pipe::Receiver)> {
        self.output.take()
    }
    pub async fn wait(&mut self) -> Ended {
        Ended { exit: Exit::Unknown, over: None, is_stuck: false }
    }
    pub async fn kill_tree(&mut self) -> Ended {
        self.wait().await
    }
}
pub struct Sandboxes;
impl Sandboxes {
    pub fn new(_: PathBuf, _: String) -> Self {
        Self
    }
    pub async fn probe(&self) {}
    pub async fn offer(&self) -> Offer {
        Offer::default()
    }
    pub async fn spawn(&self, _: &Confined) -> Result<Child, SandboxError> {
        Err(SandboxError)
    }
}
