//! Ctrl-C, and a polite `kill`: the first ends the command cleanly, the second at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::problem::INTERRUPTED;

/// From here on Ctrl-C does not kill the process; whoever holds this must watch it.
#[derive(Debug, Clone)]
pub struct Interrupt {
    pressed: CancellationToken,
}

impl Interrupt {
    pub fn listen() -> Self {
        let pressed = CancellationToken::new();
        tokio::spawn(watch(pressed.clone()));
        Self { pressed }
    }

    pub async fn pressed(&self) {
        self.pressed.cancelled().await;
    }

    pub fn token(&self) -> CancellationToken {
        self.pressed.clone()
    }
}

async fn watch(pressed: CancellationToken) {
    let mut terminate = signal(SignalKind::terminate()).ok();
    loop {
        tokio::select! {
            ended = tokio::signal::ctrl_c() => if ended.is_err() { return },
            () = received(&mut terminate) => {}
        }
        if pressed.is_cancelled() {
            std::process::exit(i32::from(INTERRUPTED));
        }
        pressed.cancel();
    }
}

/// Never, where the signal could not be asked for.
async fn received(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}
