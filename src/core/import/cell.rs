//! One cell of a table of another program, and what can be read from it: counts, times, flags, texts.

use std::borrow::Cow;

use jiff::{Timestamp, civil, tz::TimeZone};

use super::{decimal::scaled, error::BadCell};

/// The most tokens of one row. A sum of nine million such rows still fits.
const MAX_COUNT: i64 = 1_000_000_000_000;
/// Times of rows: from the year 2000 to 2100.
const FIRST_MS: i64 = 946_684_800_000;
const LAST_MS: i64 = 4_102_444_800_000;
/// Unix times from here on are not in seconds but in milliseconds, then microseconds.
const FIRST_IN_MS: i64 = 100_000_000_000;
const FIRST_IN_US: i64 = 100_000_000_000_000;

/// A cell as SQLite has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    /// Bytes that are no text.
    Bytes,
}

impl<'a> Cell<'a> {
    /// Returns the text; `None` for null and for an empty one.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Null | Self::Bytes => None,
            Self::Integer(number) => Some(Cow::Owned(number.to_string())),
            // The shortest text that is this number.
            Self::Real(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) => (!text.is_empty()).then_some(Cow::Borrowed(text)),
        }
    }

    /// Returns a whole number; `None` for null.
    pub(super) fn integer(self) -> Result<Option<i64>, BadCell> {
        match self {
            Self::Null => Ok(None),
            Self::Integer(number) => Ok(Some(number)),
            Self::Bytes => Err(BadCell::NotANumber),
            Self::Real(_) | Self::Text(_) => match self.text() {
                Some(text) => scaled(&text, 0).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Returns a count of tokens; null is none.
    pub(super) fn count(self) -> Result<u64, BadCell> {
        match self.integer()?.unwrap_or(0) {
            ..0 => Err(BadCell::Negative),
            count @ 0..=MAX_COUNT => Ok(count.unsigned_abs()),
            _ => Err(BadCell::TooLarge),
        }
    }

    /// Returns a flag; `None` for null and for what is no flag.
    pub(super) fn flag(self) -> Option<bool> {
        match self {
            Self::Null | Self::Bytes => None,
            Self::Integer(number) => Some(number != 0),
            Self::Real(number) => Some(number != 0.0),
            Self::Text(text) => flag(text),
        }
    }

    /// Returns a time as Unix milliseconds; `None` for null.
    pub(super) fn time_ms(self) -> Result<Option<i64>, BadCell> {
        match self.text() {
            None if self == Self::Bytes => Err(BadCell::NotATime),
            None => Ok(None),
            Some(text) => time_ms(&text).map(Some).ok_or(BadCell::NotATime),
        }
    }
}

/// Reads a flag as databases and their exports write it.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "yes" | "y" => Some(true),
        "0" | "f" | "false" | "no" | "n" => Some(false),
        _ => None,
    }
}

/// Reads a time as databases write it: ISO 8601 with a T or a space, with or without an offset (UTC),
/// or a Unix time in seconds, milliseconds or microseconds.
pub(super) fn time_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let at_ms = if is_number {
        match scaled(text, 0).ok()? {
            FIRST_IN_US.. => scaled(text, -3).ok()?,
            FIRST_IN_MS.. => scaled(text, 0).ok()?,
            _ => scaled(text, 3).ok()?,
        }
    } else {
        iso_ms(text)?
    };
    (FIRST_MS..LAST_MS).contains(&at_ms).then_some(at_ms)
}

fn iso_ms(text: &str) -> Option<i64> {
    if text.contains('[') {
        return None;
    }
    // PostgreSQL writes an offset of whole hours as `+00`, and some programs put a space before it.
    let text = text.replacen(' ', "T", 1).replace(' ', "");
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp.as_millisecond());
    }
    let civil = text.parse::<civil::DateTime>().ok()?;
    let instant = TimeZone::UTC.to_timestamp(civil).ok()?;
    Some(instant.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_ways_to_write_a_time_are_the_same_moment() {
        for text in [
            "2024-01-15 10:30:00.123456",
            "2024-01-15T10:30:00.123",
            "2024-01-15T10:30:00.123Z",
            "2024-01-15 10:30:00.123+00",
            "2024-01-15 10:30:00.123456+00:00",
            "2024-01-15 12:30:00.123 +02:00",
            "2024-01-15T12:30:00.123+0200",
            "1705314600.123",
            "1705314600123",
            "1705314600123000",
        ] {
            assert_eq!(time_ms(text), Some(1_705_314_600_123), "{text}");
        }
        assert_eq!(
            Cell::Integer(1_705_314_600).time_ms(),
            Ok(Some(1_705_314_600_000))
        );
        assert_eq!(Cell::Null.time_ms(), Ok(None));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "soon",
            "0",
            "1970-01-01",
            "9999-12-31",
            "2024-13-01 00:00:00",
            ".",
        ] {
            assert_eq!(time_ms(text), None, "{text}");
        }
        assert_eq!(Cell::Bytes.time_ms(), Err(BadCell::NotATime));
    }

    #[test]
    fn counts_are_whole_and_of_a_size_that_can_be() {
        for (cell, count) in [
            (Cell::Null, Ok(0)),
            (Cell::Integer(7), Ok(7)),
            (Cell::Real(7.0), Ok(7)),
            (Cell::Text("7"), Ok(7)),
            (Cell::Text(""), Ok(0)),
            (Cell::Integer(-1), Err(BadCell::Negative)),
            (Cell::Integer(i64::MAX), Err(BadCell::TooLarge)),
            (Cell::Real(1e300), Err(BadCell::TooLarge)),
            (Cell::Real(f64::NAN), Err(BadCell::NotANumber)),
            (Cell::Text("seven"), Err(BadCell::NotANumber)),
            (Cell::Bytes, Err(BadCell::NotANumber)),
        ] {
            assert_eq!(cell.count(), count, "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_none(text in "\\PC{0,40}") {
            let _ = time_ms(&text);
        }
    }
}
