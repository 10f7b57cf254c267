//! One source of figures: after a thousand mixed requests the table, CSV, JSON, the HTTP API, `top`,
//! the page, the metrics and the rows of the ledger say the same, to the token and the nano-dollar.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use super::scrape::Scrape;
use crate::harness::{Backend, CHAT, Home, PATIENCE, Proxy, Request, Terminal, alone, wait_until};
use crate::page::Visitor;

const REQUESTS: u64 = 1_000;
const CLIENTS: usize = 4;
const TOKEN: &str = "a-long-admin-token";
const USERS: [&str; 3] = ["alice", "bob", "carol"];
/// Nano-dollars of an input and an output token, where a cached one costs half; the last model has
/// no price.
const MODELS: [(&str, Option<[u64; 2]>); 3] = [
    ("fig-small", Some([138, 411])),
    ("fig-large", Some([2_004, 8_009])),
    ("fig-free", None),
];

/// What is to be booked of a user and a model.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    requests: u64,
    input: u64,
    cached: u64,
    output: u64,
    nanos: u64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.input += other.input;
        self.cached += other.cached;
        self.output += other.output;
        self.nanos += other.nanos;
    }

    /// Reads a line of a report.
    fn of(line: &Value) -> Self {
        let number = |name: &str| {
            line[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {line}"))
        };
        Self {
            requests: number("total_requests"),
            input: number("total_input_tokens"),
            cached: number("total_cached_tokens"),
            output: number("total_output_tokens"),
            nanos: nanos(line["cost_usd"].as_str().unwrap()),
        }
    }
}

/// What is to be booked, by user and model.
type Split = BTreeMap<(String, String), Sums>;

/// Reads dollars with nine decimals.
fn nanos(usd: &str) -> u64 {
    let (whole, fraction) = usd.split_once('.').unwrap();
    assert_eq!(fraction.len(), 9, "{usd}");
    whole.parse::<u64>().unwrap() * 1_000_000_000 + fraction.parse::<u64>().unwrap()
}

/// Tokens that the answer to a request has: input, cached, output.
fn usage(number: u64) -> [u64; 3] {
    [11 + number * 7 % 1_009, number % 11, 1 + number * 13 % 401]
}

/// A way to ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Chat,
    Stream,
    Responses,
    Messages,
    Embeddings,
}

const WAYS: [Way; 5] = [
    Way::Chat,
    Way::Stream,
    Way::Responses,
    Way::Messages,
    Way::Embeddings,
];

fn way(number: u64) -> Way {
    WAYS[usize::try_from(number % 5).unwrap()]
}

fn model(number: u64) -> (&'static str, Option<[u64; 2]>) {
    MODELS[usize::try_from(number / 5 % 3).unwrap()]
}

fn user(number: u64) -> &'static str {
    USERS[usize::try_from(number / 15 % 3).unwrap()]
}

/// Returns what is to be booked of a request.
fn expected(number: u64) -> Sums {
    let [input, cached, output] = usage(number);
    let (cached, output) = match way(number) {
        Way::Embeddings => (0, 0),
        Way::Messages => (0, output),
        _ => (cached, output),
    };
    let price = model(number).1.unwrap_or_default();
    Sums {
        requests: 1,
        input,
        cached,
        output,
        nanos: (input - cached) * price[0] + cached * price[0] / 2 + output * price[1],
    }
}

fn request(number: u64, key: &str) -> Request {
    let (path, body) = match way(number) {
        Way::Chat => (CHAT, json!({"messages": []})),
        Way::Stream => (CHAT, json!({"messages": [], "stream": true})),
        Way::Responses => ("/v1/responses", json!({"input": "hi", "store": false})),
        Way::Messages => ("/v1/messages", json!({"max_tokens": 900, "messages": []})),
        Way::Embeddings => ("/v1/embeddings", json!({"input": "hi"})),
    };
    let mut body = body;
    body["model"] = model(number).0.into();
    body["user"] = number.to_string().into();
    Request::post(path, body.to_string()).key(key)
}

/// Answers each request with the usage of its number.
fn answering() -> Backend {
    Backend::start(|seen, wire| {
        let body = seen.json();
        let number: u64 = body["user"].as_str().unwrap().parse().unwrap();
        let [input, cached, output] = usage(number);
        let chat_usage = json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": cached},
        });
        let model = &body["model"];
        match way(number) {
            Way::Chat => wire.json(
                &json!({"id": "c", "object": "chat.completion", "model": model, "choices": [], "usage": chat_usage})
                    .to_string(),
            ),
            Way::Stream => {
                let event = json!({"id": "c", "object": "chat.completion.chunk", "model": model, "choices": [], "usage": chat_usage});
                wire.sse(&[format!("data: {event}\n\n"), "data: [DONE]\n\n".to_owned()]);
            }
            Way::Responses => wire.json(
                &json!({"id": format!("resp_{number}"), "object": "response", "status": "completed", "model": model, "output": [],
                    "usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": cached},
                        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output}})
                .to_string(),
            ),
            Way::Messages => wire.json(
                &json!({"id": "m", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": "end_turn",
                    "usage": {"input_tokens": input, "output_tokens": output}})
                .to_string(),
            ),
            Way::Embeddings => wire.json(
                &json!({"object": "list", "data": [], "model": model, "usage": {"prompt_tokens": input, "total_tokens": input}})
                    .to_string(),
            ),
        }
    })
}

/// Sends all requests, and some that are refused in between.
fn send_all(proxy: &Proxy, keys: &BTreeMap<&str, String>) {
    thread::scope(|scope| {
        for client in 0..CLIENTS as u64 {
            scope.spawn(move || {
                let mut connection = proxy.open();
                for number in (client..REQUESTS).step_by(CLIENTS) {
                    connection.send(&request(number, &keys[user(number)]));
                    assert_eq!(connection.answer().status, 200, "{number}");
                    if number % 50 == 0 {
                        assert_eq!(proxy.chat(&keys[user(number)], "{").status, 400);
                    }
                }
            });
        }
    });
}

#[test]
fn every_view_has_the_same_figures_after_a_thousand_mixed_requests() {
    let _alone = alone();
    let backend = answering();
    let home = Home::new(&backend)
        .set("ADMIN_TOKEN", TOKEN)
        .set("TIME_ZONE", "UTC");
    for (model, price) in MODELS {
        let Some([input, output]) = price else {
            continue;
        };
        // Dollars a million tokens: a nano-dollar a token is a thousandth.
        let usd = |nanos: u64| format!("{}.{:03}", nanos / 1_000, nanos % 1_000);
        let (input, output) = (usd(input), usd(output));
        let words = [
            "price", "set", model, "--input", &input, "--output", &output,
        ];
        let ran = home.cli(&words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let keys: BTreeMap<&str, String> = USERS.map(|name| (name, home.user(name))).into();
    let proxy = home.serve();
    let mut split: Split = BTreeMap::new();
    let mut total = Sums::default();
    for number in 0..REQUESTS {
        let booked = expected(number);
        let key = (user(number).to_owned(), model(number).0.to_owned());
        split.entry(key).or_default().add(booked);
        total.add(booked);
    }
    send_all(&proxy, &keys);

    // JSON of the command line, and the HTTP API.
    let ran = proxy.cli(&["costs", "--by", "user,model", "--json"]);
    let over_http = proxy.send(&Request::get("/admin/list_costs?by=user,model").key(TOKEN));
    assert_eq!(ran.stdout.trim(), over_http.text().trim());
    let report = ran.json();
    assert_eq!(Sums::of(&report["total"]), total);
    let lines = report["costs"].as_array().unwrap();
    let reported: Split = lines
        .iter()
        .filter(|line| line["total_requests"] != 0)
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            ((text("username"), text("model")), Sums::of(line))
        })
        .collect();
    assert_eq!(reported, split);

    assert_eq!(of_csv(&proxy), split);
    assert_models(&proxy, &split);
    assert_totals(&proxy, total);
    let usd = report["total"]["cost_usd"].as_str().unwrap();
    assert_live_views(&proxy, usd);
    for (name, key) in &keys {
        let own = proxy
            .send(&Request::get("/v1/usage?by=model").key(key))
            .json();
        let mut sums = Sums::default();
        let of_user = split.iter().filter(|((user, _), _)| user == name);
        of_user.for_each(|(_, one)| sums.add(*one));
        assert_eq!(Sums::of(&own["total"]), sums, "{name}");
    }
    // What all of them are made of.
    let sum = "SELECT count(*), sum(input_tokens), sum(cached_tokens), sum(output_tokens), sum(cost_nano_usd) FROM usage_logs";
    let rows = proxy.database().query_row(sum, [], |row| {
        let number = |column: usize| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Sums {
            requests: number(0)?,
            input: number(1)?,
            cached: number(2)?,
            output: number(3)?,
            nanos: number(4)?,
        })
    });
    assert_eq!(rows.unwrap(), total);
    assert_eq!(proxy.cli(&["audit"]).code, Some(0));
}

/// Reads the report as CSV.
fn of_csv(proxy: &Proxy) -> Split {
    let csv = proxy.cli(&["costs", "--by", "user,model", "--csv"]).stdout;
    let mut csv = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let names = csv.next().unwrap();
    let of_csv: Vec<Value> = csv
        .map(|cells| {
            let members = names.iter().zip(cells).map(|(name, cell)| {
                let number = cell.parse::<u64>().ok().map(Value::from);
                ((*name).to_owned(), number.unwrap_or_else(|| cell.into()))
            });
            Value::Object(members.collect())
        })
        .collect();
    of_csv
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap().to_owned();
            ((text("username"), text("model")), Sums::of(line))
        })
        .collect()
}

/// Checks the aligned text of a pipe, and the metrics, model by model.
#[track_caller]
fn assert_models(proxy: &Proxy, split: &Split) {
    let scrape = metrics(proxy);
    let piped = proxy.cli(&["costs", "--by", "model"]).stdout;
    for (model, _) in MODELS {
        let mut sums = Sums::default();
        for ((_, of), one) in split {
            if of == model {
                sums.add(*one);
            }
        }
        let line = piped.lines().find(|line| line.starts_with(model)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        for number in [sums.requests, sums.input, sums.output] {
            assert!(
                words.contains(&number.to_string().as_str()),
                "{number}: {line}"
            );
        }
        let usd = format!(
            "{}.{:09}",
            sums.nanos / 1_000_000_000,
            sums.nanos % 1_000_000_000
        );
        assert!(
            sums.nanos == 0 || words.contains(&usd.as_str()),
            "{usd}: {line}"
        );
        let tokens = |kind: &str| {
            let labels = [("model", model), ("type", kind)];
            scrape.sum("llmproxy_tokens_total", &labels)
        };
        assert_eq!(tokens("input"), Some(float(sums.input)));
        assert_eq!(tokens("output"), Some(float(sums.output)));
        assert_eq!(tokens("cached"), Some(float(sums.cached)));
        let cost = scrape.sum("llmproxy_cost_usd_total", &[("model", model)]);
        assert_eq!(in_nanos(cost), sums.nanos, "{cost:?}");
    }
}

/// Checks the metrics, and the table on a terminal: grouped numbers, and cents.
#[track_caller]
fn assert_totals(proxy: &Proxy, total: Sums) {
    let scrape = metrics(proxy);
    assert_eq!(
        in_nanos(scrape.sum("llmproxy_cost_usd_total", &[])),
        total.nanos
    );
    let answered = [("status", "200")];
    assert_eq!(
        scrape.sum("llmproxy_requests_total", &answered),
        Some(float(REQUESTS))
    );

    let shown = cents(total.nanos);
    let table = Terminal::of_columns(160)
        .run(&mut proxy.command(&["costs"]))
        .stdout;
    let last = table.lines().rfind(|line| line.contains(&shown));
    let last = last.unwrap_or_else(|| panic!("{shown}:\n{table}"));
    for number in [total.requests, total.input, total.output] {
        assert!(
            last.replace(',', "").contains(&number.to_string()),
            "{number}: {table}"
        );
    }
}

/// Checks `top` and the page.
#[track_caller]
fn assert_live_views(proxy: &Proxy, usd: &str) {
    let shown = cents(nanos(usd));
    wait_until("the sums of today are read again", PATIENCE, || {
        let live = proxy.send(&Request::get("/admin/live").key(TOKEN)).json();
        live["cost_today"] == usd
    });
    assert_eq!(proxy.cli(&["top", "--json"]).json()["cost_today"], usd);
    let page = Visitor::signed_in(proxy, TOKEN).page("/");
    assert!(page.contains(&shown), "{shown}:\n{page}");
}

/// Writes nano-dollars as dollars with two decimals.
fn cents(nanos: u64) -> String {
    let cents = (nanos + 5_000_000) / 10_000_000;
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[track_caller]
fn metrics(proxy: &Proxy) -> Scrape {
    let answer = proxy.send(&Request::get(super::scrape::METRICS).key(TOKEN));
    assert_eq!(answer.status, 200, "{answer:?}");
    Scrape::parse(answer.text())
}

#[allow(clippy::cast_precision_loss)] // the sums of this test are small
fn float(number: u64) -> f64 {
    number as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn in_nanos(usd: Option<f64>) -> u64 {
    (usd.unwrap_or_default() * 1e9).round() as u64
}
