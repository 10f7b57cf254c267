//! Figures as people read them, with their units.

use crate::model::{NanoUsd, grouped};

/// Address of the page of a user, without the name.
pub(super) const USER: &str = "/page/user";

/// Writes dollars as all views do, with their sign.
pub(super) fn usd(amount: NanoUsd) -> String {
    let text = amount.rounded();
    match text.strip_prefix('-') {
        Some(text) => format!("−${text}"),
        None => format!("${text}"),
    }
}

/// Writes a number in three digits: `1.23 M`.
pub(super) fn short(number: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000_000, "T"),
        (1_000_000_000, "B"),
        (1_000_000, "M"),
        (1_000, "k"),
    ];
    let Some((size, unit)) = UNITS.into_iter().find(|(size, _)| number >= *size) else {
        return number.to_string();
    };
    let (whole, rest) = (number / size, number % size);
    let hundredths = rest * 100 / size;
    match whole {
        0..10 => format!("{whole}.{hundredths:02}\u{202f}{unit}"),
        10..100 => format!("{whole}.{}\u{202f}{unit}", hundredths / 10),
        _ => format!("{}\u{202f}{unit}", grouped(whole)),
    }
}

/// Writes a count that should not be negative.
pub(super) fn count(number: i64) -> String {
    grouped(u64::try_from(number).unwrap_or(0))
}

/// Writes a number of things with their name.
pub(super) fn of(number: u64, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        grouped(number),
        if number == 1 { one } else { many }
    )
}

/// Writes a span of time in the unit that suits it.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}\u{202f}ms"),
        1_000..60_000 => format!("{}.{}\u{202f}s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{}\u{202f}min {:02}\u{202f}s", ms / 60_000, ms / 1_000 % 60),
        _ => format!(
            "{}\u{202f}h {:02}\u{202f}min",
            ms / 3_600_000,
            ms / 60_000 % 60
        ),
    }
}

/// Returns a part of a whole in percent, rounded down, so that only a full budget has 100 %.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped before
pub(super) fn percent(ratio: f64) -> u32 {
    (ratio * 100.0).clamp(0.0, 9_999.0) as u32
}

/// Returns the address of a user's page.
pub(super) fn user_href(name: &str) -> String {
    let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
    format!("{USER}?name={name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_have_two_places_or_two_digits() {
        for (nanos, text) in [
            (0, "$0.00"),
            (10_000_000, "$0.01"),
            (9_940_000, "$0.0099"),
            (1_230_000, "$0.0012"),
            (100_000, "$0.00010"),
            (1, "$0.000000001"),
            (1_234_567_890_000_000, "$1,234,567.89"),
            (-2_500_000_000, "−$2.50"),
        ] {
            assert_eq!(usd(NanoUsd(nanos)), text);
        }
    }

    #[test]
    fn numbers_are_short_or_grouped() {
        assert_eq!(short(999), "999");
        assert_eq!(short(1_234), "1.23\u{202f}k");
        assert_eq!(short(45_678_900), "45.6\u{202f}M");
        assert_eq!(short(456_789_000_000), "456\u{202f}B");
        assert_eq!(of(1, "request", "requests"), "1 request");
        assert_eq!(span(950), "950\u{202f}ms");
        assert_eq!(span(75_000), "1\u{202f}min 15\u{202f}s");
        assert_eq!(percent(0.999), 99);
        assert_eq!(percent(-1.0), 0);
    }
}
