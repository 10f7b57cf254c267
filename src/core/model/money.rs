//! Amounts of money, in integers: no float touches them.

use std::{fmt, str::FromStr};

use super::grouped;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const NANOS_PER_USD: i64 = 1_000_000_000;
const NANOS_PER_CENT: u64 = 10_000_000;
/// Decimal places of a nano-dollar.
const PLACES: usize = 9;

/// An amount in billionths of a dollar, which may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// Adds two amounts. A sum that does not fit is the largest amount.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Subtracts an amount. A difference that does not fit is the largest or smallest amount.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Writes dollars for people: with two places, or with the first two digits that are not 0 if
    /// the amount is under a cent.
    #[must_use]
    pub fn rounded(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let mut places = 2;
        if nanos > 0 && nanos < NANOS_PER_CENT {
            // As many places as the amount has, without the digits behind the second one.
            places = (PLACES - nanos.to_string().len() + 2).min(PLACES);
        }
        let power = |exponent: usize| 10_u64.pow(u32::try_from(exponent).unwrap_or(0));
        let unit = power(PLACES - places);
        let rounded = (nanos + unit / 2) / unit;
        let (whole, fraction) = (rounded / power(places), rounded % power(places));
        format!("{sign}{}.{fraction:0places$}", grouped(whole))
    }
}

/// Writes dollars with nine places, such as `0.000123400`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let (dollars, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        write!(f, "{sign}{dollars}.{rest:09}")
    }
}

/// The error for a text that is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no amount in dollars with at most nine places, such as 12.50")]
pub struct AmountError;

/// Reads dollars with at most nine places, such as `12.5` or `-0.000000001`.
impl FromStr for NanoUsd {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > PLACES || !is_number(whole) || !is_number(fraction)
        {
            return Err(AmountError);
        }
        let dollars: i64 = whole.parse().map_err(|_| AmountError)?;
        let nanos: i64 = format!("{fraction:0<PLACES$}")
            .parse()
            .map_err(|_| AmountError)?;
        let nanos = dollars
            .checked_mul(NANOS_PER_USD)
            .and_then(|amount| amount.checked_add(nanos))
            .ok_or(AmountError)?;
        Ok(Self(if is_negative { -nanos } else { nanos }))
    }
}

/// An amount is a decimal string in JSON, because many programs read JSON numbers as floats, which
/// cannot hold every nano-dollar.
impl Serialize for NanoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NanoUsd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_have_two_places_or_the_first_two_digits() {
        for (nanos, text) in [
            (0, "0.00"),
            (1, "0.000000001"),
            (12, "0.000000012"),
            (123, "0.00000012"),
            (125_000, "0.00013"),
            (9_950_000, "0.0100"),
            (9_940_000, "0.0099"),
            (10_000_000, "0.01"),
            (12_345_000_000, "12.35"),
            (1_234_567_890_000_000, "1,234,567.89"),
            (-1_500_000_000, "-1.50"),
        ] {
            assert_eq!(NanoUsd(nanos).rounded(), text, "{nanos}");
        }
    }

    #[test]
    fn an_amount_is_written_with_nine_places() {
        for (nanos, text) in [
            (0, "0.000000000"),
            (1, "0.000000001"),
            (-1, "-0.000000001"),
            (12_345_678_901, "12.345678901"),
        ] {
            assert_eq!(NanoUsd(nanos).to_string(), text);
            assert_eq!(text.parse(), Ok(NanoUsd(nanos)));
        }
        assert_eq!(NanoUsd(i64::MIN).to_string(), "-9223372036.854775808");
    }

    #[test]
    fn an_amount_has_at_most_nine_places() {
        assert_eq!("12.5".parse(), Ok(NanoUsd(12_500_000_000)));
        assert_eq!("7".parse(), Ok(NanoUsd(7_000_000_000)));
        for text in [
            "",
            ".5",
            "1.0000000001",
            "1e3",
            "+1",
            "1,5",
            "- 1",
            "99999999999999",
        ] {
            assert_eq!(text.parse::<NanoUsd>(), Err(AmountError), "{text}");
        }
    }
}
