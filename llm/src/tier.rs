//! A tier: the providers that may answer for it, in order of preference.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::sleep;

use crate::error::ProviderError;
use crate::limits::Limits;
use crate::message::{Request, Response};
use crate::money::Prices;
use crate::provider::Provider;
use crate::retry::{Next, RetryPolicy};

#[cfg(test)]
mod tests;

/// Cheap or local, or strong and dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    Low,
    High,
}

/// One model at one provider, with its prices.
#[derive(Clone)]
pub struct Candidate {
    pub provider: Arc<dyn Provider>,
    pub model: String,
    pub prices: Prices,
    /// The name of the key in use, never the key: quotas are of a key.
    pub key: String,
}

/// What stands between a request and the provider: budgets and quotas. Every try passes it, also a repeated one.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Lets a try pass (perhaps after a wait), or says why it must not.
    async fn enter(&self, candidate: &Candidate, request: &Request) -> Result<Pass, Refused>;

    /// Takes what became of a try that passed, and what the provider told about its limits. For each pass, either this
    /// or `abandon` is called, once.
    async fn leave(
        &self,
        candidate: &Candidate,
        pass: Pass,
        limits: &Limits,
        outcome: &Result<Response, ProviderError>,
    );

    /// Takes back a try that was cancelled: what it took will never be told.
    fn abandon(&self, pass: Pass);
}

/// Tells the gate if the asker is dropped before its try has ended.
struct Guest<'a> {
    gate: &'a dyn Gate,
    pass: Option<Pass>,
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.gate.abandon(pass);
        }
    }
}

/// The number under which a gate remembers a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pass(pub u64);

/// Why a gate let nothing pass.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct Refused {
    pub reason: String,
    /// Whether another candidate of the tier may be let through: a quota is of one provider, a budget of the asker.
    pub only_here: bool,
}

/// An answer and the way to it.
#[derive(Debug)]
pub struct Answered {
    pub response: Response,
    /// The candidate that answered.
    pub provider: String,
    pub model: String,
    /// What failed before.
    pub failures: Vec<Failure>,
}

/// One try that came to nothing.
#[derive(Debug, Error)]
pub enum Failure {
    #[error("{model} was not asked")]
    Refused {
        model: String,
        #[source]
        cause: Refused,
    },
    #[error("{model} gave no answer")]
    Provider {
        model: String,
        #[source]
        cause: ProviderError,
    },
}

/// Nobody of the tier answered: all that was tried, the decisive one last.
#[derive(Debug, Error)]
#[error("no model of the tier answered ({} tries)", failures.len())]
pub struct Unanswered {
    pub failures: Vec<Failure>,
}

/// The candidates of a tier.
#[derive(Clone)]
pub struct Chain {
    candidates: Vec<Candidate>,
    policy: RetryPolicy,
}

impl Chain {
    pub fn new(candidates: Vec<Candidate>, policy: RetryPolicy) -> Chain {
        Chain { candidates, policy }
    }

    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// Asks one candidate after the other until one answers. The request's model is set for each. `random` gives a new
    /// number in [0, 1) each time.
    pub async fn ask(
        &self,
        request: &Request,
        gate: &dyn Gate,
        random: &mut (dyn FnMut() -> f64 + Send),
    ) -> Result<Answered, Unanswered> {
        let mut failures = Vec::new();
        for candidate in &self.candidates {
            let request = Request { model: candidate.model.clone(), ..request.clone() };
            match self.ask_one(candidate, &request, gate, random, &mut failures).await {
                Ok(response) => {
                    let provider = candidate.provider.name().to_owned();
                    return Ok(Answered { response, provider, model: request.model, failures });
                }
                Err(Next::GiveUp) => break,
                Err(Next::Elsewhere | Next::Again(_)) => {}
            }
        }
        Err(Unanswered { failures })
    }

    async fn ask_one(
        &self,
        candidate: &Candidate,
        request: &Request,
        gate: &dyn Gate,
        random: &mut (dyn FnMut() -> f64 + Send),
        failures: &mut Vec<Failure>,
    ) -> Result<Response, Next> {
        let model = || candidate.model.clone();
        for tries in 1.. {
            let pass = gate.enter(candidate, request).await.map_err(|cause| {
                let next = if cause.only_here { Next::Elsewhere } else { Next::GiveUp };
                failures.push(Failure::Refused { model: model(), cause });
                next
            })?;
            let mut guest = Guest { gate, pass: Some(pass) };
            let (limits, outcome) = ask(candidate, request).await;
            guest.pass = None;
            gate.leave(candidate, pass, &limits, &outcome).await;
            let cause = match outcome {
                Ok(response) => return Ok(response),
                Err(cause) => cause,
            };
            let next = self.policy.next(&cause, tries, random());
            failures.push(Failure::Provider { model: model(), cause });
            match next {
                Next::Again(wait) => sleep(wait).await,
                Next::Elsewhere | Next::GiveUp => return Err(next),
            }
        }
        Err(Next::Elsewhere)
    }
}

/// The limits are those of the answer's head, whatever became of its body.
async fn ask(candidate: &Candidate, request: &Request) -> (Limits, Result<Response, ProviderError>) {
    match candidate.provider.send(request).await {
        Ok(reply) => (reply.limits, reply.whole().await),
        Err(error) => (*error.limits, Err(error)),
    }
}
