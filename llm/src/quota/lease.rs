//! Shares of a quota for nodes that ask a provider themselves: they take from their share with no word to anybody.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quota::{Quota, QuotaKey, Quotas, UnixMillis, after};

/// So many requests and tokens until then. What is not given back in time is lost: better too little than too much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub key: QuotaKey,
    pub requests: u64,
    pub tokens: u64,
    pub until: UnixMillis,
}

impl Lease {
    /// Takes one request of `tokens` tokens from the share, if it has them.
    pub fn take(&mut self, tokens: u64, now: UnixMillis) -> bool {
        if now >= self.until || self.requests == 0 || self.tokens < tokens {
            return false;
        }
        self.requests -= 1;
        self.tokens -= tokens;
        true
    }
}

impl Quotas {
    /// Leases an equal share of what there is now to one of `sharers` nodes; None while there is nothing to share.
    pub fn lease(&mut self, key: &QuotaKey, sharers: u32, time: Duration, now: UnixMillis) -> Option<Lease> {
        let quota = self.quota(key, now);
        let (requests, tokens) = quota.share(sharers, now)?;
        Some(Lease { key: key.clone(), requests, tokens, until: after(now, time) })
    }

    /// Takes back what a node did not use. What comes too late is not counted: it may have been given to others.
    pub fn give_back(&mut self, lease: &Lease, now: UnixMillis) {
        if now < lease.until {
            let quota = self.quota(&lease.key, now);
            quota.requests.give_back(lease.requests, 0);
            quota.tokens.give_back(lease.tokens, 0);
        }
    }
}

impl Quota {
    fn share(&mut self, sharers: u32, now: UnixMillis) -> Option<(u64, u64)> {
        self.requests.refill(now);
        self.tokens.refill(now);
        let sharers = u64::from(sharers.max(1));
        let requests = self.requests.available().div_ceil(sharers);
        let tokens = self.tokens.available().div_ceil(sharers);
        if now < self.closed_until || requests == 0 || tokens == 0 {
            return None;
        }
        self.requests.take(requests);
        self.tokens.take(tokens);
        Some((requests, tokens))
    }
}
