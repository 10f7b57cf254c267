//! Decimal numbers out of their texts, exactly: no float touches money.

/// Why a text is no decimal number that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("is no number")]
    NotANumber,
    #[error("is too large")]
    TooLarge,
}

/// Digits of the largest result.
const MAX_DIGITS: usize = 18;
/// Exponents beyond this are of no number that anybody stores.
const MAX_EXPONENT: i64 = 400;

/// Returns a decimal text times ten to the power of `places`, rounded half away from zero:
/// `0.0000125` with nine places is 12500. Exponents such as `1.5e-05` are read, too.
///
/// # Errors
/// [`DecimalError`] says why the text is no such number.
pub fn scaled(text: &str, places: i64) -> Result<i64, DecimalError> {
    let text = text.trim();
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let exponent: i64 = exponent.parse().map_err(|_| DecimalError::NotANumber)?;
            (mantissa, exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT))
        }
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
        return Err(DecimalError::NotANumber);
    }
    let digits = || whole.bytes().chain(fraction.bytes());
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    // As many digits as stand before the point after it was moved.
    let kept = length(whole)
        .saturating_add(exponent)
        .saturating_add(places);
    let mut number: i64 = 0;
    let mut significant = 0;
    let mut place = 0;
    for digit in digits().chain(std::iter::repeat(b'0')) {
        if place >= kept {
            break;
        }
        place += 1;
        significant += usize::from(significant > 0 || digit != b'0');
        if significant > MAX_DIGITS {
            return Err(DecimalError::TooLarge);
        }
        number = number * 10 + i64::from(digit - b'0');
        if number == 0 && place > length(whole) + length(fraction) {
            // All digits are zeros.
            break;
        }
    }
    let next = usize::try_from(kept)
        .ok()
        .and_then(|kept| digits().nth(kept));
    if next.is_some_and(|digit| digit >= b'5') {
        number += 1;
    }
    Ok(if is_negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact_and_rounded_once() {
        for (text, nanos) in [
            ("0", 0),
            ("12.5", 12_500_000_000),
            ("0.000000001", 1),
            ("0.0000000004999", 0),
            ("0.0000000005", 1),
            ("-0.0000000005", -1),
            ("1e-05", 10_000),
            ("1.5E-9", 2),
            ("5e-10", 1),
            ("4.9e-10", 0),
            ("1e-999", 0),
            ("2.5e+2", 250_000_000_000),
            ("0e400", 0),
            (".5", 500_000_000),
            ("7.", 7_000_000_000),
            (" 1 ", 1_000_000_000),
            ("0.10000000000000000000000000000000000000001", 100_000_000),
        ] {
            assert_eq!(scaled(text, 9), Ok(nanos), "{text}");
        }
        assert_eq!(scaled("500000", 6), Ok(500_000_000_000));
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in [
            "", "-", ".", "1,5", "NaN", "Infinity", "0x10", "1e", "1 2", "١",
        ] {
            assert_eq!(scaled(text, 9), Err(DecimalError::NotANumber), "{text}");
        }
        let gigantic = "9".repeat(1_000_000);
        for text in ["10000000000", "1e400", gigantic.as_str()] {
            assert_eq!(
                scaled(text, 9),
                Err(DecimalError::TooLarge),
                "{}",
                text.len()
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_an_error(text in "[-+]?[0-9.eE-]{0,40}") {
            let _ = scaled(&text, 9);
        }

        #[test]
        fn nine_places_are_read_as_they_are_written(nanos in -1_000_000_000_000_000_i64..1_000_000_000_000_000) {
            let text = crate::model::NanoUsd(nanos).to_string();
            prop_assert_eq!(scaled(&text, 9), Ok(nanos));
        }
    }
}
