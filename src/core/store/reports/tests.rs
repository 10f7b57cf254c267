//! Reports against sums that are made here of the raw rows, in another way.

use crate::store::sql::{Connection, SqlResult, Value, params};
use jiff::{Span, Timestamp, tz::TimeZone};
use std::collections::BTreeMap;

use super::*;
use crate::{
    model::{NanoUsd, Period, Usage},
    prices::{Catalog, ModelPrice},
    store::{
        Store,
        ledger::{LedgerThread, OnFailure, ServerLinks, Sync},
        measures::{COUNTS, usage_of},
        reprice,
        testing::{TestDatabase, byte},
    },
};

const HOUR_MS: i64 = 3_600_000;
const MODELS: [&str; 5] = [
    "gpt-4o",
    "gpt-4o-2099-01-01",
    "claude-sonnet-4-5",
    "own-model",
    "nobody-knows",
];
const ENDPOINTS: [&str; 2] = ["/v1/chat/completions", "/v1/messages"];

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[usize::try_from(self.below(i64::try_from(all.len()).unwrap())).unwrap()]
    }
}

/// A row as it stands, with what labels and sums are made of.
struct RawRow {
    at_ms: i64,
    user_id: i64,
    key_id: i64,
    endpoint: String,
    model: String,
    totals: Totals,
}

/// Six users, one of them deleted and with the name of another; two groups; a key more than users.
fn people(connection: &Connection) {
    let [hash_1, hash_2, hash_3, hash_4, hash_5, hash_6, hash_7] =
        [1, 2, 3, 4, 5, 6, 7].map(|n| byte(connection, n));
    connection
        .execute_batch(&format!(
            "INSERT INTO groups (id, name, created_at_ms) VALUES (1, 'course', 0), (2, 'lab', 0);
             INSERT INTO users (id, username, group_id, created_at_ms, deleted_at_ms) VALUES
                 (1, 'ann', 1, 0, NULL), (2, 'bob', 1, 0, NULL), (3, 'cid', 2, 0, NULL), (4, 'dora', NULL, 0, NULL),
                 (5, 'ann', NULL, 0, 7), (6, 'eve', 2, 0, 7);
             INSERT INTO keys (id, user_id, hash, display, label, created_at_ms) VALUES
                 (1, 1, {hash_1}, 'k1', NULL, 0), (2, 2, {hash_2}, 'k2', NULL, 0), (3, 3, {hash_3}, 'k3', NULL, 0),
                 (4, 4, {hash_4}, 'k4', NULL, 0), (5, 5, {hash_5}, 'k5', NULL, 0), (6, 6, {hash_6}, 'k6', NULL, 0),
                 (7, 1, {hash_7}, 'k7', 'laptop', 0);"
        ))
        .unwrap();
}

/// Writes rows between two moments as a server before this version wrote them, without a cost, and
/// some with one.
fn insert_rows(connection: &mut Connection, random: &mut Random, span_ms: (i64, i64), count: i64) {
    let transaction = connection.write().unwrap();
    let columns = COUNTS.join(", ");
    let places = vec!["?"; COUNTS.len()].join(", ");
    let sql = format!(
        "INSERT INTO usage_logs (started_at_ms, user_id, key_id, endpoint, model, status, outcome, usage_source, duration_ms,
             estimated_input_tokens, estimated_output_tokens, cost_nano_usd, service_tier, is_batch, {columns})
         VALUES (?, ?, ?, ?, ?, ?, 'completed', ?, 1, ?, ?, ?, ?, ?, {places})"
    );
    for _ in 0..count {
        // A quarter of the moments are at the full or half hour, where windows and periods begin.
        let mut at_ms = span_ms.0 + random.below(span_ms.1 - span_ms.0);
        if random.below(4) == 0 {
            at_ms = at_ms / (HOUR_MS / 4) * (HOUR_MS / 4);
        }
        // One without a row in `users`, too.
        let user_id = 1 + random.below(7);
        let key_id = match random.below(4) {
            0 if user_id == 1 => 7,
            1 => 0,
            _ => user_id,
        };
        let status = [200, 200, 200, 200, 499, 400][usize::try_from(random.below(6)).unwrap()];
        let source = if status == 400 {
            "none"
        } else {
            random.one_of(&["backend", "backend", "estimate"])
        };
        let is_estimate = source == "estimate";
        let mut counts = [0_i64; COUNTS.len()];
        if status != 400 {
            counts[0] = random.below(5_000);
            counts[1] = random.below(900);
            counts[2] = random.below(counts[0] + 1);
            counts[3] = random.below(counts[1] + 1);
            for count in &mut counts[4..] {
                *count = if random.below(9) == 0 {
                    random.below(3)
                } else {
                    0
                };
            }
        }
        // Earlier versions did not say how much of a row is estimated.
        let says_parts = is_estimate && random.below(2) == 0;
        let estimated = says_parts.then(|| (counts[0] / 2, counts[1] / 3));
        let cost = (random.below(3) == 0).then(|| random.below(1_000_000_000));
        let mut values = vec![
            Value::Integer(at_ms),
            Value::Integer(user_id),
            Value::Integer(key_id),
            Value::Text(random.one_of(&ENDPOINTS)),
            Value::Text(random.one_of(&MODELS)),
            Value::Integer(status),
            Value::Text(source),
            Value::integer(estimated.map(|parts| parts.0)),
            Value::integer(estimated.map(|parts| parts.1)),
            Value::integer(cost),
            Value::text((random.below(5) == 0).then_some("flex")),
            Value::Integer(i64::from(random.below(9) == 0)),
        ];
        values.extend(counts.map(Value::Integer));
        let mut statement = transaction.prepare_cached(&sql).unwrap();
        statement.execute(&*values).unwrap();
    }
    transaction.commit().unwrap();
}

/// Reads all rows and their adjustments, without any of the SQL that reports use.
fn raw_rows(connection: &Connection) -> Vec<RawRow> {
    let mut adjustments: BTreeMap<i64, (i64, bool)> = BTreeMap::new();
    let mut statement = connection
        .prepare_cached("SELECT usage_id, cost_delta_nano_usd FROM usage_adjustments")
        .unwrap();
    let mut found = statement.query([]).unwrap();
    while let Some(row) = found.next().unwrap() {
        let entry = adjustments.entry(row.get(0).unwrap()).or_default();
        *entry = (entry.0 + row.get::<_, i64>(1).unwrap(), true);
    }
    let mut statement = connection
        .prepare_cached("SELECT * FROM usage_logs")
        .unwrap();
    let rows = statement.query_map([], |row| {
        let (adjusted, has_adjustment) = adjustments
            .get(&row.get("id")?)
            .copied()
            .unwrap_or_default();
        let mut counts = [0; COUNTS.len()];
        for (count, column) in counts.iter_mut().zip(COUNTS) {
            *count = row.get(column)?;
        }
        let usage: Usage = usage_of(counts);
        let status: i64 = row.get("status")?;
        let is_ok = (200..=299).contains(&status);
        let is_estimate = row.get::<_, String>("usage_source")? == "estimate";
        let estimated = |column: &str, all: i64| -> SqlResult<i64> {
            let part: Option<i64> = row.get(column)?;
            Ok(if is_estimate { part.unwrap_or(all) } else { 0 })
        };
        let cost: Option<i64> = row.get("cost_nano_usd")?;
        let is_priced = cost.is_some() || has_adjustment;
        let user_id: i64 = row.get("user_id")?;
        let key_id: i64 = row.get("key_id")?;
        Ok(RawRow {
            at_ms: row.get("started_at_ms")?,
            user_id,
            key_id: if key_id == 0 { user_id } else { key_id },
            endpoint: row.get("endpoint")?,
            model: row.get("model")?,
            totals: Totals {
                requests: i64::from(is_ok),
                usage,
                cost: NanoUsd(cost.unwrap_or(0) + adjusted),
                unpriced_requests: i64::from(
                    !is_priced && (is_ok || usage.input > 0 || usage.output > 0),
                ),
                estimated_requests: i64::from(is_ok && is_estimate),
                estimated_input_tokens: estimated("estimated_input_tokens", counts[0])?,
                estimated_output_tokens: estimated("estimated_output_tokens", counts[1])?,
            },
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// Returns the label of a row, by the clock on the wall.
fn label(row: &RawRow, by: Dimension, zone: &TimeZone) -> String {
    let at = Timestamp::from_millisecond(row.at_ms).unwrap();
    let wall = at.to_zoned_datetime(zone.clone());
    let date = wall.date();
    match by {
        Dimension::Endpoint => row.endpoint.clone(),
        Dimension::Model => row.model.clone(),
        Dimension::User => match row.user_id {
            1 | 5 => "ann".to_owned(),
            2 => "bob".to_owned(),
            3 => "cid".to_owned(),
            4 => "dora".to_owned(),
            6 => "eve".to_owned(),
            id => format!("(deleted user {id})"),
        },
        Dimension::Group => match row.user_id {
            1 | 2 => "course".to_owned(),
            3 | 6 => "lab".to_owned(),
            _ => "-".to_owned(),
        },
        Dimension::Key => match row.key_id {
            7 => "7:laptop".to_owned(),
            id => format!("{id}:k{id}"),
        },
        Dimension::Period(Period::Hour) => {
            let hour = wall.hour();
            let seconds = wall.offset().seconds();
            if seconds == 0 && zone.iana_name() == Some("UTC") {
                return format!("{date}T{hour:02}:00:00Z");
            }
            let sign = if seconds < 0 { '-' } else { '+' };
            let minutes = seconds.abs() / 60;
            format!(
                "{date}T{hour:02}:00:00{sign}{:02}:{:02}",
                minutes / 60,
                minutes % 60
            )
        }
        Dimension::Period(Period::Day) => date.to_string(),
        Dimension::Period(Period::Week) => {
            let back = i64::from(wall.weekday().to_monday_zero_offset());
            date.checked_sub(Span::new().days(back))
                .unwrap()
                .to_string()
        }
        Dimension::Period(Period::Month) => date.to_string()[..7].to_owned(),
    }
}

fn expected(
    rows: &[RawRow],
    range: (i64, i64),
    by: &[Dimension],
    zone: &TimeZone,
) -> BTreeMap<Vec<String>, Totals> {
    let mut lines: BTreeMap<Vec<String>, Totals> = BTreeMap::new();
    let in_range = |row: &&RawRow| row.at_ms >= range.0 && row.at_ms <= range.1;
    for row in rows.iter().filter(in_range) {
        let labels = by.iter().map(|by| label(row, *by, zone)).collect();
        lines.entry(labels).or_default().add(&row.totals);
    }
    lines.retain(|_, totals| !totals.is_nothing());
    lines
}

/// Compares reports of random windows with sums of the rows.
fn assert_windows(
    connection: &mut Connection,
    random: &mut Random,
    zone_name: &str,
    span_ms: (i64, i64),
    count: usize,
) {
    let zone = TimeZone::get(zone_name).unwrap();
    let calendar = Calendar::of_zone(zone_name).unwrap();
    let rows = raw_rows(connection);
    let mut dimensions = vec![
        Dimension::Endpoint,
        Dimension::Model,
        Dimension::User,
        Dimension::Group,
        Dimension::Key,
        Dimension::Period(Period::Hour),
        Dimension::Period(Period::Day),
        Dimension::Period(Period::Week),
        Dimension::Period(Period::Month),
    ];
    if zone_name == "Australia/Lord_Howe" {
        // Its clock is set by half an hour: the hour that is cut has two names, which the label
        // here does not know.
        dimensions.retain(|by| *by != Dimension::Period(Period::Hour));
    }
    for round in 0..count {
        let mut ends = [0, 0].map(|_| span_ms.0 + random.below(span_ms.1 - span_ms.0));
        ends.sort_unstable();
        match round % 3 {
            // Short ones, some in a single hour.
            0 => ends[1] = ends[0] + random.below(3 * HOUR_MS),
            // Windows that begin and end on a quarter of an hour.
            1 => ends = ends.map(|end| end / (HOUR_MS / 4) * (HOUR_MS / 4)),
            _ => {}
        }
        let first = dimensions[round % dimensions.len()];
        let mut by = vec![first];
        let second = dimensions[usize::try_from(random.below(7)).unwrap()];
        let are_periods = first.period().is_some() && second.period().is_some();
        if round % 2 == 0 && second != first && !are_periods {
            by.push(second);
        }
        let scope = Scope {
            range: TimeRange::of_ms(Some(ends[0]), Some(ends[1])),
            calendar: calendar.clone(),
            ..Scope::default()
        };
        let report = split_report(connection, &scope, &by, Ranking::default()).unwrap();
        let mut found: BTreeMap<Vec<String>, Totals> = BTreeMap::new();
        let mut total = Totals::default();
        for line in &report.costs {
            let labels = line.values.iter().map(|(_, name)| name.clone()).collect();
            // Two users called ann have a line each.
            found.entry(labels).or_default().add(&line.totals);
            total.add(&line.totals);
        }
        let expected = expected(&rows, (ends[0], ends[1]), &by, &zone);
        assert_eq!(found, expected, "{zone_name} {ends:?} {by:?}");
        assert_eq!(report.total, total);
        // The report by user and model has the same sums.
        let by_user = super::report(connection, &scope, Split::ByModel, Ranking::default());
        let by_user = by_user.unwrap();
        assert_eq!(by_user.total, total, "{zone_name} {ends:?}");
        let models = by_user.costs.iter().flat_map(|user| &user.model_costs);
        let models = total_of(models.flatten().map(|model| &model.totals));
        assert_eq!(models, total);
    }
}

fn sum_hours(store: &Store) {
    let thread = LedgerThread::start(
        store,
        Sync::Normal,
        OnFailure::Refuse,
        ServerLinks::default(),
    );
    assert_eq!(thread.unwrap().close(), 0);
    let left: i64 = store
        .connection()
        .unwrap()
        .query_row(
            "SELECT (SELECT max(id) FROM usage_logs) - last_id FROM usage_rollup",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0, "all rows are summed");
}

fn set_price(connection: &Connection, fields: &str) {
    let price = ModelPrice::parse("own-model", fields).unwrap();
    crate::store::prices::set(connection, &price, 0).unwrap();
}

fn reprice_all(connection: &mut Connection) -> reprice::Repricing {
    let file = None::<Catalog>;
    reprice::reprice(connection, TimeRange::default(), None, file, false).unwrap()
}

#[test]
fn reports_equal_sums_of_the_rows_in_five_hundred_windows_across_changes_of_the_clock() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
    // Both changes of 2026 in Berlin, New York and on Lord Howe.
    let spans = [
        (at("2026-02-25T00:00:00Z"), at("2026-04-07T00:00:00Z")),
        (at("2026-10-02T00:00:00Z"), at("2026-11-04T00:00:00Z")),
    ];
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "UTC",
    ];
    let database = TestDatabase::new();
    let store = database.open();
    let mut connection = store.connection().unwrap();
    people(&connection);
    let mut random = Random(7);
    // Rows that are not summed; those and their adjustments; all summed; adjusted once more; some
    // further rows that are not summed.
    for step in 0..5 {
        match step {
            0 | 4 => {
                for span in spans {
                    insert_rows(&mut connection, &mut random, span, 700);
                }
            }
            1 => {
                set_price(
                    &connection,
                    r#"{"input_cost_per_token":"0.000003","output_cost_per_token":"0.00001"}"#,
                );
                assert!(reprice_all(&mut connection).changed_rows > 500);
            }
            2 => sum_hours(&store),
            _ => {
                set_price(
                    &connection,
                    r#"{"input_cost_per_token":"0.000001","output_cost_per_token":"0.00002"}"#,
                );
                assert!(reprice_all(&mut connection).changed_rows > 50);
            }
        }
        for zone in zones {
            for span in spans {
                assert_windows(&mut connection, &mut random, zone, span, 12);
            }
        }
    }
}

#[test]
fn a_report_of_a_year_has_the_sums_of_its_days() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
    let span = (at("2025-12-30T00:00:00Z"), at("2027-01-03T00:00:00Z"));
    let database = TestDatabase::new();
    let store = database.open();
    let mut connection = store.connection().unwrap();
    people(&connection);
    let mut random = Random(11);
    insert_rows(&mut connection, &mut random, span, 3_000);
    sum_hours(&store);
    for zone in ["Europe/Berlin", "Asia/Kathmandu", "UTC"] {
        assert_windows(&mut connection, &mut random, zone, span, 27);
    }
    // Nor is anything lost where an operator has the hours summed anew.
    connection
        .execute_batch("DELETE FROM usage_hourly; UPDATE usage_rollup SET last_id = 0")
        .unwrap();
    assert_windows(&mut connection, &mut random, "Europe/Berlin", span, 9);
    sum_hours(&store);
    assert_windows(&mut connection, &mut random, "Europe/Berlin", span, 9);
}

#[test]
fn hours_that_are_deleted_take_nothing_else_of_their_day_along() {
    let database = TestDatabase::new();
    let store = database.open();
    let mut connection = store.connection().unwrap();
    people(&connection);
    let span = (20_000 * 24 * HOUR_MS, 20_001 * 24 * HOUR_MS);
    insert_rows(&mut connection, &mut Random(3), span, 300);
    sum_hours(&store);
    let noon = 20_000 * 24 + 12;
    connection
        .execute("DELETE FROM usage_hourly WHERE hour < ?1", [noon])
        .unwrap();
    let mut total = |range: TimeRange| {
        let scope = Scope {
            range,
            ..Scope::default()
        };
        let report = split_report(&mut connection, &scope, &[], Ranking::default());
        report.unwrap().total
    };
    let afternoon = total(TimeRange::of_ms(Some(noon * HOUR_MS), None));
    assert!(afternoon.requests > 50);
    assert_eq!(total(TimeRange::default()), afternoon);
}

#[test]
fn an_adjustment_is_not_that_of_a_later_row_with_the_same_id() {
    let database = TestDatabase::new();
    let store = database.open();
    let mut connection = store.connection().unwrap();
    let insert = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens,
         reasoning_tokens, status, outcome, usage_source, duration_ms) VALUES (1, 1, '/e', 'own-model', 10, 0, 0, 0, 200, 'completed',
         'backend', 1)";
    connection.execute(insert, []).unwrap();
    set_price(
        &connection,
        r#"{"input_cost_per_token":"1","output_cost_per_token":"1"}"#,
    );
    assert_eq!(reprice_all(&mut connection).changed_rows, 1);
    connection.execute("DELETE FROM usage_logs", []).unwrap();
    connection.execute(insert, []).unwrap();
    let report = split_report(
        &mut connection,
        &Scope::default(),
        &[Dimension::Model],
        Ranking::default(),
    );
    let totals = report.unwrap().total;
    assert_eq!((totals.cost, totals.unpriced_requests), (NanoUsd(0), 1));
    let from_view: Option<i64> = connection
        .query_row("SELECT cost_nano_usd FROM usage", params![], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(from_view, None);
}

#[test]
fn a_sum_that_does_not_fit_is_the_largest_and_no_error() {
    let database = TestDatabase::new();
    let store = database.open();
    let mut connection = store.connection().unwrap();
    set_price(
        &connection,
        r#"{"input_cost_per_token":"9000","output_cost_per_token":"9000"}"#,
    );
    let insert = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens,
         reasoning_tokens, status, outcome, usage_source, duration_ms) VALUES (1, 1, '/e', 'own-model', 1000000000, 0, 0, 0, 200,
         'completed', 'backend', 1)";
    for _ in 0..3 {
        connection.execute(insert, []).unwrap();
    }
    assert_eq!(reprice_all(&mut connection).changed_rows, 3);
    for _ in 0..2 {
        let report = split_report(
            &mut connection,
            &Scope::default(),
            &[Dimension::Model],
            Ranking::default(),
        );
        let cost = report.unwrap().total.cost;
        assert!(cost > NanoUsd(1_000_000_000), "{cost}");
        sum_hours(&store);
    }
}
