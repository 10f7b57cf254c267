use std::{borrow::Cow, thread, time::Duration};

use crate::{
    model::{Entry, Note, RequestId, RunningRequest, UsageRow},
    store::{
        Store,
        ledger::{
            Ledger, OnFailure, ServerLinks,
            pricing::Pricer,
            row::RowInserter,
            tests::{commit, row, start, totals},
        },
        running,
        sql::in_transaction,
        testing::TestDatabase,
    },
};

fn row_of(request: &RunningRequest) -> UsageRow {
    UsageRow {
        started_at_ms: request.started_at_ms,
        request_id: Some(request.request_id),
        ..row(request.user_id, &request.model, 10)
    }
}

fn running(started_at_ms: i64) -> RunningRequest {
    RunningRequest {
        note: Note::new(),
        request_id: RequestId::new(started_at_ms),
        user_id: 7,
        key_id: 7,
        started_at_ms,
        endpoint: "/v1/chat/completions",
        model: "m".to_owned(),
        service_tier: None,
        status: 200,
        input_tokens: 100,
        output_tokens: 0,
        tokens_per_second: 0,
        noted_at_ms: started_at_ms + 1_000,
        is_measured: true,
    }
}

fn note(ledger: &Ledger, request: &RunningRequest) {
    let (sender, written) = tokio::sync::oneshot::channel();
    ledger.write(vec![Entry::Noted(Box::new(request.clone()))], Some(sender));
    written.blocking_recv().unwrap().unwrap();
}

/// Does what another server does that takes the only one for dead.
fn take_for_dead(store: &Store) {
    let connection = store.own_connection().unwrap();
    let run_id: i64 = connection
        .query_row("SELECT id FROM server_runs", [], |row| row.get(0))
        .unwrap();
    let mut pricer = Pricer::new(ServerLinks::default().price_file.clone());
    in_transaction(&connection, || {
        let left = running::take_left(&connection, run_id)?;
        let mut inserter = RowInserter::new(&connection, &mut pricer)?;
        for row in left {
            inserter.insert(Cow::Owned(row), None)?;
        }
        inserter.finish().map(drop)
    })
    .unwrap();
}

#[test]
fn a_server_that_was_taken_for_dead_goes_on_and_writes_what_others_have_not_booked() {
    let database = TestDatabase::new();
    let store = database.open();
    let connection = store.own_connection().unwrap();
    // On a file only a silence has each transaction look; the next sign of life finds out, too.
    let find_out = || {
        if !connection.is_postgres() {
            thread::sleep(Duration::from_millis(400));
        }
    };
    let thread = start(&store, OnFailure::Refuse);
    let ledger = thread.handle();
    let (noted, still_running, later) = (running(1_000), running(2_000), running(3_000));
    note(&ledger, &noted);
    note(&ledger, &still_running);
    take_for_dead(&store);
    find_out();
    // The first row finds out. Nobody has booked it.
    commit(&ledger, row_of(&later)).unwrap();
    let rows = |outcome: &str| -> i64 {
        let sql = "SELECT count(*) FROM usage_logs WHERE outcome = ?1";
        connection
            .query_row(sql, [outcome], |row| row.get(0))
            .unwrap()
    };
    assert_eq!((rows("crashed"), rows("completed")), (2, 1));
    // A request that is booked by estimate gets no row and no note, but only once: an id may be reused.
    note(&ledger, &still_running);
    commit(&ledger, row_of(&noted)).unwrap();
    commit(&ledger, row_of(&still_running)).unwrap();
    assert_eq!((rows("crashed"), rows("completed")), (2, 1));
    commit(&ledger, row_of(&noted)).unwrap();
    assert_eq!((rows("crashed"), rows("completed")), (2, 2));
    note(&ledger, &later);
    let notes: (i64, i64) = connection
        .query_row(
            "SELECT count(*), max(started_at_ms) FROM running_requests",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(notes, (1, 3_000));
    // The second time is as the first.
    take_for_dead(&store);
    find_out();
    commit(&ledger, row_of(&later)).unwrap();
    assert_eq!((rows("crashed"), rows("completed")), (3, 2));
    assert_eq!(thread.close(), 0);
    assert_eq!(totals(&store).requests, 5);
}
