//! The gate of the coordinator: every try reserves its worst case, waits for its quota, and is booked.
//!
//! The whole state is one value that can be stored and read again. What is done when is decided by `budget`, `quota`
//! and `breaker`; this only holds them together, and waits.

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

/// What is kept between runs of the coordinator.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub ledger: Ledger,
    pub quotas: Quotas,
    pub breakers: Breakers,
}

/// Milliseconds since 1970, as the coordinator's clock has them.
pub type Now = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Called with the state whenever it changed, before a request leaves: what it did not store is lost by a crash.
pub type Save = Arc<dyn Fn(&State) -> Result<(), String> + Send + Sync>;

/// Holds the state of all providers and plans.
pub struct Keeper {
    state: Mutex<Held>,
    /// Who waits for a quota does so in the order of coming, or some would never get their turn.
    queues: Mutex<BTreeMap<QuotaKey, Arc<Semaphore>>>,
    now: Now,
    save: Save,
}

struct Held {
    state: State,
    open: BTreeMap<u64, Open>,
    next: u64,
}

struct Open {
    reservation: ReservationId,
    ticket: Ticket,
    quota: QuotaKey,
}

impl Keeper {
    /// Takes up what was stored. Requests that were open then count as their worst case.
    pub fn new(mut state: State, now: Now, save: Save) -> Keeper {
        state.ledger.recover();
        let held = Held { state, open: BTreeMap::new(), next: 0 };
        Keeper { state: Mutex::new(held), queues: Mutex::default(), now, save }
    }

    /// The gate for requests of one plan, perhaps for one node. `key` is the name of the key in use.
    pub fn gate<'a>(
        &'a self,
        caps: Caps,
        plan: &'a str,
        node: Option<&'a str>,
        key: &'a str,
    ) -> PlanGate<'a> {
        PlanGate { keeper: self, caps, plan, node, key }
    }

    /// A copy of the state, to show it.
    pub fn state(&self) -> State {
        self.held().state.clone()
    }

    fn queue(&self, key: &QuotaKey) -> Arc<Semaphore> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(queues.entry(key.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // The state is changed by functions that do not panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gate of one plan.
pub struct PlanGate<'a> {
    keeper: &'a Keeper,
    caps: Caps,
    plan: &'a str,
    node: Option<&'a str>,
    /// The name of the key in use.
    key: &'a str,
}

enum Step {
    Passed(Pass),
    Wait(Duration),
}

#[async_trait]
impl Gate for PlanGate<'_> {
    async fn enter(&self, candidate: &Candidate, request: &Request) -> Result<Pass, Refused> {
        let queue = self.keeper.queue(&self.quota_key(candidate));
        let _turn = queue.acquire().await.expect("queues are never closed");
        loop {
            match self.step(candidate, request)? {
                Step::Passed(pass) => return Ok(pass),
                Step::Wait(wait) if wait > PATIENCE => {
                    let reason =
                        format!("{} allows nothing for {} s", candidate.provider.name(), wait.as_secs());
                    return Err(Refused { reason, only_here: true });
                }
                Step::Wait(wait) => sleep(wait).await,
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
        let mut held = self.keeper.held();
        let Some(Open { reservation, ticket, quota }) = held.open.remove(&pass.0) else { return };
        let state = &mut held.state;
        state.quotas.settle(&quota, ticket, of_quota(outcome), limits, now);
        match outcome {
            Ok(Response { usage: Some(usage), .. }) => {
                state.ledger.commit(reservation, amount(candidate, usage))
            }
            Ok(Response { usage: None, .. }) => state.ledger.commit_worst(reservation),
            Err(error) if error.may_be_charged() => state.ledger.commit_worst(reservation),
            Err(_) => state.ledger.release(reservation),
        }
        let name = candidate.provider.name();
        match outcome {
            Ok(_) => state.breakers.answered(name),
            Err(error) => state.breakers.failed(name, error, now),
        }
        // What could not be stored is stored with the next change; it was reserved before, so a crash only overcounts.
        let _ = (self.keeper.save)(&held.state);
    }

    fn abandon(&self, pass: Pass) {
        let now = (self.keeper.now)();
        let mut held = self.keeper.held();
        let Some(Open { reservation, ticket, quota }) = held.open.remove(&pass.0) else { return };
        held.state.ledger.commit_worst(reservation);
        let cancelled = Outcome::Failed { retry_after: None };
        held.state.quotas.settle(&quota, ticket, cancelled, &Limits::default(), now);
        let _ = (self.keeper.save)(&held.state);
    }
}

impl PlanGate<'_> {
    /// One look: passes, or says how long to wait.
    fn step(&self, candidate: &Candidate, request: &Request) -> Result<Step, Refused> {
        let now = (self.keeper.now)();
        let mut held = self.keeper.held();
        let name = candidate.provider.name();
        let worst = candidate.prices.worst(request);
        let reserved = held.state.ledger.reserve(&self.caps, self.plan, self.node, worst.into(), now);
        let reservation = reserved.map_err(|over| Refused { reason: over.to_string(), only_here: false })?;
        // Providers count the tokens of a request by its length and by what the answer may be at most.
        let tokens = request.worst_input_tokens() / 4 + u64::from(request.max_tokens);
        let ticket = match held.state.quotas.admit(&self.quota_key(candidate), tokens, now) {
            Admission::Go(ticket) => ticket,
            Admission::Wait(wait) => {
                held.state.ledger.release(reservation);
                return Ok(Step::Wait(wait));
            }
        };
        if let Verdict::Open { wait, error } = held.state.breakers.ask(name, now) {
            held.state.ledger.release(reservation);
            let unsent = Outcome::Failed { retry_after: None };
            held.state.quotas.settle(&self.quota_key(candidate), ticket, unsent, &Limits::default(), now);
            let reason = format!("{name} is not asked for {} s: {error}", wait.as_secs());
            return Err(Refused { reason, only_here: true });
        }
        if let Err(cause) = (self.keeper.save)(&held.state) {
            held.state.ledger.release(reservation);
            return Err(Refused {
                reason: format!("the budget could not be stored: {cause}"),
                only_here: false,
            });
        }
        let pass = held.next;
        held.next += 1;
        held.open.insert(pass, Open { reservation, ticket, quota: self.quota_key(candidate) });
        Ok(Step::Passed(Pass(pass)))
    }

    fn quota_key(&self, candidate: &Candidate) -> QuotaKey {
        QuotaKey {
            provider: candidate.provider.name().to_owned(),
            key: self.key.to_owned(),
            model: candidate.model.clone(),
        }
    }
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
