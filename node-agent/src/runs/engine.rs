//! Carries a run out: asks the run what comes next, writes it down, does it, and begins again with what has changed.
//!
//! Nothing is done before it is in the journal. Where the journal cannot be written (a full disk), everything under way
//! is ended and the run is taken up anew from what is on the disk, as after a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plan::run::event::{Event, Record, Work};
use plan::run::{Present, Run};
use plan::step::{Step, StepId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::disk::DiskError;
use crate::fault;
use crate::log;
use crate::runs::Runs;
use crate::runs::clock_of_run::RunClock;
use crate::runs::execute::{Done, Outcome};
use crate::runs::folder::FolderError;
use crate::runs::journal::{FileError, Journal};
use crate::runs::live::{Input, Live};
use crate::runs::look::{self, Node};
use crate::runs::receipts::{OpenError, Receipts};
use crate::runs::terms::Terms;

mod act;
mod answer;
mod start;

/// Calls of one run that are under way at the same time.
const CALLS: usize = 4;
/// Before a run is taken up again whose journal could not be written.
const PAUSE: Duration = Duration::from_secs(10);
/// The run looks again at least this often.
const LONGEST: Duration = Duration::from_secs(3600);

/// Why a run cannot go on now.
#[derive(Debug, thiserror::Error)]
pub enum Stall {
    #[error(transparent)]
    Journal(#[from] FileError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Run(#[from] plan::run::RunError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Receipts(#[from] OpenError),
    #[error("the agent is stopping")]
    Stopping,
}

impl Stall {
    /// Whether what is on the disk is not what it should be, which no waiting mends; anything else is tried again.
    pub fn is_damage(&self) -> bool {
        let is_gone = |error: &DiskError| error.cause.kind() == std::io::ErrorKind::NotFound;
        match self {
            Self::Folder(FolderError::Journal(FileError::Content(_) | FileError::TooLong { .. })) => true,
            Self::Folder(FolderError::Begin(_) | FolderError::NotBegin) => true,
            Self::Folder(FolderError::Disk(error) | FolderError::Journal(FileError::Disk(error))) => {
                is_gone(error)
            }
            Self::Run(_) | Self::Receipts(OpenError::Run(_)) => true,
            Self::Folder(FolderError::Begun)
            | Self::Journal(_)
            | Self::Disk(_)
            | Self::Receipts(OpenError::Disk(_))
            | Self::Stopping => false,
        }
    }
}

/// Carries a run out to its end, whatever it takes.
pub async fn carry_out(runs: Arc<Runs>, live: Arc<Live>, mut inputs: mpsc::Receiver<Input>) {
    loop {
        let ended = match Engine::open(&runs, &live).await {
            Ok(mut engine) => {
                let ended = engine.run_to_its_end(&mut inputs).await;
                engine.end_calls().await;
                ended
            }
            Err(stall) if stall.is_damage() => return live.give_up(log::chain(&stall)),
            Err(stall) => Err(stall),
        };
        let Err(stall) = ended else { break };
        let why = log::chain(&stall);
        tracing::error!(run = %live.id, why, "a run cannot go on; it is tried again");
        live.change(|about| about.damaged = why);
        sleep(PAUSE).await;
    }
    live.folder.forget_secrets();
    live.tell(|told| told.is_over = true);
    tracing::info!(run = %live.id, ending = ?live.about().ending, "run ended");
    runs.retire();
}

/// A run that is carried out.
struct Engine {
    runs: Arc<Runs>,
    live: Arc<Live>,
    terms: Arc<Terms>,
    run: Run,
    /// None while a record is being written.
    journal: Option<Journal>,
    receipts: Receipts,
    clock: RunClock,
    own: Arc<[String]>,
    /// Calls that are under way, to be ended.
    calls: BTreeMap<(StepId, Work), CancellationToken>,
    done: mpsc::Sender<Done>,
    finished: mpsc::Receiver<Done>,
    /// The open need for a new plan.
    replan: Option<String>,
}

impl Engine {
    /// Takes the run up from the disk. What was under way when the agent ended has an unknown outcome.
    async fn open(runs: &Arc<Runs>, live: &Arc<Live>) -> Result<Self, Stall> {
        let (folder, key) = (live.folder.clone(), runs.key.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let (terms, journal, records) = folder.open()?;
            let (receipts, run) = Receipts::open(&folder.receipts(), &records, &key)?;
            let last_ms = records.last().map_or(0, |record| record.at_ms);
            Ok::<_, Stall>((terms, journal, receipts, run, last_ms))
        });
        let (terms, journal, receipts, run, last_ms) = opened.await.map_err(|_| Stall::Stopping)??;
        live.change(|about| {
            about.damaged.clear();
            (about.plan, about.begun_ms) = (Some(run.hash), run.begun_ms);
        });
        live.tell(|told| {
            (told.records, told.receipts) = (journal.records(), receipts.written());
            told.tokens_left = run.tokens_left();
        });
        let (done, finished) = mpsc::channel(CALLS);
        Ok(Self {
            own: look::own(&runs.agent.data).into(),
            runs: runs.clone(),
            live: live.clone(),
            terms: Arc::new(terms),
            run,
            journal: Some(journal),
            receipts,
            clock: RunClock::from(last_ms),
            calls: BTreeMap::new(),
            done,
            finished,
            replan: None,
        })
    }

    async fn run_to_its_end(&mut self, inputs: &mut mpsc::Receiver<Input>) -> Result<(), Stall> {
        if self.run.ending.is_none() {
            self.recover().await?;
        }
        loop {
            self.act().await?;
            if let Some(ending) = &self.run.ending {
                let ending = ending.clone();
                self.live.change(|about| about.ending = Some(ending));
                return Ok(());
            }
            let pause = self.pause();
            tokio::select! {
                Some(done) = self.finished.recv() => self.take(done).await?,
                Some(input) = inputs.recv() => self.answer(input).await?,
                () = sleep(pause) => {}
            }
        }
    }

    /// Does all that is to be done now.
    async fn act(&mut self) -> Result<(), Stall> {
        loop {
            let actions = self.next();
            let before = self.run_records();
            for action in actions {
                self.do_one(action).await?;
            }
            if self.run_records() == before || self.run.ending.is_some() {
                return Ok(());
            }
        }
    }

    fn next(&self) -> Vec<plan::run::Action> {
        let now_ms = self.clock.now_ms();
        let node = Node { policy: &self.terms.policy, own: &self.own };
        let expires_ms = now_ms.saturating_add(self.terms.approval_ms);
        let gate = |step: &Step| node.with(|look| self.run.gate(step, &self.terms.policy, look, expires_ms));
        self.run.next(&Present { now_ms, gate: &gate, most: CALLS })
    }

    /// What a call came back with.
    async fn take(&mut self, done: Done) -> Result<(), Stall> {
        let Done { step, attempt, work, outcome } = done;
        self.calls.remove(&(step.clone(), work));
        fault::point("step.effect");
        let event = match outcome {
            Outcome::Returned(out) => Event::Returned { step, attempt, work, out },
            Outcome::Failed(why) => Event::Failed { step, attempt, work, why },
            Outcome::Unknown(why) => Event::Unknown { step, attempt, work, why },
        };
        self.append(event).await?;
        fault::point("step.returned");
        Ok(())
    }

    /// Writes an event down, synced, and takes it.
    async fn append(&mut self, event: Event) -> Result<(), Stall> {
        let record = Record { at_ms: self.clock.now_ms(), event };
        let mut journal = self.journal.take().ok_or(Stall::Stopping)?;
        let written = tokio::task::spawn_blocking(move || {
            let record = journal.append(&record)?;
            Ok::<_, FileError>((journal, record))
        });
        let (journal, record) = written.await.map_err(|_| Stall::Stopping)??;
        let records = journal.records();
        self.journal = Some(journal);
        self.run.apply(&record)?;
        let before = self.receipts.written();
        self.receipts.add(&self.run, &record, &self.runs.key)?;
        let receipts = self.receipts.written();
        if receipts > before {
            fault::point("receipt.signed");
        }
        let tokens_left = self.run.tokens_left();
        self.live.tell(|told| {
            (told.records, told.receipts, told.tokens_left) = (records, receipts, tokens_left);
        });
        if self.run.ending.is_some() {
            fault::point("run.ended");
        }
        Ok(())
    }

    fn run_records(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::records)
    }

    fn pause(&self) -> Duration {
        let now_ms = self.clock.now_ms();
        let wake = self.run.wake_ms(now_ms).map(|at_ms| Duration::from_millis(at_ms - now_ms));
        wake.unwrap_or(LONGEST).clamp(Duration::from_millis(1), LONGEST)
    }

    /// Ends all that is under way, and waits until it is over.
    async fn end_calls(&mut self) {
        for call in self.calls.values() {
            call.cancel();
        }
        while !self.calls.is_empty() {
            let Some(done) = self.finished.recv().await else { return };
            self.calls.remove(&(done.step, done.work));
        }
    }

    /// When a call that began then must be over.
    fn deadline(&self, began_ms: u64, timeout_ms: u64) -> Instant {
        let left = began_ms.saturating_add(timeout_ms).saturating_sub(self.clock.now_ms());
        crate::clock::now() + Duration::from_millis(left)
    }
}
