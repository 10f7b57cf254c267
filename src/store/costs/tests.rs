use super::*;
use proptest::prelude::*;

fn covered(windows: Windows, ms: i64) -> usize {
    let inside = |(from, to): (i64, i64), at: i64| usize::from(at >= from && at < to);
    inside(windows.hours, hour_of(ms)) + inside(windows.head_ms, ms) + inside(windows.tail_ms, ms)
}

fn range(start_ms: i64, end_ms: i64) -> TimeRange {
    let text = |ms| crate::model::format_utc(ms);
    TimeRange::parse(None, Some(&text(start_ms)), Some(&text(end_ms)), 0).unwrap()
}

proptest! {
    #[test]
    fn each_instant_in_the_range_is_counted_exactly_once(
        start in 0i64..20 * MS_PER_HOUR,
        length in 0i64..5 * MS_PER_HOUR,
        probe in 0i64..26 * MS_PER_HOUR,
    ) {
        let end = start + length;
        let windows = Windows::of(range(start, end));
        for ms in [probe, start, end, start - 1, end + 1] {
            prop_assert_eq!(covered(windows, ms), usize::from(ms >= start && ms <= end), "{} in {}..={}", ms, start, end);
        }
    }
}

#[test]
fn an_open_range_reads_no_raw_rows_near_now() {
    let windows = Windows::of(TimeRange::default());
    assert_eq!(covered(windows, crate::model::now_ms()), 1);
    assert_eq!(windows.head_ms.0.max(0), windows.head_ms.1.max(0));
}

#[test]
fn the_report_uses_the_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let location =
        super::super::DatabasePath::parse(dir.path().join("a.db").to_str().unwrap()).unwrap();
    let store = super::super::Store::open(&location, super::super::IfMissing::Create).unwrap();
    let connection = store.connection().unwrap();
    let statement = statement(&[Column::User, Column::Model]);
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
        .unwrap();
    let plan: Vec<String> = statement
        .query_map(params![0, 1, 0, 1, 0, 1], |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("SEARCH usage_hourly USING PRIMARY KEY (hour>? AND hour<?)"),
        "{plan}"
    );
    assert_eq!(
        plan.matches("USING INDEX usage_logs_by_time").count(),
        2,
        "{plan}"
    );
    assert!(
        plan.contains("SEARCH usage_logs USING INTEGER PRIMARY KEY (rowid>?)"),
        "{plan}"
    );
    assert!(
        !plan.contains("SCAN usage_logs") && !plan.contains("SCAN usage_hourly"),
        "{plan}"
    );
}
