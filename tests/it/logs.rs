//! The log of the server.

use serde_json::Value;

use crate::harness::{ASK, Backend, Home, PATIENCE, wait_until};

/// Returns the lines of a log in JSON.
fn lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn a_log_in_json_has_an_object_a_line_with_a_member_for_each_value() {
    let backend = Backend::chats(10, 20);
    let home = Home::new(&backend).set("LOG_FORMAT", "json");
    let (proxy, key) = home.serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    assert_eq!(proxy.chat("llmp-\"wrong", ASK).status, 401);
    let access = || {
        let lines = lines(&proxy.log());
        let access = lines.into_iter().filter(|line| line["target"] == "access");
        access.collect::<Vec<_>>()
    };
    wait_until("both requests are logged", PATIENCE, || access().len() == 2);
    let access = access();
    assert_eq!(access[0]["level"], "info");
    assert_eq!(access[0]["user"], "alice");
    assert_eq!(
        (&access[0]["status"], &access[0]["output"]),
        (&200.into(), &20.into())
    );
    assert_eq!(access[1]["status"], 401);
    assert!(access[1]["refused"].is_string(), "{}", access[1]);
    assert!(
        lines(&proxy.log())
            .iter()
            .all(|line| line["time"].is_string())
    );
}

#[test]
fn an_unknown_form_of_the_log_is_refused() {
    let backend = Backend::chats(1, 1);
    let ran = Home::new(&backend).set("LOG_FORMAT", "xml").refused();
    assert!(
        ran.stderr.contains("LOG_FORMAT") && ran.stderr.contains("text or json"),
        "{}",
        ran.stderr
    );
}
