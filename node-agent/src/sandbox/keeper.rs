//! Keeps one program until nothing of it is left: watches what it uses, ends it when it is told to or its cap is
//! passed, then clears away.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval_at, sleep};

use crate::clock;
use crate::runtime::reaper::Exit;
use crate::sandbox::egress::{self, Egress};
use crate::sandbox::prepare::Place;
use crate::sandbox::scratch::Scratch;
use crate::sandbox::tree::Tree;
use crate::sandbox::{Caps, Ended, Over};

const WATCH: Duration = Duration::from_millis(50);
/// The scratch folder, and whose pid is whose, are looked at each so many rounds of the watch.
const SLOW: u32 = 10;
/// How long what was killed may take to be gone. On a busy machine the dying wait for the processor, too.
const DYING: Duration = Duration::from_secs(8);
/// Between two looks, the first and the longest.
const SOON: Duration = Duration::from_millis(3);
const LATER: Duration = Duration::from_millis(50);

pub struct Kept {
    pub place: Place,
    pub pid: i32,
    pub exit: oneshot::Receiver<Exit>,
    pub caps: Caps,
    /// The port inside, and whom it leads to.
    pub way_out: Option<(TcpListener, Egress)>,
}

impl Kept {
    /// Ends, and says so, when all of the program has ended.
    pub async fn keep(self, killed: oneshot::Receiver<()>, sender: oneshot::Sender<Ended>) {
        let Self { place, pid, mut exit, caps, way_out } = self;
        let mark = place.mark.clone();
        let mut tree = Tree::new(pid, place.account.as_ref(), place.cgroup.as_ref(), &mark);
        let over = tokio::select! {
            over = watch(&mut tree, &place, &caps) => Some(over),
            () = let_out(way_out) => None,
            _ = killed => None,
            found = &mut exit => {
                // Its own receiver must not be asked twice.
                let (sent, again) = oneshot::channel();
                let _ = sent.send(found.unwrap_or(Exit::Unknown));
                exit = again;
                None
            }
        };
        let is_stuck = !end(&mut tree).await;
        let over = over.or_else(|| place.was_out_of_memory().then_some(Over::Memory));
        let exit = if is_stuck { Exit::Unknown } else { exit.await.unwrap_or(Exit::Unknown) };
        drop(tree);
        place.clear(is_stuck).await;
        // Whoever started it may have lost interest.
        let _ = sender.send(Ended { exit, over, is_stuck });
    }
}

/// Never returns.
async fn let_out(way_out: Option<(TcpListener, Egress)>) {
    if let Some((listener, egress)) = way_out {
        egress::serve(listener, Arc::new(egress)).await;
    }
    std::future::pending().await
}

/// Returns only when a cap is passed.
async fn watch(tree: &mut Tree<'_>, place: &Place, caps: &Caps) -> Over {
    let mut ticks = interval_at(clock::now() + WATCH, WATCH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 1u32.. {
        ticks.tick().await;
        if tree.resident() > caps.memory_bytes {
            return Over::Memory;
        }
        if round.is_multiple_of(SLOW) {
            tree.look_anew();
            let (path, most) = (place.scratch.0.clone(), caps.scratch_bytes);
            let looked = tokio::task::spawn_blocking(move || Scratch::is_over(&path, most));
            if looked.await.unwrap_or(false) {
                return Over::Scratch;
            }
        }
    }
    std::future::pending().await
}

/// Several rounds, as the dying take a moment. False when something hangs in the kernel.
async fn end(tree: &mut Tree<'_>) -> bool {
    let deadline = clock::now() + DYING;
    let mut pause = SOON;
    loop {
        if tree.kill().await {
            return true;
        }
        if clock::now() > deadline {
            return false;
        }
        sleep(pause).await;
        pause = (pause * 5 / 4).min(LATER);
    }
}
