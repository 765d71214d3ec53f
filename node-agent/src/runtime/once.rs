//! Running a command to its end: install steps, checks, exec. Killed as a group when its time is over or when
//! nobody waits for it any more.

use std::time::Duration;

use crate::runtime::kill;
use crate::runtime::reaper::Exit;
use crate::runtime::spawn::{self, Child, Launch, SpawnError};

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("took longer than {0:?}")]
    TimedOut(Duration),
    #[error("{0}")]
    Exit(Exit),
}

/// A command that runs. Dropping it kills its process group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    is_done: bool,
}

impl Running {
    /// # Errors
    /// When it cannot be started.
    pub fn start(launch: &Launch) -> Result<Self, SpawnError> {
        let child = spawn::launch(launch, |_| Ok(()))?;
        Ok(Self { child, is_done: false })
    }

    /// Its end; what it left behind in its group is killed.
    pub async fn exited(&mut self) -> Exit {
        let exit = (&mut self.child.exit).await.unwrap_or(Exit::Unknown);
        kill::signal_group(self.child.pid, libc::SIGKILL);
        self.is_done = true;
        exit
    }

    /// Leaves it to itself from now on.
    pub fn release(&mut self) {
        self.is_done = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.is_done {
            kill::signal_group(self.child.pid, libc::SIGKILL);
        }
    }
}
