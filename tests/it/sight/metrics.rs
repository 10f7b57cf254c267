//! `/metrics`: the figures are exact, and who may read them.

use std::net::IpAddr;

use super::scrape::{METRICS, OLD_FORMAT, Scrape};
use crate::harness::{
    ASK, ASK_STREAM, Answer, Backend, CHAT, Connection, Home, PATIENCE, Proxy, Request, ask,
    assert_openai_error, chat_completion, wait_until,
};
use crate::limits::set_limits;

/// Scrapes until something is so. What a client has read to its end is counted a moment later.
#[track_caller]
fn wait_for(proxy: &Proxy, what: &str, mut is_so: impl FnMut(&Scrape) -> bool) -> Scrape {
    let mut scrape = Scrape::of(proxy);
    wait_until(what, PATIENCE, || {
        scrape = Scrape::of(proxy);
        is_so(&scrape)
    });
    scrape
}

#[track_caller]
fn assert_near(found: Option<f64>, expected: f64) {
    let found = found.expect("it is there");
    assert!((found - expected).abs() < 1e-9, "{found} is {expected}");
}

#[test]
fn figures_are_exact_after_mixed_requests() {
    let backend = Backend::start(|request, wire| {
        let asked = request.json();
        if asked["model"] == "broken" {
            return wire.answer("500 Oops", &[], "{}");
        }
        if request.asks_to_stream() {
            wire.sse(&crate::harness::counted_stream(7, 5));
        } else {
            let model = asked["model"].as_str().unwrap();
            wire.json(&chat_completion(19, 10).replace("gpt-4.1-mini-2025-04-14", model));
        }
    });
    let home = Home::new(&backend);
    let price = [
        "price",
        "set",
        "gpt-4.1-mini",
        "--input",
        "1",
        "--output",
        "2",
    ];
    assert_eq!(home.cli(&price).code, Some(0));
    let (proxy, key) = home.serve_alice();
    for body in [ASK, ASK, ASK_STREAM, &ask("of-no-price")] {
        assert_eq!(proxy.chat(&key, body).status, 200);
    }
    assert_eq!(proxy.chat(&key, &ask("broken")).status, 500);
    for _ in 0..2 {
        assert_eq!(proxy.chat("llmp-wrong", ASK).status, 401);
    }
    assert_eq!(proxy.chat(&key, "{").status, 400);
    let nowhere = Request::get("/v1/nowhere").key(&key);
    assert_eq!(proxy.send(&nowhere).status, 404);

    let scrape = wait_for(&proxy, "all are counted", |scrape| {
        scrape.sum("llmproxy_requests_total", &[]) == Some(9.0)
    });
    let requests = |model: &str, status: &str| {
        let labels = [("endpoint", CHAT), ("model", model), ("status", status)];
        scrape.sum("llmproxy_requests_total", &labels)
    };
    assert_eq!(requests("gpt-4.1-mini", "200"), Some(3.0));
    assert_eq!(requests("of-no-price", "200"), Some(1.0));
    assert_eq!(requests("other", "500"), Some(1.0), "never answered for");
    assert_eq!(requests("", "401"), Some(2.0));
    assert_eq!(requests("", "400"), Some(1.0));
    let elsewhere = [("endpoint", "other"), ("status", "404")];
    assert_eq!(scrape.sum("llmproxy_requests_total", &elsewhere), Some(1.0));
    let refused = |reason: &str| scrape.sum("llmproxy_refused_total", &[("reason", reason)]);
    assert_eq!(refused("invalid_api_key"), Some(2.0));
    assert_eq!(refused("invalid_request_error"), Some(1.0));
    assert_eq!(refused("unknown_url"), Some(1.0));
    assert_eq!(scrape.sum("llmproxy_refused_total", &[]), Some(4.0));
    let tokens = |model: &str, kind: &str| {
        let labels = [("model", model), ("type", kind)];
        scrape.sum("llmproxy_tokens_total", &labels)
    };
    assert_eq!(tokens("gpt-4.1-mini", "input"), Some(45.0));
    assert_eq!(tokens("gpt-4.1-mini", "output"), Some(25.0));
    assert_eq!(tokens("gpt-4.1-mini", "cached"), Some(0.0));
    assert_eq!(tokens("gpt-4.1-mini", "audio_input"), None);
    let cost = |model: &str| scrape.sum("llmproxy_cost_usd_total", &[("model", model)]);
    assert_near(cost("gpt-4.1-mini"), (45.0 + 2.0 * 25.0) / 1e6);
    assert_near(cost("of-no-price"), 0.0);
    let unpriced = scrape.sum("llmproxy_unpriced_requests_total", &[]);
    assert_eq!(unpriced, Some(1.0));

    // Those who were identified have durations; those that were sent, the rest.
    let count = |name: &str| scrape.sum(&format!("llmproxy_{name}_seconds_count"), &[]);
    assert_eq!(count("request_duration"), Some(6.0));
    assert_eq!(count("wait"), Some(5.0));
    assert_eq!(count("time_to_first_byte"), Some(5.0));
    assert_eq!(count("overhead"), Some(5.0));
    let commits = count("ledger_commit").unwrap();
    assert!(commits >= 4.0, "{commits}");
    assert_histograms_add_up(&scrape);
    assert_eq!(scrape.sum("llmproxy_in_flight_requests", &[]), Some(0.0));
    assert_eq!(scrape.sum("llmproxy_ready", &[]), Some(1.0));
    wait_for(&proxy, "all rows are written", |scrape| {
        scrape.sum("llmproxy_ledger_backlog_rows", &[]) == Some(0.0)
    });
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(scrape.sum("llmproxy_build_info", &version), Some(1.0));
    assert_figures_of_process(&proxy, &scrape);

    // The report has the same sums.
    let report = proxy.get_json("/admin/list_costs?by=model");
    let total = &report["total"];
    for (kind, member) in [
        ("input", "total_input_tokens"),
        ("output", "total_output_tokens"),
    ] {
        let of_metrics = scrape.sum("llmproxy_tokens_total", &[("type", kind)]);
        assert_eq!(of_metrics, total[member].as_f64(), "{report}");
    }
    let dollars: f64 = total["cost_usd"].as_str().unwrap().parse().unwrap();
    assert_near(scrape.sum("llmproxy_cost_usd_total", &[]), dollars);
    assert_eq!(unpriced, total["unpriced_requests"].as_f64());
}

/// Each bucket has at least as many as the one before, and the last one has all.
#[track_caller]
fn assert_histograms_add_up(scrape: &Scrape) {
    let mut counts = std::collections::BTreeMap::<&str, Vec<f64>>::new();
    for (name, _, value) in scrape.samples() {
        if let Some(name) = name.strip_suffix("_bucket") {
            counts.entry(name).or_default().push(*value);
        }
    }
    assert_eq!(counts.len(), 5, "{counts:?}");
    for (name, counts) in counts {
        assert!(counts.is_sorted(), "{name}: {counts:?}");
        let all = scrape.sum(&format!("{name}_count"), &[]);
        assert_eq!(counts.last().copied(), all, "{name}");
    }
}

#[track_caller]
fn assert_figures_of_process(proxy: &Proxy, scrape: &Scrape) {
    let of_process = |name: &str| scrape.sum(&format!("process_{name}"), &[]).unwrap();
    assert!(of_process("open_fds") >= 5.0 && of_process("max_fds") > of_process("open_fds"));
    assert!(of_process("threads") >= 2.0 && of_process("cpu_seconds_total") >= 0.0);
    #[allow(clippy::cast_precision_loss)]
    let resident = proxy.memory_kb("VmRSS") as f64 * 1_024.0;
    let found = of_process("resident_memory_bytes");
    assert!((resident / 2.0..resident * 2.0).contains(&found), "{found}");
    assert!(of_process("virtual_memory_bytes") > found);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let age = now.unwrap().as_secs_f64() - of_process("start_time_seconds");
    assert!((0.0..120.0).contains(&age), "{age}");
}

#[test]
fn what_is_live_is_a_gauge() {
    let (backend, turnstile) = Backend::held();
    let (proxy, key) = Home::new(&backend)
        .set("MAX_CONCURRENT_REQUESTS", "1")
        .serve_alice();
    let start = Scrape::of(&proxy);
    assert_eq!(start.sum("llmproxy_backend_connections", &[]), Some(0.0));
    let request = Request::post(CHAT, ASK).key(&key);
    let mut first = proxy.start(&request);
    backend.wait_for_requests(1);
    let mut second = proxy.start(&request);
    let scrape = wait_for(&proxy, "the second waits", |scrape| {
        scrape.sum("llmproxy_waiting_requests", &[]) == Some(1.0)
    });
    assert_eq!(scrape.sum("llmproxy_in_flight_requests", &[]), Some(2.0));
    assert_eq!(scrape.sum("llmproxy_backend_connections", &[]), Some(1.0));
    turnstile.allow(2);
    assert_eq!((first.answer().status, second.answer().status), (200, 200));
    let scrape = wait_for(&proxy, "both have ended", |scrape| {
        scrape.sum("llmproxy_in_flight_requests", &[]) == Some(0.0)
    });
    assert_eq!(scrape.sum("llmproxy_waiting_requests", &[]), Some(0.0));
    let waited = scrape.sum("llmproxy_wait_seconds_sum", &[]).unwrap();
    assert!(waited > 0.0, "{waited}");
    assert!(
        scrape.sum("llmproxy_backend_connections", &[]) >= Some(1.0),
        "kept"
    );
    drop(backend);
    assert_eq!(proxy.chat(&key, ASK).status, 502);
}

#[test]
fn models_beyond_the_first_two_hundred_share_a_value() {
    let backend = Backend::chats(2, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let mut connection = proxy.open();
    for n in 0..230 {
        connection.send(&Request::post(CHAT, ask(&format!("model-{n}"))).key(&key));
        assert_eq!(connection.answer().status, 200);
    }
    let scrape = wait_for(&proxy, "all are counted", |scrape| {
        scrape.sum("llmproxy_requests_total", &[]) == Some(230.0)
    });
    for (name, share) in [
        ("llmproxy_requests_total", 1.0),
        ("llmproxy_tokens_total", 3.0),
    ] {
        assert_eq!(scrape.values(name, "model").len(), 201, "{name}");
        let others = scrape.sum(name, &[("model", "other")]);
        assert_eq!(others, Some(30.0 * share), "{name}");
        assert_eq!(scrape.sum(name, &[]), Some(230.0 * share), "{name}");
    }
}

#[test]
fn a_model_with_quotes_and_braces_is_one_label() {
    let backend = Backend::chats(2, 1);
    let (proxy, key) = Home::new(&backend).serve_alice();
    let name = "a\"b\\c} 1,x=\"é\"";
    let body = serde_json::json!({"model": name, "messages": []}).to_string();
    assert_eq!(proxy.chat(&key, &body).status, 200);
    let scrape = wait_for(&proxy, "it is counted", |scrape| {
        scrape.sum("llmproxy_requests_total", &[]) == Some(1.0)
    });
    assert_eq!(scrape.values("llmproxy_requests_total", "model"), [name]);
}

#[test]
fn users_are_named_only_if_the_operator_says_so() {
    for (setting, shows) in [("false", false), ("true", true)] {
        let backend = Backend::chats(30, 10);
        let home = Home::new(&backend).set("METRICS_USERS", setting);
        let (proxy, alice) = home.serve_alice();
        let bob = proxy.user("bob");
        let run = |arguments: &[&str]| assert_eq!(proxy.cli(arguments).code, Some(0));
        run(&["group", "add", "course"]);
        run(&["user", "set", "bob", "--group", "course"]);
        set_limits(
            &proxy,
            &["group", "set", "course", "--budget", "400tokens/month"],
        );
        let everybody = ["limits", "set", "--everybody", "--budget", "100tokens/day"];
        set_limits(&proxy, &everybody);
        let own = [
            "user",
            "set",
            "bob",
            "--budget",
            "50requests/week",
            "--budget",
            "0usd/total",
        ];
        set_limits(&proxy, &[&own[..], &["--watch"]].concat());
        for key in [&alice, &bob, &bob] {
            let body = ASK.replace("{\"model\"", "{\"max_completion_tokens\":5,\"model\"");
            assert_eq!(proxy.chat(key, &body).status, 200);
        }
        let ratio = |scrape: &Scrape, scope: &str, name: &str, window: &str| {
            let labels = [("scope", scope), ("name", name), ("window", window)];
            scrape.sum("llmproxy_budget_used_ratio", &labels)
        };
        let scrape = wait_for(&proxy, "all are counted", |scrape| {
            ratio(scrape, "group", "course", "month") == Some(0.2)
        });
        let blocking = ratio(&scrape, "user", if shows { "bob" } else { "" }, "total");
        assert_eq!(blocking, None, "a budget of nothing has no part");
        if shows {
            assert_eq!(ratio(&scrape, "everybody", "alice", "day"), Some(0.4));
            assert_eq!(ratio(&scrape, "everybody", "bob", "day"), Some(0.8));
            assert_eq!(ratio(&scrape, "user", "bob", "week"), Some(0.04));
            let of_user = |name: &str, labels: &[(&str, &str)]| {
                let labels = [&[("user", "bob")], labels].concat();
                scrape.sum(&format!("llmproxy_user_{name}_total"), &labels)
            };
            assert_eq!(of_user("requests", &[]), Some(2.0));
            assert_eq!(of_user("tokens", &[("type", "input")]), Some(60.0));
            assert_eq!(of_user("tokens", &[("type", "output")]), Some(20.0));
            assert!(of_user("cost_usd", &[]) > Some(0.0));
        } else {
            assert_eq!(
                ratio(&scrape, "everybody", "", "day"),
                Some(0.8),
                "the fullest"
            );
            assert_eq!(ratio(&scrape, "user", "", "week"), Some(0.04));
            for name in ["alice", "bob", "llmproxy_user_"] {
                assert!(!scrape.text.contains(name), "{name}: {}", scrape.text);
            }
        }
    }
}

#[test]
fn a_deleted_user_keeps_no_name() {
    let backend = Backend::chats(30, 10);
    let (proxy, key) = Home::new(&backend)
        .set("METRICS_USERS", "true")
        .serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    wait_for(&proxy, "alice is named", |scrape| {
        scrape.values("llmproxy_user_requests_total", "user") == ["alice"]
    });
    assert_eq!(
        proxy.cli(&["user", "delete", "alice", "--yes"]).code,
        Some(0)
    );
    let scrape = Scrape::of(&proxy);
    let users = scrape.values("llmproxy_user_requests_total", "user");
    assert_eq!(users, ["(deleted)"]);
}

fn from(proxy: &Proxy, source: [u8; 4], request: &Request) -> Answer {
    let mut connection = Connection::open_from(IpAddr::from(source), proxy.address());
    connection.send(request);
    connection.answer()
}

#[test]
fn metrics_are_read_by_those_who_may_call_the_admin_api() {
    let backend = Backend::chats(1, 1);
    let scrape = Request::get(METRICS);
    let elsewhere = scrape.clone().header("Host", "metrics.example");
    let proxy = Home::new(&backend).serve();
    assert_eq!(proxy.send(&scrape).status, 200);
    for request in [
        &elsewhere,
        &scrape.clone().header("X-Forwarded-For", "1.2.3.4"),
    ] {
        let refused = proxy.send(request);
        let error = assert_openai_error(&refused, 403);
        assert_eq!(error["code"], "metrics_closed");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("METRICS_ALLOW") && message.contains("ADMIN_TOKEN"));
        assert!(!refused.text().contains("llmproxy_requests"));
    }
    let proxy = Home::new(&backend)
        .set("ADMIN_TOKEN", "a-long-admin-token")
        .set("METRICS_ALLOW", "127.9.0.0/16")
        .serve();
    for request in [scrape.clone(), scrape.clone().key("wrong")] {
        let refused = proxy.send(&request);
        assert_eq!(
            assert_openai_error(&refused, 401)["code"],
            "invalid_admin_token"
        );
        assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(
        proxy.send(&scrape.clone().key("a-long-admin-token")).status,
        200
    );
    let claims = scrape.clone().header("X-Forwarded-For", "127.9.1.1");
    assert_eq!(proxy.send(&claims).status, 401, "a header names no peer");
    assert_eq!(from(&proxy, [127, 9, 1, 1], &elsewhere).status, 200);
    let admin = Request::get("/admin/list_users");
    assert_eq!(
        from(&proxy, [127, 9, 1, 1], &admin).status,
        401,
        "metrics only"
    );
}

#[test]
fn a_network_that_cannot_be_read_stops_the_start() {
    let backend = Backend::chats(1, 1);
    let ran = Home::new(&backend)
        .set("METRICS_ALLOW", "10.0.0.0/99")
        .refused();
    ran.assert_one_line_error();
    assert!(ran.stderr.contains("METRICS_ALLOW"), "{ran:?}");
}

#[test]
fn wrong_tokens_are_slowed_down() {
    let backend = Backend::chats(1, 1);
    let proxy = Home::new(&backend)
        .set("ADMIN_TOKEN", "a-long-admin-token")
        .serve();
    let (guess, right) = ("guess", "a-long-admin-token");
    let request = |token| Request::get(METRICS).key(token);
    crate::harness::assert_guesses_are_slowed_down(&proxy, &request(guess), &request(right));
}

#[test]
fn both_formats_have_the_same_figures() {
    let backend = Backend::chats(3, 2);
    let (proxy, key) = Home::new(&backend).serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    wait_for(&proxy, "it is counted", |scrape| {
        scrape.sum("llmproxy_requests_total", &[]) == Some(1.0)
    });
    let newer = proxy.send(&Request::get(METRICS));
    let older = proxy.send(&Request::get(METRICS).header("Accept", OLD_FORMAT));
    let type_of = |answer: &Answer| answer.header("content-type").unwrap().to_owned();
    assert_eq!(
        type_of(&newer),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(type_of(&older), "text/plain; version=0.0.4; charset=utf-8");
    assert!(newer.text().ends_with("\n# EOF\n"), "{newer:?}");
    let lines = |answer: &Answer| {
        let text = answer.text();
        let lines = text.lines().filter(|line| line.starts_with("llmproxy_"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&newer), lines(&older));
    assert!(newer.text().contains("# TYPE llmproxy_requests counter\n"));
    assert!(
        older
            .text()
            .contains("# TYPE llmproxy_requests_total counter\n")
    );
}

#[test]
fn metrics_are_read_with_get_and_have_an_id() {
    let backend = Backend::chats(3, 2);
    let proxy = Home::new(&backend).serve();
    let answer = proxy.send(&Request::get(METRICS));
    let id = answer.header("x-llmproxy-request-id").unwrap_or_default();
    assert_eq!(id.len(), 32, "{answer:?}");
    let posted = proxy.send(&Request::post(METRICS, "{}"));
    assert_openai_error(&posted, 405);
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
    let below = proxy.send(&Request::get("/metrics/x"));
    assert_eq!(assert_openai_error(&below, 404)["code"], "unknown_url");
}

#[test]
fn metrics_are_there_while_the_database_is_not() {
    let backend = Backend::chats(3, 2);
    let (proxy, key) = Home::new(&backend)
        .set("METRICS_USERS", "true")
        .serve_alice();
    assert_eq!(proxy.chat(&key, ASK).status, 200);
    wait_for(&proxy, "it is counted", |scrape| {
        scrape.sum("llmproxy_user_requests_total", &[("user", "alice")]) == Some(1.0)
    });
    for name in ["test.db", "test.db-wal", "test.db-shm"] {
        let _ = std::fs::rename(proxy.path(name), proxy.path(&format!("{name}.gone")));
    }
    let withheld = proxy.chat(&key, ASK);
    assert_eq!(withheld.status, 503, "{withheld:?}");
    let scrape = Scrape::of(&proxy);
    assert_eq!(scrape.sum("llmproxy_ready", &[]), Some(0.0));
    assert_eq!(scrape.sum("llmproxy_ledger_backlog_rows", &[]), Some(1.0));
    let tokens = scrape.sum("llmproxy_tokens_total", &[("type", "input")]);
    assert_eq!(tokens, Some(3.0), "what is not booked is not counted");
    proxy.get_json("/health");
}
