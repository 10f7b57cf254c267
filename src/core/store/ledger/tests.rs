use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::*;
use crate::{
    limits::SharedLimits,
    model::{Calendar, Dimension, Entry, EstimatedTokens, Outcome, Usage, UsageRow, UsageSource},
    store::{
        measures,
        reports::{self, Ranking, Scope, Split, Totals},
        testing::TestDatabase,
    },
};

pub(super) fn row(user_id: i64, model: &str, input: u64) -> UsageRow {
    UsageRow {
        user_id,
        key_id: user_id,
        started_at_ms: 1_000,
        endpoint: "/v1/chat/completions",
        model: model.to_owned(),
        served_model: None,
        usage: Usage {
            input,
            output: 2,
            cached: 1,
            reasoning: 0,
            ..Usage::default()
        },
        service_tier: None,
        is_batch: false,
        estimated: EstimatedTokens::default(),
        status: 200,
        outcome: Outcome::Completed,
        source: UsageSource::Backend,
        duration_ms: 5,
        first_byte_ms: Some(1),
        wait_ms: 0,
        request_id: None,
        backend_request_id: None,
        hold: None,
    }
}

pub(super) fn start(store: &Store, on_failure: OnFailure) -> LedgerThread {
    LedgerThread::start(store, Sync::Normal, on_failure, ServerLinks::default()).unwrap()
}

pub(super) fn commit(ledger: &Ledger, row: UsageRow) -> Result<(), NotWritten> {
    let (sender, written) = oneshot::channel();
    ledger.write(vec![Entry::Row(row)], Some(sender));
    written.blocking_recv().unwrap()
}

pub(super) fn totals(store: &Store) -> Totals {
    let mut connection = store.connection().unwrap();
    let by = [Dimension::User];
    let report = reports::split_report(&mut connection, &Scope::default(), &by, Ranking::default());
    report.unwrap().costs[0].totals
}

#[test]
fn a_committed_row_is_reported_at_once_and_summed_later() {
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    for count in 1..=1_100 {
        commit(&thread.handle(), row(7, "m", 10)).unwrap();
        assert_eq!(totals(&store).usage.input, 10 * count);
    }
    let before = totals(&store);
    assert_eq!(thread.close(), 0);
    let summed: (i64, i64) = store
        .connection()
        .unwrap()
        .query_row(
            "SELECT sum(requests), sum(input_tokens) FROM usage_hourly",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(summed, (1_100, 11_000));
    assert_eq!(totals(&store), before);
}

#[test]
fn a_row_that_gets_the_id_of_a_deleted_one_is_summed_too() {
    let database = TestDatabase::new();
    let store = database.open();
    for _ in 0..2 {
        let thread = start(&store, OnFailure::Refuse);
        for _ in 0..3 {
            commit(&thread.handle(), row(7, "m", 10)).unwrap();
        }
        assert_eq!(thread.close(), 0);
        let connection = store.connection().unwrap();
        let gone = connection.execute("DELETE FROM usage_logs WHERE id > 1", []);
        assert!(gone.unwrap() > 0);
    }
    assert_eq!(totals(&store).requests, 6);
}

#[test]
fn work_queued_after_entries_runs_after_they_are_written() {
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    tokio::task::LocalSet::new().block_on(&runtime.unwrap(), async {
        let worker_ledger = WorkerLedger::new(thread.handle());
        let done = std::rc::Rc::new(std::cell::Cell::new(0));
        let behind = || {
            let done = std::rc::Rc::clone(&done);
            worker_ledger.behind(move || done.set(done.get() + 1));
        };
        behind();
        assert_eq!(done.get(), 1, "nothing is on its way");
        let written = worker_ledger.commit([Entry::Row(row(7, "m", 10))]);
        behind();
        assert_eq!(done.get(), 1);
        written.await.unwrap();
        assert_eq!(done.get(), 2);
        drop(worker_ledger.commit([Entry::Row(row(7, "m", 10))]));
        behind();
    });
    assert_eq!(thread.close(), 0);
    assert_eq!(totals(&store).requests, 2);
}

#[test]
fn sums_wait_for_no_lock_and_rows_do() {
    let database = TestDatabase::file();
    let store = database.open();
    let connection = store.own_connection().unwrap();
    let timeout = || connection.query_row("PRAGMA busy_timeout", [], |row| row.get::<_, i64>(0));
    let before = timeout().unwrap();
    let other = store.own_connection().unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    Rollup::new().run_if_due(&connection);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(timeout().unwrap(), before);
    assert!(before > 2_000);
}

/// The statement of docs/accounting.md for rows that were changed by hand.
const RECOUNT: &str =
    "BEGIN IMMEDIATE; DELETE FROM usage_hourly; UPDATE usage_rollup SET last_id = 0; COMMIT";

#[test]
fn rows_changed_by_hand_count_once_the_hours_are_summed_anew() {
    assert!(include_str!("../../../../docs/accounting.md").contains(RECOUNT));
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    for _ in 0..3 {
        commit(&thread.handle(), row(7, "m", 10)).unwrap();
    }
    assert_eq!(thread.close(), 0);
    // Another server goes on meanwhile.
    let thread = start(&store, OnFailure::Refuse);
    let by_hand = store.own_connection().unwrap();
    by_hand
        .execute("UPDATE usage_logs SET input_tokens = 100", [])
        .unwrap();
    assert_eq!(totals(&store).usage.input, 30, "the sums stand");
    let recount = if by_hand.is_postgres() {
        RECOUNT.replace(" IMMEDIATE", "")
    } else {
        RECOUNT.to_owned()
    };
    by_hand.execute_batch(&recount).unwrap();
    assert_eq!(totals(&store).usage.input, 300, "at once");
    commit(&thread.handle(), row(7, "m", 10)).unwrap();
    assert_eq!(thread.close(), 0);
    assert_eq!(totals(&store).usage.input, 310);
    assert_eq!(summed_up_to(&store), 4);
    assert_hours_agree(&store);
}

/// What is summed is what the rows say; in one statement, for the ledger may go on.
fn assert_hours_agree(store: &Store) {
    let columns: Vec<&str> = measures::columns().collect();
    let columns = columns.join(", ");
    let sums: Vec<String> = measures::of_row()
        .map(|value| format!("sum({value})"))
        .collect();
    let sums = sums.join(", ");
    for (table, span, span_ms) in [
        ("usage_hourly", "hour", 3_600_000),
        ("usage_daily", "day", 86_400_000),
    ] {
        let differences = &format!(
            "WITH sums AS (SELECT {span}, user_id, key_id, endpoint, model, {columns} FROM {table}), \
             rows AS (SELECT started_at_ms / {span_ms}, user_id, CASE key_id WHEN 0 THEN user_id ELSE key_id END, endpoint, model, {sums} \
             FROM usage_logs WHERE id <= (SELECT last_id FROM usage_rollup) GROUP BY 1, 2, 3, 4, 5) \
             SELECT (SELECT count(*) FROM (SELECT * FROM sums EXCEPT SELECT * FROM rows) AS lost), \
             (SELECT count(*) FROM (SELECT * FROM rows EXCEPT SELECT * FROM sums) AS found)"
        );
        let connection = store.connection().unwrap();
        let found: (i64, i64) = connection
            .query_row(differences, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(found, (0, 0), "only in {table}, only in the rows");
    }
}

#[test]
fn hours_are_summed_as_the_table_would() {
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    for index in 0..2_500_u64 {
        let mut row = row(
            i64::try_from(index % 3).unwrap(),
            ["a", "b"][usize::from(index % 5 == 0)],
            index,
        );
        row.started_at_ms = i64::try_from(index).unwrap() * 10_000;
        row.status = if index % 7 == 0 { 500 } else { 200 };
        row.usage.reasoning = index % 4;
        row.usage.audio_ms = 10 + index % 5;
        row.usage.images = 100 + index % 6;
        if index % 13 == 0 {
            row.usage.classes.cache_write_1h = index;
            row.usage.classes.web_searches = 2;
            row.is_batch = index % 2 == 0;
        }
        row.key_id = i64::try_from(index % 4).unwrap();
        row.endpoint = if index % 11 == 0 {
            "/v1/embeddings"
        } else {
            row.endpoint
        };
        commit(&thread.handle(), row).unwrap();
    }
    assert_hours_agree(&store);
    assert_eq!(thread.close(), 0);
    assert_hours_agree(&store);
    assert_eq!(summed_up_to(&store), 2_500);
}

fn summed_up_to(store: &Store) -> i64 {
    let connection = store.connection().unwrap();
    let last = connection.query_row("SELECT last_id FROM usage_rollup", [], |row| row.get(0));
    last.unwrap()
}

#[test]
fn rows_changed_by_other_processes_are_summed_correctly() {
    let database = TestDatabase::file();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    let others = store.connection().unwrap();
    // What is summed already stays so.
    let changes = [
        "INSERT INTO usage_logs (id, started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, \
         cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms) \
         SELECT max(id) + 1, 1000, 8, '/v1/x', 'n', 5, 5, 0, 0, 200, 'completed', 'backend', 1 FROM usage_logs",
        "DELETE FROM usage_logs WHERE id > (SELECT max(id) - 3 FROM usage_logs) \
         AND id > (SELECT last_id FROM usage_rollup)",
        "CREATE TABLE notes (note TEXT)",
    ];
    let mut gone = 0;
    for sql in changes {
        for _ in 0..400 {
            commit(&thread.handle(), row(7, "m", 10)).unwrap();
        }
        let affected = others.execute(sql, []).unwrap();
        if sql.starts_with("DELETE") {
            gone = i64::try_from(affected).unwrap();
        }
        commit(&thread.handle(), row(8, "n", 10)).unwrap();
    }
    assert_eq!(thread.close(), 0);
    assert_hours_agree(&store);
    assert_eq!(totals(&store).requests, 1_200 - gone);
    assert_eq!(summed_up_to(&store), 1_204 - gone);
}

#[test]
fn rows_of_others_are_summed_while_the_server_writes_none() {
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    commit(&thread.handle(), row(7, "m", 10)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(8);
    while summed_up_to(&store) < 1 {
        assert!(Instant::now() < deadline, "its own row");
        thread::sleep(Duration::from_millis(20));
    }
    let copied = "INSERT INTO usage_logs (started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, \
         cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms) \
         SELECT started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens, \
         reasoning_tokens, status, outcome, usage_source, duration_ms FROM usage_logs";
    store.connection().unwrap().execute(copied, []).unwrap();
    while summed_up_to(&store) < 2 {
        assert!(Instant::now() < deadline, "the other's row");
        thread::sleep(Duration::from_millis(20));
    }
    assert_hours_agree(&store);
    assert_eq!(thread.close(), 0);
}

#[test]
fn many_rows_of_others_are_summed_without_a_pause() {
    let database = TestDatabase::file();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    commit(&thread.handle(), row(7, "m", 10)).unwrap();
    let doubled = "INSERT INTO usage_logs (id, started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, \
         cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms) \
         SELECT id + (SELECT max(id) FROM usage_logs), started_at_ms, user_id, endpoint, model, input_tokens, \
         output_tokens, cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms FROM usage_logs";
    for _ in 0..14 {
        store.connection().unwrap().execute(doubled, []).unwrap();
    }
    commit(&thread.handle(), row(7, "m", 10)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(8);
    while summed_up_to(&store) <= 1 << 14 {
        assert!(Instant::now() < deadline, "a thousand a second");
        thread::sleep(Duration::from_millis(20));
    }
    assert_hours_agree(&store);
    assert_eq!(thread.close(), 0);
}

#[test]
fn rows_that_a_trigger_changes_are_summed_as_they_are() {
    for change in [
        "BEFORE INSERT ON usage_logs WHEN NEW.user_id = 8 BEGIN SELECT RAISE(IGNORE)",
        "AFTER INSERT ON usage_logs WHEN NEW.user_id = 8 BEGIN DELETE FROM usage_logs WHERE id = NEW.id",
        "AFTER INSERT ON usage_logs BEGIN UPDATE usage_logs SET model = 'other' WHERE id = NEW.id",
        "AFTER INSERT ON usage_logs WHEN NEW.user_id = 8 BEGIN INSERT INTO usage_logs (id, \
         started_at_ms, user_id, endpoint, model, input_tokens, output_tokens, cached_tokens, reasoning_tokens, status, \
         outcome, usage_source, duration_ms) SELECT max(id) + 1, \
         1000, 9, '/v1/x', 'n', 5, 5, 0, 0, 200, 'completed', 'backend', 1 FROM usage_logs",
    ] {
        let database = TestDatabase::file();
        let store = database.open();
        let thread = start(&store, OnFailure::Refuse);
        commit(&thread.handle(), row(7, "m", 10)).unwrap();
        let others = store.connection().unwrap();
        others
            .execute_batch(&format!("CREATE TRIGGER change {change}; END"))
            .unwrap();
        // Enough to be summed more than once.
        for index in 0..2_300 {
            commit(
                &thread.handle(),
                row(7 + i64::from(index % 10 == 0), "m", 10),
            )
            .unwrap();
        }
        assert_eq!(thread.close(), 0);
        assert_hours_agree(&store);
        let last = others.query_row("SELECT max(id) FROM usage_logs", [], |row| {
            row.get::<_, i64>(0)
        });
        assert_eq!(summed_up_to(&store), last.unwrap(), "{change}");
    }
}

#[test]
fn the_wal_is_checkpointed_when_idle_and_stays_short_when_busy() {
    let database = TestDatabase::file();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    let path = store.file().unwrap();
    let bytes = |name: &str| {
        let path = format!("{}{name}", path.display());
        std::fs::metadata(path).map_or(0, |file| file.len())
    };
    let before = bytes("");
    for index in 0..100 {
        let model = format!("{index}{}", "x".repeat(2_000));
        commit(&thread.handle(), row(7, &model, 10)).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while bytes("") <= before {
        assert!(Instant::now() < deadline, "it was not written back");
        thread::sleep(Duration::from_millis(5));
    }
    // Some three pages a commit, and no pause: 40 MB of log without end.
    for _ in 0..4_000 {
        commit(&thread.handle(), row(7, "m", 10)).unwrap();
        assert!(bytes("-wal") < 16 << 20);
    }
    assert_eq!(thread.close(), 0);
}

#[test]
fn closing_writes_rows_that_nobody_waited_for() {
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    for index in 0..10_000 {
        thread
            .handle()
            .push(vec![Entry::Row(row(1, &format!("m{}", index % 3), 1))]);
    }
    assert_eq!(thread.close(), 0);
    let mut connection = store.connection().unwrap();
    let report = reports::report(
        &mut connection,
        &Scope::default(),
        Split::ByModel,
        Ranking::default(),
    )
    .unwrap();
    assert_eq!(report.costs[0].username, "(deleted user 1)");
    assert_eq!(report.costs[0].totals.usage.input, 10_000);
    assert_eq!(report.costs[0].model_costs.as_ref().unwrap().len(), 3);
}

#[test]
fn a_refused_row_is_reported_kept_and_written_later() {
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Refuse);
    let ledger = thread.handle();
    // A trigger that fails with a code that is worth trying again.
    let admin = store.connection().unwrap();
    admin
        .execute_batch("ALTER TABLE usage_logs RENAME TO away")
        .unwrap();
    assert!(commit(&ledger, row(1, "m", 3)).is_err());
    assert!(!ledger.accepts_requests());
    admin
        .execute_batch("ALTER TABLE away RENAME TO usage_logs")
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !ledger.accepts_requests() {
        assert!(Instant::now() < deadline, "the ledger did not recover");
        thread::yield_now();
    }
    assert_eq!(thread.close(), 0);
    let rows: i64 = admin
        .query_row("SELECT count(*) FROM usage_logs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn on_failure_serve_delays_no_answer() {
    let database = TestDatabase::new();
    let store = database.open();
    let thread = start(&store, OnFailure::Serve);
    let ledger = thread.handle();
    let admin = store.connection().unwrap();
    admin
        .execute_batch("ALTER TABLE usage_logs RENAME TO away")
        .unwrap();
    for _ in 0..10 {
        commit(&ledger, row(1, "m", 3)).unwrap();
    }
    assert!(ledger.accepts_requests());
    admin
        .execute_batch("ALTER TABLE away RENAME TO usage_logs")
        .unwrap();
    assert_eq!(thread.close(), 0);
    let rows: i64 = admin
        .query_row("SELECT count(*) FROM usage_logs", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 10);
}

#[test]
fn a_row_that_the_schema_refuses_does_not_hold_up_the_others() {
    let database = TestDatabase::new();
    let store = database.open();
    let admin = store.connection().unwrap();
    admin
        .execute_batch("CREATE UNIQUE INDEX each_model_once ON usage_logs (model)")
        .unwrap();
    let thread = start(&store, OnFailure::Refuse);
    let ledger = thread.handle();
    commit(&ledger, row(1, "a", 3)).unwrap();
    assert!(commit(&ledger, row(1, "a", 3)).is_err());
    commit(&ledger, row(1, "b", 3)).unwrap();
    assert_eq!(thread.close(), 0);
}

/// The look for rows of others comes a few times a second, and own rows in between.
#[test]
fn budgets_count_the_rows_of_two_servers_however_they_are_mixed() {
    let database = TestDatabase::new();
    let store = database.open();
    let insert = "INSERT INTO users (id, username, created_at_ms) VALUES (7, 'ann', 0);
         INSERT INTO limits (scope, subject_id, kind, \"window\", amount, set_at_ms)
             VALUES ('user', 7, 'token_budget', 'total', 1000000, 0);";
    store.connection().unwrap().execute_batch(insert).unwrap();
    let servers = [(); 2].map(|()| {
        let limits = SharedLimits::new(Calendar::default());
        let links = ServerLinks {
            limits: Some(Arc::clone(&limits)),
            ..ServerLinks::default()
        };
        let thread = LedgerThread::start(&store, Sync::Normal, OnFailure::Refuse, links).unwrap();
        (limits, thread)
    });
    for index in 0..200 {
        commit(&servers[index % 2].1.handle(), row(7, "m", 10)).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    for (limits, _) in &servers {
        let used = || limits.with(|limiter| limiter.used().map(|used| used.2.tokens).sum::<i64>());
        while used() != 200 * 12 {
            assert!(Instant::now() < deadline, "{} tokens are counted", used());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    for (_, thread) in servers {
        assert_eq!(thread.close(), 0);
    }
}

#[test]
fn the_limits_of_a_new_user_are_known_before_the_key_is() {
    let database = TestDatabase::new();
    let store = database.open();
    let limits = SharedLimits::new(Calendar::default());
    let (changed, changes) = std::sync::mpsc::channel();
    let (known, not_yet_known) = (Arc::clone(&limits), Arc::clone(&limits));
    let (prepared, preparations) = std::sync::mpsc::channel();
    let links = ServerLinks {
        limits: Some(limits),
        // Where a server reads the prices that budgets are calculated with.
        before_limits: Box::new(move |_| {
            let _ = prepared.send(not_yet_known.of_user(7).is_some());
            Ok(())
        }),
        // Where a server reads users and keys.
        on_change: Box::new(move |connection| {
            let count = "SELECT count(*) FROM users WHERE id = 7";
            if connection.query_row(count, [], |row| row.get::<_, i64>(0))? == 1 {
                let _ = changed.send(known.of_user(7).is_some());
            }
            Ok(())
        }),
        ..ServerLinks::default()
    };
    let thread = LedgerThread::start(&store, Sync::Normal, OnFailure::Refuse, links).unwrap();
    let connection = store.own_connection().unwrap();
    crate::store::sql::in_transaction(&connection, || {
        connection.execute_batch(
            "INSERT INTO users (id, username, created_at_ms) VALUES (7, 'ann', 0);
             INSERT INTO limits (scope, subject_id, kind, \"window\", amount, set_at_ms)
                 VALUES ('user', 7, 'token_budget', 'total', 1000000, 0);",
        )
    })
    .unwrap();
    let has_limits = changes.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(has_limits, "the key is known, and the limits are not");
    let was_late = preparations.try_iter().last().unwrap();
    assert!(!was_late, "the limits are known, and their prices are not");
    assert_eq!(thread.close(), 0);
}
