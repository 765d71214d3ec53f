//! A release that starts beside the former one (`update.strategy: start-first`): a second supervisor in the instance's
//! other place. The first one serves on and watches it. Once the new release is healthy, the first one stops what it
//! runs, and the second is the instance from then on.

use std::time::Duration;

use proto::v1::{InstanceReport, Phase};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::content::Candidate;
use crate::decide::Goal;
use crate::fault;
use crate::supervisor::{FAILED_GRACE, Supervisor};

/// How long what is healthy by the ledger may take to tell so.
const TELLS: Duration = Duration::from_secs(1);

/// What a supervisor is to its instance.
pub enum Stand {
    Leads,
    Beside { told: watch::Sender<InstanceReport>, orders: watch::Receiver<Order> },
}

/// What the one that leads asks of the one beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Try,
    Lead,
    End,
}

/// The one beside, as the one that leads sees it.
pub struct Beside {
    pub told: watch::Receiver<InstanceReport>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Sees to it that somebody tries this candidate in the other place, or nobody.
    pub(super) async fn stand_beside(&mut self, candidate: Option<&Candidate>) {
        match candidate {
            None => self.end_beside().await,
            // The one that is there follows the wish by itself.
            Some(_) if self.beside.is_some() => {}
            Some(_) => self.send_beside(),
        }
    }

    /// Also takes over what an earlier agent left there.
    pub(super) fn send_beside(&mut self) {
        let (told, telling) = watch::channel(InstanceReport::default());
        let (orders, ordered) = watch::channel(Order::Try);
        let stand = Stand::Beside { told, orders: ordered };
        let lane = self.lane.other();
        let other = Self::new(self.agent.clone(), self.id.clone(), lane, self.wish.clone(), stand);
        // Boxed, as it is of the kind that is just being written down.
        let run: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(other.run());
        self.beside = Some(Beside { told: telling, orders, task: tokio::spawn(run) });
    }

    pub(super) async fn end_beside(&mut self) {
        let Some(beside) = self.beside.take() else { return };
        beside.orders.send_replace(Order::End);
        if let Err(error) = beside.task.await {
            tracing::error!(instance = %self.id, %error, "what stood beside it did not end well");
        }
    }

    /// Whether what stands beside is what was healthy last, and wished for.
    pub(super) fn is_overtaken(&self, goal: &Goal) -> bool {
        let Goal::Run { candidate, .. } = goal else { return false };
        let settled = self.memory.settled.as_ref().map(|settled| settled.content);
        let running = self.running.as_ref().and_then(|running| running.body.content());
        self.beside.is_some() && settled == Some(candidate.content) && running != settled
    }

    /// The other one serves: first everybody hears where, then what runs here is stopped.
    pub(super) async fn hand_over(&mut self) {
        let Some(mut beside) = self.beside.take() else { return };
        fault::point("handover.before");
        let healthy = beside.told.wait_for(|told| told.phase() == Phase::Running);
        if let Ok(Ok(report)) = timeout(TELLS, healthy).await {
            let pids = vec![report.pid];
            self.agent.board.set(report.clone(), pids);
        }
        self.stop(None).await;
        fault::point("handover.stopped");
        beside.orders.send_replace(Order::Lead);
    }

    /// True when it has come to its end.
    pub(super) async fn obey(&mut self) -> bool {
        let Stand::Beside { orders, .. } = &mut self.stand else { return false };
        let order = *orders.borrow_and_update();
        match order {
            Order::Try => false,
            Order::Lead => {
                self.stand = Stand::Leads;
                false
            }
            Order::End => {
                self.preparing = None;
                self.stop(Some(FAILED_GRACE)).await;
                self.agent.family(&self.id, self.lane).end(&[]).await;
                true
            }
        }
    }

    pub(super) fn is_leading(&self) -> bool {
        matches!(self.stand, Stand::Leads)
    }

    /// To everybody, or to the one that leads.
    pub(super) fn tell(&self, report: InstanceReport) {
        match &self.stand {
            Stand::Leads => {
                let pids = self.running.as_ref().map(|running| running.body.pids());
                self.agent.board.set(report, pids.unwrap_or_default());
            }
            Stand::Beside { told, .. } => {
                told.send_if_modified(|known| std::mem::replace(known, report.clone()) != report);
            }
        }
    }
}

impl Beside {
    /// How far it has come, in the words of the instance.
    pub fn phase(&self) -> (Phase, String) {
        let told = self.told.borrow();
        let phase = match told.phase() {
            phase @ (Phase::Waiting | Phase::Installing | Phase::Backoff) => phase,
            _ => Phase::Starting,
        };
        let version = told.release.as_ref().map_or("the new release", |release| &release.version);
        let message = if told.message.is_empty() { "has just begun" } else { &told.message };
        (phase, format!("{version} starts beside what serves: {message}"))
    }
}

/// The next word of the one beside.
pub async fn told(beside: Option<&mut Beside>) {
    if let Some(beside) = beside
        && beside.told.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// The next order of the one that leads.
pub async fn ordered(stand: &mut Stand) {
    if let Stand::Beside { orders, .. } = stand
        && orders.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
