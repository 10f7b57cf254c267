//! Answers are withheld while the database cannot be written, unless `ON_LEDGER_FAILURE` is `serve`.

use crate::harness::{
    ASK, ASK_STREAM, Backend, CHAT, DONE, Home, PATIENCE, Proxy, Request, assert_openai_error,
    wait_until,
};

fn backend() -> Backend {
    Backend::chats(19, 10)
}

/// Makes every insert of a row fail, as a full disk does, until `mend`.
fn break_ledger(proxy: &Proxy) {
    let trigger = "CREATE TRIGGER broken BEFORE INSERT ON usage_logs BEGIN SELECT RAISE(ABORT, 'no room'); END";
    proxy.writable_database().execute_batch(trigger).unwrap();
}

fn mend_ledger(proxy: &Proxy) {
    proxy
        .writable_database()
        .execute_batch("DROP TRIGGER broken")
        .unwrap();
}

#[test]
fn an_answer_that_cannot_be_booked_is_withheld() {
    for body in [ASK, ASK_STREAM] {
        let backend = backend();
        let (proxy, key) = Home::new(&backend).serve_alice();
        assert_eq!(proxy.chat(&key, ASK).status, 200);
        break_ledger(&proxy);
        let withheld = proxy
            .start(&Request::post(CHAT, body).key(&key))
            .try_answer();
        if let Some(answer) = withheld {
            assert!(!answer.clean || answer.status >= 500, "{answer:?}");
            assert!(!answer.text().contains(DONE), "{answer:?}");
        }
        wait_until("new requests get 503", PATIENCE, || {
            proxy.chat(&key, ASK).status == 503
        });
        let asked = backend.requests().len();
        let refused = proxy.chat(&key, ASK);
        assert_openai_error(&refused, 503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert_eq!(
            backend.requests().len(),
            asked,
            "the backend is not asked for what could not be counted"
        );
        wait_until("the failure and the refusal are logged", PATIENCE, || {
            let log = proxy.log();
            log.contains("ERROR") && log.contains(" status=503 refused=")
        });
        let log = proxy.log();
        let given = log.matches(" status=200 outcome=completed ").count();
        assert_eq!(given, 1, "the log tells of no other answer: {log}");

        mend_ledger(&proxy);
        wait_until("requests are served again", PATIENCE, || {
            proxy.chat(&key, ASK).status == 200
        });
    }
}

#[test]
fn on_ledger_failure_serve_writes_the_rows_later() {
    let backend = backend();
    let (proxy, key) = Home::new(&backend)
        .set("ON_LEDGER_FAILURE", "serve")
        .serve_alice();
    break_ledger(&proxy);
    for body in [ASK, ASK_STREAM].repeat(5) {
        let answer = proxy.chat(&key, body);
        assert_eq!((answer.status, answer.clean), (200, true), "{answer:?}");
    }
    assert_eq!(proxy.rows(), []);
    mend_ledger(&proxy);
    wait_until("the rows are written", PATIENCE, || {
        proxy.rows().len() >= 10
    });
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    let rows = proxy.rows();
    assert_eq!(rows.len(), 11, "each once");
    assert!(
        rows.iter().all(|row| row.tokens() == [19, 10, 0, 0]),
        "{rows:?}"
    );
}

#[test]
fn a_long_write_of_another_process_only_delays_answers() {
    let backend = backend();
    let (proxy, key) = Home::new(&backend).serve_alice();
    let other = proxy.writable_database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut clients =
        [ASK, ASK_STREAM].map(|body| proxy.start(&Request::post(CHAT, body).key(&key)));
    backend.wait_for_requests(2);
    assert_eq!(proxy.rows(), []);
    other.execute_batch("COMMIT").unwrap();
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!((answer.status, answer.clean), (200, true), "{answer:?}");
    }
    assert_eq!(proxy.rows().len(), 2);
}
