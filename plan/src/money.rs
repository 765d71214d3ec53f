//! Amounts of money, in millionths of a US dollar.

use std::fmt;

use serde::{Deserialize, Serialize};

const MICROS: u64 = 1_000_000;
const MAX_DOLLARS: u64 = 1_000_000;

/// An amount; exact, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money {
    pub micros: u64,
}

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write an amount such as 0.50 or 0.50 USD, with up to six decimals")]
pub struct MoneyError;

impl Money {
    pub const ZERO: Money = Money { micros: 0 };

    pub const fn micros(micros: u64) -> Self {
        Self { micros }
    }

    /// # Errors
    /// When the text is not `0.50`, `$0.50` or `0.50 USD`, or more than a million.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let text = text.trim();
        let text = text.strip_prefix('$').or_else(|| text.strip_suffix("USD")).unwrap_or(text).trim();
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > 6 {
            return Err(MoneyError);
        }
        let dollars: u64 = whole.parse().map_err(|_| MoneyError)?;
        let decimals: u64 = format!("{decimals:0<6}").parse().map_err(|_| MoneyError)?;
        if dollars > MAX_DOLLARS {
            return Err(MoneyError);
        }
        Ok(Self { micros: dollars * MICROS + decimals })
    }

    pub fn plus(self, other: Money) -> Money {
        Money { micros: self.micros.saturating_add(other.micros) }
    }

    pub fn times(self, count: u64) -> Money {
        Money { micros: self.micros.saturating_mul(count) }
    }
}

impl fmt::Display for Money {
    /// As many decimals as it has, at least two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:06}", self.micros % MICROS);
        let kept = decimals.trim_end_matches('0').len().max(2);
        f.pad(&format!("{}.{} USD", self.micros / MICROS, &decimals[..kept]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact() {
        let good =
            [("0.50", 500_000), ("$1", 1_000_000), ("0.000001 USD", 1), ("12.3", 12_300_000), ("0", 0)];
        for (text, micros) in good {
            assert_eq!(Money::parse(text), Ok(Money { micros }), "{text}");
            assert_eq!(Money::parse(&Money { micros }.to_string()), Ok(Money { micros }));
        }
        for bad in ["", "-1", "1e3", "0.0000001", "1.", ".5", "5 EUR", "9999999", "NaN", "1.2.3"] {
            assert_eq!(Money::parse(bad), Err(MoneyError), "{bad}");
        }
    }
}
