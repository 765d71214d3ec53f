//! Ctrl-C: the first ends the command politely, the second at once.

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
        let token = pressed.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if token.is_cancelled() {
                    std::process::exit(i32::from(INTERRUPTED));
                }
                token.cancel();
            }
        });
        Self { pressed }
    }

    pub async fn pressed(&self) {
        self.pressed.cancelled().await;
    }
}
