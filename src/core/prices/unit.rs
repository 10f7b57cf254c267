//! The price of one unit, as an integer, and its decimal text. No float touches it.
//!
//! The integer counts femto-dollars (10⁻¹⁵), a thousandth of a pico-dollar: prices per second such
//! as 0.000283333333333 have fifteen places, and an hour of them would be off by a nano-dollar in
//! picos. Finer digits, such as those of 1.4999999999999998e-06, are rounded half up.

use std::fmt;

use thiserror::Error;

/// Places of a price after the point.
const PLACES: i32 = 15;
/// Exponents beyond this are as good as infinite.
const MAX_EXPONENT: i32 = 100_000;

/// A price of one unit in femto-dollars, which is never negative. The unit is a token, an image, a
/// second, a call, or a thousand calls: the field says which.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitPrice(i64);

/// A text that is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnitPriceError {
    #[error("is no price")]
    NoNumber,
    #[error("is negative")]
    Negative,
    #[error("is more than 9,223 dollars a unit")]
    TooLarge,
    #[error("has more than nine places")]
    TooFine,
}

impl UnitPrice {
    /// Makes a price of femto-dollars. A negative number becomes 0.
    #[must_use]
    pub const fn from_femto_usd(femtos: i64) -> Self {
        Self(if femtos < 0 { 0 } else { femtos })
    }

    #[must_use]
    pub const fn femto_usd(self) -> i64 {
        self.0
    }

    /// Reads dollars a unit, such as `0.01` or `2.5e-08`. Digits below a femto-dollar are rounded
    /// half up.
    pub fn parse(text: &str) -> Result<Self, UnitPriceError> {
        Decimal::parse(text)?.scaled(PLACES).map(|(price, _)| price)
    }

    /// Reads dollars a million units, as price lists write them. A text with more than nine places
    /// is an error, since it would be rounded.
    pub fn parse_per_million(text: &str) -> Result<Self, UnitPriceError> {
        match Decimal::parse(text)?.scaled(PLACES - 6)? {
            (price, true) => Ok(price),
            (_, false) => Err(UnitPriceError::TooFine),
        }
    }

    /// Returns dollars a million units, with at least two places: `2.50`, `0.0375`.
    #[must_use]
    pub fn per_million(self) -> String {
        let mut text = decimal(self.0, PLACES - 6);
        let places = text.find('.').map_or(0, |point| text.len() - point - 1);
        if places == 0 {
            text.push('.');
        }
        for _ in places..2 {
            text.push('0');
        }
        text
    }
}

/// Writes dollars a unit, exactly and without an exponent, such as `0.0000025`.
impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal(self.0, PLACES))
    }
}

/// Writes a number of 10⁻ᵖˡᵃᶜᵉˢ without trailing zeros.
fn decimal(number: i64, places: i32) -> String {
    let scale = 10_i64.pow(places.unsigned_abs());
    let mut text = (number / scale).to_string();
    let rest = number % scale;
    if rest > 0 {
        let width = usize::try_from(places).unwrap_or(0);
        let fraction = format!("{rest:0width$}");
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

/// A decimal number as it is written: the digits before and after the point, and the exponent.
struct Decimal<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
    is_negative: bool,
}

impl<'a> Decimal<'a> {
    fn parse(text: &'a str) -> Result<Self, UnitPriceError> {
        let (is_negative, text) = sign(text.as_bytes());
        let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &mantissa[..0]),
        };
        let is_empty = whole.is_empty() && fraction.is_empty();
        if is_empty || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
            return Err(UnitPriceError::NoNumber);
        }
        Ok(Self {
            whole,
            fraction,
            exponent,
            is_negative,
        })
    }

    /// Returns the number times ten to `places`, rounded half up, and whether it was exact.
    fn scaled(&self, places: i32) -> Result<(UnitPrice, bool), UnitPriceError> {
        let digits = || self.whole.iter().chain(self.fraction);
        let Some(leading) = digits().position(|digit| *digit != b'0') else {
            return Ok((UnitPrice(0), true));
        };
        if self.is_negative {
            return Err(UnitPriceError::Negative);
        }
        let offset = i64::from(self.exponent) + i64::from(places);
        let whole = i64::try_from(self.whole.len()).unwrap_or(i64::MAX);
        let leading_digits = i64::try_from(leading).unwrap_or(i64::MAX);
        // Digits of the result, from the first that is not 0. An i64 has at most nineteen.
        let kept = whole.saturating_add(offset).saturating_sub(leading_digits);
        if kept > 19 {
            return Err(UnitPriceError::TooLarge);
        }
        let mut digits = digits().skip(leading);
        if kept < 0 {
            return Ok((UnitPrice(0), false));
        }
        let mut number = 0_i64;
        for _ in 0..kept {
            let digit = digits.next().map_or(0, |digit| i64::from(digit - b'0'));
            let next = number.checked_mul(10).and_then(|n| n.checked_add(digit));
            number = next.ok_or(UnitPriceError::TooLarge)?;
        }
        let next = digits.next().copied().unwrap_or(b'0');
        let is_exact = next == b'0' && digits.all(|digit| *digit == b'0');
        let rounded = number.checked_add(i64::from(next >= b'5'));
        let price = rounded.map(UnitPrice).ok_or(UnitPriceError::TooLarge)?;
        Ok((price, is_exact))
    }
}

fn parse_exponent(text: &[u8]) -> Result<i32, UnitPriceError> {
    let (is_negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(UnitPriceError::NoNumber);
    }
    let size = digits.iter().fold(0_i32, |size, digit| {
        (size * 10 + i32::from(digit - b'0')).min(MAX_EXPONENT)
    });
    Ok(if is_negative { -size } else { size })
}

/// Splits the sign off, and returns whether it is a minus.
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn femtos(text: &str) -> Result<i64, UnitPriceError> {
        UnitPrice::parse(text).map(UnitPrice::femto_usd)
    }

    #[test]
    fn a_price_is_read_from_its_decimal_text() {
        for (text, expected) in [
            ("2.5e-08", 25_000_000),
            ("2.5E-8", 25_000_000),
            ("0.01", 10_000_000_000_000),
            ("1e-6", 1_000_000_000),
            ("1", 1_000_000_000_000_000),
            ("+.5e0", 500_000_000_000_000),
            ("5.e-15", 5),
            ("0", 0),
            ("0.0", 0),
            ("-0.0", 0),
            ("0e99999999999999999999", 0),
            // What floats make of 1.5e-06 and 1e-07.
            ("1.4999999999999998e-06", 1_500_000_000),
            ("9.999999999999999e-08", 100_000_000),
            ("0.000283333333333", 283_333_333_333),
            ("8.33333333333e-05", 83_333_333_333),
            ("4.9e-16", 0),
            ("5e-16", 1),
            ("0.0000000000000015", 2),
            ("1e-99999999999999999999", 0),
            ("9223.372036854775807", i64::MAX),
        ] {
            assert_eq!(femtos(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_price_is_an_error() {
        use UnitPriceError::*;
        for (text, error) in [
            ("", NoNumber),
            (".", NoNumber),
            ("abc", NoNumber),
            ("1e", NoNumber),
            ("1e+", NoNumber),
            ("1.2.3", NoNumber),
            (" 1", NoNumber),
            ("1_000", NoNumber),
            ("0x10", NoNumber),
            ("inf", NoNumber),
            ("NaN", NoNumber),
            ("--1", NoNumber),
            ("1e5e5", NoNumber),
            ("-1e-9", Negative),
            ("9223.372036854775808", TooLarge),
            ("9223.3720368547758079", TooLarge),
            ("99999", TooLarge),
            ("1e9999999999999", TooLarge),
        ] {
            assert_eq!(femtos(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_price_a_million_is_exact_in_both_directions() {
        for (text, femtos, shown) in [
            ("2.50", 2_500_000_000, "2.50"),
            ("10", 10_000_000_000, "10.00"),
            ("0.0375", 37_500_000, "0.0375"),
            ("0", 0, "0.00"),
            ("0.000000001", 1, "0.000000001"),
            ("1.1000000000000", 1_100_000_000, "1.10"),
        ] {
            let price = UnitPrice::parse_per_million(text).unwrap();
            assert_eq!(price.femto_usd(), femtos, "{text}");
            assert_eq!(price.per_million(), shown);
        }
        let too_fine = UnitPrice::parse_per_million("0.0000000001");
        assert_eq!(too_fine, Err(UnitPriceError::TooFine));
    }

    proptest! {
        #[test]
        fn any_price_is_written_and_read_back(femtos in 0..=i64::MAX) {
            let price = UnitPrice(femtos);
            prop_assert_eq!(UnitPrice::parse(&price.to_string()), Ok(price));
            prop_assert_eq!(UnitPrice::parse_per_million(&price.per_million()), Ok(price));
        }

        #[test]
        fn the_point_and_the_exponent_say_the_same(digits in "[0-9]{1,12}", shift in 0..15_usize) {
            let plain = format!("{}{digits}", "0".repeat(shift));
            let (whole, fraction) = plain.split_at(plain.len() - shift);
            let pointed = UnitPrice::parse(&format!("{whole}.{fraction}e-9"));
            let exponent = UnitPrice::parse(&format!("{digits}e-{}", shift + 9));
            prop_assert_eq!(pointed, exponent);
        }

        #[test]
        fn any_text_is_a_price_or_an_error(text in "[-+0-9.eE]{0,40}") {
            let _ = UnitPrice::parse(&text);
            let _ = UnitPrice::parse_per_million(&text);
        }
    }
}
