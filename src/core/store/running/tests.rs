use super::*;
use crate::{
    model::{Note, RequestId},
    store::{PooledConnection, testing::TestDatabase},
};

fn new_database() -> (TestDatabase, PooledConnection) {
    let database = TestDatabase::new();
    let connection = database.open().connection().unwrap();
    (database, connection)
}

fn running_request() -> RunningRequest {
    RunningRequest {
        note: Note::new(),
        request_id: RequestId::new(1_000),
        user_id: 1,
        key_id: 1,
        started_at_ms: 1_000,
        endpoint: "/v1/chat/completions",
        model: "m".to_owned(),
        service_tier: None,
        status: 200,
        input_tokens: 1,
        output_tokens: 40,
        tokens_per_second: 40,
        noted_at_ms: 2_000,
        is_measured: true,
    }
}

/// A worker hands its notes over at the end of a round, and the measurement may be done before.
#[test]
fn a_note_by_length_that_comes_late_does_not_replace_the_measured_one() {
    let (_dir, connection) = new_database();
    let mut run = ServerRun::new();
    let request = running_request();
    let by_length = RunningRequest {
        output_tokens: 50,
        is_measured: false,
        ..request.clone()
    };
    let later = RunningRequest {
        output_tokens: 90,
        noted_at_ms: 3_000,
        ..by_length.clone()
    };
    let mut noted = |request: &RunningRequest| -> i64 {
        run.note(&connection, &[request]).unwrap();
        let sql = "SELECT output_tokens FROM running_requests";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(noted(&by_length), 50);
    assert_eq!(noted(&request), 40);
    assert_eq!(noted(&by_length), 40, "it is late");
    assert_eq!(noted(&later), 90);
}

#[test]
fn notes_that_come_together_are_as_those_that_come_one_after_the_other() {
    let (_dir, connection) = new_database();
    let mut run = ServerRun::new();
    let measured = running_request();
    let by_length = RunningRequest {
        output_tokens: 50,
        is_measured: false,
        ..measured.clone()
    };
    let ended = RunningRequest {
        note: Note::new(),
        ..measured.clone()
    };
    ended.note.mark_ended();
    run.note(&connection, &[&measured, &by_length, &ended])
        .unwrap();
    let sql = "SELECT count(*) || ':' || sum(output_tokens) FROM running_requests";
    let noted = || -> String { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(noted(), "1:40");
    let other = running_request();
    run.note(&connection, &[&other]).unwrap();
    run.unnote(&connection, &[&measured.note]).unwrap();
    assert_eq!(noted(), "1:40");
}

#[test]
fn a_process_that_runs_has_not_ended() {
    if let Some(own) = own_process() {
        assert!(!has_ended(&own));
        assert!(has_ended(
            &own.replace(&format!(" {} ", std::process::id()), " 4194304 ")
        ));
    }
    assert!(!has_ended("") && !has_ended("another-boot pid:[1] 5 7"));
}

#[test]
fn silence_counts_only_while_this_server_could_look() {
    let (_database, connection) = new_database();
    let mut other = ServerRun::new();
    other.sign(&connection).unwrap();
    let mut run = ServerRun::new();
    assert_eq!(run.dead_run(&connection).unwrap(), None);
    let long_ago = Instant::now()
        .checked_sub(2 * DEAD_AFTER_ON_SERVER)
        .unwrap();
    // The database was away; then it was there, and the other said nothing.
    for (last_look, expected) in [(long_ago, None), (Instant::now(), Some(other.id))] {
        run.others.values_mut().for_each(|seen| seen.1 = long_ago);
        run.last_look = last_look;
        run.next_look = Instant::now();
        assert_eq!(run.dead_run(&connection).unwrap(), expected);
    }
}
