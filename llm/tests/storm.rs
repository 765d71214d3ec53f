//! Fifty nodes at once against a provider that allows far less, in virtual time: storms settle, no step is lost, and
//! what was learned is kept.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use llm::error::{Fault, Kind, ProviderError};
use llm::limits::{Limits, Window};
use llm::quota::{Admission, Outcome, QuotaKey, Quotas, Ticket, UnixMillis};
use llm::retry::{Next, RetryPolicy};

const NODES: usize = 50;
const STEPS: usize = 20;
const T0: UnixMillis = 1_795_000_000_000;
const MINUTE: UnixMillis = 60_000;

#[test]
fn a_storm_of_fifty_nodes_settles_within_a_minute_and_loses_no_step() {
    for tells in [Tells::Nothing, Tells::RetryAfter, Tells::Headers] {
        for per_minute in [30, 300, 1_200] {
            let mut fleet = Fleet::new(Provider::new(per_minute, tells), Quotas::default(), T0);
            // A crowd that came with no control at all: everybody's first request is under way before any answer.
            fleet.storm();
            fleet.run(|_| false);
            check(&fleet, tells, per_minute);
        }
    }
}

#[test]
fn limits_survive_a_restart_and_cause_no_second_storm() {
    for tells in [Tells::Nothing, Tells::RetryAfter, Tells::Headers] {
        let mut fleet = Fleet::new(Provider::new(300, tells), Quotas::default(), T0);
        fleet.storm();
        fleet.run(|now| now >= T0 + 90_000);
        let learned = rate(&fleet.quotas);
        let text = serde_json::to_string(&fleet.quotas).expect("JSON");
        let quotas: Quotas = serde_json::from_str(&text).expect("the same");
        assert_eq!(rate(&quotas), learned);
        // The coordinator was away for a minute; the nodes start all their steps anew.
        let mut again = Fleet::new(Provider::new(300, tells), quotas, T0 + 150_000);
        again.run(|_| false);
        assert_eq!(again.done.iter().sum::<usize>(), NODES * STEPS);
        let first_minute = again.refused_between(T0 + 150_000, T0 + 150_000 + MINUTE);
        assert!(first_minute * 10 <= 300, "{tells:?}: {first_minute} refusals after the restart");
    }
}

fn check(fleet: &Fleet, tells: Tells, per_minute: i64) {
    assert!(fleet.done.iter().all(|done| *done == STEPS), "{tells:?} {per_minute}: {:?}", fleet.done);
    let first = fleet.refused_between(T0, T0 + MINUTE);
    let (sent, refused) =
        (fleet.sent_after(T0 + MINUTE), fleet.refused_between(T0 + MINUTE, UnixMillis::MAX));
    println!(
        "{tells:?} {per_minute}/min: {first} refusals in the first minute, then {refused} of {sent}, done in {} s",
        (fleet.now - T0) / 1_000
    );
    assert!(
        refused * 10 <= sent,
        "{tells:?} {per_minute}: {refused} of {sent} refused after the first minute"
    );
    // All steps take this long even if no request is ever wasted.
    let fastest = (NODES * STEPS) as i64 * MINUTE / per_minute;
    assert!(
        fleet.now - T0 <= 2 * fastest + 3 * MINUTE,
        "{tells:?} {per_minute}: took {} s",
        (fleet.now - T0) / 1_000
    );
}

/// What the provider tells about its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tells {
    Nothing,
    RetryAfter,
    Headers,
}

/// Allows so many requests a minute, refilled bit by bit, and no more than ten seconds' worth at once.
struct Provider {
    per_minute: i64,
    level: i64,
    refilled_at: UnixMillis,
    tells: Tells,
}

impl Provider {
    fn new(per_minute: i64, tells: Tells) -> Provider {
        Provider { per_minute, level: per_minute * MINUTE / 6, refilled_at: 0, tells }
    }

    fn ask(&mut self, now: UnixMillis) -> (bool, Limits) {
        let burst = self.per_minute * MINUTE / 6;
        self.level = (self.level + (now - self.refilled_at).min(MINUTE) * self.per_minute).min(burst);
        self.refilled_at = now;
        let is_allowed = self.level >= MINUTE;
        if is_allowed {
            self.level -= MINUTE;
        }
        let missing = (MINUTE - self.level).max(0) / self.per_minute;
        let limits = match self.tells {
            Tells::Nothing => Limits::default(),
            Tells::RetryAfter if is_allowed => Limits::default(),
            // Whole seconds, rounded up, as the header has them.
            Tells::RetryAfter => Limits {
                retry_after: Some(Duration::from_secs(missing as u64 / 1_000 + 1)),
                ..Limits::default()
            },
            Tells::Headers => {
                let requests = Window {
                    limit: Some(self.per_minute as u64),
                    remaining: Some((self.level / MINUTE) as u64),
                    reset_after: Some(Duration::from_millis(((burst - self.level) / self.per_minute) as u64)),
                    at_once: false,
                };
                Limits { requests, ..Limits::default() }
            }
        };
        (is_allowed, limits)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The node wants to send its next request, after so many failed tries of it.
    Want { node: usize, tries: u32 },
    /// The provider's answer arrives.
    Answer { node: usize, tries: u32, request: usize },
}

#[derive(Clone, Copy)]
struct Sent {
    at: UnixMillis,
    ticket: Ticket,
    is_allowed: bool,
    limits: Limits,
}

struct Fleet {
    provider: Provider,
    quotas: Quotas,
    events: BinaryHeap<Reverse<(UnixMillis, u64, Event)>>,
    sent: Vec<Sent>,
    done: Vec<usize>,
    now: UnixMillis,
    seed: u64,
}

impl Fleet {
    fn new(provider: Provider, quotas: Quotas, now: UnixMillis) -> Fleet {
        let mut fleet = Fleet {
            provider,
            quotas,
            events: BinaryHeap::new(),
            sent: vec![],
            done: vec![0; NODES],
            now,
            seed: 1,
        };
        (0..NODES).for_each(|node| fleet.at(now, Event::Want { node, tries: 0 }));
        fleet
    }

    /// A ticket for each node, whatever the quota says.
    fn storm(&mut self) {
        self.events.clear();
        for node in 0..NODES {
            let mut open = Quotas::default();
            let Admission::Go(ticket) = open.admit(&key(), 100, self.now) else {
                panic!("an empty quota admits")
            };
            self.send(node, 0, ticket);
        }
    }

    fn run(&mut self, stop: impl Fn(UnixMillis) -> bool) {
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            assert!(now < T0 + 3_600_000, "it never ends: {:?}", self.done);
            self.now = now;
            if stop(now) {
                return;
            }
            match event {
                Event::Want { node, tries } => self.want(node, tries),
                Event::Answer { node, tries, request } => self.answer(node, tries, request),
            }
        }
    }

    fn want(&mut self, node: usize, tries: u32) {
        match self.quotas.admit(&key(), 100, self.now) {
            Admission::Go(ticket) => self.send(node, tries, ticket),
            Admission::Wait(wait) => {
                let wait = wait.as_millis() as i64 + (self.random() * 100.0) as i64;
                self.at(self.now + wait, Event::Want { node, tries });
            }
        }
    }

    fn send(&mut self, node: usize, tries: u32, ticket: Ticket) {
        let (is_allowed, limits) = self.provider.ask(self.now);
        self.sent.push(Sent { at: self.now, ticket, is_allowed, limits });
        let latency = if is_allowed { 400 + (self.random() * 800.0) as i64 } else { 40 };
        self.at(self.now + latency, Event::Answer { node, tries, request: self.sent.len() - 1 });
    }

    fn answer(&mut self, node: usize, tries: u32, request: usize) {
        let Sent { ticket, is_allowed, limits, .. } = self.sent[request];
        let outcome = if is_allowed {
            Outcome::Answered { tokens: 80 }
        } else {
            Outcome::Limited { retry_after: limits.retry_after }
        };
        self.quotas.settle(&key(), ticket, outcome, &limits, self.now);
        if is_allowed {
            self.done[node] += 1;
            if self.done[node] < STEPS {
                self.at(self.now, Event::Want { node, tries: 0 });
            }
            return;
        }
        let fault =
            Fault::Status { status: 429, kind: Kind::Rate, name: String::new(), message: String::new() };
        let error = ProviderError { retry_after: limits.retry_after, ..ProviderError::new("p", fault) };
        let random = self.random();
        match RetryPolicy::default().next(&error, tries + 1, random) {
            Next::Again(wait) => {
                self.at(self.now + wait.as_millis() as i64, Event::Want { node, tries: tries + 1 })
            }
            Next::Elsewhere | Next::GiveUp => panic!("a step is lost after {tries} tries"),
        }
    }

    fn at(&mut self, time: UnixMillis, event: Event) {
        self.seed += 1;
        self.events.push(Reverse((time, self.seed, event)));
    }

    fn random(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(1);
        let mixed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn refused_between(&self, from: UnixMillis, to: UnixMillis) -> usize {
        self.sent.iter().filter(|sent| !sent.is_allowed && (from..to).contains(&sent.at)).count()
    }

    fn sent_after(&self, from: UnixMillis) -> usize {
        self.sent.iter().filter(|sent| sent.at >= from).count()
    }
}

fn rate(quotas: &Quotas) -> u64 {
    quotas.known().next().expect("one quota").1.requests_per_minute()
}

fn key() -> QuotaKey {
    QuotaKey { provider: "p".into(), key: "main".into(), model: "m".into() }
}
