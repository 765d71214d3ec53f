//! The gate of the coordinator: every try reserves its worst case, waits for its quota, and is booked.
//!
//! The whole state is one value in a vault that several coordinators may share; each change is read, made and stored as
//! one, so that none of them passes a budget because of another. What is done when is decided by `budget`, `quota` and
//! `breaker`; this only holds them together, and waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::breaker::{Breakers, Verdict};
use crate::budget::{Amount, Caps, Ledger, ReservationId};
use crate::error::{Kind, ProviderError};
use crate::limits::Limits;
use crate::message::{Request, Response, Usage};
use crate::quota::{Admission, Outcome, QuotaKey, Quotas, Ticket, UnixMillis};
use crate::tier::{Candidate, Gate, Pass, Refused};

#[cfg(test)]
mod tests;

/// A quota that is closed for longer is not waited for: another candidate may be quicker. Waiting for one's turn is.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is kept between runs of the coordinator, and shared by all of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub ledger: Ledger,
    pub quotas: Quotas,
    pub breakers: Breakers,
}

/// Milliseconds since 1970, as the coordinator's clock has them.
pub type Now = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Whether a change is worth storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    Yes,
    No,
}

/// A change to the state, made again where somebody else was quicker.
pub type Change<'c> = dyn FnMut(&mut State) -> Changed + Send + 'c;

/// Where the state is.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Reads the state, lets `change` change it, and stores it if nobody else stored another one meanwhile; else does it
    /// all again. Returns once it is stored for good, or says why it is not (then it may be, for all one knows).
    async fn change(&self, change: &mut Change<'_>) -> Result<(), String>;
}

/// Lets the requests of all plans through, one by one.
pub struct Keeper {
    vault: Arc<dyn Vault>,
    open: Mutex<BTreeMap<u64, Open>>,
    /// Tries that were cancelled, not yet told to the vault: until then they count as their worst case anyway.
    abandoned: Mutex<Vec<Open>>,
    /// Who waits for a quota does so in the order of coming, or some would never get their turn.
    queues: Mutex<BTreeMap<QuotaKey, Arc<Semaphore>>>,
    now: Now,
}

#[derive(Clone)]
struct Open {
    reservation: ReservationId,
    ticket: Ticket,
    quota: QuotaKey,
}

impl Keeper {
    pub fn new(vault: Arc<dyn Vault>, now: Now) -> Keeper {
        Keeper { vault, open: Mutex::default(), abandoned: Mutex::default(), queues: Mutex::default(), now }
    }

    /// The gate for requests of one plan, perhaps for one node.
    pub fn gate<'a>(&'a self, caps: Caps, plan: &'a str, node: Option<&'a str>) -> PlanGate<'a> {
        PlanGate { keeper: self, caps, plan, node }
    }

    /// The state as it is now, what was lost by crashes booked.
    pub async fn state(&self) -> Result<State, String> {
        let mut seen = State::default();
        self.change(|state| {
            seen = state.clone();
            Changed::No
        })
        .await?;
        Ok(seen)
    }

    /// Changes the state, and takes along what was abandoned or lost.
    async fn change(&self, mut change: impl FnMut(&mut State) -> Changed + Send) -> Result<(), String> {
        let abandoned = std::mem::take(&mut *lock(&self.abandoned));
        let now = (self.now)();
        let result = self
            .vault
            .change(&mut |state| {
                let mut changed = Changed::No;
                for open in &abandoned {
                    book_abandoned(state, open, now);
                    changed = Changed::Yes;
                }
                if state.ledger.recover(now) > 0 {
                    changed = Changed::Yes;
                }
                // What comes to nothing leaves nothing behind, such as what was reserved on the way to a refusal.
                let mut tried = state.clone();
                if change(&mut tried) == Changed::Yes {
                    *state = tried;
                    state.ledger.forget(now);
                    changed = Changed::Yes;
                }
                changed
            })
            .await;
        if result.is_err() {
            lock(&self.abandoned).extend(abandoned);
        }
        result
    }

    fn queue(&self, key: &QuotaKey) -> Arc<Semaphore> {
        let mut queues = lock(&self.queues);
        Arc::clone(queues.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    fn remember(&self, open: Open) -> Pass {
        let mut held = lock(&self.open);
        // The reservation's number is never given twice by one ledger.
        let pass = open.reservation.number();
        held.insert(pass, open);
        Pass(pass)
    }
}

/// What is behind the locks is changed by functions that do not panic halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The gate of one plan.
pub struct PlanGate<'a> {
    keeper: &'a Keeper,
    caps: Caps,
    plan: &'a str,
    node: Option<&'a str>,
}

/// What one look at the state comes to.
enum Step {
    Passed(Open),
    Wait(Duration),
    Refused(Refused),
}

#[async_trait]
impl Gate for PlanGate<'_> {
    async fn enter(&self, candidate: &Candidate, request: &Request) -> Result<Pass, Refused> {
        let queue = self.keeper.queue(&quota_key(candidate));
        let _turn = queue.acquire().await.expect("queues are never closed");
        loop {
            let mut step = None;
            let looked = self.keeper.change(|state| {
                let (changed, taken) = self.step(state, candidate, request);
                step = Some(taken);
                changed
            });
            let stored = looked.await;
            match (stored, step) {
                (Ok(()), Some(Step::Passed(open))) => return Ok(self.keeper.remember(open)),
                (Ok(()), Some(Step::Refused(refused))) => return Err(refused),
                (Ok(()), Some(Step::Wait(wait))) if wait > PATIENCE => {
                    let reason =
                        format!("{} allows nothing for {} s", candidate.provider.name(), wait.as_secs());
                    return Err(Refused { reason, only_here: true });
                }
                (Ok(()), Some(Step::Wait(wait))) => sleep(wait).await,
                // What was reserved all the same is booked in full in time.
                (Err(cause), _) => {
                    let reason = format!("the budget could not be stored: {cause}");
                    return Err(Refused { reason, only_here: false });
                }
                (Ok(()), None) => {
                    let reason = "the vault of the budget changed nothing".to_owned();
                    return Err(Refused { reason, only_here: false });
                }
            }
        }
    }

    async fn leave(
        &self,
        candidate: &Candidate,
        pass: Pass,
        limits: &Limits,
        outcome: &Result<Response, ProviderError>,
    ) {
        let now = (self.keeper.now)();
        let Some(open) = lock(&self.keeper.open).remove(&pass.0) else { return };
        let stored = self.keeper.change(|state| {
            book(state, &open, candidate, limits, outcome, now);
            Changed::Yes
        });
        if stored.await.is_err() {
            // It stays reserved, which is its worst case, and is booked so in time.
            lock(&self.keeper.abandoned).push(open);
        }
    }

    fn abandon(&self, pass: Pass) {
        if let Some(open) = lock(&self.keeper.open).remove(&pass.0) {
            lock(&self.keeper.abandoned).push(open);
        }
    }
}

impl PlanGate<'_> {
    /// One look: passes, or says how long to wait.
    fn step(&self, state: &mut State, candidate: &Candidate, request: &Request) -> (Changed, Step) {
        let now = (self.keeper.now)();
        let name = candidate.provider.name();
        let worst = candidate.prices.worst(request);
        let reservation = match state.ledger.reserve(&self.caps, self.plan, self.node, worst.into(), now) {
            Ok(reservation) => reservation,
            Err(over) => return refused(over.to_string(), false),
        };
        // Providers count the tokens of a request by its length and by what the answer may be at most.
        let tokens = request.worst_input_tokens() / 4 + u64::from(request.max_tokens);
        let quota = quota_key(candidate);
        let ticket = match state.quotas.admit(&quota, tokens, now) {
            Admission::Go(ticket) => ticket,
            Admission::Wait(wait) => return (Changed::No, Step::Wait(wait)),
        };
        if let Verdict::Open { wait, error } = state.breakers.ask(name, now) {
            return refused(format!("{name} is not asked for {} s: {error}", wait.as_secs()), true);
        }
        (Changed::Yes, Step::Passed(Open { reservation, ticket, quota }))
    }
}

/// Nothing of what was reserved on the way is stored then.
fn refused(reason: String, only_here: bool) -> (Changed, Step) {
    (Changed::No, Step::Refused(Refused { reason, only_here }))
}

fn quota_key(candidate: &Candidate) -> QuotaKey {
    QuotaKey {
        provider: candidate.provider.name().to_owned(),
        key: candidate.key.clone(),
        model: candidate.model.clone(),
    }
}

fn book(
    state: &mut State,
    open: &Open,
    candidate: &Candidate,
    limits: &Limits,
    outcome: &Result<Response, ProviderError>,
    now: UnixMillis,
) {
    state.quotas.settle(&open.quota, open.ticket, of_quota(outcome), limits, now);
    match outcome {
        Ok(Response { usage: Some(usage), .. }) => {
            state.ledger.commit(open.reservation, amount(candidate, usage))
        }
        Ok(Response { usage: None, .. }) => state.ledger.commit_worst(open.reservation),
        Err(error) if error.may_be_charged() => state.ledger.commit_worst(open.reservation),
        Err(_) => state.ledger.release(open.reservation),
    }
    let name = candidate.provider.name();
    match outcome {
        Ok(_) => state.breakers.answered(name),
        Err(error) => state.breakers.failed(name, error, now),
    }
}

/// Nobody will ever tell what it took.
fn book_abandoned(state: &mut State, open: &Open, now: UnixMillis) {
    state.ledger.commit_worst(open.reservation);
    let cancelled = Outcome::Failed { retry_after: None };
    state.quotas.settle(&open.quota, open.ticket, cancelled, &Limits::default(), now);
}

fn amount(candidate: &Candidate, usage: &Usage) -> Amount {
    Amount { money: candidate.prices.cost(usage), tokens: usage.total() }
}

fn of_quota(outcome: &Result<Response, ProviderError>) -> Outcome {
    match outcome {
        Ok(response) => Outcome::Answered { tokens: response.usage.map_or(0, |usage| usage.total()) },
        Err(error) if error.kind() == Kind::Rate => Outcome::Limited { retry_after: error.retry_after },
        Err(error) => Outcome::Failed { retry_after: error.retry_after },
    }
}
