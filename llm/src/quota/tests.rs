use proptest::prelude::*;

use super::*;

const T0: UnixMillis = 1_795_000_000_000;

#[test]
fn told_limits_are_kept_to_the_letter() {
    let mut quotas = Quotas::default();
    settle(&mut quotas, T0, Outcome::Answered { tokens: 10 }, &told(60, 3, 1_000));
    assert_eq!(rate(&quotas), 60);
    let went = (0..20).filter(|_| go(&mut quotas, T0).is_some()).count();
    assert_eq!(went, 3, "what remains is all that is admitted");
    assert_eq!(quotas.admit(&key(), 1, T0), Admission::Wait(Duration::from_secs(1)));
    assert!(go(&mut quotas, T0 + 1_000).is_some());
}

#[test]
fn retry_after_closes_a_quota_for_exactly_as_long_as_it_says() {
    let mut quotas = Quotas::default();
    let limited = Outcome::Limited { retry_after: Some(Duration::from_secs(17)) };
    settle(&mut quotas, T0, limited, &Limits::default());
    assert!(matches!(quotas.admit(&key(), 1, T0 + 16_999), Admission::Wait(_)));
    assert!(go(&mut quotas, T0 + 17_000 + 2_000).is_some());
}

#[test]
fn a_storm_halves_a_learned_rate_once_and_answers_raise_it_again() {
    let mut quotas = Quotas::default();
    let tickets: Vec<Ticket> = (0..8).filter_map(|_| go(&mut quotas, T0)).collect();
    assert_eq!((tickets.len(), rate(&quotas)), (8, 60));
    for ticket in tickets {
        quotas.settle(&key(), ticket, Outcome::Limited { retry_after: None }, &Limits::default(), T0 + 500);
    }
    assert_eq!(rate(&quotas), 30);
    for second in 1..=40 {
        let now = T0 + 500 + second * 5_000;
        settle(&mut quotas, now, Outcome::Answered { tokens: 10 }, &Limits::default());
    }
    assert_eq!(rate(&quotas), 58, "24 answers to nine tenths of 60, then 4 for one");
}

#[test]
fn a_used_up_window_is_shut_until_it_ends() {
    let mut limits = told(20, 0, 40_000);
    limits.requests.at_once = true;
    let mut quotas = Quotas::default();
    settle(&mut quotas, T0, Outcome::Answered { tokens: 10 }, &limits);
    assert_eq!(quotas.admit(&key(), 1, T0), Admission::Wait(Duration::from_secs(40)));
    assert!(go(&mut quotas, T0 + 40_000).is_some());
}

#[test]
fn a_limit_by_the_day_comes_back_over_the_day() {
    let mut quotas = Quotas::default();
    settle(&mut quotas, T0, Outcome::Answered { tokens: 1 }, &told(1_440, 0, 86_400_000));
    assert_eq!(rate(&quotas), 1);
}

#[test]
fn what_was_learned_is_kept_over_a_restart() {
    let mut quotas = Quotas::default();
    settle(
        &mut quotas,
        T0,
        Outcome::Limited { retry_after: Some(Duration::from_secs(5)) },
        &Limits::default(),
    );
    let text = serde_json::to_string(&quotas).expect("JSON");
    let mut again: Quotas = serde_json::from_str(&text).expect("the same");
    assert_eq!(again, quotas);
    assert_eq!(rate(&again), 30);
    assert!(matches!(again.admit(&key(), 1, T0 + 4_000), Admission::Wait(_)));
}

#[test]
fn leases_share_what_there_is_and_come_back_only_in_time() {
    let mut quotas = Quotas::default();
    settle(&mut quotas, T0, Outcome::Answered { tokens: 1 }, &told(100, 100, 1));
    let minute = Duration::from_secs(60);
    let mut first = quotas.lease(&key(), 2, minute, T0 + 100).expect("a share");
    let second = quotas.lease(&key(), 1, minute, T0 + 100).expect("the rest");
    // Before anything was told, ten were dared; one of them is spent.
    assert!(first.requests + second.requests <= 10, "{first:?} {second:?}");
    assert_eq!(quotas.lease(&key(), 1, minute, T0 + 100), None);
    assert!(first.take(1, T0 + 200) && !first.take(u64::MAX, T0 + 200) && !first.take(1, T0 + 60_100));
    quotas.give_back(&second, T0 + 60_100);
    quotas.give_back(&second, T0 + 100);
    assert!(quotas.lease(&key(), 1, minute, T0 + 100).is_some());
}

proptest! {
    /// However requests come, are answered and refused: in any minute no more than the told limit goes out, plus the
    /// burst that the limit allows once.
    #[test]
    fn never_more_goes_out_than_limit_and_burst(limit in 1u64..200, steps in prop::collection::vec((0i64..2_000, 0u8..10), 1..400)) {
        let mut quotas = Quotas::default();
        let mut now = T0;
        settle(&mut quotas, now, Outcome::Answered { tokens: 0 }, &told(limit, limit, 1));
        let start = now;
        let mut went = 0;
        for (pause, kind) in steps {
            now += pause;
            if let Some(ticket) = go(&mut quotas, now) {
                went += 1;
                let outcome = match kind {
                    0 => Outcome::Limited { retry_after: None },
                    1 => Outcome::Limited { retry_after: Some(Duration::from_millis(300)) },
                    2 => Outcome::Failed { retry_after: None },
                    _ => Outcome::Answered { tokens: u64::from(kind) },
                };
                quotas.settle(&key(), ticket, outcome, &Limits::default(), now);
            }
            let allowed = limit + limit * u64::try_from(now - start).expect("time passes") / 60_000 + 1;
            prop_assert!(went <= allowed, "{went} of {allowed}");
        }
    }

    /// Waiting as long as told is enough, unless something else happens meanwhile; and it never takes for ever.
    #[test]
    fn waiting_as_told_is_enough(tokens in 0u64..1_000_000, before in 0usize..50, shift in -5_000i64..5_000) {
        let mut quotas = Quotas::default();
        for _ in 0..before {
            if let Some(ticket) = go(&mut quotas, T0) {
                quotas.settle(&key(), ticket, Outcome::Limited { retry_after: None }, &Limits::default(), T0);
            }
        }
        let now = T0 + shift;
        if let Admission::Wait(wait) = quotas.admit(&key(), tokens, now) {
            prop_assert!(wait <= Duration::from_secs(24 * 3600));
            let later = now + i64::try_from(wait.as_millis()).expect("a short time") + 1;
            prop_assert!(matches!(quotas.admit(&key(), tokens, later), Admission::Go(_)));
        }
    }
}

fn key() -> QuotaKey {
    QuotaKey { provider: "p".into(), key: "main".into(), model: "m".into() }
}

fn go(quotas: &mut Quotas, now: UnixMillis) -> Option<Ticket> {
    match quotas.admit(&key(), 1, now) {
        Admission::Go(ticket) => Some(ticket),
        Admission::Wait(_) => None,
    }
}

fn settle(quotas: &mut Quotas, now: UnixMillis, outcome: Outcome, limits: &Limits) {
    let ticket = go(quotas, now).expect("it is admitted");
    quotas.settle(&key(), ticket, outcome, limits, now);
}

fn rate(quotas: &Quotas) -> u64 {
    quotas.known().next().expect("one quota").1.requests_per_minute()
}

fn told(limit: u64, remaining: u64, millis: u64) -> Limits {
    let requests = Window {
        limit: Some(limit),
        remaining: Some(remaining),
        reset_after: Some(Duration::from_millis(millis)),
        at_once: false,
    };
    Limits { requests, ..Limits::default() }
}
