//! When to try a failed request again, by the kind of its error. Pure: randomness is an argument.

use std::time::Duration;

use crate::error::{Fault, Kind, ProviderError};

/// Bounds of the waits between tries at one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first wait is up to this long, each further one up to twice as long.
    pub first_wait: Duration,
    /// No wait that we choose is longer.
    pub longest_wait: Duration,
    /// A provider that wants us to wait longer is left for the next of its tier.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> RetryPolicy {
        RetryPolicy {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            patience: Duration::from_secs(60),
        }
    }
}

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The same provider again, after this long.
    Again(Duration),
    /// The next provider of the tier.
    Elsewhere,
    /// Nobody: the request itself is wrong.
    GiveUp,
}

impl RetryPolicy {
    /// Decides after the `tries`-th failed try at one provider. `random` is in [0, 1) and new for each call.
    pub fn next(&self, error: &ProviderError, tries: u32, random: f64) -> Next {
        let most = match error.kind() {
            Kind::Rate => 6,
            Kind::Overload => 5,
            Kind::Network | Kind::Truncated => 3,
            Kind::Timeout | Kind::Protocol => 2,
            Kind::Quota | Kind::Auth => 1,
            Kind::Invalid => {
                return if is_of_this_provider(&error.fault) { Next::Elsewhere } else { Next::GiveUp };
            }
        };
        if tries >= most {
            return Next::Elsewhere;
        }
        match error.retry_after {
            Some(asked) if asked > self.patience => Next::Elsewhere,
            // Never earlier than asked, and not all at once: everybody was told the same.
            Some(asked) => Next::Again(asked + self.backoff(1, random)),
            None => Next::Again(self.backoff(tries, random)),
        }
    }

    /// Exponential, with half of it random: spread out, but never at once.
    fn backoff(&self, tries: u32, random: f64) -> Duration {
        let doubled = self.first_wait.saturating_mul(1 << tries.saturating_sub(1).min(16));
        doubled.min(self.longest_wait).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

/// Whether another provider may take what this one refused: it has other models, other paths and a bigger context.
fn is_of_this_provider(fault: &Fault) -> bool {
    match fault {
        Fault::Endpoint { .. } | Fault::Status { status: 300..=399 | 404 | 405 | 413, .. } => true,
        Fault::Status { message, .. } | Fault::MidStream { message, .. } => message.contains("context"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_way() {
        let cases = [
            (status(429, Kind::Rate), None, 1, Next::Again(ms(500))),
            (status(429, Kind::Rate), None, 4, Next::Again(ms(4_000))),
            (status(429, Kind::Rate), None, 6, Next::Elsewhere),
            (status(429, Kind::Rate), Some(7_000), 4, Next::Again(ms(7_500))),
            (status(429, Kind::Rate), Some(61_000), 1, Next::Elsewhere),
            (status(429, Kind::Quota), Some(1), 1, Next::Elsewhere),
            (status(529, Kind::Overload), None, 2, Next::Again(ms(1_000))),
            (status(401, Kind::Auth), None, 1, Next::Elsewhere),
            (status(400, Kind::Invalid), None, 1, Next::GiveUp),
            (status(404, Kind::Invalid), None, 1, Next::Elsewhere),
            (Fault::Truncated { awaited: "x" }, None, 2, Next::Again(ms(1_000))),
            (Fault::Truncated { awaited: "x" }, None, 3, Next::Elsewhere),
            (Fault::NotUtf8, None, 2, Next::Elsewhere),
        ];
        for (fault, retry_after, tries, expected) in cases {
            let mut error = ProviderError::new("p", fault);
            error.retry_after = retry_after.map(ms);
            assert_eq!(RetryPolicy::default().next(&error, tries, 0.0), expected, "{error:?} {tries}");
        }
    }

    #[test]
    fn waits_are_bounded_and_spread() {
        let error = ProviderError::new("p", status(429, Kind::Rate));
        let policy = RetryPolicy { longest_wait: ms(3_000), ..RetryPolicy::default() };
        assert_eq!(policy.next(&error, 5, 0.0), Next::Again(ms(1_500)));
        assert_eq!(policy.next(&error, 5, 1.0), Next::Again(ms(3_000)));
        assert_eq!(policy.backoff(u32::MAX, 1.0), ms(3_000));
    }

    fn status(status: u16, kind: Kind) -> Fault {
        Fault::Status { status, kind, name: String::new(), message: String::new() }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
}
