//! A run as those who follow it see it: how far its records and receipts go, what it needs from outside, and where their
//! answers go. Records themselves are read from the disk, so that a follower costs no memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use modules::digest::Digest;
use plan::money::Money;
use plan::run::event::{Answer, Ending, Work};
use plan::step::StepId;
use proto::v1::{Need, NodeRun};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::runs::folder::Folder;
use crate::runs::id::RunId;

/// Answers that wait for the run to take them.
const INPUTS: usize = 16;
const PRINTED: usize = 64;

/// How far a run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    pub records: u64,
    pub receipts: u64,
    /// Grows whenever there is another need.
    pub needs: u64,
    /// What the plan's budget has left for models.
    pub tokens_left: u64,
    /// Nothing more will come.
    pub is_over: bool,
}

/// What a run is, for lists.
#[derive(Debug, Clone, Default)]
pub struct About {
    pub plan: Option<Digest>,
    pub begun_ms: u64,
    pub ending: Option<Ending>,
    /// Why it cannot be carried on: for good where it is over, for now where it is not.
    pub damaged: String,
}

/// What somebody outside says.
#[derive(Debug)]
pub enum Input {
    Approval { step: StepId, request: Digest, approved: bool, by: String },
    Unknown { step: StepId, attempt: u32, work: Work, answer: Answer, by: String },
    Reply { need: String, reply: Reply },
    Cancel { by: String },
}

/// What was got for a need.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Model { response: Result<String, String>, tokens: u64, money: Money },
    Replan(Result<(String, String), String>),
    Module(ModuleReply),
    Human { answer: String, by: String },
}

/// What became of a module's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleReply {
    Done {
        out_json: String,
    },
    /// It is known that nothing was changed.
    NotDone(String),
    Unknown(String),
}

/// What a step prints while it runs.
#[derive(Debug, Clone)]
pub struct Printed {
    pub step: StepId,
    pub text: String,
}

struct Open {
    need: Need,
    reply: oneshot::Sender<Reply>,
    /// The node answers it itself; nobody outside is told.
    is_own: bool,
}

/// A run that can be followed.
pub struct Live {
    pub id: RunId,
    pub folder: Folder,
    about: Mutex<About>,
    told: watch::Sender<Told>,
    needs: Mutex<BTreeMap<String, Open>>,
    /// Held by the step that asks the node's own model: what one took is known before the next asks.
    pub own_model: tokio::sync::Mutex<()>,
    pub printed: broadcast::Sender<Printed>,
    inputs: mpsc::Sender<Input>,
}

impl Live {
    pub fn new(id: RunId, folder: Folder, about: About) -> (Self, mpsc::Receiver<Input>) {
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let live = Self {
            id,
            folder,
            about: Mutex::new(about),
            told: watch::Sender::default(),
            needs: Mutex::default(),
            own_model: tokio::sync::Mutex::default(),
            printed: broadcast::Sender::new(PRINTED),
            inputs,
        };
        (live, receiver)
    }

    pub fn about(&self) -> About {
        self.lock_about().clone()
    }

    pub fn change(&self, change: impl FnOnce(&mut About)) {
        change(&mut self.lock_about());
    }

    /// Nobody can carry it on: what is on the disk of it is not what it should be.
    pub fn give_up(&self, why: String) {
        tracing::error!(run = %self.id, why, "a run cannot be carried on");
        self.change(|about| about.damaged = why);
        self.tell(|told| told.is_over = true);
    }

    pub fn tell(&self, change: impl FnOnce(&mut Told)) {
        self.told.send_modify(change);
    }

    pub fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    pub fn tokens_left(&self) -> u64 {
        self.told.borrow().tokens_left
    }

    pub fn is_over(&self) -> bool {
        self.told.borrow().is_over
    }

    /// Hands an answer to the run; one for a run that is over is dropped.
    pub async fn hand_in(&self, input: Input) {
        let _ = self.inputs.send(input).await;
    }

    /// Opens a need; whoever follows is told.
    pub fn open_need(&self, need: Need) -> oneshot::Receiver<Reply> {
        let receiver = self.open(need, false);
        self.tell(|told| told.needs += 1);
        receiver
    }

    /// Opens a need that the node answers itself, in the same way: what it took is written down before it counts.
    pub fn open_own_need(&self, need: Need) -> oneshot::Receiver<Reply> {
        self.open(need, true)
    }

    fn open(&self, need: Need, is_own: bool) -> oneshot::Receiver<Reply> {
        let (reply, receiver) = oneshot::channel();
        self.lock_needs().insert(need.id.clone(), Open { need, reply, is_own });
        receiver
    }

    /// What is needed now from outside. Needs that nobody waits for any more are gone.
    pub fn needs(&self) -> Vec<Need> {
        let mut needs = self.lock_needs();
        needs.retain(|_, open| !open.reply.is_closed());
        needs.values().filter(|open| !open.is_own).map(|open| open.need.clone()).collect()
    }

    /// The need with this name, if it is still open.
    pub fn need(&self, id: &str) -> Option<Need> {
        let needs = self.lock_needs();
        needs.get(id).filter(|open| !open.reply.is_closed()).map(|open| open.need.clone())
    }

    /// Nobody has to answer it any more.
    pub fn withdraw(&self, id: &str) {
        self.lock_needs().remove(id);
    }

    /// Answers a need; the first answer counts.
    pub fn reply(&self, id: &str, reply: Reply) {
        if let Some(open) = self.lock_needs().remove(id) {
            let _ = open.reply.send(reply);
        }
    }

    pub fn listed(&self, receipt_key: &[u8]) -> NodeRun {
        let (about, told) = (self.about(), *self.told.borrow());
        let ending = about.ending.map(|ending| serde_json::to_string(&ending).unwrap_or_default());
        NodeRun {
            run: self.id.to_string(),
            plan_hash: about.plan.map(|hash| hash.to_string()).unwrap_or_default(),
            begun_unix_ms: i64::try_from(about.begun_ms).unwrap_or(i64::MAX),
            records: told.records,
            receipts: told.receipts,
            ending_json: ending.unwrap_or_default(),
            damaged: about.damaged,
            receipt_key: receipt_key.to_vec(),
        }
    }

    fn lock_about(&self) -> MutexGuard<'_, About> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_needs(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
