//! Stops asking a provider that fails again and again in the same way. Pure: the time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Kind, ProviderError};
use crate::quota::UnixMillis;

/// So many errors of one kind in a row open the circuit.
const ENOUGH: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// One circuit for each name (a provider, or a provider and a model).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakers {
    circuits: BTreeMap<String, Circuit>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Circuit {
    /// What the last errors have in common.
    error: String,
    in_a_row: u32,
    /// How often it has opened without an answer in between.
    openings: u32,
    open_until: UnixMillis,
    /// Since when one try is under way to see whether it works again.
    probed_at: Option<UnixMillis>,
}

/// Whether to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Closed,
    /// This one try, to see whether it works again.
    Probe,
    /// Not for so long, because of this error.
    Open {
        wait: Duration,
        error: String,
    },
}

impl Breakers {
    pub fn ask(&mut self, name: &str, now: UnixMillis) -> Verdict {
        match self.circuits.get_mut(name) {
            Some(circuit) if circuit.openings > 0 => circuit.ask(now),
            Some(_) | None => Verdict::Closed,
        }
    }

    /// An answer closes the circuit, whatever was before.
    pub fn answered(&mut self, name: &str) {
        self.circuits.remove(name);
    }

    /// Who is not asked now: until when, and because of which error.
    pub fn open(&self, now: UnixMillis) -> impl Iterator<Item = (&str, UnixMillis, &str)> {
        let open = self.circuits.iter().filter(move |(_, circuit)| now < circuit.open_until);
        open.map(|(name, circuit)| (name.as_str(), circuit.open_until, circuit.error.as_str()))
    }

    pub fn failed(&mut self, name: &str, error: &ProviderError, now: UnixMillis) {
        // Being asked to slow down is what quotas are for, and a wrong request is not the provider's fault.
        if matches!(error.kind(), Kind::Rate | Kind::Invalid) {
            if let Some(circuit) = self.circuits.get_mut(name) {
                circuit.probed_at = None;
            }
            return;
        }
        self.circuits.entry(name.to_owned()).or_default().failed(&error.fault.to_string(), now);
    }
}

impl Circuit {
    fn ask(&mut self, now: UnixMillis) -> Verdict {
        let left = self.open_until.saturating_sub(now);
        if left > 0 {
            let wait = Duration::from_millis(left.unsigned_abs());
            return Verdict::Open { wait, error: self.error.clone() };
        }
        // A probe whose end was never told (its process was killed) must not keep the circuit open for ever.
        let longest = i64::try_from(LONGEST_PAUSE.as_millis()).unwrap_or(i64::MAX);
        if self.probed_at.is_some_and(|since| now.saturating_sub(since) < longest) {
            return Verdict::Open { wait: Duration::from_secs(1), error: self.error.clone() };
        }
        self.probed_at = Some(now);
        Verdict::Probe
    }

    fn failed(&mut self, error: &str, now: UnixMillis) {
        if self.error == error {
            self.in_a_row += 1;
        } else {
            error.clone_into(&mut self.error);
            self.in_a_row = 1;
        }
        let was_probe = self.probed_at.take().is_some();
        let is_open = now < self.open_until;
        if !is_open && (was_probe || self.in_a_row >= ENOUGH) {
            let pause = FIRST_PAUSE.saturating_mul(1 << self.openings.min(10)).min(LONGEST_PAUSE);
            self.openings += 1;
            self.open_until = now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Fault;

    #[test]
    fn the_same_error_five_times_opens_the_circuit_and_one_probe_closes_it() {
        let mut breakers = Breakers::default();
        for _ in 0..4 {
            breakers.failed("p", &error(Kind::Auth, "no"), 0);
        }
        assert_eq!(breakers.ask("p", 0), Verdict::Closed);
        breakers.failed("p", &error(Kind::Auth, "no"), 0);
        assert!(matches!(breakers.ask("p", 29_999), Verdict::Open { .. }));
        let mut again: Breakers =
            serde_json::from_str(&serde_json::to_string(&breakers).expect("JSON")).expect("same");
        assert_eq!(again.ask("p", 30_000), Verdict::Probe);
        assert!(matches!(again.ask("p", 30_000), Verdict::Open { .. }), "one probe at a time");
        again.failed("p", &error(Kind::Auth, "no"), 30_100);
        assert!(matches!(again.ask("p", 90_000), Verdict::Open { .. }), "twice as long");
        assert_eq!(again.ask("p", 90_100), Verdict::Probe);
        again.answered("p");
        assert_eq!((again.ask("p", 90_100), again), (Verdict::Closed, Breakers::default()));
    }

    #[test]
    fn different_errors_refusals_for_speed_and_wrong_requests_open_nothing() {
        let mut breakers = Breakers::default();
        for index in 0..50 {
            breakers.failed("p", &error(Kind::Overload, &format!("error {index}")), 0);
            breakers.failed("p", &error(Kind::Rate, "slow down"), 0);
            breakers.failed("p", &error(Kind::Invalid, "no such field"), 0);
        }
        assert_eq!(breakers.ask("p", 0), Verdict::Closed);
    }

    fn error(kind: Kind, message: &str) -> ProviderError {
        ProviderError::new("p", Fault::MidStream { kind, name: String::new(), message: message.to_owned() })
    }
}
