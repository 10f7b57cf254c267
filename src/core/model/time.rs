//! Instants as Unix milliseconds, and ranges of them as operators write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, civil, tz::TimeZone};

const MS_PER_HOUR: f64 = 3_600_000.0;
/// A thousand years; more is a slip of the finger.
const MAX_HOURS: f64 = 8_766_000.0;

/// The longest part of a value that a message quotes.
const MAX_QUOTED_CHARS: usize = 40;

/// A closed range of time, both bounds inclusive, either of them open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    start_ms: Option<i64>,
    end_ms: Option<i64>,
}

/// Why a time or a range of times is not valid. Each names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error(
        "{field} {value:?} is not an ISO 8601 time: use for example 2026-02-08T00:00:00Z or 2026-02-08"
    )]
    NotATime { field: &'static str, value: String },
    #[error("last_hours {value:?} must be a number greater than 0")]
    NotHours { value: String },
    #[error("last_hours must be at most {MAX_HOURS}, a thousand years")]
    TooManyHours,
    #[error("last_hours cannot be combined with start_time or end_time")]
    Combined,
    #[error(
        "period {value:?} must be today, yesterday, week, last-week, month, last-month, or a month such as 2026-11"
    )]
    NotAPeriod { value: String },
    #[error(
        "since {value:?} must be an age such as 7d, or a time such as 2026-11-01 or 2026-11-01T09:00:00Z"
    )]
    NotSince { value: String },
    #[error("only one of last_hours, start_time with end_time, period and since can be used")]
    TwoRanges,
    #[error("end_time is before start_time")]
    Backwards,
}

impl TimeError {
    /// The query parameter that is wrong.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::NotATime { field, .. } => field,
            Self::NotHours { .. } | Self::TooManyHours | Self::Combined => "last_hours",
            Self::Backwards => "end_time",
            Self::NotAPeriod { .. } => "period",
            Self::NotSince { .. } | Self::TwoRanges => "since",
        }
    }
}

impl TimeRange {
    /// Reads a range as the command line and the admin API take it: the last hours before `now_ms`,
    /// or two bounds, or none.
    ///
    /// # Errors
    /// [`TimeError`] names the field that is wrong.
    pub fn parse(
        last_hours: Option<&str>,
        start_time: Option<&str>,
        end_time: Option<&str>,
        now_ms: i64,
    ) -> Result<Self, TimeError> {
        if let Some(hours) = last_hours {
            if start_time.is_some() || end_time.is_some() {
                return Err(TimeError::Combined);
            }
            return Self::last_hours(hours, now_ms);
        }
        let start = start_time
            .map(|text| parse_utc(text, "start_time"))
            .transpose()?;
        let end = end_time
            .map(|text| parse_utc(text, "end_time"))
            .transpose()?;
        Self::between(start, end)
    }

    /// # Errors
    /// [`TimeError::Backwards`] when the end is before the start.
    fn between(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<Self, TimeError> {
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            return Err(TimeError::Backwards);
        }
        Ok(Self {
            // Rows have whole milliseconds: the first one inside the range, and the last.
            start_ms: start.map(|t| ceil_ms(t.as_nanosecond())),
            end_ms: end.map(|t| floor_ms(t.as_nanosecond())),
        })
    }

    fn last_hours(text: &str, now_ms: i64) -> Result<Self, TimeError> {
        let not_hours = || TimeError::NotHours {
            value: quoted(text),
        };
        let hours: f64 = text.trim().parse().map_err(|_| not_hours())?;
        // Not a number is not above 0.
        if hours.is_nan() || hours <= 0.0 {
            return Err(not_hours());
        }
        if hours > MAX_HOURS {
            return Err(TimeError::TooManyHours);
        }
        // In range by the check above: at most 3.2e13 ms.
        #[allow(clippy::cast_possible_truncation)]
        let span_ms = (hours * MS_PER_HOUR).ceil() as i64;
        Ok(Self {
            start_ms: Some(now_ms.saturating_sub(span_ms)),
            end_ms: None,
        })
    }

    /// Returns the range from the first to the last of these Unix milliseconds.
    #[must_use]
    pub fn of_ms(start_ms: Option<i64>, end_ms: Option<i64>) -> Self {
        Self { start_ms, end_ms }
    }

    /// First millisecond inside the range.
    #[must_use]
    pub fn start_ms(&self) -> Option<i64> {
        self.start_ms
    }

    /// Last millisecond inside the range.
    #[must_use]
    pub fn end_ms(&self) -> Option<i64> {
        self.end_ms
    }
}

/// The current Unix time in milliseconds.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| i64::try_from(elapsed.as_millis()).ok())
        .unwrap_or(0)
}

/// The Unix time in milliseconds that was so long ago.
#[must_use]
pub fn ms_ago(age: Duration) -> i64 {
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    now_ms().saturating_sub(age_ms)
}

/// Unix milliseconds as UTC ISO 8601, `2026-02-08T00:00:00Z`; a fraction only where there is one.
#[must_use]
pub fn format_utc(unix_ms: i64) -> String {
    Timestamp::from_millisecond(unix_ms).map_or_else(|_| unix_ms.to_string(), |t| t.to_string())
}

/// Unix milliseconds as UTC ISO 8601 in whole seconds: always of the same form.
#[must_use]
pub fn format_seconds(unix_ms: i64) -> String {
    format_utc(unix_ms.div_euclid(1000) * 1000)
}

/// A day, counted from 1970-01-01, as `2026-02-28`.
#[must_use]
pub fn format_utc_date(days: i64) -> String {
    let text = format_utc(days.saturating_mul(86_400_000));
    text.split('T').next().unwrap_or(&text).to_owned()
}

/// ISO 8601 with `Z`, an offset, or neither (UTC); a date alone is its midnight. 24:00 is the next
/// day's midnight.
fn parse_utc(text: &str, field: &'static str) -> Result<Timestamp, TimeError> {
    let text = restore_plus(text.trim());
    let time = match midnight_before(&text) {
        Some(midnight) => parse_instant(&midnight).map(|start| {
            start
                .checked_add(Duration::from_secs(86_400))
                .unwrap_or_else(|_| last_instant())
        }),
        None => parse_instant(&text),
    };
    time.ok_or_else(|| TimeError::NotATime {
        field,
        value: quoted(&text),
    })
}

/// Returns the part of a text that a message quotes.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

fn parse_instant(text: &str) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    // `2026-02-08T10:00:00[Europe/Paris]` would parse as a civil time with its zone ignored.
    if text.contains('[') {
        return None;
    }
    // With a `Z` only for the last hours of 9999, which are beyond the last instant.
    let civil = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let civil = civil.parse::<civil::DateTime>().ok()?;
    let instant = TimeZone::UTC.to_timestamp(civil);
    match instant {
        Ok(instant) => Some(instant),
        Err(_) if civil.year() == 9999 => Some(last_instant()),
        Err(_) => None,
    }
}

/// The last whole second that can be represented.
fn last_instant() -> Timestamp {
    Timestamp::from_second(Timestamp::MAX.as_second()).unwrap_or(Timestamp::MAX)
}

/// Returns the beginning of the day for `2026-02-08T24:00:00Z`, which ISO 8601 allows for the day's
/// end.
fn midnight_before(text: &str) -> Option<String> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let rest = time.strip_prefix("24:00")?;
    let rest = rest.strip_prefix(":00").unwrap_or(rest);
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    let is_exact = !zone.starts_with(|c: char| c.is_ascii_digit() || matches!(c, ':' | '.'));
    is_exact.then(|| format!("{date}T00:00:00{zone}"))
}

/// Puts back the plus of `…T10:00:00+02:00`, which arrives as a space from a query string in which
/// it was not escaped.
fn restore_plus(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((time, offset))
            if time.contains(':') && offset.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            format!("{time}+{offset}")
        }
        _ => text.to_owned(),
    }
}

fn floor_ms(ns: i128) -> i64 {
    i64::try_from(ns.div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

fn ceil_ms(ns: i128) -> i64 {
    i64::try_from((ns + 999_999).div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: i64 = 1_770_508_800_000; // 2026-02-08T00:00:00Z

    fn start(text: &str) -> Result<Option<i64>, TimeError> {
        TimeRange::parse(None, Some(text), None, 0).map(|range| range.start_ms())
    }

    #[test]
    fn all_iso_forms_name_the_same_instant() {
        for text in [
            "2026-02-08",
            "2026-02-08T00:00:00",
            "2026-02-08 00:00:00",
            "2026-02-08T00:00:00Z",
            "2026-02-08T00:00:00.000Z",
            "2026-02-08T02:00:00+02:00",
            "2026-02-08T02:00:00 02:00",
            "2026-02-07T19:00:00-05:00",
            "2026-02-08T00:00",
        ] {
            assert_eq!(start(text), Ok(Some(DAY_MS)), "{text}");
        }
    }

    #[test]
    fn an_invalid_time_is_refused_with_its_field() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-02-30",
            "12",
            "2026-02-08T25:00:00Z",
        ] {
            assert_eq!(start(text).unwrap_err().field(), "start_time", "{text}");
        }
        for hours in ["0", "-1", "x", "NaN"] {
            assert_eq!(
                TimeRange::parse(Some(hours), None, None, 0),
                Err(TimeError::NotHours {
                    value: hours.to_owned()
                }),
                "{hours}"
            );
        }
        assert_eq!(
            TimeRange::parse(Some("1"), Some("2026-02-08"), None, 0),
            Err(TimeError::Combined)
        );
        assert_eq!(
            TimeRange::parse(None, Some("2026-02-08"), Some("2026-02-07"), 0),
            Err(TimeError::Backwards)
        );
    }

    #[test]
    fn the_end_of_a_day_and_of_time_are_times() {
        for text in [
            "2026-02-07T24:00:00Z",
            "2026-02-07T24:00",
            "2026-02-07 24:00:00.000",
            "2026-02-07T24:00:00+00:00",
        ] {
            assert_eq!(start(text), Ok(Some(DAY_MS)), "{text}");
        }
        for text in ["2026-02-07T24:00:01Z", "2026-02-07T24:01Z", "2026-02-07T24"] {
            assert!(start(text).is_err(), "{text}");
        }
        let last = Timestamp::MAX.as_second() * 1000;
        for text in ["9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T24:00:00Z"] {
            assert_eq!(start(text), Ok(Some(last)), "{text}");
        }
    }

    #[test]
    fn too_many_hours_are_refused_with_the_limit() {
        for hours in ["8766001", "99999999999", "1e300"] {
            let error = TimeRange::parse(Some(hours), None, None, 0).unwrap_err();
            assert!(error.to_string().contains("at most 8766000"), "{error}");
        }
    }

    #[test]
    fn one_bound_alone_and_fractions_of_hours_work() {
        let range = TimeRange::parse(None, None, Some("2026-02-08"), 0).unwrap();
        assert_eq!((range.start_ms(), range.end_ms()), (None, Some(DAY_MS)));
        let range = TimeRange::parse(Some("0.5"), None, None, 3_600_000).unwrap();
        assert_eq!(range.start_ms(), Some(1_800_000));
    }

    #[test]
    fn printed_times_are_utc_iso_8601() {
        assert_eq!(format_utc(DAY_MS), "2026-02-08T00:00:00Z");
        assert_eq!(format_utc(DAY_MS + 5), "2026-02-08T00:00:00.005Z");
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_an_error(text in "\\PC{0,40}") {
            let _ = TimeRange::parse(Some(&text), None, None, 0);
            let _ = start(&text);
        }
    }
}
