//! `PRICES_FILE`, and the commands on prices.

use serde_json::{Value, json};

use super::{ask_chat, costs_of_rows, echoing, set_price};
use crate::harness::{Backend, Home, PATIENCE, Proxy, Ran, wait_until};

const FILE: &str = r#"{
  "sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of …", "max_tokens": "legacy"},
  "gpt-4o": {"input_cost_per_token": 7e-06, "output_cost_per_token": 1e-05, "litellm_provider": "openai", "mode": "chat"},
  "file-only": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1e-05, "supports_vision": true}
}
"#;

fn home(backend: &Backend, file: &str) -> Home {
    Home::new(backend)
        .file("prices.json", file)
        .set("PRICES_FILE", "prices.json")
}

/// Returns the input price of a model a million tokens, and its source.
#[track_caller]
fn price_of(home: &Home, model: &str, flags: &[&str]) -> (String, String) {
    let ran = home.cli(&[&["price", "list", model, "--json"], flags].concat());
    let list = ran.json();
    let price = &list["prices"][0];
    let text = |member: &str| price[member].as_str().unwrap_or("-").to_owned();
    (text("input_usd_per_million"), text("source"))
}

#[test]
fn a_file_goes_before_the_program_s_prices_and_behind_set_ones() {
    let backend = echoing();
    let (proxy, key) = home(&backend, FILE).serve_alice();
    for model in ["gpt-4o", "file-only", "gpt-4.1"] {
        ask_chat(&proxy, &key, model, 1_000_000, 0);
    }
    let costs: Vec<i64> = costs_of_rows(&proxy)
        .into_iter()
        .map(|row| row.0.unwrap())
        .collect();
    assert_eq!(costs, [7_000_000_000, 3_000_000_000, 2_000_000_000]);
    let sources: Vec<String> = {
        let database = proxy.database();
        let mut statement = database
            .prepare("SELECT price_source FROM usage ORDER BY id")
            .unwrap();
        let sources = statement.query_map([], |row| row.get(0)).unwrap();
        sources.map(Result::unwrap).collect()
    };
    assert_eq!(sources, ["file", "file", "snapshot"]);
    let server = format!("http://{}", proxy.address());
    for flags in [&[][..], &["--server", &server]] {
        assert_eq!(
            price_of(&proxy, "gpt-4o", flags),
            ("7.00".into(), "file".into())
        );
        assert_eq!(
            price_of(&proxy, "gpt-4.1", flags),
            ("2.00".into(), "snapshot".into())
        );
        set_price(
            &proxy,
            &[&["gpt-4o", "--input", "8", "--output", "9"], flags].concat(),
        );
        assert_eq!(
            price_of(&proxy, "gpt-4o", flags),
            ("8.00".into(), "set".into())
        );
        let unset = proxy.cli(&[&["price", "unset", "gpt-4o", "--json"], flags].concat());
        assert_eq!(unset.json()["prices"][0]["source"], "file", "{unset:?}");
        let again = proxy.cli(&[&["price", "unset", "gpt-4o"], flags].concat());
        again.assert_one_line_error();
        let check = proxy.cli(&[&["price", "check"], flags].concat());
        assert_eq!(
            check.stdout.trim(),
            "all requests in the ledger have a price"
        );
    }
    set_price(&proxy, &["gpt-4o", "--input", "8", "--output", "9"]);
    wait_until("the set price counts", PATIENCE, || {
        ask_chat(&proxy, &key, "gpt-4o", 1_000_000, 0);
        costs_of_rows(&proxy).last().unwrap().0 == Some(8_000_000_000)
    });
}

#[test]
fn a_broken_file_stops_the_start_with_line_and_member() {
    let backend = echoing();
    for (file, names) in [
        (
            "{\n  \"gpt-4o\": {\n    \"input_cost_per_token\": \"cheap\"\n  }\n}",
            &["line 3", "input_cost_per_token"][..],
        ),
        (
            "{\n  \"gpt-4o\": {\"input_cost_per_token\": -1}\n}",
            &["line 2", "input_cost_per_token"],
        ),
        (
            "{\n  \"gpt-4o\": {\"input_cost_per_token\": 1e-6,}\n}",
            &["line 2"],
        ),
        ("[]", &["line 1"]),
        ("{\"a\": {\"input_cost_per_token\": 1e-6}", &["line 1"]),
        ("", &["prices.json"]),
        ("not json", &["line 1"]),
    ] {
        let home = home(&backend, file);
        let ran = home.refused();
        ran.assert_one_line_error();
        for name in ["PRICES_FILE", "prices.json"].iter().chain(names) {
            assert!(ran.stderr.contains(name), "{name} for {file:?}: {ran:?}");
        }
        // Commands that need no prices do not need the file; the others say the same.
        home.user("alice");
        assert_eq!(home.cli(&["costs"]).code, Some(0));
        home.cli(&["price", "list"]).assert_one_line_error();
    }
    let missing = Home::new(&backend).set("PRICES_FILE", "nowhere.json");
    let ran = missing.refused();
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("nowhere.json"), "{ran:?}");
}

#[test]
fn an_empty_document_is_no_price_and_no_error() {
    let backend = echoing();
    let (proxy, key) = home(&backend, "{}").serve_alice();
    ask_chat(&proxy, &key, "gpt-4o", 1_000_000, 0);
    assert_eq!(costs_of_rows(&proxy)[0].0, Some(2_500_000_000));
}

/// A document of so many models with this price for the first.
fn document(models: usize, first: &str) -> String {
    let models = (0..models).map(|number| {
        let price = if number == 0 { first } else { "1e-06" };
        format!("\"model-{number}\": {{\"input_cost_per_token\": {price}, \"output_cost_per_token\": 2e-06}}")
    });
    format!("{{{}}}", models.collect::<Vec<_>>().join(",\n"))
}

fn fetch(home: &Home, from: &str, flags: &[&str]) -> Ran {
    home.cli(
        &[
            &["price", "fetch-file", "prices.json", "--from", from],
            flags,
        ]
        .concat(),
    )
}

#[test]
fn fetching_a_file_that_loses_models_or_changes_prices_a_lot_needs_yes() {
    let backend = echoing();
    let old = document(100, "1e-06");
    for (new, is_guarded) in [
        (document(100, "1e-06"), false),
        (document(120, "1e-06"), false),
        (document(95, "1e-06"), false),
        (document(94, "1e-06"), true),
        (document(100, "3e-06"), false),
        (document(100, "3.1e-06"), true),
        (document(100, "0.3e-06"), true),
        (document(100, "0"), true),
        (document(1, "1e-06"), true),
    ] {
        let home = Home::new(&backend)
            .file("prices.json", &old)
            .file("new.json", &new);
        let read = || std::fs::read_to_string(home.path("prices.json")).unwrap();
        let ran = fetch(&home, "new.json", &[]);
        if is_guarded {
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.stderr.contains("--yes"), "{ran:?}");
            assert_eq!(read(), old, "the old file is untouched");
            let ran = fetch(&home, "new.json", &["--yes"]);
            assert_eq!(ran.code, Some(0), "{ran:?}");
        } else {
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        assert_eq!(read(), new);
        assert_no_leftovers(&home);
    }
}

#[track_caller]
fn assert_no_leftovers(home: &Home) {
    let names = std::fs::read_dir(home.path("")).unwrap();
    let names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|name| !name.contains(".new")), "{names:?}");
}

#[test]
fn a_file_is_fetched_over_http_and_errors_leave_the_old_one() {
    let good = document(50, "1e-06");
    let served = good.clone();
    let backend = Backend::start(move |request, wire| match request.target() {
        "/good.json" => wire.json(&served),
        "/large.json" => wire.json(&document(30_000, "1e-06")),
        "/broken.json" => wire.json("{\n\"a\": {\"input_cost_per_token\": \"x\"}}"),
        "/empty.json" => wire.json("{}"),
        "/page.html" => wire.answer("200 OK", &[("Content-Type", "text/html")], "<html>"),
        "/half.json" => {
            wire.head("200 OK", &[("Content-Length", "100000")]);
            wire.write("{\"a\": ");
            wire.close();
        }
        _ => wire.answer("404 Not Found", &[], "no"),
    });
    let home = Home::new(&backend);
    let url = |path: &str| format!("{}{path}", backend.url());
    // There was no file: the new one is compared with the program's prices, of which it has none.
    let ran = fetch(&home, &url("/good.json"), &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!home.path("prices.json").exists());
    let ran = fetch(&home, &url("/good.json"), &["--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("50 models"), "{ran:?}");
    let read = || std::fs::read_to_string(home.path("prices.json")).unwrap();
    for path in [
        "/broken.json",
        "/empty.json",
        "/page.html",
        "/half.json",
        "/missing.json",
    ] {
        let ran = fetch(&home, &url(path), &["--yes"]);
        ran.assert_one_line_error();
        assert_eq!(read(), good, "{path}");
    }
    for from in [
        "http://127.0.0.1:9/prices.json",
        "nowhere.json",
        "ftp://127.0.0.1/x",
    ] {
        fetch(&home, from, &["--yes"]).assert_one_line_error();
        assert_eq!(read(), good, "{from}");
    }
    let ran = fetch(&home, &url("/large.json"), &["--yes"]);
    assert_eq!(ran.code, Some(0), "LiteLLM's file has 3.5 MB: {ran:?}");
    assert_no_leftovers(&home);
}

#[test]
fn a_price_like_another_one_has_its_fields() {
    let backend = echoing();
    let home = Home::new(&backend);
    set_price(
        &home,
        &[
            "own",
            "--like",
            "gpt-4o",
            "--output",
            "1.5",
            "output_cost_per_token_batches=0.0000001",
        ],
    );
    let list = home.cli(&["price", "list", "own", "--json"]).json();
    let own: &Value = &list["prices"][0];
    assert_eq!(own["input_usd_per_million"], "2.50");
    assert_eq!(own["cached_usd_per_million"], "1.25");
    assert_eq!(own["output_usd_per_million"], "1.50");
    assert_eq!(own["fields"]["output_cost_per_token_batches"], "0.0000001");
    assert_eq!(own["priced_as"], Value::Null);
    let over_http = |proxy: &Proxy| {
        let body = json!({"model": "m", "fields": {"input_cost_per_token": 1e-6, "output_cost_per_token": "0.000002"}});
        let request = crate::harness::Request::post("/admin/set_price", body.to_string());
        proxy.send(&request)
    };
    let proxy = home.serve();
    let answer = over_http(&proxy);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["input_usd_per_million"], "1.00", "{answer:?}");
}
