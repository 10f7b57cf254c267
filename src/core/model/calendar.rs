//! Hours, days, weeks and months of the operator's time zone, right across changes of daylight
//! saving.

use std::time::Duration;

use jiff::{Span, Timestamp, ZonedDateTime as Zoned, civil, tz::TimeZone};

use super::{Period, TimeError, TimeRange, time::quoted};

/// The most spans of time in one report: the hours of 400 years.
const MAX_PERIODS: usize = 4_000_000;

/// The time zone in which days, weeks and months begin and end.
#[derive(Debug, Clone)]
pub struct Calendar(TimeZone);

/// Consecutive spans of time of one kind.
#[derive(Debug)]
pub struct Periods {
    kind: Period,
    zone: TimeZone,
    /// The Unix time in milliseconds at which each begins. The last one has no end.
    starts_ms: Vec<i64>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Calendar {
    /// Returns the calendar of a time zone by its IANA name, such as `Europe/Berlin`; `None` for an
    /// unknown name.
    #[must_use]
    pub fn of_zone(name: &str) -> Option<Self> {
        // The default needs no database of zones, which would be read from the disk.
        if name.eq_ignore_ascii_case("UTC") {
            return Some(Self::default());
        }
        TimeZone::get(name).ok().map(Self)
    }

    /// Returns the name of the time zone.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// Cuts the time from the period of `first_ms` to that of `last_ms` (Unix milliseconds).
    #[must_use]
    pub fn periods(&self, kind: Period, first_ms: i64, last_ms: i64) -> Periods {
        let mut starts_ms = Vec::new();
        let mut start = start_of(kind, &self.at(first_ms));
        while starts_ms.len() < MAX_PERIODS {
            let start_ms = start.timestamp().as_millisecond();
            if start_ms > last_ms && !starts_ms.is_empty() {
                break;
            }
            if starts_ms.last().is_none_or(|last| *last < start_ms) {
                starts_ms.push(start_ms);
            }
            let Some(next) = after(kind, &start) else {
                break;
            };
            start = next;
        }
        Periods {
            kind,
            zone: self.0.clone(),
            starts_ms,
        }
    }

    /// Returns the day, week or month that has a moment (Unix milliseconds), `ago` before it.
    #[must_use]
    pub fn range(&self, kind: Period, at_ms: i64, ago: i64) -> TimeRange {
        let at = self.at(at_ms);
        let shifted = match kind {
            Period::Hour => at.checked_sub(Span::new().hours(ago)),
            Period::Day => at.checked_sub(Span::new().days(ago)),
            Period::Week => at.checked_sub(Span::new().weeks(ago)),
            Period::Month => start_of(kind, &at).checked_sub(Span::new().months(ago)),
        };
        let start = start_of(kind, &shifted.unwrap_or(at));
        let start_ms = start.timestamp().as_millisecond();
        let end_ms = after(kind, &start).map(|end| end.timestamp().as_millisecond() - 1);
        TimeRange::of_ms(Some(start_ms), end_ms)
    }

    /// Reads the name of a period as the command line and the admin API take it: `today`,
    /// `yesterday`, `week`, `last-week`, `month`, `last-month`, or a month such as `2026-11`.
    ///
    /// # Errors
    /// [`TimeError::NotAPeriod`].
    pub fn parse_period(&self, given: &str, now_ms: i64) -> Result<TimeRange, TimeError> {
        let (kind, ago) = match given.trim().to_ascii_lowercase().as_str() {
            "today" => (Period::Day, 0),
            "yesterday" => (Period::Day, 1),
            "week" => (Period::Week, 0),
            "last-week" => (Period::Week, 1),
            "month" => (Period::Month, 0),
            "last-month" => (Period::Month, 1),
            text => {
                let first = format!("{text}-01").parse::<civil::Date>().ok();
                let is_month = text.len() == "2026-11".len();
                let not_a_period = || TimeError::NotAPeriod {
                    value: quoted(given),
                };
                let first = first.filter(|_| is_month).ok_or_else(not_a_period)?;
                let first = midnight(&self.0, first).ok_or_else(not_a_period)?;
                let first_ms = first.timestamp().as_millisecond();
                return Ok(self.range(Period::Month, first_ms, 0));
            }
        };
        Ok(self.range(kind, now_ms, ago))
    }

    /// Reads the beginning of a range: an age such as `7d` or a time in ISO 8601. A date alone is
    /// its midnight here.
    ///
    /// # Errors
    /// [`TimeError::NotSince`].
    pub fn parse_since(&self, text: &str, now_ms: i64) -> Result<TimeRange, TimeError> {
        let start_ms = match parse_age_ms(text) {
            Some(age_ms) => now_ms.saturating_sub(age_ms),
            None => self.parse_time(text).ok_or_else(|| TimeError::NotSince {
                value: quoted(text),
            })?,
        };
        Ok(TimeRange::of_ms(Some(start_ms), None))
    }

    /// Reads a moment in the future as an age from now, such as `90d`, or a time in ISO 8601. A date
    /// alone is its midnight here. `None` if it is neither.
    #[must_use]
    pub fn parse_end_ms(&self, text: &str, now_ms: i64) -> Option<i64> {
        match parse_age_ms(text) {
            Some(age_ms) => Some(now_ms.saturating_add(age_ms)),
            None => self.parse_time(text),
        }
    }

    /// Reads a time in ISO 8601 as Unix milliseconds. One without an offset is of this time zone.
    #[must_use]
    pub fn parse_time(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Ok(timestamp) = text.parse::<Timestamp>() {
            return Some(timestamp.as_millisecond());
        }
        if text.contains('[') || text.ends_with(['Z', 'z']) {
            return None;
        }
        let civil = text.parse::<civil::DateTime>().ok()?;
        let zoned = self.0.to_zoned_datetime(civil).ok()?;
        Some(zoned.timestamp().as_millisecond())
    }

    /// Returns a moment (Unix milliseconds) by the clock of this time zone, such as
    /// `2026-11-29 14:03:05`.
    #[must_use]
    pub fn clock_time(&self, unix_ms: i64) -> String {
        let at = self.at(unix_ms);
        let (hour, minute, second) = (at.hour(), at.minute(), at.second());
        format!("{} {hour:02}:{minute:02}:{second:02}", at.date())
    }

    fn at(&self, unix_ms: i64) -> Zoned {
        let clamped = unix_ms.clamp(
            // A year inside the limits, so that spans can be added and subtracted.
            Timestamp::MIN.as_millisecond() + 32_000_000_000,
            Timestamp::MAX.as_millisecond() - 32_000_000_000,
        );
        Timestamp::from_millisecond(clamped)
            .unwrap_or(Timestamp::UNIX_EPOCH)
            .to_zoned_datetime(self.0.clone())
    }
}

impl Periods {
    /// Returns the beginnings (Unix milliseconds).
    #[must_use]
    pub fn starts_ms(&self) -> &[i64] {
        &self.starts_ms
    }

    /// Returns the place of the span that has a moment (Unix milliseconds). One before all others
    /// counts to the first.
    #[must_use]
    pub fn index_of(starts_ms: &[i64], unix_ms: i64) -> usize {
        starts_ms
            .partition_point(|start| *start <= unix_ms)
            .saturating_sub(1)
    }

    /// Returns how a span is called: `2026-11-29T14:00:00+01:00`, `2026-11-29`, or `2026-11`. A week
    /// has the date of its Monday.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        let start_ms = self.starts_ms.get(index).copied().unwrap_or_default();
        let start = Timestamp::from_millisecond(start_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let start = start.to_zoned_datetime(self.zone.clone());
        match self.kind {
            Period::Hour if self.zone == TimeZone::UTC => start.timestamp().to_string(),
            Period::Hour => {
                let (civil, offset) = (start.datetime(), start.offset());
                let seconds = offset.seconds();
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.unsigned_abs() / 60;
                format!("{civil}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
            Period::Day | Period::Week => start.date().to_string(),
            Period::Month => {
                let date = start.date();
                format!("{:04}-{:02}", date.year(), date.month())
            }
        }
    }
}

/// Returns the beginning of the span that has a moment. A day in which midnight is skipped begins
/// with its first moment.
fn start_of(kind: Period, at: &Zoned) -> Zoned {
    let day = |date| midnight(at.time_zone(), date).unwrap_or_else(|| at.clone());
    match kind {
        Period::Hour => {
            // The hour by the zone's clock is cut off the moment, so that an hour that the clock
            // repeats has a beginning of its own.
            let into_hour = i64::from(at.minute()) * 60 + i64::from(at.second());
            let into_hour_ms = into_hour * 1000 + i64::from(at.millisecond());
            let start_ms = at.timestamp().as_millisecond() - into_hour_ms;
            // A clock that was set by less than an hour begins another hour.
            let following = at.timestamp().checked_add(Duration::from_nanos(1));
            let set = at
                .time_zone()
                .preceding(following.unwrap_or(at.timestamp()))
                .next()
                .map_or(i64::MIN, |set| set.timestamp().as_millisecond());
            let start_ms = start_ms.max(set);
            Timestamp::from_millisecond(start_ms).map_or_else(
                |_| at.clone(),
                |t| t.to_zoned_datetime(at.time_zone().clone()),
            )
        }
        Period::Day => day(at.date()),
        Period::Week => {
            let into_week = i64::from(at.weekday().to_monday_zero_offset());
            let monday = at.date().checked_sub(Span::new().days(into_week));
            day(monday.unwrap_or(at.date()))
        }
        Period::Month => day(at.date().first_of_month()),
    }
}

/// Returns the first moment of a day.
fn midnight(zone: &TimeZone, date: civil::Date) -> Option<Zoned> {
    zone.to_zoned_datetime(date.at(0, 0, 0, 0)).ok()
}

/// Returns the beginning of the next span; `None` at the end of time.
fn after(kind: Period, start: &Zoned) -> Option<Zoned> {
    let next_day = |span: Span| {
        let date = start.date().checked_add(span).ok()?;
        midnight(start.time_zone(), date)
    };
    match kind {
        Period::Hour => {
            let next = start.checked_add(Duration::from_secs(3_600)).ok()?;
            Some(start_of(Period::Hour, &next)).filter(|next| next > start)
        }
        Period::Day => next_day(Span::new().days(1)),
        Period::Week => next_day(Span::new().weeks(1)),
        Period::Month => next_day(Span::new().months(1)),
    }
}

/// Reads an age such as `90d` or `12h 30m` as milliseconds.
fn parse_age_ms(text: &str) -> Option<i64> {
    let age = humantime::parse_duration(text.trim()).ok()?;
    i64::try_from(age.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn berlin() -> Calendar {
        Calendar::of_zone("Europe/Berlin").unwrap()
    }

    #[test]
    fn days_have_23_and_25_hours_where_the_clock_is_changed() {
        let days = berlin().periods(
            Period::Day,
            ms("2026-03-28T12:00:00Z"),
            ms("2026-03-30T12:00:00Z"),
        );
        let hours: Vec<i64> = days
            .starts_ms()
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / 3_600_000)
            .collect();
        assert_eq!(hours, [24, 23]);
        assert_eq!(days.label(1), "2026-03-29");
        let october = berlin().range(Period::Day, ms("2026-10-25T12:00:00Z"), 0);
        assert_eq!(
            october,
            TimeRange::of_ms(
                Some(ms("2026-10-24T22:00:00Z")),
                Some(ms("2026-10-25T23:00:00Z") - 1)
            )
        );
    }

    #[test]
    fn the_hour_that_comes_twice_has_two_names() {
        let hours = berlin().periods(
            Period::Hour,
            ms("2026-10-25T00:30:00Z"),
            ms("2026-10-25T01:30:00Z"),
        );
        let names: Vec<String> = (0..hours.starts_ms().len())
            .map(|i| hours.label(i))
            .collect();
        assert_eq!(
            names,
            ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let at = ms("2026-11-29T12:00:00Z");
        let week = Calendar::default().range(Period::Week, at, 0);
        assert_eq!(week.start_ms(), Some(ms("2026-11-23T00:00:00Z")));
        assert_eq!(week.end_ms(), Some(ms("2026-11-30T00:00:00Z") - 1));
        let before = berlin().parse_period("last-month", at).unwrap();
        assert_eq!(before.start_ms(), Some(ms("2026-09-30T22:00:00Z")));
        assert_eq!(before.end_ms(), Some(ms("2026-10-31T23:00:00Z") - 1));
        let named = berlin().parse_period("2026-10", at).unwrap();
        assert_eq!(named, before);
        for text in ["2026-13", "2026-1", "2026", "tomorrow", ""] {
            assert!(berlin().parse_period(text, at).is_err(), "{text}");
        }
    }

    #[test]
    fn a_beginning_is_an_age_or_a_local_time() {
        let now = ms("2026-11-29T12:00:00Z");
        let start = |text| {
            berlin()
                .parse_since(text, now)
                .map(|range| range.start_ms())
        };
        assert_eq!(start("7d"), Ok(Some(ms("2026-11-22T12:00:00Z"))));
        assert_eq!(start("2026-11-01"), Ok(Some(ms("2026-10-31T23:00:00Z"))));
        assert_eq!(
            start("2026-11-01T00:00:00Z"),
            Ok(Some(ms("2026-11-01T00:00:00Z")))
        );
        assert!(start("yesterday").is_err());
        assert_eq!(berlin().parse_end_ms("90d", 0), Some(90 * 86_400_000));
    }

    proptest! {
        #[test]
        fn every_moment_is_in_the_span_that_has_it(
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
            kind in prop::sample::select(vec![Period::Hour, Period::Day, Period::Week, Period::Month]),
            first_ms in 0_i64..2_000_000_000_000,
            length_ms in 0_i64..10_000_000_000,
            place in 0.0_f64..1.0,
        ) {
            let calendar = Calendar::of_zone(zone).unwrap();
            let periods = calendar.periods(kind, first_ms, first_ms + length_ms);
            let starts = periods.starts_ms();
            prop_assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(starts[0] <= first_ms && *starts.last().unwrap() <= first_ms + length_ms);
            #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
            let at = first_ms + (length_ms as f64 * place) as i64;
            let index = Periods::index_of(starts, at);
            let range = calendar.range(kind, at, 0);
            prop_assert_eq!(range.start_ms(), Some(starts[index]));
            if let Some(next) = starts.get(index + 1) {
                prop_assert_eq!(range.end_ms(), Some(*next - 1));
            }
        }
    }
}
