//! How good a router is, from recorded outcomes: for judging, not for routing.

/// One prompt whose answers were judged: the router's score (higher: LOW suffices), and who was right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub score: f64,
    pub low_ok: bool,
    pub high_ok: bool,
}

/// The mean, over all shares of prompts sent to HIGH (lowest scores first), of the performance gap recovered:
/// (accuracy − all-LOW) / (all-HIGH − all-LOW). Prompts of the same score go in no order. None where there is no gap.
pub fn apgr(outcomes: &[Outcome]) -> Option<f64> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let gap: f64 = sorted.iter().map(gain).sum();
    if gap == 0.0 {
        return None;
    }
    let mut recovered = 0.0;
    let mut area = 0.0;
    for group in sorted.chunk_by(|a, b| a.score == b.score) {
        let gained: f64 = group.iter().map(gain).sum();
        area += group.len() as f64 * (recovered + gained / 2.0);
        recovered += gained;
    }
    Some(area / (sorted.len() as f64 * gap))
}

fn gain(outcome: &Outcome) -> f64 {
    f64::from(u8::from(outcome.high_ok)) - f64::from(u8::from(outcome.low_ok))
}

/// A verifier of LOW's answers. All zero is a perfect one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Verifier {
    /// The share of wrong answers that it lets pass.
    pub misses: f64,
    /// The share of right answers that it rejects.
    pub false_alarms: f64,
}

/// What LOW first, then HIGH for what does not pass, comes to (expected values).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cascade {
    pub accuracy: f64,
    /// The share of prompts that HIGH is asked.
    pub high_calls: f64,
}

pub fn cascade(outcomes: &[Outcome], verifier: Verifier) -> Cascade {
    let count = outcomes.len().max(1) as f64;
    let (mut right, mut calls) = (0.0, 0.0);
    for outcome in outcomes {
        let escalated = if outcome.low_ok { verifier.false_alarms } else { 1.0 - verifier.misses };
        let low_kept_right = if outcome.low_ok { 1.0 - escalated } else { 0.0 };
        right += low_kept_right + if outcome.high_ok { escalated } else { 0.0 };
        calls += escalated;
    }
    Cascade { accuracy: right / count, high_calls: calls / count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_that_knows_is_best_and_one_that_knows_nothing_gets_half() {
        let outcomes = |score: fn(bool, bool) -> f64| -> Vec<Outcome> {
            let kinds =
                [(true, true), (false, true), (true, false), (false, false), (false, true), (true, true)];
            kinds
                .iter()
                .map(|(low_ok, high_ok)| Outcome {
                    score: score(*low_ok, *high_ok),
                    low_ok: *low_ok,
                    high_ok: *high_ok,
                })
                .collect()
        };
        assert_eq!(apgr(&outcomes(|_, _| 0.0)), Some(0.5));
        let best =
            apgr(&outcomes(|low, high| f64::from(u8::from(low)) - f64::from(u8::from(high)))).expect("a gap");
        let worst =
            apgr(&outcomes(|low, high| f64::from(u8::from(high)) - f64::from(u8::from(low)))).expect("a gap");
        assert!(best > 0.9 && worst < 0.1 && (best + worst - 1.0).abs() < 1e-9, "{best} {worst}");
        assert_eq!(apgr(&[]), None);
    }

    #[test]
    fn a_perfect_verifier_gets_what_either_of_both_gets() {
        let outcome = |low_ok, high_ok| Outcome { score: 0.0, low_ok, high_ok };
        let outcomes =
            [outcome(true, true), outcome(false, true), outcome(true, false), outcome(false, false)];
        assert_eq!(cascade(&outcomes, Verifier::default()), Cascade { accuracy: 0.75, high_calls: 0.5 });
        let blind = Verifier { misses: 1.0, false_alarms: 0.0 };
        assert_eq!(cascade(&outcomes, blind), Cascade { accuracy: 0.5, high_calls: 0.0 });
        let deaf = Verifier { misses: 0.0, false_alarms: 1.0 };
        assert_eq!(cascade(&outcomes, deaf), Cascade { accuracy: 0.5, high_calls: 1.0 });
    }
}
