//! What was spent and reserved, what providers allow, and who is left alone for now.

use llm::budget::{Cap, Caps};
use proto::v1;

use super::{Models, ModelsError};

impl Models {
    /// All of it, as it is now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn budget(&self) -> Result<v1::BudgetReply, ModelsError> {
        let state = self.state().await?;
        let caps = self.config.caps();
        let accounts = state.ledger.balances().map(|(account, balance)| {
            let account = account.to_string();
            v1::budget_reply::Account {
                cap: Some(shown(cap_of(&caps, &account))),
                account,
                spent: Some(amount(&balance.spent)),
                reserved: Some(amount(&balance.reserved)),
            }
        });
        let quotas = state.quotas.known().map(|(key, quota)| v1::budget_reply::Quota {
            provider: key.provider.clone(),
            key: key.key.clone(),
            model: key.model.clone(),
            requests_per_minute: quota.requests_per_minute(),
            tokens_per_minute: quota.tokens_per_minute(),
            closed_until_unix_ms: quota.closed_until().unwrap_or_default(),
        });
        let now = self.outside.clock.now();
        let breakers = state.breakers.open(now).map(|(provider, until, error)| v1::budget_reply::Breaker {
            provider: provider.to_owned(),
            until_unix_ms: until,
            error: error.to_owned(),
        });
        Ok(v1::BudgetReply {
            accounts: accounts.collect(),
            quotas: quotas.collect(),
            breakers: breakers.collect(),
            plan: Some(shown(caps.plan)),
            node: Some(shown(caps.node)),
            day: Some(shown(caps.day)),
            month: Some(shown(caps.month)),
        })
    }
}

/// The configured cap of an account, by the kind that its name begins with.
fn cap_of(caps: &Caps, account: &str) -> Cap {
    match account.split_once(':') {
        Some(("plan", _)) => caps.plan,
        Some(("node", _)) => caps.node,
        Some(("day", _)) => caps.day,
        Some(("month", _)) => caps.month,
        Some(_) | None => Cap::default(),
    }
}

fn amount(amount: &llm::budget::Amount) -> v1::Amount {
    v1::Amount { money: amount.money.to_string(), tokens: amount.tokens }
}

fn shown(cap: Cap) -> v1::Cap {
    v1::Cap { money: cap.money.map(|money| money.to_string()), tokens: cap.tokens }
}
