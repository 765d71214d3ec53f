//! Prices and what a request costs, in whole numbers.

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

use crate::message::{Request, Usage};

const MILLION: u128 = 1_000_000;

/// An amount of the one currency that all prices are in, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(u64);

impl Money {
    pub const ZERO: Money = Money(0);
    pub const MAX: Money = Money(u64::MAX);

    pub const fn micros(micros: u64) -> Money {
        Money(micros)
    }

    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Reads `2`, `0.5` or `12.345678`; more digits than millionths are refused rather than rounded.
    pub fn parse(text: &str) -> Option<Money> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number =
            |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || fraction.len() > 6 {
            return None;
        }
        let micros = format!("{fraction:0<6}").parse::<u64>().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros).map(Money)
    }

    pub fn saturating_add(self, other: Money) -> Money {
        Money(self.0.saturating_add(other.0))
    }

    pub fn saturating_sub(self, other: Money) -> Money {
        Money(self.0.saturating_sub(other.0))
    }
}

/// With as many digits as there are, two at least: `0.50`, `0.000125`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % 1_000_000);
        let digits = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / 1_000_000, &fraction[..digits])
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        amounts.fold(Money::ZERO, Money::saturating_add)
    }
}

/// What a million tokens cost. All zero for a model of one's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    pub input: Money,
    pub output: Money,
    /// Input read from a prompt cache; as `input` where it is not told.
    #[serde(default)]
    pub cache_read: Option<Money>,
    /// Input written to a prompt cache; as `input` where it is not told.
    #[serde(default)]
    pub cache_write: Option<Money>,
}

impl Prices {
    /// What these tokens cost, rounded up.
    pub fn cost(&self, usage: &Usage) -> Money {
        let read = usage.cache_read.min(usage.input);
        let written = usage.cache_write.min(usage.input - read);
        let fresh = usage.input - read - written;
        let parts = [
            (fresh, self.input),
            (read, self.cache_read.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.output, self.output),
        ];
        let total: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(price.0)).sum();
        Money(u64::try_from(total.div_ceil(MILLION)).unwrap_or(u64::MAX))
    }

    /// The most a request can cost: every byte a token, all of it at the dearest price, and an answer as long as allowed.
    pub fn worst(&self, request: &Request) -> Worst {
        let input = request.worst_input_tokens();
        let output = u64::from(request.max_tokens);
        let dearest = [Some(self.input), self.cache_read, self.cache_write].into_iter().flatten().max();
        let prices = Prices { input: dearest.unwrap_or_default(), output: self.output, ..Prices::default() };
        let usage = Usage { input, output, ..Usage::default() };
        Worst { cost: prices.cost(&usage), tokens: usage.total() }
    }
}

/// The worst case of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worst {
    pub cost: Money,
    pub tokens: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRICES: Prices = Prices {
        input: Money::micros(3_000_000),
        output: Money::micros(15_000_000),
        cache_read: Some(Money::micros(300_000)),
        cache_write: Some(Money::micros(3_750_000)),
    };

    #[test]
    fn costs_are_the_sum_of_the_four_kinds_of_tokens_rounded_up() {
        let usage = Usage { input: 1_000, cache_read: 800, cache_write: 100, output: 10 };
        assert_eq!(PRICES.cost(&usage), Money::micros(300 + 240 + 375 + 150));
        assert_eq!(PRICES.cost(&Usage { input: 1, cache_read: 1, ..Usage::default() }), Money::micros(1));
        assert_eq!(Prices::default().cost(&usage), Money::ZERO);
        let absurd = Usage { input: u64::MAX, cache_read: u64::MAX, cache_write: u64::MAX, output: u64::MAX };
        assert_eq!(PRICES.cost(&absurd), Money::MAX);
    }

    #[test]
    fn amounts_are_written_and_read() {
        for (text, micros) in
            [("0.50", 500_000), ("2.00", 2_000_000), ("0.000125", 125), ("12.345678", 12_345_678)]
        {
            assert_eq!((Money::parse(text), Money(micros).to_string().as_str()), (Some(Money(micros)), text));
        }
        for text in ["", ".5", "5.", "-1", "1e3", "0.1234567", "99999999999999999999", "1.2.3"] {
            assert_eq!(Money::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_costs_more_than_the_worst_case(text in ".{0,300}", max in 0u32..5_000, read in 0u64..400, written in 0u64..400, output in 0u32..5_000) {
            let request = Request::new("m", "", &text, max);
            let input = request.worst_input_tokens();
            let usage = Usage { input, cache_read: read, cache_write: written, output: u64::from(output.min(max)) };
            let worst = PRICES.worst(&request);
            prop_assert!(PRICES.cost(&usage) <= worst.cost && usage.total() <= worst.tokens);
        }
    }
}
