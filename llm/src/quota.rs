//! How much a provider lets us ask: learned from its headers, or from being refused. Pure: the time is an argument.
//!
//! Each (provider, key, model) has a bucket of requests and one of tokens. Where headers tell limits, these are it.
//! Where they do not, the rate grows by a constant with every answer (slowly near where the last refusal came) and is
//! halved by a refusal: additive increase, multiplicative decrease. `retry-after` closes a quota for as long as it says. The whole state can be stored and read again, so that what was learned is kept.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{Limits, Window};
use bucket::Bucket;

mod bucket;
pub mod lease;
#[cfg(test)]
mod tests;

/// Milliseconds since 1970-01-01 UTC.
pub type UnixMillis = i64;

/// Whose limit it is. `key` is the name of the key, never the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QuotaKey {
    pub provider: String,
    pub key: String,
    pub model: String,
}

/// All quotas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(QuotaKey, Quota)>", into = "Vec<(QuotaKey, Quota)>")]
pub struct Quotas {
    quotas: BTreeMap<QuotaKey, Quota>,
}

/// What one provider allows one key for one model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    requests: Bucket,
    tokens: Bucket,
    /// Nothing is admitted before.
    closed_until: UnixMillis,
    /// Refusals of what was admitted before this belong to a storm that was answered already.
    decreased_at: UnixMillis,
}

/// Whether a request may go now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// It may; settle the ticket, whatever becomes of it.
    Go(Ticket),
    /// Not before this long; ask again then.
    Wait(Duration),
}

/// An admitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a ticket is settled, whatever became of the request"]
pub struct Ticket {
    at: UnixMillis,
    tokens: u64,
}

/// What became of an admitted request, as far as limits go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, with so many tokens.
    Answered { tokens: u64 },
    /// Refused for coming too often (429; error kind rate).
    Limited { retry_after: Option<Duration> },
    /// Failed for another reason; a provider that is overloaded may say when to come again.
    Failed { retry_after: Option<Duration> },
}

impl Quotas {
    /// Admits a request of about `tokens` tokens (input and answer), or says how long to wait.
    pub fn admit(&mut self, key: &QuotaKey, tokens: u64, now: UnixMillis) -> Admission {
        self.quota(key, now).admit(tokens, now)
    }

    /// Learns from what became of a request.
    pub fn settle(
        &mut self,
        key: &QuotaKey,
        ticket: Ticket,
        outcome: Outcome,
        limits: &Limits,
        now: UnixMillis,
    ) {
        self.quota(key, now).settle(ticket, outcome, limits, now);
    }

    /// The quotas with what is known of each: requests and tokens a minute, and until when it is closed.
    pub fn known(&self) -> impl Iterator<Item = (&QuotaKey, &Quota)> {
        self.quotas.iter()
    }

    fn quota(&mut self, key: &QuotaKey, now: UnixMillis) -> &mut Quota {
        self.quotas.entry(key.clone()).or_insert_with(|| Quota::unknown(now))
    }
}

impl Quota {
    /// Where nothing is known yet: cautious, and quick to learn.
    fn unknown(now: UnixMillis) -> Quota {
        Quota {
            requests: Bucket::guess(60, 1, now),
            tokens: Bucket::guess(60_000, 1_000, now),
            closed_until: 0,
            decreased_at: UnixMillis::MIN,
        }
    }

    pub fn requests_per_minute(&self) -> u64 {
        self.requests.per_minute()
    }

    pub fn tokens_per_minute(&self) -> u64 {
        self.tokens.per_minute()
    }

    pub fn closed_until(&self) -> Option<UnixMillis> {
        (self.closed_until > 0).then_some(self.closed_until)
    }

    fn admit(&mut self, tokens: u64, now: UnixMillis) -> Admission {
        self.requests.refill(now);
        self.tokens.refill(now);
        let closed = u64::try_from(self.closed_until.saturating_sub(now)).unwrap_or(0);
        let wait = closed.max(self.requests.wait(1)).max(self.tokens.wait(tokens));
        if wait > 0 {
            return Admission::Wait(Duration::from_millis(wait));
        }
        self.requests.take(1);
        self.tokens.take(tokens);
        Admission::Go(Ticket { at: now, tokens })
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome, limits: &Limits, now: UnixMillis) {
        self.requests.refill(now);
        self.tokens.refill(now);
        self.learn(limits, now);
        match outcome {
            Outcome::Answered { tokens } => {
                self.tokens.give_back(ticket.tokens, tokens);
                self.requests.answered(1);
                self.tokens.answered(tokens);
            }
            Outcome::Limited { retry_after } => {
                self.tokens.give_back(ticket.tokens, 0);
                self.close(retry_after, now);
                self.decrease(ticket, limits, now);
            }
            Outcome::Failed { retry_after } => {
                self.tokens.give_back(ticket.tokens, 0);
                self.close(retry_after, now);
            }
        }
    }

    fn learn(&mut self, limits: &Limits, now: UnixMillis) {
        for (bucket, window) in [(&mut self.requests, limits.requests), (&mut self.tokens, limits.tokens)] {
            bucket.told(window);
            // A bucket that refills bit by bit is right by itself; a window is shut until it ends.
            if let Window { remaining: Some(0), reset_after: Some(wait), at_once: true, .. } = window {
                self.closed_until = self.closed_until.max(after(now, wait));
            }
        }
    }

    fn close(&mut self, retry_after: Option<Duration>, now: UnixMillis) {
        if let Some(wait) = retry_after {
            self.closed_until = self.closed_until.max(after(now, wait));
            self.requests.empty();
        }
    }

    /// Once for each storm: what was under way at the last decrease tells nothing new.
    fn decrease(&mut self, ticket: Ticket, limits: &Limits, now: UnixMillis) {
        if ticket.at < self.decreased_at {
            return;
        }
        self.decreased_at = now;
        // Which of the two limits was hit is known only where the headers tell one of them.
        let told = |window: Window| window.remaining.is_some_and(|left| left > 0);
        if !told(limits.requests) {
            self.requests.refused();
        }
        if !told(limits.tokens) {
            self.tokens.refused();
        }
    }
}

fn after(now: UnixMillis, wait: Duration) -> UnixMillis {
    now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

impl From<Vec<(QuotaKey, Quota)>> for Quotas {
    fn from(quotas: Vec<(QuotaKey, Quota)>) -> Quotas {
        Quotas { quotas: quotas.into_iter().collect() }
    }
}

impl From<Quotas> for Vec<(QuotaKey, Quota)> {
    fn from(quotas: Quotas) -> Vec<(QuotaKey, Quota)> {
        quotas.quotas.into_iter().collect()
    }
}
