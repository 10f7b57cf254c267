//! Which requests have a cost, which price they get, and when.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{alice, ask_chat, chat, costs_of_rows, echoing, set_price, wait_until_summed};
use crate::harness::{Backend, CHAT, Home, PATIENCE, Request, wait_until};

#[test]
fn an_error_without_usage_costs_nothing_and_is_not_unpriced() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for status in [
        "400 Bad Request",
        "429 Too Many Requests",
        "500 Internal Server Error",
    ] {
        let mut body = chat("gpt-4o", 1, 1);
        body["status"] = status.into();
        body["answer"] = json!({"error": {"message": "no"}});
        let answer = proxy.send(&Request::post(CHAT, body.to_string()).key(&key));
        assert!(status.starts_with(&answer.status.to_string()), "{answer:?}");
    }
    assert_eq!(costs_of_rows(&proxy), vec![(Some(0), None); 3]);
    assert_eq!(alice(&proxy), ("0.000000000".to_owned(), 0));
    wait_until_summed(&proxy);
    assert_eq!(alice(&proxy), ("0.000000000".to_owned(), 0));
}

#[test]
fn a_success_whose_usage_is_unknown_is_unpriced() {
    let backend = Backend::json(r#"{"id":"modr-1","model":"omni-moderation-latest","results":[]}"#);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let body = r#"{"model":"omni-moderation-latest","input":"x"}"#;
    // Speech that is billed by characters, which nobody reports.
    let speech = r#"{"model":"tts-1","input":"x","voice":"alloy"}"#;
    for (path, body) in [("/v1/moderations", body), ("/v1/audio/speech", speech)] {
        let answer = proxy.send(&Request::post(path, body).key(&key));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(costs_of_rows(&proxy), vec![(None, None); 2]);
    assert_eq!(alice(&proxy), ("0.000000000".to_owned(), 2));
    wait_until_summed(&proxy);
    assert_eq!(alice(&proxy), ("0.000000000".to_owned(), 2));
}

#[test]
fn a_model_without_a_price_has_no_cost_and_is_counted() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    ask_chat(&proxy, &key, "our-own", 1_000, 10);
    ask_chat(&proxy, &key, "gpt-4o", 1_000_000, 0);
    assert_eq!(
        costs_of_rows(&proxy),
        [
            (None, None),
            (Some(2_500_000_000), Some("gpt-4o".to_owned()))
        ]
    );
    for _ in 0..2 {
        assert_eq!(alice(&proxy), ("2.500000000".to_owned(), 1));
        let check = proxy.cli(&["price", "check", "--json"]).json();
        assert_eq!(check["models"][0]["model"], "our-own", "{check}");
        assert_eq!(check["models"][0]["unpriced_requests"], 1, "{check}");
        assert_eq!(check["models"][0]["has_price"], false, "{check}");
        assert_eq!(check["models"].as_array().unwrap().len(), 1, "{check}");
        wait_until_summed(&proxy);
    }
    let costs = proxy.cli(&["costs"]).stdout;
    assert!(
        costs.lines().next().unwrap().contains("unpriced"),
        "{costs}"
    );
}

#[test]
fn a_dated_snapshot_takes_its_base_model_s_price_and_the_report_says_so() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    ask_chat(&proxy, &key, "gpt-4o-2099-12-31", 1_000_000, 0);
    assert_eq!(
        costs_of_rows(&proxy),
        [(Some(2_500_000_000), Some("gpt-4o".to_owned()))]
    );
    let by_model = proxy.get_json("/admin/list_costs?by=model");
    assert_eq!(by_model["costs"][0]["priced_as"], "gpt-4o", "{by_model}");
    let by_user = proxy.get_json("/admin/list_costs?by_model=true");
    assert_eq!(by_user["costs"][0]["model_costs"][0]["priced_as"], "gpt-4o");
    let ran = proxy.cli(&["costs", "--by-model"]);
    assert!(
        ran.stderr
            .contains("gpt-4o-2099-12-31 has no price of its own; that of gpt-4o was taken"),
        "{ran:?}"
    );
    let view: String = proxy
        .database()
        .query_row("SELECT priced_as FROM usage", [], |row| row.get(0))
        .unwrap();
    assert_eq!(view, "gpt-4o");
}

#[test]
fn a_price_holds_for_requests_from_its_date_on() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    set_price(
        &proxy,
        &["m", "--input", "1", "--output", "1", "--from", "2020-01-01"],
    );
    set_price(
        &proxy,
        &["m", "--input", "2", "--output", "2", "--from", "2021-01-01"],
    );
    set_price(
        &proxy,
        &["m", "--input", "9", "--output", "9", "--from", "2999-01-01"],
    );
    wait_until("the price is known to the server", PATIENCE, || {
        ask_chat(&proxy, &key, "m", 1_000_000, 0);
        costs_of_rows(&proxy).last().unwrap().0 == Some(2_000_000_000)
    });
    let list = proxy.cli(&["price", "list", "m", "--json"]).json();
    assert_eq!(list["prices"][0]["input_usd_per_million"], "2.00", "{list}");
    assert_eq!(list["prices"][0]["from"], "2021-01-01T00:00:00Z", "{list}");
}

#[test]
fn a_change_of_price_counts_within_250_ms_by_file_and_over_http() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    ask_chat(&proxy, &key, "m", 1_000_000, 0);
    assert_eq!(costs_of_rows(&proxy), [(None, None)]);
    let server = format!("http://{}", proxy.address());
    for (price, over_http) in [("1", false), ("2", true), ("3", false)] {
        let mut arguments = vec!["m", "--input", price, "--output", "1"];
        if over_http {
            arguments.extend(["--server", &server]);
        }
        set_price(&proxy, &arguments);
        let set = Instant::now();
        let expected = Some(price.parse::<i64>().unwrap() * 1_000_000_000);
        wait_until("the new price counts", PATIENCE, || {
            ask_chat(&proxy, &key, "m", 1_000_000, 0);
            costs_of_rows(&proxy).last().unwrap().0 == expected
        });
        // A loaded machine may take a few times as long for the requests themselves.
        assert!(
            set.elapsed() < Duration::from_millis(1000),
            "{:?}",
            set.elapsed()
        );
        eprintln!("a price counted after {:?}", set.elapsed());
    }
    let ran = proxy.cli(&["price", "unset", "m"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    wait_until("the price before it counts again", PATIENCE, || {
        ask_chat(&proxy, &key, "m", 1_000_000, 0);
        costs_of_rows(&proxy).last().unwrap().0 == Some(2_000_000_000)
    });
}

#[test]
fn rows_of_a_database_that_was_away_have_their_prices() {
    let backend = echoing();
    let home = Home::new(&backend).set("ON_LEDGER_FAILURE", "serve");
    let (proxy, key) = home.serve_alice();
    ask_chat(&proxy, &key, "gpt-4o", 1_000_000, 0);
    let (file, away) = (proxy.path("test.db"), proxy.path("away.db"));
    std::fs::rename(&file, &away).unwrap();
    let request = Request::post(CHAT, chat("gpt-4.1", 1_000_000, 0).to_string()).key(&key);
    let mut asked = 0;
    wait_until("rows cannot be written", PATIENCE, || {
        asked += 1;
        let _ = proxy.send(&request);
        proxy.log().contains("cannot write")
    });
    std::fs::rename(&away, &file).unwrap();
    wait_until("all rows are written", PATIENCE, || {
        proxy.rows().len() == backend.requests().len()
    });
    let rows = costs_of_rows(&proxy);
    for row in &rows[1..] {
        assert_eq!(*row, (Some(2_000_000_000), Some("gpt-4.1".to_owned())));
    }
    let dangling: i64 = proxy
        .database()
        .query_row(
            "SELECT count(*) FROM usage_logs WHERE price_id NOT IN (SELECT id FROM prices)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!((dangling, rows.len() > 1), (0, true), "{asked} asked");
}

#[test]
fn a_served_model_counts_where_the_asked_one_has_no_price() {
    let backend = echoing();
    let (proxy, key) = Home::new(&backend).serve_alice();
    for served in ["gpt-4o", "gpt-4.1"] {
        let mut body: Value = chat("fast", 1_000_000, 0);
        body["answer"]["model"] = served.into();
        proxy.send(&Request::post(CHAT, body.to_string()).key(&key));
    }
    assert_eq!(
        costs_of_rows(&proxy),
        [
            (Some(2_500_000_000), Some("gpt-4o".to_owned())),
            (Some(2_000_000_000), Some("gpt-4.1".to_owned()))
        ]
    );
}
