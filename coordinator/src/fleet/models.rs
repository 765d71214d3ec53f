//! The language models of the fleet: who asks them, with which key, and within which budget.
//!
//! Everything that is asked goes through one gate (`llm::keeper`), whose state is in the store and shared by all
//! coordinators: planning, verifying, and what agents ask for their steps.

mod budget;
mod error;
mod look;
mod replan;
#[cfg(test)]
mod tests;
mod vault;
mod verify;

use std::ops::RangeInclusive;
use std::sync::Arc;

use llm::budget::{Amount, Cap, Caps};
use llm::keeper::{Keeper, State};
use llm::key::ApiKey;
use llm::message::{Request, Response, Usage};
use llm::money::Prices;
use llm::provider::Provider;
use llm::provider::anthropic::Anthropic;
use llm::provider::connection::{Endpoint, Timeouts};
use llm::provider::ollama::{Ollama, Settings};
use llm::provider::openai::OpenAi;
use llm::rates::PassRates;
use llm::retry::RetryPolicy;
use llm::tier::{Candidate, Chain, Tier};
use plan::plan::Plan;
use proto::ids::NodeName;
use proto::v1;

pub use error::ModelsError;

use super::keyring::Keyring;
use super::{keys, secrets};
use crate::clock::Clock;
use crate::config::llm::{Llm, Model, Wire};
use crate::store::json::{get_json, put_json};
use crate::store::{Precondition, Store, StoreError, Txn};
use vault::StoreVault;

/// Who asks: what its tokens and money are counted against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The run, or the request that a plan is drafted for.
    pub account: String,
    /// The node that asks, where one does.
    pub node: Option<NodeName>,
    /// What the plan, or the person, allows for all of it.
    pub cap: Cap,
}

/// A whole answer, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub response: Response,
    pub tokens: u64,
    pub money: plan::money::Money,
    /// As the configuration calls it.
    pub provider: String,
    pub model: String,
}

/// What the outside has for `Models`.
pub struct Outside {
    pub store: Arc<dyn Store>,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<dyn Clock>,
    /// The environment of this process.
    pub variable: fn(&str) -> Option<String>,
    /// A new number in [0, 1) each time.
    pub random: fn() -> f64,
}

/// The models that are configured.
pub struct Models {
    config: Llm,
    keeper: Keeper,
    outside: Outside,
}

impl Models {
    pub fn new(config: Llm, outside: Outside) -> Models {
        let clock = Arc::clone(&outside.clock);
        let vault = Arc::new(StoreVault::new(Arc::clone(&outside.store)));
        Models { config, keeper: Keeper::new(vault, Arc::new(move || clock.now())), outside }
    }

    /// Whether somebody can be asked. LOW is answered by HIGH where no LOW is configured, never the other way round.
    pub fn has(&self, tier: Tier) -> bool {
        !self.models(tier).is_empty()
    }

    /// The model that a node has itself, which its LOW steps ask instead of these.
    pub fn own_of(&self, node: &NodeName) -> Option<v1::LocalModel> {
        self.config.nodes.get(node).map(v1::LocalModel::from)
    }

    /// Asks the models of a tier, one after the other, until one answers.
    ///
    /// # Errors
    /// Where none is configured, the budget does not allow it, or nobody answers.
    pub async fn ask(
        &self,
        asker: &Asker,
        tier: plan::step::Tier,
        request: Request,
    ) -> Result<Answer, ModelsError> {
        let tier = match tier {
            plan::step::Tier::Low => Tier::Low,
            plan::step::Tier::High => Tier::High,
            plan::step::Tier::None => return Err(ModelsError::NoTier),
        };
        let candidates = self.candidates(tier).await?;
        let chain = Chain::new(candidates.clone(), RetryPolicy::default());
        let node = asker.node.as_ref().map(NodeName::as_str);
        let gate = self.keeper.gate(self.caps(asker), &asker.account, node);
        let random = self.outside.random;
        let answered = chain.ask(&request, &gate, &mut || random()).await;
        let answered =
            answered.map_err(|cause| ModelsError::Unanswered { tier, failures: cause.failures })?;
        let by = |candidate: &&Candidate| {
            candidate.provider.name() == answered.provider && candidate.model == answered.model
        };
        let prices = candidates.iter().find(by).map(|candidate| candidate.prices).unwrap_or_default();
        let (tokens, money) = took(&prices, &request, answered.response.usage.as_ref());
        Ok(Answer {
            response: answered.response,
            tokens,
            money,
            provider: answered.provider,
            model: answered.model,
        })
    }

    /// What the tiers cost, each by its dearest model, for estimates of the worst case.
    pub fn prices(&self) -> plan::cost::Prices {
        let dearest = |tier| {
            let models = self.models(tier).iter().map(|model| model.prices());
            models.fold(plan::cost::Price::default(), |most, prices| {
                let inputs = [Some(prices.input), prices.cache_read, prices.cache_write];
                let input = inputs.into_iter().flatten().max().unwrap_or_default();
                plan::cost::Price {
                    input: most.input.max(money(input)),
                    output: most.output.max(money(prices.output)),
                }
            })
        };
        plan::cost::Prices { low: dearest(Tier::Low), high: dearest(Tier::High), low_passes: LOW_PASSES }
    }

    /// What a request can cost at the first model of a tier.
    pub fn worst(&self, tier: Tier, request: &Request) -> llm::money::Money {
        let prices = self.models(tier).first().map(Model::prices).unwrap_or_default();
        prices.worst(request).cost
    }

    /// The most that an answer to a request can take at the first model of a tier.
    pub fn most(&self, tier: Tier, request: &Request) -> Amount {
        let prices = self.models(tier).first().map(Model::prices).unwrap_or_default();
        let worst = prices.worst(request);
        Amount { money: worst.cost, tokens: worst.tokens }
    }

    /// The first model of a tier, by name.
    pub fn first(&self, tier: Tier) -> String {
        self.models(tier).first().map(|model| model.model.clone()).unwrap_or_default()
    }

    /// What this asker may spend in all.
    pub fn cap_of(&self, asker: &Asker) -> Cap {
        self.caps(asker).plan
    }

    /// What this asker spent, with what is under way.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn spent(&self, asker: &Asker) -> Result<Amount, ModelsError> {
        let balance = self.state().await?.ledger.of_plan(&asker.account);
        Ok(Amount {
            money: balance.spent.money.saturating_add(balance.reserved.money),
            tokens: balance.spent.tokens.saturating_add(balance.reserved.tokens),
        })
    }

    /// How long an answer may be so that its worst case fits into what is left for this asker, within a range.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn affordable(
        &self,
        asker: &Asker,
        tier: Tier,
        request: &Request,
        range: RangeInclusive<u32>,
    ) -> Result<u32, ModelsError> {
        let (cap, spent) = (self.cap_of(asker), self.spent(asker).await?);
        let prices = self.models(tier).first().map(Model::prices).unwrap_or_default();
        let input = prices.worst(&Request { max_tokens: 0, ..request.clone() });
        let by_money = cap.money.map(|money| {
            let left = money.saturating_sub(spent.money).saturating_sub(input.cost).as_micros();
            left.saturating_mul(1_000_000).checked_div(prices.output.as_micros()).unwrap_or(u64::MAX)
        });
        let by_tokens =
            cap.tokens.map(|tokens| tokens.saturating_sub(spent.tokens).saturating_sub(input.tokens));
        let most = least(by_money, by_tokens).unwrap_or(u64::MAX);
        Ok(u32::try_from(most).unwrap_or(u32::MAX).clamp(*range.start(), *range.end()))
    }

    /// A number in [0, 1), new each time.
    pub fn random(&self) -> f64 {
        (self.outside.random)()
    }

    /// How often answers of a class were good enough, for the guard before a cascade.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn rates(&self) -> Result<PassRates, ModelsError> {
        let kept = get_json::<PassRates>(self.outside.store.as_ref(), keys::LLM_RATES).await?;
        Ok(kept.map(|kept| kept.value).unwrap_or_default())
    }

    /// Takes what a check said of an answer.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn judged(&self, class: &str, model: &str, passed: bool) -> Result<(), ModelsError> {
        let store = self.outside.store.as_ref();
        loop {
            let kept = get_json::<PassRates>(store, keys::LLM_RATES).await?;
            let revision = kept.as_ref().map(|kept| kept.revision);
            let mut rates = kept.map(|kept| kept.value).unwrap_or_default();
            rates.record(class, model, passed);
            let still = Precondition::as_seen(keys::LLM_RATES, revision);
            match store.commit(Txn::new().when(still).then(put_json(keys::LLM_RATES, &rates)?)).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn state(&self) -> Result<State, ModelsError> {
        self.keeper.state().await.map_err(|reason| ModelsError::State { reason })
    }

    fn models(&self, tier: Tier) -> &[Model] {
        match tier {
            Tier::Low if self.config.low.is_empty() => &self.config.high,
            Tier::Low | Tier::High => self.config.of(tier),
        }
    }

    /// The models of a tier whose key is there. One without its key is passed over as long as there is another.
    async fn candidates(&self, tier: Tier) -> Result<Vec<Candidate>, ModelsError> {
        let mut candidates = Vec::new();
        let mut missing = None;
        for model in self.models(tier) {
            match self.candidate(model).await {
                Ok(candidate) => candidates.push(candidate),
                Err(error @ (ModelsError::NoSecret { .. } | ModelsError::NoVariable { .. })) => {
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match (candidates.is_empty(), missing) {
            (false, _) => Ok(candidates),
            (true, Some(error)) => Err(error),
            (true, None) => Err(ModelsError::NotConfigured { tier }),
        }
    }

    async fn candidate(&self, model: &Model) -> Result<Candidate, ModelsError> {
        let (key, name) = self.key(model).await?;
        let usual = Timeouts::default();
        let timeouts = match model.timeout() {
            Some(wait) => Timeouts { first_byte: wait, idle: wait, total: wait, ..usual },
            None => usual,
        };
        let endpoint = Endpoint::parse(&model.name(), &model.url, key, timeouts)?;
        let provider: Arc<dyn Provider> = match model.provider {
            Wire::OpenAi => Arc::new(OpenAi::new(endpoint, model.dialect())),
            Wire::Anthropic => Arc::new(Anthropic::new(endpoint)),
            Wire::Ollama => {
                let settings = Settings {
                    num_ctx: model.num_ctx,
                    keep_alive: model.keep_alive.clone(),
                    think: model.think,
                };
                Arc::new(Ollama::new(endpoint, settings))
            }
        };
        Ok(Candidate { provider, model: model.model.clone(), prices: model.prices(), key: name })
    }

    /// The key and its name, which quotas are kept under.
    async fn key(&self, model: &Model) -> Result<(Option<ApiKey>, String), ModelsError> {
        if let Some(name) = &model.key {
            let Outside { store, keyring, .. } = &self.outside;
            let secret = secrets::newest(store.as_ref(), keyring, name.as_str()).await;
            let secret =
                secret.map_err(|cause| ModelsError::Key { model: model.name(), cause: Box::new(cause) })?;
            let secret = secret.ok_or_else(|| ModelsError::NoSecret {
                model: model.name(),
                secret: name.as_str().to_owned(),
            })?;
            return Ok((Some(ApiKey::new(&secret)), name.as_str().to_owned()));
        }
        let Some(name) = &model.key_env else { return Ok((None, String::new())) };
        let value = (self.outside.variable)(name.as_str()).filter(|value| !value.trim().is_empty());
        let value = value.ok_or_else(|| ModelsError::NoVariable {
            model: model.name(),
            variable: name.as_str().to_owned(),
        })?;
        Ok((Some(ApiKey::new(&value)), format!("${}", name.as_str())))
    }

    /// What is configured, and within it what this asker may spend.
    fn caps(&self, asker: &Asker) -> Caps {
        let caps = self.config.caps();
        Caps { plan: tighter(caps.plan, asker.cap), ..caps }
    }
}

impl Asker {
    /// A run of a plan, on one of its nodes where one asks.
    pub fn of_run(plan: &Plan, run: &str, node: Option<NodeName>) -> Asker {
        let cap = Cap {
            money: Some(llm::money::Money::micros(plan.budget.money.micros)),
            tokens: Some(plan.budget.tokens),
        };
        Asker { account: run.to_owned(), node, cap }
    }
}

/// Of a hundred LOW answers so many are taken to pass, as long as nothing was measured.
const LOW_PASSES: u32 = 70;

fn tighter(one: Cap, other: Cap) -> Cap {
    Cap { money: least(one.money, other.money), tokens: least(one.tokens, other.tokens) }
}

fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Tokens and money, as told; where nobody told, the worst case, as it is booked.
fn took(prices: &Prices, request: &Request, usage: Option<&Usage>) -> (u64, plan::money::Money) {
    match usage {
        Some(usage) => (usage.total(), money(prices.cost(usage))),
        None => {
            let worst = prices.worst(request);
            (worst.tokens, money(worst.cost))
        }
    }
}

fn money(amount: llm::money::Money) -> plan::money::Money {
    plan::money::Money::micros(amount.as_micros())
}
