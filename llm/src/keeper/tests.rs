use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream;

use super::*;
use crate::budget::Cap;
use crate::error::Fault;
use crate::message::{Event, Stop};
use crate::money::{Money, Prices};
use crate::provider::{Provider, Reply};
use crate::retry::RetryPolicy;
use crate::tier::Chain;

const PRICES: Prices = Prices {
    input: Money::micros(3_000_000),
    output: Money::micros(15_000_000),
    cache_read: None,
    cache_write: None,
};

#[tokio::test(start_paused = true)]
async fn fifty_nodes_with_a_runaway_model_never_pass_the_budget_of_their_plan() {
    let provider = Arc::new(Runaway::default());
    let chain = chain(&provider);
    let keeper = keeper(State::default());
    let caps = Caps { plan: Cap { money: Money::parse("0.25"), tokens: None }, ..Caps::default() };
    let nodes: Vec<String> = (0..50).map(|node| format!("pi-{node}")).collect();
    let refusals = join_all(nodes.iter().map(|node| {
        let (keeper, chain) = (&keeper, &chain);
        async move {
            let gate = keeper.gate(caps, "p", Some(node));
            loop {
                if let Err(error) = chain.ask(&question(), &gate, &mut || 0.5).await {
                    return format!("{:?}", error.failures.last());
                }
            }
        }
    }))
    .await;
    assert!(refusals.iter().all(|refusal| refusal.contains("the budget of plan:p")), "{refusals:?}");
    let spent = keeper.state().await.expect("a state").ledger.of_plan("p");
    let charged = Money::micros(provider.charged.load(Ordering::SeqCst));
    assert!(charged <= Money::micros(250_000) && charged > Money::micros(200_000), "{charged}");
    assert!(spent.spent.money >= charged && spent.spent.money <= Money::micros(250_000), "{spent:?}");
    assert_eq!(spent.reserved, Amount::default());
}

#[tokio::test(start_paused = true)]
async fn what_is_open_when_the_coordinator_dies_counts_in_full() {
    let provider = Arc::new(Runaway::default());
    let candidate = chain(&provider).candidates()[0].clone();
    let keeper = keeper(State::default());
    let caps = Caps::default();
    keeper.gate(caps, "p", None).enter(&candidate, &question()).await.expect("it passes");
    let stored = serde_json::to_string(&keeper.state().await.expect("a state")).expect("JSON");
    let again = self::keeper(serde_json::from_str(&stored).expect("the same"));
    let state = again.state().await.expect("a state");
    assert_eq!(state.ledger.of_plan("p").reserved, PRICES.worst(&question()).into());
    assert_eq!(state.quotas, keeper.state().await.expect("a state").quotas);
    sleep(Duration::from_secs(31 * 60)).await;
    let balance = again.state().await.expect("a state").ledger.of_plan("p");
    assert_eq!((balance.spent, balance.reserved), (PRICES.worst(&question()).into(), Amount::default()));
}

#[tokio::test(start_paused = true)]
async fn two_coordinators_with_one_vault_pass_no_budget_and_lose_no_reservation() {
    let vault = Arc::new(InMemory { contested: AtomicU64::new(7), ..InMemory::default() });
    let keepers = [0, 1].map(|_| Keeper::new(Arc::<InMemory>::clone(&vault), clock()));
    let provider = Arc::new(Runaway::default());
    let caps = Caps { plan: Cap { money: Money::parse("0.25"), tokens: None }, ..Caps::default() };
    join_all(keepers.iter().flat_map(|keeper| std::iter::repeat_n(keeper, 5)).map(|keeper| {
        let chain = chain(&provider);
        async move {
            let gate = keeper.gate(caps, "p", None);
            while chain.ask(&question(), &gate, &mut || 0.5).await.is_ok() {}
        }
    }))
    .await;
    let charged = Money::micros(provider.charged.load(Ordering::SeqCst));
    let balance = keepers[0].state().await.expect("a state").ledger.of_plan("p");
    assert!(charged <= Money::micros(250_000) && charged > Money::micros(200_000), "{charged}");
    assert_eq!(balance.reserved, Amount::default());
    assert!(balance.spent.money >= charged, "{balance:?}");
    assert_eq!(vault.contested.load(Ordering::SeqCst), 0, "somebody else was quicker now and then");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_leaves_nothing_behind_even_beside_what_was_abandoned() {
    let provider = Arc::new(Runaway { is_silent: true, ..Runaway::default() });
    let candidate = chain(&provider).candidates()[0].clone();
    let worst: Amount = PRICES.worst(&question()).into();
    let keeper = keeper(State::default());
    let gate = keeper.gate(Caps::default(), "p", None);
    let pass = gate.enter(&candidate, &question()).await.expect("it passes");
    gate.abandon(pass);
    let narrow = Caps { day: Cap { money: None, tokens: Some(worst.tokens) }, ..Caps::default() };
    let over = keeper.gate(narrow, "q", None).enter(&candidate, &question()).await;
    assert!(over.expect_err("the day is spent").reason.contains("day:"));
    let state = keeper.state().await.expect("a state");
    assert_eq!(
        (state.ledger.of_plan("p").spent, state.ledger.of_plan("p").reserved),
        (worst, Amount::default())
    );
    assert_eq!(state.ledger.of_plan("q").reserved, Amount::default());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_counts_in_full_and_holds_nothing() {
    let provider = Arc::new(Runaway { is_silent: true, ..Runaway::default() });
    let keeper = keeper(State::default());
    let gate = keeper.gate(Caps::default(), "p", None);
    let chain = chain(&provider);
    let mut random = || 0.5;
    let asked = question();
    let cancelled = tokio::time::timeout(Duration::from_secs(1), chain.ask(&asked, &gate, &mut random)).await;
    assert!(cancelled.is_err());
    let balance = keeper.state().await.expect("a state").ledger.of_plan("p");
    assert_eq!((balance.spent, balance.reserved), (PRICES.worst(&question()).into(), Amount::default()));
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_that_could_not_be_stored_before() {
    let provider = Arc::new(Runaway::default());
    let vault = InMemory { is_full: true, ..InMemory::default() };
    let keeper = Keeper::new(Arc::new(vault), clock());
    let gate = keeper.gate(Caps::default(), "p", None);
    let error = chain(&provider).ask(&question(), &gate, &mut || 0.5).await.expect_err("nothing may leave");
    assert!(format!("{:?}", error.failures).contains("the disk is full"));
    assert_eq!(provider.calls.load(Ordering::SeqCst), 0);
    assert_eq!(keeper.state().await.expect("a state").ledger.of_plan("p").spent, Amount::default());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_fails_again_and_again_is_left_alone() {
    let provider = Arc::new(Runaway { is_broken: true, ..Runaway::default() });
    let keeper = keeper(State::default());
    let gate = keeper.gate(Caps::default(), "p", None);
    for _ in 0..20 {
        chain(&provider).ask(&question(), &gate, &mut || 0.5).await.expect_err("it is broken");
    }
    assert_eq!(provider.calls.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn fifty_nodes_at_a_narrow_provider_all_get_through() {
    let provider: Arc<dyn Provider> = Arc::new(Narrow { clock: clock(), level: Mutex::new((10.0, 0)) });
    let candidate = Candidate { provider, model: "m".into(), prices: PRICES, key: "main".into() };
    let chain = Chain::new(vec![candidate], RetryPolicy::default());
    let keeper = keeper(State::default());
    let start = tokio::time::Instant::now();
    let nodes: Vec<String> = (0..50).map(|node| format!("pi-{node}")).collect();
    let lost = join_all(nodes.iter().enumerate().map(|(index, node)| {
        let (keeper, chain) = (&keeper, &chain);
        async move {
            let gate = keeper.gate(Caps::default(), "p", Some(node));
            for step in 0..6 {
                let spread = (index * 7 + step) % 50;
                if let Err(error) = chain.ask(&question(), &gate, &mut || spread as f64 / 50.0).await {
                    return Some(format!("{node}: {:?}", error.failures));
                }
            }
            None
        }
    }))
    .await;
    assert!(lost.iter().all(Option::is_none), "{lost:?}");
    // 300 requests at 60 a minute.
    assert!(start.elapsed() < Duration::from_secs(600), "{:?}", start.elapsed());
    assert_eq!(keeper.state().await.expect("a state").ledger.of_plan("p").spent.tokens, 300 * 2);
}

/// Allows 60 requests a minute and ten at once, and tells nothing of it.
struct Narrow {
    clock: Now,
    level: Mutex<(f64, UnixMillis)>,
}

#[async_trait]
impl Provider for Narrow {
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    fn name(&self) -> &str {
        "narrow"
    }

    async fn send(&self, _: &Request) -> Result<Reply, ProviderError> {
        let is_allowed = {
            let now = (self.clock)();
            let mut level = self.level.lock().expect("a lock");
            *level = ((level.0 + (now - level.1) as f64 / 1_000.0).min(10.0), now);
            let is_allowed = level.0 >= 1.0;
            level.0 -= if is_allowed { 1.0 } else { 0.0 };
            is_allowed
        };
        sleep(Duration::from_millis(300)).await;
        if !is_allowed {
            let fault =
                Fault::Status { status: 429, kind: Kind::Rate, name: "rate".into(), message: "slow".into() };
            return Err(ProviderError::new("narrow", fault));
        }
        let usage = Some(Usage { input: 1, output: 1, ..Usage::default() });
        let response = Response {
            text: "ok".into(),
            thinking: String::new(),
            tool_calls: vec![],
            stop: Stop::End,
            usage,
            model: "m".into(),
        };
        Ok(Reply { limits: Limits::default(), events: stream::iter([Ok(Event::Done(response))]).boxed() })
    }
}

/// Answers as long as it may, and says so; every fourth answer breaks off and is charged all the same.
#[derive(Default)]
struct Runaway {
    calls: AtomicU64,
    charged: AtomicU64,
    is_broken: bool,
    is_silent: bool,
}

#[async_trait]
impl Provider for Runaway {
    async fn models(&self) -> Result<Vec<String>, ProviderError> {
        Ok(Vec::new())
    }

    fn name(&self) -> &str {
        "runaway"
    }

    async fn send(&self, request: &Request) -> Result<Reply, ProviderError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if self.is_silent {
            futures::future::pending::<()>().await;
        }
        if self.is_broken {
            let fault =
                Fault::Status { status: 401, kind: Kind::Auth, name: "auth".into(), message: "no".into() };
            return Err(ProviderError::new("runaway", fault));
        }
        let usage = Usage {
            input: request.worst_input_tokens(),
            output: u64::from(request.max_tokens),
            ..Usage::default()
        };
        self.charged.fetch_add(PRICES.cost(&usage).as_micros(), Ordering::SeqCst);
        let last = match call % 4 {
            3 => Err(ProviderError::new("runaway", Fault::Truncated { awaited: "its end" })),
            _ => Ok(Event::Done(Response {
                text: "go on".into(),
                thinking: String::new(),
                tool_calls: vec![],
                stop: Stop::Length,
                usage: Some(usage),
                model: "m".into(),
            })),
        };
        Ok(Reply { limits: Limits::default(), events: stream::iter([last]).boxed() })
    }
}

fn chain(provider: &Arc<Runaway>) -> Chain {
    let provider: Arc<dyn Provider> = Arc::<Runaway>::clone(provider);
    Chain::new(
        vec![Candidate { provider, model: "m".into(), prices: PRICES, key: "main".into() }],
        RetryPolicy::default(),
    )
}

fn keeper(state: State) -> Keeper {
    Keeper::new(Arc::new(InMemory { state: Mutex::new(state), ..InMemory::default() }), clock())
}

/// A vault that others write to, too.
#[derive(Default)]
struct InMemory {
    state: Mutex<State>,
    is_full: bool,
    /// So many changes find that somebody else was quicker, and are made twice.
    contested: AtomicU64,
}

#[async_trait]
impl Vault for InMemory {
    async fn change(&self, change: &mut Change<'_>) -> Result<(), String> {
        let left = self.contested.load(Ordering::SeqCst);
        if left > 0 {
            self.contested.store(left - 1, Ordering::SeqCst);
            let mut stale = State::default();
            change(&mut stale);
            tokio::task::yield_now().await;
        }
        let mut state = self.state.lock().expect("a lock");
        let mut changed = state.clone();
        if change(&mut changed) == Changed::Yes {
            if self.is_full {
                return Err("the disk is full".to_owned());
            }
            *state = changed;
        }
        Ok(())
    }
}

/// Goes with tokio's paused time.
fn clock() -> Now {
    let start = tokio::time::Instant::now();
    Arc::new(move || 1_795_000_000_000 + i64::try_from(start.elapsed().as_millis()).expect("a short time"))
}

fn question() -> Request {
    Request::new("", "You are a loop.", "go on", 300)
}
