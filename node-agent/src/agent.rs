//! The agent: what all parts share, and how a NodeSpec becomes one supervisor for each instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::code::Code;
use proto::ids::{InstanceId, NodeName};
use proto::v1::apply_reply::Verdict;
use proto::v1::{ApplyReply, NodeSpec};
use tokio::sync::{Notify, watch};

use crate::config::DataDir;
use crate::content::Candidate;
use crate::disk;
use crate::fault;
use crate::lane::Lane;
use crate::ledger::{Ledger, LedgerError, Memory};
use crate::log;
use crate::ports::PortBook;
use crate::report::Board;
use crate::runtime::cgroup::Cgroups;
use crate::runtime::engine::Engines;
use crate::runtime::group::plan::Owner;
use crate::runtime::images::ImageBook;
use crate::runtime::kill::{Family, Marked};
use crate::runtime::record::former;
use crate::sandbox::Sandboxes;
use crate::scene::Ground;
use crate::supervisor::Supervisor;

mod check;
mod engines;
mod sweep;

pub use sweep::{left_instances, token};

/// Why a NodeSpec was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the agent is stopping")]
    Stopping,
}

impl ApplyError {
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidInput,
            Self::Ledger(error) => error.code(),
            Self::Stopping => Code::Unreachable,
        }
    }
}

/// A wish for one instance; none when it is to go.
pub type Wish = Option<Candidate>;

/// All that the parts of a running agent share.
pub struct Agent {
    pub data: DataDir,
    pub node: NodeName,
    pub token: String,
    second_token: String,
    pub cgroups: Option<Cgroups>,
    pub engines: Arc<Engines>,
    pub images: Arc<ImageBook>,
    pub ports: PortBook,
    /// Where programs of steps run.
    pub sandboxes: Sandboxes,
    pub board: Board,
    /// One installation at a time: package managers lock each other out anyway.
    pub installing: tokio::sync::Mutex<()>,
    ledger: Arc<Mutex<Ledger>>,
    /// Held by whoever changes the ledger; the lock above is held for moments only.
    writing: Arc<tokio::sync::Mutex<()>>,
    wishes: Mutex<BTreeMap<InstanceId, watch::Sender<Wish>>>,
    /// Releases that processes run from.
    in_use: Mutex<BTreeMap<(InstanceId, Lane), String>>,
    sweep: Notify,
}

impl Agent {
    /// Opens the data folder and clears away what a crash left.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(data: DataDir, node: NodeName) -> Result<Arc<Self>, LedgerError> {
        for (dir, mode) in [
            (data.releases(), 0o755),
            (data.instances(), 0o711),
            (data.records(), 0o700),
            (data.volumes(), 0o711),
            (data.logs(), 0o700),
        ] {
            disk::make_dir(&dir, mode)?;
        }
        former::take_over(&data);
        let token = token(&data)?;
        let ledger = Ledger::open(&data.ledger())?;
        let agent = Self {
            cgroups: Cgroups::probe(&token),
            engines: Arc::default(),
            images: Arc::new(ImageBook::open(data.images())),
            sandboxes: Sandboxes::new(data.0.clone(), token.clone()),
            data,
            node,
            second_token: Lane::Second.token(&token),
            token,
            ports: PortBook::default(),
            board: Board::new(),
            installing: tokio::sync::Mutex::new(()),
            ledger: Arc::new(Mutex::new(ledger)),
            writing: Arc::default(),
            wishes: Mutex::default(),
            in_use: Mutex::default(),
            sweep: Notify::new(),
        };
        agent.sweep_leftovers();
        Ok(Arc::new(agent))
    }

    /// Takes up what the ledger says, and ends what of `marked` it does not know.
    pub fn start(self: &Arc<Self>, marked: &[Marked]) {
        let spec = self.ledger().spec().clone();
        for instance in &spec.instances {
            let kept = self.memory(&instance.id).ports;
            self.ports.keep(&instance.id, kept.into_values().flat_map(BTreeMap::into_values));
        }
        self.end_strangers(marked);
        self.follow(&spec);
        for id in left_instances(&self.data) {
            let is_wanted = self.wishes().contains_key(&id);
            if !is_wanted {
                self.wish(&id, None);
            }
        }
        // What the last agent accepted and did not live to act upon may have given up releases.
        self.sweep.notify_one();
        tokio::spawn(self.clone().keep_house());
        tokio::spawn(self.clone().mind_engines());
        tokio::spawn(self.engines.clone().keep_looking());
    }

    /// Takes a NodeSpec over: on disk before this returns, then acted upon.
    ///
    /// # Errors
    /// When it is malformed or cannot be written.
    pub async fn apply(self: &Arc<Self>, spec: NodeSpec) -> Result<ApplyReply, ApplyError> {
        check::check(&spec, &self.node).map_err(ApplyError::Invalid)?;
        let wished = spec.clone();
        let verdict = self.write(move |ledger| ledger.accept(spec)).await??;
        fault::point("apply.after_ledger");
        if verdict == Verdict::Accepted {
            tracing::info!(generation = wished.generation, "spec accepted");
            // The latest, not this one: another may have been accepted since, and followed already.
            let latest = self.ledger().spec().clone();
            self.follow(&latest);
            self.sweep.notify_one();
        }
        self.end_leases();
        self.board.touch();
        let generation = self.ledger().spec().generation;
        Ok(ApplyReply { verdict: verdict.into(), generation })
    }

    /// The ledger, to look something up.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn memory(&self, id: &str) -> Memory {
        self.ledger().memory(id)
    }

    /// Remembers something of an instance. On a full disk it stays in memory and is written later.
    pub async fn remember(&self, id: &str, change: impl FnOnce(&mut Memory) + Send + 'static) {
        let of = id.to_owned();
        let flushed = self
            .write(move |ledger| {
                ledger.remember(&of, change);
                ledger.flush()
            })
            .await;
        if let Ok(Err(error)) = flushed {
            tracing::error!(instance = id, error = log::chain(&error), "ledger could not be written");
        }
    }

    /// By which it knows what runs of its instances in this place.
    pub fn token(&self, lane: Lane) -> &str {
        match lane {
            Lane::First => &self.token,
            Lane::Second => &self.second_token,
        }
    }

    pub fn ground(&self, lane: Lane) -> Ground<'_> {
        Ground { data: &self.data, node: &self.node, token: self.token(lane), lane, ports: &self.ports }
    }

    pub fn family<'a>(&'a self, id: &'a InstanceId, lane: Lane) -> Family<'a> {
        Family { id, lane, token: self.token(lane), cgroups: self.cgroups.as_ref() }
    }

    pub fn owner(&self, id: &InstanceId, lane: Lane) -> Owner {
        Owner { token: self.token(lane).to_owned(), node: self.node.clone(), id: id.clone() }
    }

    /// Notes which release an instance runs from, so that it is not deleted under it.
    pub fn use_release(&self, id: &InstanceId, lane: Lane, digest: Option<&str>) {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        match digest {
            Some(digest) => in_use.insert((id.clone(), lane), digest.to_owned()),
            None => in_use.remove(&(id.clone(), lane)),
        };
        self.sweep.notify_one();
    }

    /// The instance has stopped and is no longer wished for: forgets it. False when it is wished for again.
    pub fn finish(&self, id: &InstanceId) -> bool {
        let mut wishes = self.wishes();
        if wishes.get(id).is_some_and(|wish| wish.borrow().is_some()) {
            return false;
        }
        self.remove_traces(id);
        wishes.remove(id);
        self.ports.forget(&id.to_string());
        self.board.remove(&id.to_string());
        drop(wishes);
        for lane in Lane::BOTH {
            self.use_release(id, lane, None);
        }
        true
    }

    fn follow(self: &Arc<Self>, spec: &NodeSpec) {
        let mut wanted = BTreeSet::new();
        for instance in &spec.instances {
            let Ok(id) = InstanceId::parse(&instance.id) else { continue };
            self.wish(&id, Some(Candidate::new(instance.clone())));
            wanted.insert(id);
        }
        for (id, wish) in self.wishes().iter() {
            if !wanted.contains(id) {
                wish.send_if_modified(|wish| wish.take().is_some());
            }
        }
    }

    fn wish(self: &Arc<Self>, id: &InstanceId, wish: Wish) {
        let mut wishes = self.wishes();
        if let Some(sender) = wishes.get(id) {
            sender.send_if_modified(|present| std::mem::replace(present, wish.clone()) != wish);
            return;
        }
        let (sender, receiver) = watch::channel(wish);
        wishes.insert(id.clone(), sender);
        tokio::spawn(Supervisor::leading(self.clone(), id.clone(), receiver).run());
    }

    fn wishes(&self) -> MutexGuard<'_, BTreeMap<InstanceId, watch::Sender<Wish>>> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a copy of the ledger where a slow disk holds up nothing else, then puts it in force. Once begun it
    /// is carried through, even when the caller is gone.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Ledger) -> T + Send + 'static,
    ) -> Result<T, ApplyError> {
        let ledger = self.ledger.clone();
        let turn = self.writing.clone().lock_owned().await;
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let lock = || ledger.lock().unwrap_or_else(PoisonError::into_inner);
            let mut copy = lock().clone();
            let result = change(&mut copy);
            *lock() = copy;
            result
        });
        task.await.map_err(|_| ApplyError::Stopping)
    }
}

#[cfg(test)]
mod tests;
