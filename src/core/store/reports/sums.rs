//! Sums of the ledger in a window. Whole days come from the daily sums, and whole hours beside them
//! from the hourly ones; the edges of the window, hours that a calendar cuts, and what is not summed
//! yet come from the rows. So any window is exact, and ten million rows take a fraction of a second
//! (docs/benchmarks.md) instead of the 8.5 s that summing rows took.

use crate::store::sql::{Connection, Row, SqlResult, named_params};
use crate::{
    model::{Calendar, Dimension, Period, Periods, TimeRange},
    store::{
        StoreError,
        measures::{self, KEY_OF_ROW, MEASURES, MeasureValues},
        pruned::Pruned,
    },
};
use std::{fmt::Write, sync::Arc};

const MS_PER_HOUR: i64 = 3_600_000;
const HOURS_PER_DAY: i64 = 24;
const MS_PER_DAY: i64 = HOURS_PER_DAY * MS_PER_HOUR;
/// Bounds of open windows: far enough for any clock and small enough to multiply.
const FAR_MS: i64 = 1 << 60;

// Indexes: the primary keys of usage_hourly and usage_logs; the `+` keeps the planner from walking
// through the index by time until it finds an id.
const FIRST_AND_LAST: &str = "SELECT min(at_ms), max(at_ms) FROM ( \
     SELECT min(hour) * 3600000 AS at_ms FROM usage_hourly UNION ALL \
     SELECT max(hour) * 3600000 + 3599999 FROM usage_hourly UNION ALL \
     SELECT min(+started_at_ms) FROM usage_logs WHERE id > (SELECT last_id FROM usage_rollup) UNION ALL \
     SELECT max(+started_at_ms) FROM usage_logs WHERE id > (SELECT last_id FROM usage_rollup)) AS bounds";

/// What sums are asked for.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    pub(super) range: TimeRange,
    pub(super) columns: &'a [Column],
    pub(super) calendar: Calendar,
    /// Only the usage of these users. `None` for all.
    pub(super) user_ids: Option<Vec<i64>>,
}

/// A column that sums are split along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Period(Period),
    User,
    Key,
    Endpoint,
    Model,
}

impl Column {
    /// Returns the column of a dimension. A group's sums are those of its users.
    pub(super) fn of(dimension: Dimension) -> Self {
        match dimension {
            Dimension::User | Dimension::Group => Self::User,
            Dimension::Key => Self::Key,
            Dimension::Model => Self::Model,
            Dimension::Endpoint => Self::Endpoint,
            Dimension::Period(period) => Self::Period(period),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Period(_) => "period",
            Self::User => "user_id",
            Self::Key => "key_id",
            Self::Endpoint => "endpoint",
            Self::Model => "model",
        }
    }
}

/// The values of one combination; what was not asked for is empty.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Place among the periods.
    pub(super) period: usize,
    pub(super) user_id: i64,
    pub(super) key_id: i64,
    pub(super) endpoint: String,
    pub(super) model: String,
}

/// Sums of the combinations that occur, and the periods that they refer to.
pub(super) struct Sums {
    pub(super) groups: Vec<(Group, MeasureValues)>,
    pub(super) periods: Option<Periods>,
}

/// Returns the sums of each combination of values in the window.
pub(super) fn sums(connection: &Connection, query: &Query<'_>) -> Result<Sums, StoreError> {
    let period = query.columns.iter().find_map(|column| match column {
        Column::Period(period) => Some(*period),
        _ => None,
    });
    let pruned = Pruned::read(connection)?;
    let range = match &pruned {
        Some(pruned) => pruned.range(query.range, &query.calendar),
        None => query.range,
    };
    let periods = match period {
        Some(period) => match used_range(connection, range)? {
            Some((first_ms, last_ms)) => Some(query.calendar.periods(period, first_ms, last_ms)),
            None => Some(query.calendar.periods(period, 0, 0)),
        },
        None => None,
    };
    let starts_ms = periods.as_ref().map_or(&[][..], Periods::starts_ms).iter();
    let starts_ms: Arc<[i64]> = match &pruned {
        Some(pruned) => starts_ms
            .map(|start| pruned.start(*start, &query.calendar))
            .collect(),
        None => starts_ms.copied().collect(),
    };
    let windows = Windows::of(range, &starts_ms);
    let starts = connection
        .is_postgres()
        .then(|| json_list(starts_ms.iter()));
    #[cfg(feature = "sqlite")]
    if periods.is_some() && starts.is_none() {
        crate::store::sqlite::add_period_function(connection.sqlite()?, starts_ms)?;
    }
    let dialect = if starts.is_some() {
        &ON_SERVER
    } else {
        &IN_FILE
    };
    let sql = statement(dialect, query.columns, !windows.cut_hours.is_empty());
    let mut statement = connection.prepare_cached(&sql)?;
    let user_ids = query.user_ids.as_ref().map(|ids| json_list(ids.iter()));
    let params = named_params! {
        ":first_hour": windows.hours.0,
        ":last_hour": windows.hours.1,
        ":first_day": windows.days.0,
        ":last_day": windows.days.1,
        ":cut_days": json_list(windows.cut_days.iter()),
        ":hour_spans": json_pairs(&windows.hour_spans),
        ":spans": json_pairs(&windows.spans_ms),
        ":cut_hours": json_list(windows.cut_hours.iter()),
        ":user_ids": user_ids,
    };
    let mut params = params.to_vec();
    if let Some(starts) = &starts {
        params.push((":starts", starts));
    }
    let groups = statement.query_map(&*params, |row| read_group(row, query.columns))?;
    let groups = groups.collect::<SqlResult<_>>()?;
    Ok(Sums { groups, periods })
}

fn read_group(row: &Row<'_>, columns: &[Column]) -> SqlResult<(Group, MeasureValues)> {
    let mut group = Group::default();
    for (index, column) in columns.iter().enumerate() {
        match column {
            Column::Period(_) => {
                group.period = usize::try_from(row.get::<_, i64>(index)?).unwrap_or(0);
            }
            Column::User => group.user_id = row.get(index)?,
            Column::Key => group.key_id = row.get(index)?,
            Column::Endpoint => group.endpoint = row.get(index)?,
            Column::Model => group.model = row.get(index)?,
        }
    }
    let mut values = MeasureValues::default();
    for (offset, value) in values.0.iter_mut().enumerate() {
        // The sum of no rows at all is NULL.
        *value = row
            .get::<_, Option<i64>>(columns.len() + offset)?
            .unwrap_or(0);
    }
    Ok((group, values))
}

/// Returns the first and the last moment of the range at which something may be booked.
fn used_range(connection: &Connection, range: TimeRange) -> Result<Option<(i64, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(FIRST_AND_LAST)?;
    let booked: (Option<i64>, Option<i64>) =
        statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(first_ms), Some(last_ms)) = booked else {
        return Ok(None);
    };
    let first_ms = range
        .start_ms()
        .map_or(first_ms, |start| start.max(first_ms));
    let last_ms = range.end_ms().map_or(last_ms, |end| end.min(last_ms));
    Ok((first_ms <= last_ms).then_some((first_ms, last_ms)))
}

/// What the two databases say differently.
struct Dialect {
    /// The place of the period that has a moment, in the place of which there is `{}`.
    period_of: &'static str,
    /// The beginnings and ends in a list of pairs, as columns of the table `span`.
    pairs: fn(&str) -> String,
}

/// SQLite, where `period_of` is a function of this program.
const IN_FILE: Dialect = Dialect {
    period_of: "period_of({})",
    pairs: |list| {
        format!(
            "(SELECT json_extract(value, '$[0]') AS first, json_extract(value, '$[1]') AS last FROM json_each({list})) AS span"
        )
    },
};
/// PostgreSQL. Moments before the first period belong to it.
const ON_SERVER: Dialect = Dialect {
    period_of: "max(width_bucket({}, ARRAY(SELECT value FROM json_each(:starts)))::bigint - 1, 0)",
    pairs: |list| {
        format!(
            "(SELECT (pair->>0)::bigint AS first, (pair->>1)::bigint AS last FROM json_array_elements({list}::json) AS pair) AS span"
        )
    },
};

/// Returns the statement that sums along columns.
///
/// Indexes: the primary keys of usage_daily and usage_hourly; that of usage_logs for the rows that are not summed yet
/// (the `+` keeps the planner from taking the index by time there); usage_logs_by_time for the spans.
fn statement(dialect: &Dialect, columns: &[Column], has_cut_hours: bool) -> String {
    let has_periods = columns
        .iter()
        .any(|column| matches!(column, Column::Period(_)));
    let period_of = |moment: &str| {
        if has_periods {
            dialect.period_of.replace("{}", moment)
        } else {
            "0".to_owned()
        }
    };
    let not_cut = |hour: &str| {
        if has_cut_hours {
            format!("AND {hour} NOT IN (SELECT value FROM json_each(:cut_hours))")
        } else {
            // The parameter is bound in any case.
            "AND :cut_hours IS NOT NULL".to_owned()
        }
    };
    let of_user = "(:user_ids IS NULL OR user_id IN (SELECT value FROM json_each(:user_ids)))";
    let hourly: Vec<&str> = measures::columns().collect();
    let of_row: Vec<String> = measures::of_row()
        .zip(measures::columns())
        .map(|(value, column)| format!("{value} AS {column}"))
        .collect();
    let row_columns = format!(
        "{} AS period, user_id, {KEY_OF_ROW} AS key_id, endpoint, model, {}",
        period_of("started_at_ms"),
        of_row.join(", ")
    );
    let mut sql = "SELECT ".to_owned();
    // Writing to a string cannot fail.
    for column in columns {
        let _ = write!(sql, "{}, ", column.name());
    }
    let sums: Vec<String> = hourly
        .iter()
        .map(|column| format!("sum({column})"))
        .collect();
    let _ = write!(
        sql,
        "{} FROM ( \
         SELECT {} AS period, user_id, key_id, endpoint, model, {} FROM usage_daily \
         WHERE day >= :first_day AND day < :last_day AND day NOT IN (SELECT value FROM json_each(:cut_days)) AND {of_user} \
         UNION ALL \
         SELECT {} AS period, user_id, key_id, endpoint, model, {} FROM {} CROSS JOIN usage_hourly \
         WHERE hour >= span.first AND hour < span.last {} AND {of_user} \
         UNION ALL \
         SELECT {row_columns} FROM usage_logs WHERE id > (SELECT last_id FROM usage_rollup) \
         AND +started_at_ms >= :first_hour * 3600000 AND +started_at_ms < :last_hour * 3600000 {} AND {of_user} \
         UNION ALL \
         SELECT {row_columns} FROM {} CROSS JOIN usage_logs \
         WHERE started_at_ms >= span.first AND started_at_ms < span.last AND {of_user}) AS parts",
        sums.join(", "),
        period_of("day * 86400000"),
        hourly.join(", "),
        period_of("hour * 3600000"),
        hourly.join(", "),
        (dialect.pairs)(":hour_spans"),
        not_cut("hour"),
        not_cut("started_at_ms / 3600000"),
        (dialect.pairs)(":spans"),
    );
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    if !names.is_empty() {
        let names = names.join(", ");
        let _ = write!(sql, " GROUP BY {names} ORDER BY {names}");
    }
    debug_assert_eq!(hourly.len(), MEASURES);
    sql
}

fn json_list<'a>(numbers: impl Iterator<Item = &'a i64>) -> String {
    let numbers: Vec<String> = numbers.map(ToString::to_string).collect();
    format!("[{}]", numbers.join(","))
}

fn json_pairs(pairs: &[(i64, i64)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(start, end)| format!("[{start},{end}]"))
        .collect();
    format!("[{}]", pairs.join(","))
}

/// The hour of `usage_hourly` that an instant falls into.
fn hour_of(unix_ms: i64) -> i64 {
    unix_ms.div_euclid(MS_PER_HOUR)
}

/// A range cut into whole days, whole hours beside them, and spans of milliseconds whose rows are read
/// one by one. All are half-open, and any of them may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Windows {
    /// All whole hours.
    hours: (i64, i64),
    /// Hours among them in which a period ends and the next one begins: they are among the spans.
    cut_hours: Vec<i64>,
    /// The whole days among the hours.
    days: (i64, i64),
    /// Days among them in which a period ends and the next one begins: they are among the spans of
    /// hours.
    cut_days: Vec<i64>,
    /// The whole hours that are in no whole day.
    hour_spans: Vec<(i64, i64)>,
    spans_ms: Vec<(i64, i64)>,
}

impl Windows {
    fn of(range: TimeRange, starts_ms: &[i64]) -> Self {
        let start_ms = range.start_ms().unwrap_or(-FAR_MS).clamp(-FAR_MS, FAR_MS);
        let end_ms = range.end_ms().unwrap_or(FAR_MS).clamp(-FAR_MS, FAR_MS) + 1;
        let first_hour = hour_of(start_ms + MS_PER_HOUR - 1);
        let last_hour = hour_of(end_ms);
        if first_hour >= last_hour {
            return Self {
                spans_ms: vec![(start_ms, end_ms)],
                ..Self::default()
            };
        }
        let cut_hours = cut_by(starts_ms, MS_PER_HOUR, (first_hour, last_hour));
        let edges = [
            (start_ms, first_hour * MS_PER_HOUR),
            (last_hour * MS_PER_HOUR, end_ms),
        ];
        let cuts = cut_hours
            .iter()
            .map(|hour| (hour * MS_PER_HOUR, (hour + 1) * MS_PER_HOUR));
        let spans_ms = joined(edges.into_iter().chain(cuts).collect());
        let first_day = (first_hour + HOURS_PER_DAY - 1).div_euclid(HOURS_PER_DAY);
        let last_day = last_hour.div_euclid(HOURS_PER_DAY);
        let (days, cut_days, hour_spans) = if first_day < last_day {
            let days = (first_day, last_day);
            let cut_days = cut_by(starts_ms, MS_PER_DAY, days);
            let edges = [
                (first_hour, first_day * HOURS_PER_DAY),
                (last_day * HOURS_PER_DAY, last_hour),
            ];
            let cuts = cut_days
                .iter()
                .map(|day| (day * HOURS_PER_DAY, (day + 1) * HOURS_PER_DAY));
            let spans = joined(edges.into_iter().chain(cuts).collect());
            (days, cut_days, spans)
        } else {
            ((0, 0), Vec::new(), vec![(first_hour, last_hour)])
        };
        Self {
            hours: (first_hour, last_hour),
            cut_hours,
            days,
            cut_days,
            hour_spans,
            spans_ms,
        }
    }
}

/// Returns the places in a range, of so many milliseconds each, inside which a period begins.
fn cut_by(starts_ms: &[i64], length_ms: i64, range: (i64, i64)) -> Vec<i64> {
    let mut cut: Vec<i64> = starts_ms
        .iter()
        .filter(|start| *start % length_ms != 0)
        .map(|start| start.div_euclid(length_ms))
        .filter(|place| (range.0..range.1).contains(place))
        .collect();
    cut.dedup();
    cut
}

/// Returns the spans in order, without empty ones, and those that touch as one.
fn joined(mut spans: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    spans.retain(|span| span.0 < span.1);
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.1 == span.0 => last.1 = span.1,
            _ => joined.push(span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestDatabase;
    use proptest::prelude::*;

    fn covered(windows: &Windows, ms: i64) -> usize {
        let (hour, day) = (hour_of(ms), ms.div_euclid(MS_PER_DAY));
        let in_days =
            (windows.days.0..windows.days.1).contains(&day) && !windows.cut_days.contains(&day);
        let hour_spans = windows
            .hour_spans
            .iter()
            .filter(|span| (span.0..span.1).contains(&hour));
        let in_hours = hour_spans.count() * usize::from(!windows.cut_hours.contains(&hour));
        let in_spans = windows
            .spans_ms
            .iter()
            .filter(|span| (span.0..span.1).contains(&ms));
        usize::from(in_days) + in_hours + in_spans.count()
    }

    proptest! {
        #[test]
        fn each_instant_in_the_range_is_counted_exactly_once(
            start in 0i64..60 * MS_PER_HOUR,
            length in 0i64..100 * MS_PER_HOUR,
            probe in 0i64..170 * MS_PER_HOUR,
            mut starts in prop::collection::vec((0i64..170 * 4).prop_map(|quarter| quarter * MS_PER_HOUR / 4), 0..6),
        ) {
            starts.sort_unstable();
            let end = start + length;
            let windows = Windows::of(TimeRange::of_ms(Some(start), Some(end)), &starts);
            for ms in [probe, start, end, start - 1, end + 1] {
                prop_assert_eq!(covered(&windows, ms), usize::from(ms >= start && ms <= end), "{} in {}..={}", ms, start, end);
            }
        }
    }

    #[test]
    fn an_open_range_reads_no_rows_near_now() {
        let windows = Windows::of(TimeRange::default(), &[]);
        assert_eq!(covered(&windows, crate::model::now_ms()), 1);
        let near_now = windows
            .spans_ms
            .iter()
            .find(|span| span.0 < FAR_MS / 2 && span.1 > 0);
        assert_eq!(near_now, None);
    }

    #[test]
    fn the_report_uses_the_indexes() {
        let database = TestDatabase::file();
        let store = database.open();
        let connection = store.connection().unwrap();
        for has_cut_hours in [false, true] {
            let statement = statement(&IN_FILE, &[Column::User, Column::Model], has_cut_hours);
            let mut statement = connection
                .file()
                .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
                .unwrap();
            let plan: Vec<String> = statement
                .query_map(
                    rusqlite::named_params! {
                        ":first_day": 0, ":last_day": 1, ":cut_days": "[]", ":hour_spans": "[]", ":first_hour": 0, ":last_hour": 1, ":spans": "[]", ":cut_hours": "[]", ":user_ids": None::<String>,
                    },
                    |row| row.get(3),
                )
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let plan = plan.join("\n");
            for part in [
                "SEARCH usage_daily USING PRIMARY KEY (day>? AND day<?)",
                "SEARCH usage_hourly USING PRIMARY KEY (hour>? AND hour<?)",
                "SEARCH usage_logs USING INDEX usage_logs_by_time (started_at_ms>? AND started_at_ms<?)",
                "SEARCH usage_logs USING INTEGER PRIMARY KEY (rowid>?)",
            ] {
                assert!(plan.contains(part), "{part} is not in {plan}");
            }
            assert!(
                !plan.contains("SCAN usage_logs")
                    && !plan.contains("SCAN usage_hourly")
                    && !plan.contains("SCAN usage_daily"),
                "{plan}"
            );
        }
    }
}
