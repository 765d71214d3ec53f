//! Tells whoever asked how a change is coming along. Nobody listening never stops the work.

use std::sync::{Arc, Mutex};

use proto::v1;
use proto::v1::deploy_event::{Event, InstanceChange, Note, Transfer};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::FleetError;

/// The listener's end of one request. A listener that does not keep up misses progress, never the result.
#[derive(Clone, Default)]
pub struct Progress {
    listener: Option<Sender<Result<v1::DeployEvent, FleetError>>>,
    moved: Arc<Mutex<Option<Instant>>>,
}

impl Progress {
    pub fn to(listener: Sender<Result<v1::DeployEvent, FleetError>>) -> Self {
        Self { listener: Some(listener), moved: Arc::default() }
    }

    /// For the reconcile loop, which nobody watches.
    pub fn unheard() -> Self {
        Self::default()
    }

    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note(Note { text: text.into() }));
    }

    pub fn transfer(&self, node: &str, sent_bytes: u64, total_bytes: u64) {
        if total_bytes > 0 && self.listener.is_some() {
            *self.moved.lock().expect("no panic while held") = Some(Instant::now());
        }
        self.tell(Event::Transfer(Transfer { node: node.to_owned(), sent_bytes, total_bytes }));
    }

    /// When a node last took a piece of a package for this change, that somebody waits for.
    pub fn last_moved(&self) -> Option<Instant> {
        *self.moved.lock().expect("no panic while held")
    }

    pub fn instance(&self, node: &str, report: &v1::InstanceReport) {
        let change = InstanceChange { node: node.to_owned(), report: Some(report.clone()) };
        self.tell(Event::Instance(change));
    }

    pub fn plan(&self, plan: v1::deploy_event::Plan) {
        self.tell(Event::Plan(plan));
    }

    fn tell(&self, event: Event) {
        if let Some(listener) = &self.listener {
            // Full or gone: the work does not wait for its audience.
            let _ = listener.try_send(Ok(v1::DeployEvent { event: Some(event) }));
        }
    }
}
