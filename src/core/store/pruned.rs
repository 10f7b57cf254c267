//! Old rows are deleted, and what they add up to stays: whose sums are kept, since when, and how exact
//! a report about that time still is.

use crate::store::sql::{Connection, OptionalRow, SqlResult, params};
use serde::{Deserialize, Serialize};

use crate::model::{Calendar, Period, TimeRange};

const MS_PER_HOUR: i64 = 3_600_000;
const MS_PER_YEAR: i64 = 366 * 24 * MS_PER_HOUR;
// Index: the primary key of settings.
const READ: &str = "SELECT value FROM settings WHERE name = 'pruned'";
const WRITE: &str = "INSERT INTO settings (name, value) VALUES ('pruned', ?1) \
     ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// The time whose rows are deleted. Sums of whole hours stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Unix time in milliseconds: rows of requests that began before it are deleted.
    pub before_ms: i64,
    /// Time zone whose days begin exactly: if some begin within an hour of UTC, the rows of that hour
    /// are kept. Empty if there is none.
    pub zone: String,
}

impl Pruned {
    /// Returns what was deleted, if anything was.
    pub(super) fn read(connection: &Connection) -> SqlResult<Option<Self>> {
        let text: Option<String> = connection
            .prepare_cached(READ)?
            .query_row([], |row| row.get(0))
            .optional()?;
        // A text that somebody else has put there means nothing here.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Returns the zone by which rows were deleted before, if going on by another one would leave days
    /// without the rows that they begin with.
    pub(super) fn other_zone(
        connection: &Connection,
        calendar: &Calendar,
        before_ms: i64,
    ) -> SqlResult<Option<String>> {
        let Some(earlier) = Self::read(connection)? else {
            return Ok(None);
        };
        if earlier.zone == calendar.zone_name() {
            return Ok(None);
        }
        let year_before_ms = before_ms - MS_PER_YEAR;
        let cuts = |calendar: &Calendar| !cut_hours(calendar, year_before_ms, before_ms).is_empty();
        let earlier_cuts = Calendar::of_zone(&earlier.zone).is_some_and(|earlier| cuts(&earlier));
        Ok((earlier_cuts || cuts(calendar)).then_some(earlier.zone))
    }

    /// Notes what is going to be deleted, beside what was deleted before.
    pub(super) fn extend(
        connection: &Connection,
        before_ms: i64,
        calendar: &Calendar,
    ) -> SqlResult<Self> {
        let zone = calendar.zone_name().to_owned();
        let pruned = match Self::read(connection)? {
            None => Self { before_ms, zone },
            Some(earlier) => Self {
                before_ms: before_ms.max(earlier.before_ms),
                zone: if earlier.zone == zone {
                    zone
                } else {
                    String::new()
                },
            },
        };
        let text = serde_json::to_string(&pruned).unwrap_or_default();
        connection.prepare_cached(WRITE)?.execute(params![text])?;
        Ok(pruned)
    }

    /// Moves a bound of a report to the beginning of its hour, unless the rows are there that cut the
    /// hour.
    pub(super) fn start(&self, ms: i64, calendar: &Calendar) -> i64 {
        if self.is_exact(ms, calendar) {
            ms
        } else {
            ms - ms.rem_euclid(MS_PER_HOUR)
        }
    }

    /// Returns the range of a report: hours that it touches are taken whole where there are no rows.
    pub(super) fn range(&self, range: TimeRange, calendar: &Calendar) -> TimeRange {
        let start_ms = range.start_ms().map(|ms| self.start(ms, calendar));
        let end_ms = range.end_ms().map(|ms| {
            let behind = ms.saturating_add(1);
            if self.is_exact(behind, calendar) {
                return ms;
            }
            ms - ms.rem_euclid(MS_PER_HOUR) + MS_PER_HOUR - 1
        });
        TimeRange::of_ms(start_ms, end_ms)
    }

    fn is_exact(&self, ms: i64, calendar: &Calendar) -> bool {
        ms >= self.before_ms
            || ms.rem_euclid(MS_PER_HOUR) == 0
            || self.zone == calendar.zone_name() && is_day_start(ms, calendar)
    }
}

fn is_day_start(ms: i64, calendar: &Calendar) -> bool {
    calendar.range(Period::Day, ms, 0).start_ms() == Some(ms)
}

/// Returns the hours in which a day of the calendar begins, but not with the hour, between two times.
pub(super) fn cut_hours(calendar: &Calendar, first_ms: i64, last_ms: i64) -> Vec<i64> {
    if first_ms > last_ms {
        return Vec::new();
    }
    let days = calendar.periods(Period::Day, first_ms, last_ms);
    let starts = days.starts_ms().iter();
    starts
        .filter(|ms| ms.rem_euclid(MS_PER_HOUR) != 0)
        .map(|ms| ms.div_euclid(MS_PER_HOUR))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * MS_PER_HOUR;

    #[test]
    fn bounds_within_hours_without_rows_are_widened() {
        let utc = Calendar::default();
        let pruned = Pruned {
            before_ms: 10 * DAY,
            zone: "UTC".to_owned(),
        };
        let range = |start, end| {
            let range = pruned.range(TimeRange::of_ms(Some(start), Some(end)), &utc);
            (range.start_ms().unwrap(), range.end_ms().unwrap())
        };
        assert_eq!(
            range(5 * DAY + 1, 5 * DAY + 2),
            (5 * DAY, 5 * DAY + MS_PER_HOUR - 1)
        );
        assert_eq!(range(5 * DAY, 6 * DAY - 1), (5 * DAY, 6 * DAY - 1));
        assert_eq!(
            range(10 * DAY + 1, 11 * DAY + 2),
            (10 * DAY + 1, 11 * DAY + 2)
        );
    }

    #[test]
    fn days_that_cut_an_hour_stay_exact_in_their_zone() {
        let kolkata = Calendar::of_zone("Asia/Kolkata").unwrap();
        // 00:00 in Kolkata is 18:30 UTC.
        let midnight = 5 * DAY + 18 * MS_PER_HOUR + MS_PER_HOUR / 2;
        let mut pruned = Pruned {
            before_ms: 10 * DAY,
            zone: "Asia/Kolkata".to_owned(),
        };
        assert_eq!(pruned.start(midnight, &kolkata), midnight);
        assert_eq!(
            pruned.start(midnight + 1, &kolkata),
            midnight - MS_PER_HOUR / 2
        );
        assert_eq!(
            cut_hours(&kolkata, 5 * DAY, 7 * DAY - 1),
            [4 * 24 + 18, 5 * 24 + 18, 6 * 24 + 18]
        );
        pruned.zone = String::new();
        assert_eq!(pruned.start(midnight, &kolkata), midnight - MS_PER_HOUR / 2);
    }
}
