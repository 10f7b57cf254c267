//! Ids of requests: which answers carry them, and what `log` and `explain` say of them.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;

use crate::harness::{
    ASK, ASK_STREAM, Answer, Backend, CHAT, Home, PATIENCE, Proxy, Request, Terminal, Turnstile,
    chat_completion, delta, wait_until,
};

/// Returns the id that an answer carries.
#[track_caller]
fn id_of(answer: &Answer) -> String {
    let ids = answer.all("x-llmproxy-request-id");
    assert_eq!(ids.len(), 1, "{} {}", answer.status, answer.text());
    assert_eq!(ids[0].len(), 32, "{}", ids[0]);
    ids[0].to_owned()
}

fn requests(proxy: &Proxy, arguments: &[&str]) -> Vec<Value> {
    let ran = proxy.cli(&[&["log", "--json"], arguments].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()["requests"].as_array().unwrap().clone()
}

#[track_caller]
fn wait_for_requests(proxy: &Proxy, arguments: &[&str], count: usize) -> Vec<Value> {
    wait_until("the requests are listed", PATIENCE, || {
        requests(proxy, arguments).len() == count
    });
    requests(proxy, arguments)
}

#[test]
fn every_answer_carries_an_id_of_its_own() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answers = [
        proxy.chat(&key, ASK),
        proxy.chat(&key, ASK_STREAM),
        proxy.chat("llmp-wrong", ASK),
        proxy.chat(&key, "{"),
        proxy.send(&Request::post("/v1/nowhere", "{}").key(&key)),
        proxy.send(&Request::get("/v1/usage").key(&key)),
        proxy.send(&Request::get("/admin/list_users")),
        proxy.send(&Request::get("/admin/nowhere")),
        proxy.send(&Request::post("/admin/gen_key", "{")),
    ];
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 401, 400, 404, 200, 200, 404, 400]);
    let ids: HashSet<String> = answers.iter().map(id_of).collect();
    assert_eq!(ids.len(), answers.len());
    // Clients report the header of OpenAI's; an error of llmproxy's own has the same id there.
    assert_eq!(
        answers[2].header("x-request-id"),
        Some(&*id_of(&answers[2]))
    );
    let rows = wait_for_requests(&proxy, &["--status", "2xx"], 2);
    assert_eq!(rows[0]["request_id"], *id_of(&answers[0]));
    assert_eq!(rows[1]["request_id"], *id_of(&answers[1]));
    for answer in &answers[..5] {
        proxy.wait_for_log(&id_of(answer));
    }
}

#[test]
fn an_id_of_the_backend_stays_beside_ours() {
    let backend = Backend::start(|_, wire| {
        let body = chat_completion(7, 3);
        wire.answer(
            "200 OK",
            &[
                ("Content-Type", "application/json"),
                ("x-request-id", "req_of_backend"),
                ("x-llmproxy-request-id", "forged"),
            ],
            body,
        );
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let answer = proxy.chat(&key, ASK);
    assert_eq!(answer.header("x-request-id"), Some("req_of_backend"));
    let id = id_of(&answer);
    let explained = proxy.cli(&["explain", "req_of_backend", "--json"]).json();
    assert_eq!(explained["rows"][0]["request_id"], *id);
    assert_eq!(explained["rows"][0]["backend_request_id"], "req_of_backend");
}

#[test]
fn log_lists_booked_and_refused_requests_in_their_order() {
    let backend = Backend::chats(10, 20);
    let (proxy, alice) = Home::new(&backend).serve_alice();
    let bob = proxy.user("bob");
    assert_eq!(proxy.chat(&alice, ASK).status, 200);
    assert_eq!(proxy.chat(&bob, ASK).status, 200);
    assert_eq!(proxy.chat("llmp-wrong", ASK).status, 401);
    assert_eq!(proxy.chat(&alice, "{").status, 400);
    let all = wait_for_requests(&proxy, &[], 3);
    let seen: Vec<_> = all
        .iter()
        .map(|r| [&r["username"], &r["status"], &r["outcome"]])
        .collect();
    assert_eq!(
        seen[0],
        [&Value::from("alice"), &200.into(), &"completed".into()]
    );
    assert_eq!(seen[1][0], "bob");
    assert_eq!((seen[2][0], seen[2][1]), (&"alice".into(), &400.into()));
    assert_eq!(all[0]["input_tokens"], 10);
    assert!(all[0]["cost_usd"].is_string(), "{}", all[0]);
    assert!(all[2]["error"]["message"].is_string(), "{}", all[2]);
    assert_eq!(requests(&proxy, &["--user", "alice"]).len(), 2);
    assert_eq!(requests(&proxy, &["--status", "4xx"]).len(), 1);
    assert_eq!(requests(&proxy, &["--status", "401"]).len(), 0);
    assert_eq!(requests(&proxy, &["-n", "1"])[0]["status"], 400);
    let over_http = proxy.get_json("/admin/list_requests?username=alice");
    assert_eq!(over_http["requests"].as_array().unwrap().len(), 2);
    let table = Terminal::of_columns(80)
        .run(&mut proxy.command(&["log"]))
        .stdout;
    assert!(
        table
            .lines()
            .all(|line| line.trim_end().chars().count() <= 80),
        "{table}"
    );
    assert!(
        table.contains(all[0]["request_id"].as_str().unwrap()),
        "{table}"
    );
    let csv = proxy.cli(&["log", "--csv"]).stdout;
    assert!(csv.starts_with("at,request_id,username,"), "{csv}");
    for (wrong, code) in [
        (["log", "--status", "6xx"], 2),
        (["log", "--since", "yesterdayish"], 2),
        (["log", "--limit", "0"], 2),
        (["log", "--user", "nobody"], 1),
    ] {
        let ran = proxy.cli(&wrong);
        assert_eq!(
            (ran.code, ran.stderr.lines().count()),
            (Some(code), 1),
            "{ran:?}"
        );
    }
}

#[test]
fn a_list_goes_on_behind_its_cursor() {
    let backend = Backend::chats(1, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    wait_for_requests(&proxy, &[], 1);
    let first = proxy.get_json("/admin/list_requests");
    for _ in 0..3 {
        assert_eq!(proxy.chat(&key, ASK).status, 200);
    }
    assert_eq!(proxy.chat(&key, "{").status, 400);
    wait_for_requests(&proxy, &[], 5);
    let mut cursor = first["cursor"].as_str().unwrap().to_owned();
    let mut seen = Vec::new();
    loop {
        let next = proxy.get_json(&format!("/admin/list_requests?limit=2&cursor={cursor}"));
        let requests = next["requests"].as_array().unwrap();
        if requests.is_empty() {
            break;
        }
        seen.extend(requests.iter().map(|r| r["request_id"].to_string()));
        next["cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 4);
    assert_eq!(seen.len(), 4);
}

#[test]
fn log_follow_prints_requests_as_they_end() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut follower = proxy
        .command(&["log", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let booked = id_of(&proxy.chat(&key, ASK));
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains(&booked) && line.contains("alice"), "{line}");
    let refused = id_of(&proxy.chat(&key, "{"));
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains(&refused) && line.contains("400"), "{line}");
    follower.kill().unwrap();
    follower.wait().unwrap();
}

#[test]
fn explain_says_everything_of_a_booked_request() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(
        proxy
            .cli(&["user", "set", "alice", "--budget", "5usd/day"])
            .code,
        Some(0)
    );
    let id = id_of(&proxy.chat(&key, ASK));
    wait_for_requests(&proxy, &[], 1);
    let text = proxy.cli(&["explain", &id]).stdout;
    for part in [
        &*id,
        "alice",
        "key 1 ",
        CHAT,
        "200 completed",
        "input 10, output 20",
        "as the backend reported",
        "USD",
        "input_cost_per_token 0.0000004",
        "waited 0 ms",
        "5usd/day, used 0.000036000",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(!text.contains(&key), "{text}");
    let upper = id.to_uppercase();
    assert_eq!(proxy.cli(&["explain", &upper]).stdout, text);
}

#[test]
fn explain_says_why_a_request_was_refused() {
    let backend = Backend::chats(10, 20);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let run = |words: &[&str]| assert_eq!(proxy.cli(words).code, Some(0));
    run(&["user", "set", "alice", "--budget", "0tokens/day"]);
    wait_until("the budget holds", PATIENCE, || {
        proxy.chat(&key, ASK).status == 429
    });
    let answer = proxy.chat(&key, ASK);
    let id = id_of(&answer);
    wait_until("the refusal is kept", PATIENCE, || {
        proxy.cli(&["explain", &id]).code == Some(0)
    });
    let text = proxy.cli(&["explain", &id]).stdout;
    let message = answer.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(text.contains(&message), "{text}");
    assert!(text.contains("refused: 429"), "{text}");
}

#[test]
fn explain_shows_a_request_that_still_runs() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |_, wire| {
            wire.sse_head();
            wire.chunk(format!("data: {}\n\n", delta("Hello")));
            turnstile.pass();
            wire.end();
        }
    });
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut stream = proxy.start(&Request::post(CHAT, ASK_STREAM).key(&key));
    let id = id_of(&stream.head());
    wait_until("the request is noted", PATIENCE, || {
        proxy.cli(&["explain", &id]).code == Some(0)
    });
    let text = proxy.cli(&["explain", &id]).stdout;
    assert!(text.contains("200, still running"), "{text}");
    turnstile.allow(1);
    stream.rest();
}

#[test]
fn an_unknown_id_is_said_to_be_unknown() {
    let backend = Backend::chats(1, 1);
    let (proxy, _) = Home::new(&backend).serve_alice();
    for id in ["01a2291e2e8a79299882d6b7ebc00002", "req_nowhere"] {
        let ran = proxy.cli(&["explain", id]);
        assert_eq!(ran.code, Some(1));
        ran.assert_one_line_error();
        let answer = proxy.send(&Request::get(&format!(
            "/admin/explain_request?request_id={id}"
        )));
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
}

#[test]
fn a_request_without_a_known_key_is_explained_by_the_server() {
    let backend = Backend::chats(1, 1);
    let (proxy, _) = Home::new(&backend).serve_alice();
    let id = id_of(&proxy.chat("llmp-wrong", ASK));
    let server = format!("http://{}", proxy.address());
    let text = proxy.cli(&["explain", &id, "--server", &server]).stdout;
    assert!(text.contains("no known key"), "{text}");
    assert!(text.contains("refused: 401 invalid_api_key"), "{text}");
}
