//! Waiting for what happens next to an instance. Nothing here polls but the log's size, twice a second.

use std::future::{pending, ready};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::health;
use crate::runtime::body::{Body, End};
use crate::supervisor::{Running, Supervisor, Work, beside, prepare};

/// What woke the supervisor.
pub enum Event {
    /// The wish, the time, or the one beside: look again.
    Look,
    Prepared(Result<prepare::Progress, prepare::Trouble>),
    Ended(End),
    Probed(Result<(), String>),
    /// The trial's time is over.
    Ticked,
    /// Time to look at the log's size.
    Housekeeping,
}

impl Supervisor {
    pub(super) async fn next_event(&mut self) -> Event {
        self.begin_probe();
        let housekeeping = self.running.is_some().then_some(self.next_housekeeping);
        let tick = self.next_tick();
        let (pause, next_probe) = (self.pause, self.running.as_ref().and_then(Running::next_probe));
        let (body, probing) = match &mut self.running {
            Some(Running { body, probing, .. }) => (Some(body), probing.as_mut()),
            None => (None, None),
        };
        let (preparing, told) = match &mut self.preparing {
            Some(prepare::Preparing { work, told, .. }) => (Some(work), Some(told)),
            None => (None, None),
        };
        tokio::select! {
            biased;
            changed = self.wish.changed() => match changed {
                Ok(()) => Event::Look,
                Err(_) => pending().await,
            },
            end = ended(body) => Event::Ended(end),
            result = done(probing) => Event::Probed(result),
            result = done(preparing) => Event::Prepared(result),
            () = changed(told) => Event::Look,
            () = beside::told(self.beside.as_mut()) => Event::Look,
            () = beside::ordered(&mut self.stand) => Event::Look,
            () = until(tick) => Event::Ticked,
            () = until(next_probe) => Event::Look,
            () = until(pause) => Event::Look,
            () = until(housekeeping) => Event::Housekeeping,
        }
    }

    /// Begins a check when it is time for one.
    fn begin_probe(&mut self) {
        let (Some(running), Some(trial)) = (&mut self.running, &self.trial) else { return };
        let is_due = running.next_probe.is_some_and(|due| due <= clock::now());
        let (Some(scene), Some(candidate), true) = (&running.scene, &running.candidate, is_due) else {
            return;
        };
        let limit = trial.rules.timeout;
        running.next_probe = None;
        let probe = scene.probe(&candidate.spec).map(|probe| running.body.probe(probe, &self.agent.engines));
        running.probing = match probe {
            Ok(Some(probe)) => Some(Box::pin(health::check(probe, limit))),
            Ok(None) => None,
            Err(error) => Some(Box::pin(ready(Err(error.to_string())))),
        };
    }

    fn next_tick(&self) -> Option<Instant> {
        self.running.as_ref()?;
        let (running, trying) = self.ages();
        self.trial.as_ref()?.next_tick(running, trying).map(|wait| clock::now() + wait)
    }
}

impl Running {
    fn next_probe(&self) -> Option<Instant> {
        self.next_probe.filter(|_| self.probing.is_none())
    }
}

async fn ended(body: Option<&mut Body>) -> End {
    match body {
        Some(body) => body.ended().await,
        None => pending().await,
    }
}

async fn done<T>(work: Option<&mut Work<T>>) -> T {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

async fn changed(told: Option<&mut watch::Receiver<String>>) {
    if let Some(told) = told
        && told.changed().await.is_ok()
    {
        return;
    }
    pending().await
}

async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}
