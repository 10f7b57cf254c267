use std::time::Duration;

use super::*;
use crate::{
    alerts::{AlertSink, BudgetScope},
    store::{
        Store,
        testing::{TestDatabase, byte},
    },
};

const NOW_MS: i64 = 1_796_083_200_000;

fn store() -> (Store, TestDatabase) {
    let database = TestDatabase::new();
    (database.open(), database)
}

fn budget(percent: u8) -> Alert {
    Alert::BudgetThreshold {
        scope: BudgetScope::User,
        subject_id: 1,
        name: "alice".to_owned(),
        budget: "20usd/month".to_owned(),
        window_start_ms: Some(NOW_MS),
        resets_at_ms: Some(NOW_MS + 30 * DAY_MS),
        percent,
        used: "16.02".to_owned(),
        limit: "20.00 USD".to_owned(),
        is_watched: false,
    }
}

fn webhook(name: &str) -> Webhook {
    Webhook::parse(&format!("https://hooks.example.com/{name}")).unwrap()
}

fn events(connection: &Connection) -> Vec<String> {
    let list = list(connection, 100).unwrap();
    list.alerts
        .into_iter()
        .rev()
        .map(|alert| alert.event)
        .collect()
}

fn claim(connection: &Connection, webhook: &Webhook, now_ms: i64) -> NextDelivery {
    claim_next(connection, webhook.id(), now_ms, now_ms + 15_000).unwrap()
}

#[test]
fn an_alert_is_raised_once_for_each_dedup_key_also_after_it_was_deleted() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    assert!(raise(&connection, &budget(80), NOW_MS).unwrap());
    assert!(!raise(&connection, &budget(80), NOW_MS).unwrap());
    assert!(raise(&connection, &budget(95), NOW_MS).unwrap());
    connection.execute("DELETE FROM alerts", []).unwrap();
    assert!(!raise(&connection, &budget(80), NOW_MS).unwrap());
    maintain(&connection, NOW_MS + 38 * DAY_MS).unwrap();
    let keys: i64 = connection
        .query_row("SELECT count(*) FROM alert_keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(keys, 0, "they cannot come up again");
}

#[test]
fn raising_in_a_transaction_that_is_rolled_back_raises_nothing() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    let undone: SqlResult<()> = in_transaction(&connection, || {
        assert!(raise(&connection, &budget(80), NOW_MS)?);
        Err(crate::store::sql::SqlError::NoRow)
    });
    undone.unwrap_err();
    assert!(raise(&connection, &budget(80), NOW_MS).unwrap());
}

#[test]
fn a_refused_key_is_raised_once_an_hour() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    let refused = Alert::BackendRefusesKey { status: 401 };
    let raised = [0, 1, 3_599_999, 3_600_000, 3_600_001]
        .map(|after| raise(&connection, &refused, NOW_MS + after).unwrap());
    assert_eq!(raised, [true, false, false, true, false]);
}

#[test]
fn deliveries_go_in_order_and_one_server_at_a_time() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    raise(&connection, &Alert::Test, NOW_MS).unwrap();
    let [a, b] = ["a", "b"].map(webhook);
    let both = [a.clone(), b.clone()];
    register(&connection, &both).unwrap();
    save(&connection, &[], &both, NOW_MS).unwrap();
    assert_eq!(
        claim(&connection, &a, NOW_MS),
        NextDelivery::None,
        "it is of the past"
    );
    raise(&connection, &budget(50), NOW_MS).unwrap();
    raise(&connection, &budget(80), NOW_MS).unwrap();
    for _ in 0..2 {
        save(&connection, &[], &both, NOW_MS).unwrap();
    }
    let NextDelivery::Claimed(first) = claim(&connection, &a, NOW_MS) else {
        panic!("nothing to claim")
    };
    assert!(first.alert.payload.contains(r#""percent":50"#), "{first:?}");
    let held = NextDelivery::NotBefore(NOW_MS + 15_000);
    assert_eq!(
        claim(&connection, &a, NOW_MS + 1),
        held,
        "another server waits"
    );
    assert!(matches!(
        claim(&connection, &b, NOW_MS),
        NextDelivery::Claimed(_)
    ));
    let retry = Attempt::Retry {
        at_ms: NOW_MS + 1_000,
        error: "status 500".to_owned(),
    };
    finish(&connection, a.id(), first.number, &retry, NOW_MS).unwrap();
    assert_eq!(
        claim(&connection, &a, NOW_MS),
        NextDelivery::NotBefore(NOW_MS + 1_000)
    );
    let NextDelivery::Claimed(again) = claim(&connection, &a, NOW_MS + 1_000) else {
        panic!("nothing to claim")
    };
    assert_eq!((again.number, again.attempts), (first.number, 1));
    finish(&connection, a.id(), first.number, &Attempt::Sent, NOW_MS).unwrap();
    let NextDelivery::Claimed(second) = claim(&connection, &a, NOW_MS) else {
        panic!("nothing to claim")
    };
    assert!(
        second.alert.payload.contains(r#""percent":80"#),
        "{second:?}"
    );
}

#[test]
fn what_was_sent_before_it_could_be_saved_is_not_sent_again() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    let hook = webhook("a");
    register(&connection, std::slice::from_ref(&hook)).unwrap();
    let sink = AlertSink::default();
    sink.push(Alert::LedgerFailing {
        reason: "the disk is full".to_owned(),
    });
    sink.push(Alert::LedgerRecovered {
        failing: Duration::from_secs(3),
    });
    let first = sink.first_unsent(hook.id()).unwrap();
    sink.mark_sent(&first.id, hook.id());
    for _ in 0..2 {
        save(
            &connection,
            &sink.queued(),
            std::slice::from_ref(&hook),
            first.at_ms,
        )
        .unwrap();
    }
    assert_eq!(events(&connection), ["ledger_failing", "ledger_recovered"]);
    let NextDelivery::Claimed(next) = claim(&connection, &hook, first.at_ms) else {
        panic!("nothing to claim")
    };
    assert!(next.alert.payload.contains("ledger_recovered"), "{next:?}");
}

#[test]
fn what_no_server_sends_is_given_up_and_what_is_old_is_deleted() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    let hook = webhook("a");
    register(&connection, std::slice::from_ref(&hook)).unwrap();
    raise(&connection, &Alert::Test, NOW_MS).unwrap();
    save(&connection, &[], &[hook], NOW_MS).unwrap();
    let state = || {
        let list = list(&connection, 1).unwrap();
        list.alerts
            .first()
            .map(|alert| alert.deliveries[0].state.clone())
    };
    maintain(&connection, NOW_MS + DAY_MS).unwrap();
    assert_eq!(state().as_deref(), Some("pending"));
    maintain(&connection, NOW_MS + 2 * DAY_MS).unwrap();
    assert_eq!(state().as_deref(), Some("failed"));
    maintain(&connection, NOW_MS + 91 * DAY_MS).unwrap();
    assert_eq!(state(), None);
    let left: i64 = connection
        .query_row("SELECT count(*) FROM alert_deliveries", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn at_most_ten_thousand_alerts_are_kept() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    in_transaction(&connection, || {
        (0..MAX_ALERTS + 5).try_for_each(|_| raise(&connection, &Alert::Test, NOW_MS).map(drop))
    })
    .unwrap();
    maintain(&connection, NOW_MS).unwrap();
    assert_eq!(list(&connection, i64::MAX).unwrap().alerts.len(), 10_000);
}

#[test]
fn a_key_is_reported_seven_days_and_one_day_before_it_expires() {
    let (store, _dir) = store();
    let connection = store.connection().unwrap();
    let [hash_1, hash_2, hash_3, hash_4, hash_5] = [1, 2, 3, 4, 5].map(|n| byte(&connection, n));
    connection
        .execute_batch(&format!(
            "INSERT INTO users (id, username, created_at_ms, is_active) VALUES (1, 'alice', 0, 1), (2, 'mallory', 0, 0);
             INSERT INTO keys (id, user_id, hash, display, created_at_ms, expires_at_ms, revoked_at_ms) VALUES
                 (1, 1, {hash_1}, 'llmp-1…1', 0, {NOW_MS} + 20 * {DAY_MS}, NULL),
                 (2, 1, {hash_2}, 'llmp-2…2', 0, {NOW_MS} + 20 * {DAY_MS}, 5),
                 (3, 2, {hash_3}, 'llmp-3…3', 0, {NOW_MS} + 20 * {DAY_MS}, NULL),
                 (4, 1, {hash_4}, 'llmp-4…4', {NOW_MS} + 14 * {DAY_MS}, {NOW_MS} + 20 * {DAY_MS}, NULL),
                 (5, 1, {hash_5}, 'llmp-5…5', 0, NULL, NULL);"
        ))
        .unwrap();
    let reported = |day: i64| {
        let before = list(&connection, 100).unwrap().alerts.len();
        for _ in 0..2 {
            maintain(&connection, NOW_MS + day * DAY_MS).unwrap();
        }
        let all = list(&connection, 100).unwrap().alerts;
        let new = &all[..all.len() - before];
        let mut new: Vec<(i64, i64)> = new
            .iter()
            .map(|alert| {
                let number = |name: &str| alert.payload[name].as_i64().unwrap();
                (number("key_id"), number("days"))
            })
            .collect();
        new.sort_unstable();
        new
    };
    assert_eq!(reported(12), []);
    assert_eq!(reported(13), [(1, 7)]);
    assert_eq!(reported(15), []);
    assert_eq!(
        reported(19),
        [(1, 1), (4, 1)],
        "the fourth was made for six days"
    );
    assert_eq!(reported(20), []);
}
