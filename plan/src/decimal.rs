//! Exact decimal numbers with up to six decimals: what predicates compare, without a float in sight.

use std::fmt;

use serde::{Deserialize, Serialize};

const SCALE: i128 = 1_000_000;
const DIGITS: usize = 6;

/// A number in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Decimal(i128);

/// Why a text is no such number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a number such as 85 or 0.5, up to 18 digits before the point")]
pub struct DecimalError;

impl Decimal {
    pub fn whole(number: i64) -> Self {
        Self(i128::from(number) * SCALE)
    }

    /// Decimals after the sixth are cut off.
    ///
    /// # Errors
    /// When the text is not an optional sign, digits, and optionally a point and digits.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let fits = |text: &str, most| {
            !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !fits(whole, 18) || !fits(decimals, 40) {
            return Err(DecimalError);
        }
        let whole: i128 = whole.parse().map_err(|_| DecimalError)?;
        let decimals = format!("{:0<DIGITS$}", &decimals[..decimals.len().min(DIGITS)]);
        let decimals: i128 = decimals.parse().map_err(|_| DecimalError)?;
        Ok(Self(sign * (whole * SCALE + decimals)))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, decimals) = (self.0.abs() / SCALE, self.0.abs() % SCALE);
        let decimals = format!("{decimals:0DIGITS$}");
        match decimals.trim_end_matches('0') {
            "" => f.pad(&format!("{sign}{whole}")),
            decimals => f.pad(&format!("{sign}{whole}.{decimals}")),
        }
    }
}

impl TryFrom<String> for Decimal {
    type Error = DecimalError;
    fn try_from(text: String) -> Result<Self, DecimalError> {
        Self::parse(&text)
    }
}

impl From<Decimal> for String {
    fn from(decimal: Decimal) -> String {
        decimal.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let number = |text: &str| Decimal::parse(text).expect(text);
        assert!(number("9") < number("10") && number("-2") < number("-1.5"));
        assert!(number("85.0") == number("85") && number("0.1") < number("0.100001"));
        for text in ["0", "-1.5", "85.25", "999999999999999999"] {
            assert_eq!(number(text).to_string(), text);
        }
        for bad in ["", "-", ".5", "5.", "1e3", "NaN", "inf", "1,5", "0x1", "1 2", "9999999999999999999"] {
            assert_eq!(Decimal::parse(bad), Err(DecimalError), "{bad}");
        }
    }
}
