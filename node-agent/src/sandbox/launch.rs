//! The agent's side of the start: the child waits at a gate until it is in its place.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use crate::runtime::reaper::{self, Exit};
use crate::runtime::spawn;
use crate::sandbox::SandboxError;
use crate::sandbox::child::{self, Orders, Stage};
use crate::sandbox::prepare::Place;

pub struct Started {
    pub pid: i32,
    pub exit: oneshot::Receiver<Exit>,
}

/// What the orders need from the one who launches them: the child's ends of the gate and of the line for errors.
pub struct Line {
    pub gate: OwnedFd,
    pub errors: OwnedFd,
    opener: OwnedFd,
    said: OwnedFd,
}

impl Line {
    /// # Errors
    /// When the agent has no descriptors left.
    pub fn open() -> io::Result<Self> {
        let (gate, opener) = spawn::pipe()?;
        let (said, errors) = spawn::pipe()?;
        Ok(Self { gate, errors, opener, said })
    }

    /// Splits off the agent's ends.
    pub fn split(self) -> (OwnedFd, OwnedFd, Ends) {
        (self.gate, self.errors, Ends { opener: self.opener, said: self.said })
    }
}

/// The agent's ends.
pub struct Ends {
    opener: OwnedFd,
    said: OwnedFd,
}

/// Starts the child; it has begun its program when this returns.
///
/// # Errors
/// When it could not be confined or executed. Nothing runs then.
pub fn launch(orders: (Orders, Ends), place: &Place) -> Result<Started, SandboxError> {
    let system = |action| move |cause| SandboxError::System { action, cause };
    let (orders, ends) = orders;
    let fork = |folder: Option<&OwnedFd>| reaper::register(|| child::fork(&orders, &ends.opener, folder));
    let (pid, exit) = match place.birthplace().and_then(|birthplace| birthplace.bear(fork).ok()) {
        Some(born) => born,
        None => {
            let (pid, exit) = fork(None).map_err(system("fork"))?;
            // Where this fails the opener goes, and with it the child.
            place.admit(pid).map_err(system("make a cgroup"))?;
            (pid, exit)
        }
    };
    drop(orders);
    spawn::open_gate(ends.opener).map_err(system("start the child"))?;
    match error(ends.said) {
        None => Ok(Started { pid, exit }),
        Some((stage, cause)) => Err(SandboxError::Child { stage, cause }),
    }
}

/// What the child says before its exec closes the pipe: nothing when all is well.
fn error(said: OwnedFd) -> Option<(Stage, io::Error)> {
    let mut message = [0; 5];
    File::from(said).read_exact(&mut message).ok()?;
    let [stage, errno @ ..] = message;
    let cause = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
    Some((Stage::from_byte(stage).unwrap_or(Stage::Exec), cause))
}
