//! How often LOW was good enough, measured for each class of tasks, and what follows from it. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::Money;
use crate::tier::Tier;

/// So many observations count; older ones fade, as models and prompts change.
const MEMORY: u64 = 200;

/// What checks said of the answers of one model for one class of tasks: a Beta posterior over a uniform prior.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassRate {
    passed: u64,
    failed: u64,
}

impl PassRate {
    /// Takes what a check said. A verifier's false alarms count as failures: they cost a HIGH call too.
    pub fn record(&mut self, passed: bool) {
        if self.passed + self.failed >= MEMORY {
            self.passed = self.passed / 2 + self.passed % 2;
            self.failed = self.failed / 2 + self.failed % 2;
        }
        if passed {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }

    pub fn observations(&self) -> u64 {
        self.passed + self.failed
    }

    /// The mean of the posterior.
    pub fn mean(&self) -> f64 {
        self.alpha() / (self.alpha() + self.beta())
    }

    /// A rate that the true one is above of with about five chances in six: the mean less one standard deviation.
    pub fn cautious(&self) -> f64 {
        let (alpha, beta) = (self.alpha(), self.beta());
        let total = alpha + beta;
        let variance = alpha * beta / (total * total * (total + 1.0));
        (self.mean() - variance.sqrt()).max(0.0)
    }

    fn alpha(&self) -> f64 {
        self.passed as f64 + 1.0
    }

    fn beta(&self) -> f64 {
        self.failed as f64 + 1.0
    }
}

/// The rates of all classes and models. The class is the caller's word, such as `disk-cleanup/hard`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PassRates {
    classes: BTreeMap<String, BTreeMap<String, PassRate>>,
}

impl PassRates {
    pub fn record(&mut self, class: &str, model: &str, passed: bool) {
        self.classes.entry(class.to_owned()).or_default().entry(model.to_owned()).or_default().record(passed);
    }

    /// What is known; of a class never seen, nothing but the prior.
    pub fn of(&self, class: &str, model: &str) -> PassRate {
        self.classes.get(class).and_then(|models| models.get(model)).copied().unwrap_or_default()
    }
}

/// Whether to ask LOW first and HIGH where its answer does not pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Guarded {
    pub first: Tier,
    /// In words, with the figures.
    pub reason: String,
}

/// The guard c_low/c_high < p_low: LOW first costs `low + (1 - p) * high`, which is below `high` only then. `low` holds
/// all that a try at LOW costs, its check included. The cautious rate decides, so that a guess is not paid for.
pub fn guard(low: Money, high: Money, rate: &PassRate) -> Guarded {
    let share = rate.cautious();
    let (cost, bound) = (low.as_micros() as f64, high.as_micros() as f64 * share);
    let seen = rate.observations();
    if cost < bound {
        let reason = format!(
            "LOW first: it costs {low}, less than {share:.2} (its pass rate in {seen} tries) of {high}"
        );
        return Guarded { first: Tier::Low, reason };
    }
    let reason = format!(
        "HIGH at once: LOW costs {low}, not less than {share:.2} (its pass rate in {seen} tries) of {high}"
    );
    Guarded { first: Tier::High, reason }
}

/// The tier for the next try of a step whose checks failed so often: two failures are enough for HIGH.
pub fn escalate(failed_checks: u32) -> Tier {
    if failed_checks < 2 { Tier::Low } else { Tier::High }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_guard_refuses_a_cascade_that_costs_more_than_high_alone() {
        let rate = rate_of(70, 30);
        let high = Money::micros(1_000);
        assert_eq!(guard(Money::micros(100), high, &rate).first, Tier::Low);
        assert_eq!(guard(Money::micros(690), high, &rate).first, Tier::High, "too near to be sure");
        assert_eq!(guard(Money::micros(800), high, &rate).first, Tier::High);
        assert_eq!(
            guard(Money::micros(300), high, &PassRate::default()).first,
            Tier::High,
            "nothing is known yet"
        );
        assert_eq!(guard(Money::ZERO, high, &PassRate::default()).first, Tier::Low, "a model of one's own");
        assert_eq!(guard(Money::micros(1), Money::ZERO, &rate).first, Tier::High);
    }

    #[test]
    fn what_was_measured_is_kept_and_fades() {
        let mut rates = PassRates::default();
        (0..300).for_each(|_| rates.record("disk/hard", "qwen", true));
        let old = rates.of("disk/hard", "qwen").mean();
        (0..100).for_each(|_| rates.record("disk/hard", "qwen", false));
        assert!(old > 0.98 && rates.of("disk/hard", "qwen").mean() < 0.6);
        let again: PassRates =
            serde_json::from_str(&serde_json::to_string(&rates).expect("JSON")).expect("the same");
        assert_eq!(again, rates);
        assert_eq!(rates.of("disk/hard", "another"), PassRate::default());
    }

    #[test]
    fn two_failed_checks_escalate() {
        assert_eq!([0, 1, 2, 3].map(escalate), [Tier::Low, Tier::Low, Tier::High, Tier::High]);
    }

    proptest! {
        /// At the rate that was measured, what the guard lets through is never dearer than HIGH alone.
        #[test]
        fn a_guarded_cascade_is_never_dearer(low in 0u64..2_000, high in 0u64..2_000, passed in 0u64..150, failed in 0u64..49) {
            let rate = rate_of(passed, failed);
            if guard(Money::micros(low), Money::micros(high), &rate).first == Tier::Low {
                let cascade = low as f64 + (1.0 - rate.mean()) * high as f64;
                prop_assert!(cascade < high as f64);
            }
        }
    }

    fn rate_of(passed: u64, failed: u64) -> PassRate {
        PassRate { passed, failed }
    }
}
