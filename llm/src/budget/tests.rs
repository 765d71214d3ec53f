use proptest::prelude::*;

use super::*;
use crate::message::{Request, Usage};
use crate::money::Prices;

/// 2026-11-30 23:59:59 UTC.
const LATE: UnixMillis = 1_796_083_199_000;

#[test]
fn a_runaway_model_is_stopped_before_it_passes_its_budget() {
    let prices =
        Prices { input: Money::micros(3_000_000), output: Money::micros(15_000_000), ..Prices::default() };
    let caps = Caps { plan: Cap { money: Money::parse("0.50"), tokens: None }, ..Caps::default() };
    let mut ledger = Ledger::default();
    let mut calls = 0;
    // It answers as long as it may, each time, and is asked again with all it said.
    let mut request = Request::new("m", "You are a loop.", "go on", 2_000);
    let refused = loop {
        let worst = prices.worst(&request);
        match ledger.reserve(&caps, "p", None, worst.into(), LATE) {
            Ok(id) => {
                calls += 1;
                let usage = Usage { input: request.worst_input_tokens(), output: 2_000, ..Usage::default() };
                ledger.commit(id, Amount { money: prices.cost(&usage), tokens: usage.total() });
                request = Request::new("m", "You are a loop.", &"x".repeat(calls * 400), 2_000);
            }
            Err(refused) => break refused,
        }
    };
    let spent = ledger.of_plan("p").spent.money;
    assert!(calls > 5 && spent <= Money::micros(500_000), "{calls} calls for {spent}");
    assert_eq!(refused.account.to_string(), "plan:p");
    assert!(refused.what.contains("of 0.50"), "{refused}");
}

#[test]
fn every_cap_stops_and_is_named() {
    let cap = |tokens| Cap { money: None, tokens: Some(tokens) };
    for (caps, expected) in [
        (Caps { plan: cap(9), ..Caps::default() }, "plan:p"),
        (Caps { node: cap(9), ..Caps::default() }, "node:pi-1:2026-11-30"),
        (Caps { day: cap(9), ..Caps::default() }, "day:2026-11-30"),
        (Caps { month: cap(9), ..Caps::default() }, "month:2026-11"),
    ] {
        let mut ledger = Ledger::default();
        let refused = ledger.reserve(&caps, "p", Some("pi-1"), amount(10), LATE).expect_err("too much");
        assert_eq!(refused.account.to_string(), expected);
        assert_eq!(ledger, Ledger::default(), "nothing is reserved");
        assert!(ledger.reserve(&caps, "p", Some("pi-1"), amount(9), LATE).is_ok());
    }
}

#[test]
fn a_new_day_and_month_begin_anew_and_what_spans_midnight_stays_where_it_began() {
    let cap = Cap { money: None, tokens: Some(10) };
    let caps = Caps { day: cap, month: cap, ..Caps::default() };
    let mut ledger = Ledger::default();
    let late = ledger.reserve(&caps, "p", None, amount(10), LATE).expect("fits");
    assert!(ledger.reserve(&caps, "p", None, amount(1), LATE).is_err());
    ledger.reserve(&caps, "p", None, amount(10), LATE + 1_000).expect("another day and month");
    ledger.commit(late, amount(4));
    let told: Vec<String> = ledger
        .balances()
        .map(|(account, held)| format!("{account} {} {}", held.spent.tokens, held.reserved.tokens))
        .collect();
    assert_eq!(
        told,
        [
            "day:2026-11-30 4 0",
            "day:2026-12-01 0 10",
            "month:2026-11 4 0",
            "month:2026-12 0 10",
            "plan:p 4 10"
        ]
    );
}

#[test]
fn after_a_crash_what_was_open_counts_in_full_and_is_booked_once() {
    let caps = Caps { plan: Cap { money: None, tokens: Some(100) }, ..Caps::default() };
    let mut ledger = Ledger::default();
    let first = ledger.reserve(&caps, "p", None, amount(60), LATE).expect("fits");
    let mut ledger: Ledger =
        serde_json::from_str(&serde_json::to_string(&ledger).expect("JSON")).expect("the same");
    // Somebody may still wait for it; it counts in full all the same.
    assert_eq!((ledger.recover(LATE + HOLD - 1), ledger.of_plan("p").reserved.tokens), (0, 60));
    assert_eq!((ledger.recover(LATE + HOLD), ledger.of_plan("p").spent.tokens), (1, 60));
    // The answer that comes after all changes nothing.
    ledger.commit(first, amount(1));
    assert_eq!(ledger.of_plan("p").spent.tokens, 60);
    assert!(ledger.reserve(&caps, "p", None, amount(41), LATE).is_err());
    let second = ledger.reserve(&caps, "p", None, amount(40), LATE).expect("fits");
    assert_ne!(first, second);
    ledger.release(second);
    assert_eq!(ledger.of_plan("p"), Balance { spent: amount(60), reserved: amount(0) });
}

#[test]
fn accounts_are_kept_as_long_as_something_counts_against_them() {
    const DAYS: UnixMillis = 24 * 3_600_000;
    let mut ledger = Ledger::default();
    let caps = Caps::default();
    for (plan, now) in [("old", LATE), ("open", LATE), ("new", LATE + 25 * DAYS)] {
        let id = ledger.reserve(&caps, plan, Some("pi-1"), amount(1), now).expect("fits");
        if plan != "open" {
            ledger.commit(id, amount(1));
        }
    }
    let names = |ledger: &Ledger| ledger.balances().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    ledger.forget(LATE + DAYS);
    assert_eq!(names(&ledger).len(), 9, "{:?}", names(&ledger));
    ledger.forget(LATE + 31 * DAYS);
    let open = ["day:2026-11-30", "node:pi-1:2026-11-30", "plan:open"];
    let kept = ["day:2026-12-25", "month:2026-11", "month:2026-12", "plan:new"];
    let mut expected = [&open[..], &kept[..]].concat();
    expected.sort_unstable();
    assert_eq!(names(&ledger), expected);
    ledger.recover(LATE + 31 * DAYS);
    ledger.forget(LATE + 400 * DAYS);
    assert_eq!(names(&ledger), Vec::<String>::new());
}

proptest! {
    /// Whatever is reserved, committed, released and lost, in any order: no cap is passed, and nothing stays reserved
    /// once all is settled.
    #[test]
    fn no_cap_is_ever_passed(cap in 0u64..10_000, steps in prop::collection::vec((0u8..5, 0u64..3_000, 0u64..3_000, 0usize..8), 1..200)) {
        let limit = Cap { money: Some(Money::micros(cap)), tokens: Some(cap) };
        let caps = Caps { plan: limit, day: limit, ..Caps::default() };
        let mut ledger = Ledger::default();
        let mut open: Vec<(ReservationId, u64)> = Vec::new();
        for (kind, asked, used, pick) in steps {
            let both = |tokens| Amount { money: Money::micros(tokens), tokens };
            match kind {
                0 | 1 => if let Ok(id) = ledger.reserve(&caps, "p", None, both(asked), LATE) { open.push((id, asked)) },
                2 if !open.is_empty() => {
                    let (id, worst) = open.remove(pick % open.len());
                    ledger.commit(id, both(used.min(worst)));
                }
                3 if !open.is_empty() => ledger.release(open.remove(pick % open.len()).0),
                4 if pick == 0 => {
                    ledger = serde_json::from_str(&serde_json::to_string(&ledger).expect("JSON")).expect("the same");
                    ledger.recover(LATE + HOLD);
                    open.clear();
                }
                _ => {}
            }
            let Balance { spent, reserved } = ledger.of_plan("p");
            prop_assert!(spent.tokens + reserved.tokens <= cap && spent.money.as_micros() + reserved.money.as_micros() <= cap);
            prop_assert_eq!(reserved.tokens, open.iter().map(|(_, worst)| worst).sum::<u64>());
        }
        ledger.recover(LATE + HOLD);
        prop_assert_eq!(ledger.of_plan("p").reserved, Amount::default());
    }
}

fn amount(tokens: u64) -> Amount {
    Amount { money: Money::ZERO, tokens }
}
