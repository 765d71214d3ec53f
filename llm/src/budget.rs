//! The ledger of what plans may spend: reserve the worst case, then commit what it was. Pure: the time is an argument.
//!
//! A request is let through only if its worst case fits into what is left of every cap it counts against (its plan, its
//! node, the day and the month in UTC), with all that others have reserved counted as spent. So no cap is ever passed,
//! however many ask at once. What became of a request is unknown after a crash: then it counts as its worst case. The
//! ledger may be shared by several coordinators: a reservation is booked in full once no answer can come any more.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::date;
use crate::money::{Money, Worst};
use crate::quota::UnixMillis;

#[cfg(test)]
mod tests;

const DAY: i64 = 86_400_000;
/// So long a reservation is kept for whoever made it; no request may take longer.
pub const HOLD: UnixMillis = 30 * 60_000;
/// So many days the account of a plan is kept after its last request.
const KEPT_DAYS: i64 = 30;

/// The most that may be spent; None is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cap {
    pub money: Option<Money>,
    pub tokens: Option<u64>,
}

/// The caps that a request counts against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Caps {
    pub plan: Cap,
    /// Of one node, within the day.
    pub node: Cap,
    pub day: Cap,
    pub month: Cap,
}

/// What an account is for. Its text is its key in the store: `plan:P`, `node:N:2026-11-20`, `day:…`, `month:2026-11`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Account(String);

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Account {
    fn kept_days(&self) -> i64 {
        match self.0.split_once(':') {
            Some(("node", _)) => 1,
            Some(("month", _)) => 366,
            Some(_) | None => KEPT_DAYS,
        }
    }
}

/// An amount of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    pub money: Money,
    pub tokens: u64,
}

impl Amount {
    fn plus(self, other: Amount) -> Amount {
        Amount {
            money: self.money.saturating_add(other.money),
            tokens: self.tokens.saturating_add(other.tokens),
        }
    }

    fn minus(self, other: Amount) -> Amount {
        Amount {
            money: self.money.saturating_sub(other.money),
            tokens: self.tokens.saturating_sub(other.tokens),
        }
    }
}

impl From<Worst> for Amount {
    fn from(worst: Worst) -> Amount {
        Amount { money: worst.cost, tokens: worst.tokens }
    }
}

/// What stands in an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    pub spent: Amount,
    pub reserved: Amount,
}

/// A reservation's number, never given twice by one ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReservationId(u64);

impl ReservationId {
    pub fn number(self) -> u64 {
        self.0
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Reservation {
    accounts: Vec<Account>,
    worst: Amount,
    /// From then on nobody waits for its answer.
    #[serde(default)]
    until: UnixMillis,
}

/// A cap that the worst case of a request would pass.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the budget of {account} does not allow it: {what}")]
pub struct OverBudget {
    pub account: Account,
    /// In words: the cap, what is spent and reserved, and what was asked for.
    pub what: String,
}

/// The whole book. Small: one account for each plan, node, day and month that spent something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    accounts: BTreeMap<Account, Balance>,
    open: BTreeMap<ReservationId, Reservation>,
    next: u64,
    /// The day (since 1970) on which an account was last asked.
    #[serde(default)]
    asked: BTreeMap<Account, i64>,
}

impl Ledger {
    /// Reserves the worst case of a request, or names the cap that it would pass. Nothing is reserved then.
    pub fn reserve(
        &mut self,
        caps: &Caps,
        plan: &str,
        node: Option<&str>,
        worst: Amount,
        now: UnixMillis,
    ) -> Result<ReservationId, OverBudget> {
        let accounts = accounts(caps, plan, node, now);
        for (account, cap) in &accounts {
            self.check(account, cap, worst)?;
        }
        let accounts: Vec<Account> = accounts.into_iter().map(|(account, _)| account).collect();
        for account in &accounts {
            let balance = self.accounts.entry(account.clone()).or_default();
            balance.reserved = balance.reserved.plus(worst);
            self.asked.insert(account.clone(), now.div_euclid(DAY));
        }
        let id = ReservationId(self.next);
        self.next += 1;
        self.open.insert(id, Reservation { accounts, worst, until: now.saturating_add(HOLD) });
        Ok(id)
    }

    /// Books what a request really took, and frees the rest. Nothing happens to one that is booked already.
    pub fn commit(&mut self, id: ReservationId, actual: Amount) {
        let Some(reservation) = self.open.remove(&id) else { return };
        for account in &reservation.accounts {
            let balance = self.accounts.entry(account.clone()).or_default();
            balance.reserved = balance.reserved.minus(reservation.worst);
            balance.spent = balance.spent.plus(actual);
        }
    }

    /// Books the worst case: what it took was not told.
    pub fn commit_worst(&mut self, id: ReservationId) {
        if let Some(worst) = self.open.get(&id).map(|reservation| reservation.worst) {
            self.commit(id, worst);
        }
    }

    /// Frees a reservation whose request was not done, and is not charged.
    pub fn release(&mut self, id: ReservationId) {
        self.commit(id, Amount::default());
    }

    /// Nobody knows what became of what is open for too long (whoever asked has died), so it counts as its worst case,
    /// as it did while it was reserved. Gives how many.
    pub fn recover(&mut self, now: UnixMillis) -> usize {
        let lost = self.open.iter().filter(|(_, reservation)| reservation.until <= now);
        let lost: Vec<ReservationId> = lost.map(|(id, _)| *id).collect();
        lost.iter().for_each(|id| self.commit_worst(*id));
        lost.len()
    }

    /// What stands in the accounts, by name.
    pub fn balances(&self) -> impl Iterator<Item = (&Account, Balance)> {
        self.accounts.iter().map(|(account, balance)| (account, *balance))
    }

    /// What stands in the account of a plan.
    pub fn of_plan(&self, plan: &str) -> Balance {
        self.accounts.get(&Account(format!("plan:{plan}"))).copied().unwrap_or_default()
    }

    /// Forgets accounts that nothing counts against any more: nodes and days that are over, months after a year, plans
    /// that asked for nothing in a month.
    pub fn forget(&mut self, now: UnixMillis) {
        let today = now.div_euclid(DAY);
        let (accounts, asked) = (&mut self.accounts, &mut self.asked);
        accounts.retain(|account, balance| {
            let age = today.saturating_sub(asked.get(account).copied().unwrap_or_default());
            balance.reserved != Amount::default() || age <= account.kept_days()
        });
        asked.retain(|account, _| accounts.contains_key(account));
    }

    fn check(&self, account: &Account, cap: &Cap, worst: Amount) -> Result<(), OverBudget> {
        let Balance { spent, reserved } = self.accounts.get(account).copied().unwrap_or_default();
        let would_be = spent.plus(reserved).plus(worst);
        let over = |what| Err(OverBudget { account: account.clone(), what });
        if let Some(most) = cap.money.filter(|most| would_be.money > *most) {
            let (spent, reserved, asked) = (spent.money, reserved.money, worst.money);
            return over(format!("{spent} spent, {reserved} reserved and {asked} asked for, of {most}"));
        }
        if let Some(most) = cap.tokens.filter(|most| would_be.tokens > *most) {
            let (spent, reserved, asked) = (spent.tokens, reserved.tokens, worst.tokens);
            return over(format!(
                "{spent} tokens spent, {reserved} reserved and {asked} asked for, of {most}"
            ));
        }
        Ok(())
    }
}

fn accounts(caps: &Caps, plan: &str, node: Option<&str>, now: UnixMillis) -> Vec<(Account, Cap)> {
    let day_number = now.div_euclid(DAY).max(0);
    let (year, month, day) = date::civil(day_number);
    let mut accounts = vec![(Account(format!("plan:{plan}")), caps.plan)];
    if let Some(node) = node {
        accounts.push((Account(format!("node:{node}:{year:04}-{month:02}-{day:02}")), caps.node));
    }
    accounts.push((Account(format!("day:{year:04}-{month:02}-{day:02}")), caps.day));
    accounts.push((Account(format!("month:{year:04}-{month:02}")), caps.month));
    accounts
}
