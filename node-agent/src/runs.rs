//! Runs of plans on this node: begun once, remembered on disk, and carried on by the agent alone through restarts of
//! either end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plan::run::Run;
use plan::run::event::Record;
use proto::code::Code;
use proto::v1::{BeginRunRequest, NodeRun};
use ring::signature::Ed25519KeyPair;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::agent::Agent;
use crate::clock;
use crate::disk::{self, DiskError};
use crate::fault;
use crate::log;

mod clock_of_run;
mod engine;
mod execute;
mod folder;
pub mod follow;
pub mod id;
mod journal;
mod key;
pub mod live;
mod look;
mod receipts;
mod resume;
mod secrets;
mod terms;

use folder::{Folder, FolderError};
use id::RunId;
use live::{About, Input, Live};
use terms::{Terms, TermsError};

/// Runs that are under way at the same time.
const MAX_ACTIVE: usize = 16;
/// Calls that are under way at the same time, of all runs together.
const MAX_CALLS: usize = 8;
/// Ended runs that are kept, and their bytes.
const KEPT: usize = 50;
const KEPT_BYTES: u64 = 128 << 20;

/// Why a run is not begun or found.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Key(#[from] key::KeyError),
    #[error("the run cannot be begun")]
    Terms(#[from] TermsError),
    #[error("run {0} could not be written")]
    Folder(RunId, #[source] FolderError),
    #[error("run {0} was begun with another plan")]
    Other(RunId),
    #[error("run {0} is on this node, but its journal cannot be read: {1}")]
    Damaged(RunId, String),
    #[error("run {0} is on this node, but cannot be read now: {1}")]
    Stalled(RunId, String),
    #[error("{MAX_ACTIVE} runs are under way on this node; hint: wait until one has ended, or cancel one")]
    Busy,
}

impl RunsError {
    pub fn code(&self) -> Code {
        match self {
            Self::Folder(_, FolderError::Begun) | Self::Stalled(..) => Code::Unreachable,
            Self::Disk(_) | Self::Key(_) | Self::Folder(..) | Self::Damaged(..) => Code::Failed,
            Self::Terms(_) => Code::InvalidInput,
            Self::Other(_) => Code::Conflict,
            Self::Busy => Code::NoCapacity,
        }
    }
}

/// All runs of this node.
pub struct Runs {
    agent: Arc<Agent>,
    key: Arc<Ed25519KeyPair>,
    calls: Arc<Semaphore>,
    live: Mutex<BTreeMap<RunId, Arc<Live>>>,
    /// Held by whoever begins a run.
    beginning: tokio::sync::Mutex<()>,
}

impl Runs {
    /// Opens what is on the disk; nothing goes on yet.
    ///
    /// # Errors
    /// When the folder or the key cannot be used.
    pub fn open(agent: Arc<Agent>) -> Result<Arc<Self>, RunsError> {
        disk::make_dir(&agent.data.runs(), 0o700)?;
        let key = Arc::new(key::open(&agent.data)?);
        Ok(Arc::new(Self {
            agent,
            key,
            calls: Arc::new(Semaphore::new(MAX_CALLS)),
            live: Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
        }))
    }

    /// The public half of the key that signs receipts here.
    pub fn receipt_key(&self) -> Vec<u8> {
        key::public(&self.key)
    }

    /// Keeps calls from beginning; none where one is under way.
    pub fn hold_calls(&self) -> Option<OwnedSemaphorePermit> {
        let all = u32::try_from(MAX_CALLS).unwrap_or(u32::MAX);
        self.calls.clone().try_acquire_many_owned(all).ok()
    }

    /// Begins a run: on disk before this returns, then carried out. The same one again is fine.
    ///
    /// # Errors
    /// When it is malformed, another one of that name is here, or it cannot be written.
    pub async fn begin(self: &Arc<Self>, request: BeginRunRequest) -> Result<(), RunsError> {
        let (terms, plan) = Terms::parse(&request)?;
        let hash = plan.hash();
        let id = terms.id.clone();
        let _turn = self.beginning.lock().await;
        if let Some(live) = self.find(&id) {
            let about = live.about();
            return match about.plan {
                _ if live.is_over() && !about.damaged.is_empty() => {
                    Err(RunsError::Damaged(id, about.damaged))
                }
                Some(plan) if plan == hash => Ok(()),
                Some(_) => Err(RunsError::Other(id)),
                None => Err(RunsError::Stalled(id, about.damaged)),
            };
        }
        if self.live().values().filter(|live| !live.is_over()).count() >= MAX_ACTIVE {
            return Err(RunsError::Busy);
        }
        let at_ms = u64::try_from(clock::unix_ms()).unwrap_or(0);
        let first = Record { at_ms, event: Run::begin(id.as_str(), self.agent.node.as_str(), &plan) };
        let folder = Folder::of(&self.agent.data, &id);
        let place = folder.clone();
        let created = tokio::task::spawn_blocking(move || place.create(&request, &first)).await;
        created
            .unwrap_or(Err(FolderError::NotBegin))
            .map_err(|cause| RunsError::Folder(id.clone(), cause))?;
        fault::point("run.begun");
        tracing::info!(run = %id, "run begun");
        let (live, inputs) =
            Live::new(id, folder, About { plan: Some(hash), begun_ms: at_ms, ..About::default() });
        self.carry_out(live, inputs);
        Ok(())
    }

    pub fn find(&self, id: &RunId) -> Option<Arc<Live>> {
        self.live().get(id).cloned()
    }

    /// Newest first.
    pub fn list(&self) -> Vec<NodeRun> {
        let key = self.receipt_key();
        let mut runs: Vec<NodeRun> = self.live().values().map(|live| live.listed(&key)).collect();
        runs.sort_by(|a, b| (b.begun_unix_ms, &b.run).cmp(&(a.begun_unix_ms, &a.run)));
        runs
    }

    fn carry_out(self: &Arc<Self>, live: Live, inputs: mpsc::Receiver<Input>) {
        let live = Arc::new(live);
        self.live().insert(live.id.clone(), live.clone());
        tokio::spawn(engine::carry_out(self.clone(), live, inputs));
    }

    /// Removes the oldest ended runs beyond what is kept; one that cannot be read may not have ended.
    fn retire(&self) {
        let has_ended = |live: &&Arc<Live>| live.is_over() && live.about().ending.is_some();
        let mut ended: Vec<Arc<Live>> = self.live().values().filter(has_ended).cloned().collect();
        ended.sort_by_key(|live| std::cmp::Reverse(live.about().begun_ms));
        let mut bytes = 0;
        for (index, live) in ended.into_iter().enumerate() {
            bytes += live.folder.bytes();
            if index < KEPT && (bytes <= KEPT_BYTES || index == 0) {
                continue;
            }
            match live.folder.remove() {
                Ok(()) => drop(self.live().remove(&live.id)),
                Err(error) => tracing::warn!(run = %live.id, error = log::chain(&error), "ended run stays"),
            }
        }
    }

    fn live(&self) -> MutexGuard<'_, BTreeMap<RunId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
