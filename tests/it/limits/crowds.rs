//! Limits under crowds: of clients that leave, of kills, of edits. Nothing leaks, nothing is overrun,
//! and what is used is what the ledger says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{limits_of, serve_limited, set_limits};
use crate::harness::{
    Backend, CHAT, Connection, DONE, Home, PATIENCE, Proxy, Request, Turnstile, Wire, alone,
    assert_openai_error, chat_completion, counted_stream, delta, usage_event, wait_until,
};

/// Seed of all random choices. It is in the message of what fails.
const SEED: u64 = 0x5eed_0f11_4175;

/// A generator of numbers that are the same in each run (Steele et al., *SplitMix*, OOPSLA 2014).
struct Random(u64);

impl Random {
    /// Makes the generator of one of many threads.
    fn of_thread(thread: u64) -> Self {
        Self(SEED ^ thread.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn chat(content: &str, max_tokens: u64, is_streamed: bool) -> String {
    json!({
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": content}],
        "max_completion_tokens": max_tokens,
        "stream": is_streamed,
    })
    .to_string()
}

/// Sends a stream of some events with a pause before each, so that clients can leave in between.
fn slow_stream(wire: &mut Wire, events: usize, pause: Duration, input: u64, output: u64) {
    wire.sse_head();
    for _ in 0..events {
        thread::sleep(pause);
        wire.chunk(delta("word "));
    }
    wire.chunk(usage_event(input, output));
    wire.chunk(DONE);
    wire.end();
}

/// Sends a request and reads up to `events` events of its answer, if it comes so far. Then the
/// client leaves.
fn leave_after(address: SocketAddr, request: &Request, events: u64, is_reset: bool) {
    let Ok(mut connection) = Connection::try_open(address) else {
        return;
    };
    connection.send(request);
    if connection.try_head().is_some() {
        for _ in 0..events {
            if connection.event().is_none() {
                break;
            }
        }
    }
    if is_reset {
        connection.reset();
    }
}

/// Sends a request and leaves after a pause, whatever has come by then.
fn leave_within(address: SocketAddr, bytes: &[u8], pause: Duration, is_reset: bool) {
    let Ok(mut connection) = Connection::try_open(address) else {
        return;
    };
    connection.send_bytes(bytes);
    thread::sleep(pause);
    if is_reset {
        connection.reset();
    }
}

/// Waits until nothing is in flight, and checks that nothing is reserved then.
#[track_caller]
fn assert_nothing_is_held(proxy: &Proxy, users: &[&str]) {
    let start = Instant::now();
    let nothing = json!({
        "requests": 0, "reserved_usd": "0.000000000", "reserved_tokens": 0, "reserved_requests": 0
    });
    for user in users {
        loop {
            let list = limits_of(proxy, user);
            let limits = list["limits"].as_array().unwrap();
            let is_free = limits.iter().all(|limit| {
                [json!(null), json!(0), json!("0.000000000")].contains(&limit["reserved"])
                    && (limit["kind"] != "concurrent" || limit["used"] == 0)
            });
            if list["in_flight"] == nothing && is_free {
                break;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "seed {SEED:#x}: something is held: {list}"
            );
            thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Returns the sum of all tokens in the ledger.
fn spent(home: &Home) -> i64 {
    let sql = "SELECT coalesce(sum(input_tokens + output_tokens), 0) FROM usage_logs";
    home.database()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

// === The ledger, read a second time ===

/// Adds up what a budget counts, from the rows alone and with nothing of the server's code.
fn used_by_ledger(proxy: &Proxy, limit: &Value) -> i64 {
    let since = match limit["window"].as_str().unwrap() {
        "day" => "strftime('%s', 'now', 'start of day') * 1000",
        "week" => "strftime('%s', 'now', 'start of day', '-6 days', 'weekday 1') * 1000",
        "month" => "strftime('%s', 'now', 'start of month') * 1000",
        "total" => "0",
        window => panic!("{window}"),
    };
    let figure = match limit["unit"].as_str().unwrap() {
        "usd" => {
            "coalesce(cost_nano_usd, 0) + coalesce((SELECT sum(cost_delta_nano_usd) FROM usage_adjustments AS a \
             WHERE a.usage_id = u.id), 0)"
        }
        "tokens" => "input_tokens + output_tokens",
        "requests" => "status >= 200 AND status < 300",
        unit => panic!("{unit}"),
    };
    let owner = match limit["scope"].as_str().unwrap() {
        "group" => "(SELECT id FROM groups WHERE name = ?1) = users.group_id",
        _ => "users.username = ?1",
    };
    let sql = format!(
        "SELECT coalesce(sum({figure}), 0) FROM usage_logs AS u JOIN users ON users.id = u.user_id \
         WHERE u.started_at_ms >= {since} AND {owner}"
    );
    let name = limit["name"].as_str().unwrap();
    proxy
        .database()
        .query_row(&sql, [name], |row| row.get(0))
        .unwrap()
}

/// Returns what the server says is used: dollars in nano-dollars.
fn used_by_server(limit: &Value) -> i64 {
    let used = &limit["used"];
    used.as_i64().unwrap_or_else(|| {
        let text = used.as_str().unwrap_or_else(|| panic!("{limit}"));
        let (whole, nanos) = text.split_once('.').unwrap();
        assert_eq!(nanos.len(), 9, "{limit}");
        whole.parse::<i64>().unwrap() * 1_000_000_000 + nanos.parse::<i64>().unwrap()
    })
}

/// Returns how many budgets users have, and those whose figures are not the ledger's.
fn compare_with_ledger(proxy: &Proxy, users: &[&str]) -> (usize, Vec<String>) {
    let mut compared = 0;
    let mut wrong = Vec::new();
    for user in users {
        for limit in limits_of(proxy, user)["limits"].as_array().unwrap() {
            if limit["kind"] == "budget" {
                compared += 1;
                let of_ledger = used_by_ledger(proxy, limit);
                if used_by_server(limit) != of_ledger {
                    wrong.push(format!("{user}: {of_ledger} in the ledger, {limit}"));
                }
            }
        }
    }
    (compared, wrong)
}

#[track_caller]
fn assert_budgets_are_the_ledger_s(proxy: &Proxy, users: &[&str], count: usize) {
    let (compared, wrong) = compare_with_ledger(proxy, users);
    assert!(wrong.is_empty(), "seed {SEED:#x}: {wrong:#?}");
    assert_eq!(compared, count);
    let server = format!("http://127.0.0.1:{}", proxy.port());
    let audit = proxy.cli(&["audit", "--server", &server]);
    assert_eq!(audit.code, Some(0), "{}{}", audit.stdout, audit.stderr);
}

// === Clients that leave ===

const CLIENTS: usize = 10_000;
/// Time in which clients come. A slow machine has fewer of them.
const COMING: Duration = Duration::from_secs(8);
const PERMITS: usize = 8;
const REQUESTS_A_MINUTE: f64 = 12_000.0;
const TOKENS_A_MINUTE: f64 = 240_000.0;

/// The bytes of a form with a file, as a client sends them.
fn form(host: &str, key: &str) -> Vec<u8> {
    let file = "x".repeat(3_000);
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt-4o-transcribe\r\n--b\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n{file}\r\n--b--\r\n"
    );
    Request::new("POST", "/v1/audio/transcriptions")
        .header("Content-Type", "multipart/form-data; boundary=b")
        .key(key)
        .with_body(body)
        .bytes(host)
}

/// Does what one of a crowd's clients does, and says what that was.
fn visit(address: SocketAddr, key: &str, form: &[u8], random: &mut Random) -> &'static str {
    let is_reset = random.below(2) == 0;
    let is_streamed = random.below(4) > 0;
    let request = Request::post(CHAT, chat("hi", 50, is_streamed)).key(key);
    let bytes = request.bytes("proxy");
    let pause = Duration::from_micros(random.below(40_000));
    match random.below(12) {
        0..4 => {
            // Most of these wait in line, because there are more clients than permits.
            leave_within(address, &bytes, pause / 10, is_reset);
            "before the permit"
        }
        4..6 => {
            leave_within(address, &bytes, pause, is_reset);
            "before the head"
        }
        6..8 => {
            let events = random.below(4);
            leave_after(address, &request, events, is_reset);
            "in the answer"
        }
        8..10 => {
            let sent = random.below(form.len() as u64).try_into().unwrap();
            leave_within(address, &form[..sent], pause / 10, is_reset);
            "in the upload"
        }
        10 => {
            leave_within(address, form, pause / 2, is_reset);
            "behind the upload"
        }
        _ => {
            let mut connection = Connection::open(address);
            connection.send(&request);
            let answer = connection.answer();
            assert_eq!(answer.status, 200, "seed {SEED:#x}: {answer:?}");
            "at the end"
        }
    }
}

/// Lets the crowd come. Returns how many clients left where.
fn let_come(address: SocketAddr, key: &str) -> HashMap<&'static str, usize> {
    let form = form("proxy", key);
    let start = Instant::now();
    let came = AtomicUsize::new(0);
    let mut visits: HashMap<&str, usize> = HashMap::new();
    thread::scope(|scope| {
        let crowd: Vec<_> = (0..48)
            .map(|number| {
                let (form, came) = (&form, &came);
                scope.spawn(move || {
                    let mut random = Random::of_thread(number);
                    let mut visits: HashMap<&str, usize> = HashMap::new();
                    while start.elapsed() < COMING && came.fetch_add(1, Ordering::Relaxed) < CLIENTS
                    {
                        *visits
                            .entry(visit(address, key, form, &mut random))
                            .or_default() += 1;
                    }
                    visits
                })
            })
            .collect();
        for thread in crowd {
            for (point, count) in thread.join().unwrap() {
                *visits.entry(point).or_default() += count;
            }
        }
    });
    visits
}

/// Returns what is used of a rate, between two moments.
fn used_of_rate(proxy: &Proxy, kind: &str) -> (f64, Instant, Instant) {
    let before = Instant::now();
    let list = limits_of(proxy, "alice");
    let limits = list["limits"].as_array().unwrap();
    let limit = limits.iter().find(|limit| limit["kind"] == kind).unwrap();
    (limit["used"].as_f64().unwrap(), before, Instant::now())
}

#[test]
fn nothing_leaks_from_clients_that_leave_at_any_point() {
    let _alone = alone();
    let turnstile = Arc::new(Turnstile::default());
    let backend = Backend::start({
        let turnstile = turnstile.clone();
        move |seen, wire| {
            if seen.text().contains("wait for the turnstile") {
                wire.sse_head();
                turnstile.pass();
                wire.chunks(counted_stream(10, 20));
                wire.end();
            } else if seen.asks_to_stream() {
                slow_stream(wire, 3, Duration::from_millis(2), 10, 20);
            } else {
                thread::sleep(Duration::from_millis(4));
                wire.json(&chat_completion(10, 20));
            }
        }
    });
    let home = Home::new(&backend).set("MAX_CONCURRENT_REQUESTS", &PERMITS.to_string());
    let (requests, tokens) = (REQUESTS_A_MINUTE.to_string(), TOKENS_A_MINUTE.to_string());
    let flags = [
        &["--budget", "9Gtokens/day", "--budget", "9000usd/month"][..],
        &["--budget", "1Mrequests/total", "--concurrent", "1000"],
        &["--requests-per-minute", &requests],
        &["--tokens-per-minute", &tokens, "--unpriced", "allow"],
    ]
    .concat();
    let (proxy, key) = serve_limited(home, &flags);
    let start = Instant::now();
    let visits = let_come(proxy.address(), &key);
    let sum: usize = visits.values().sum();
    eprintln!("{sum} clients in {:?}: {visits:?}", start.elapsed());
    assert_nothing_is_held(&proxy, &["alice"]);

    // What is taken from the rates is what the ledger has, less what flowed in.
    let (used_requests, ..) = used_of_rate(&proxy, "requests_per_minute");
    let (used_tokens, ..) = used_of_rate(&proxy, "tokens_per_minute");
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    let rows = proxy.rows();
    let served = rows.iter().filter(|row| (200..300).contains(&row.status));
    #[expect(clippy::cast_precision_loss)]
    let (served, row_count) = (served.count() as f64, rows.len() as f64);
    #[expect(clippy::cast_precision_loss)]
    let spent = spent(&proxy) as f64;
    eprintln!(
        "{row_count} rows, {served} served; {used_requests} requests and {used_tokens} of {spent} tokens are taken"
    );
    assert!(
        (served - REQUESTS_A_MINUTE * minutes - 1.0..=row_count).contains(&used_requests),
        "seed {SEED:#x}: {used_requests} requests are taken after {row_count} rows, {served} of which were served"
    );
    assert!(
        (spent - TOKENS_A_MINUTE * minutes - 1.0..=spent).contains(&used_tokens),
        "seed {SEED:#x}: {used_tokens} tokens are taken after {spent}"
    );
    assert_budgets_are_the_ledger_s(&proxy, &["alice"], 3);

    // All permits are free: as many requests as there are permits get their heads.
    let body = chat("wait for the turnstile", 50, true);
    let mut held: Vec<_> = (0..PERMITS)
        .map(|_| proxy.start(&Request::post(CHAT, &*body).key(&key)))
        .collect();
    for connection in &mut held {
        assert_eq!(connection.head().status, 200);
    }
    // A rate refills as it should, now that only these take from it.
    let (before, not_before, not_after) = used_of_rate(&proxy, "requests_per_minute");
    wait_until("the bucket refills", PATIENCE, || {
        not_after.elapsed() > Duration::from_millis(300)
    });
    let (after, earliest, latest) = used_of_rate(&proxy, "requests_per_minute");
    if after > 0.0 {
        let a_second = REQUESTS_A_MINUTE / 60.0;
        let least = (earliest - not_after).as_secs_f64() * a_second - 1.0;
        let most = (latest - not_before).as_secs_f64() * a_second + 1.0;
        let flowed = before - after;
        assert!(
            (least..=most).contains(&flowed),
            "{flowed} came back, not {least} to {most}"
        );
    }
    turnstile.allow(PERMITS);
    for mut connection in held {
        assert!(connection.rest().1, "the stream ends as it should");
    }
    assert_nothing_is_held(&proxy, &["alice"]);
}

// === Kills ===

/// Sends so many requests at the same time, and returns the statuses of those that were answered.
fn crowd(address: SocketAddr, key: &str, body: &str, count: usize) -> Crowd {
    let request = Request::post(CHAT, body).key(key);
    let clients = (0..count).map(|_| {
        let request = request.clone();
        thread::spawn(move || {
            let mut connection = Connection::try_open(address).ok()?;
            connection.send(&request);
            Some(connection.try_answer()?.status)
        })
    });
    Crowd(clients.collect())
}

struct Crowd(Vec<thread::JoinHandle<Option<u16>>>);

impl Crowd {
    /// Waits for all, and returns how many were served. The others were refused or cut off.
    #[track_caller]
    fn served(self) -> usize {
        let ended = self.0.into_iter().map(|client| client.join().unwrap());
        let statuses: Vec<u16> = ended.flatten().collect();
        assert!(
            statuses.iter().all(|status| [200, 429].contains(status)),
            "{statuses:?}"
        );
        statuses.iter().filter(|status| **status == 200).count()
    }
}

/// Answers the first requests at once, and the others when the turnstile lets them pass.
fn backend_that_holds(turnstile: Arc<Turnstile>, answered: usize, output: u64) -> Backend {
    let came = AtomicUsize::new(0);
    Backend::start(move |_, wire| {
        if came.fetch_add(1, Ordering::Relaxed) >= answered {
            turnstile.pass();
        }
        wire.json(&chat_completion(10, output));
    })
}

/// Returns how many requests are noted in the database, so that they are booked after a kill.
fn noted(proxy: &Proxy) -> i64 {
    let sql = "SELECT count(*) FROM running_requests";
    proxy
        .database()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_kill_in_the_middle_of_a_crowd_overruns_no_budget() {
    for runs_long in [false, true] {
        let turnstile = Arc::new(Turnstile::default());
        let backend = backend_that_holds(turnstile.clone(), 4, 100);
        // A request reserves its 100 tokens and an estimate of its input, which is some 40.
        let budget: i64 = 1_400;
        let flags = ["--budget", "1400tokens/total"];
        let (mut proxy, key) = serve_limited(Home::new(&backend), &flags);
        let body = chat("hi", 100, false);
        let first = crowd(proxy.address(), &key, &body, 200);
        backend.wait_for_requests(8);
        wait_until("four are booked", PATIENCE, || proxy.rows().len() == 4);
        if runs_long {
            wait_until("others are noted", PATIENCE, || noted(&proxy) >= 4);
        }
        proxy.kill9();
        // A row is written before its answer ends, so that the kill may cut off a booked one.
        assert!(first.served() <= 4);
        assert_eq!(spent(&proxy), 4 * 110);
        proxy.restart();
        let crashed = proxy.rows().len() - 4;
        assert_eq!(crashed >= 4, runs_long, "{crashed} are booked by estimate");
        turnstile.allow(1_000);
        let second = crowd(proxy.address(), &key, &body, 200).served();
        assert_nothing_is_held(&proxy, &["alice"]);
        let tokens = spent(&proxy);
        eprintln!(
            "{tokens} tokens of {budget}: 4 requests before the kill, {crashed} cut off, {second} after it"
        );
        assert!((1_000..=budget).contains(&tokens), "{tokens} tokens");
        assert_budgets_are_the_ledger_s(&proxy, &["alice"], 1);
        // And once more, with nobody held.
        proxy.restart();
        crowd(proxy.address(), &key, &body, 50).served();
        assert_nothing_is_held(&proxy, &["alice"]);
        assert!(spent(&proxy) <= budget, "{} tokens", spent(&proxy));
    }
}

#[test]
fn what_a_kill_cut_off_counts_in_budgets() {
    let backend =
        Backend::start(|_, wire| slow_stream(wire, 400, Duration::from_millis(10), 9, 400));
    let flags = ["--budget", "600tokens/day", "--budget", "9usd/month"];
    let (mut proxy, key) = serve_limited(Home::new(&backend), &flags);
    let body = chat("hi", 500, true);
    let mut stream = proxy.start(&Request::post(CHAT, &*body).key(&key));
    assert_eq!(stream.head().status, 200);
    wait_until("it is noted", PATIENCE, || noted(&proxy) == 1);
    for _ in 0..20 {
        assert!(stream.event().is_some(), "the stream goes on");
        let empty =
            "SELECT count(*) FROM running_requests WHERE input_tokens = 0 OR output_tokens = 0";
        let count = proxy.database().query_row(empty, [], |row| row.get(0));
        assert_eq!(count, Ok(0_i64), "notes without tokens");
    }
    proxy.kill9();
    proxy.restart();
    let row = proxy.only_row();
    assert_eq!(row.outcome, "crashed");
    let used = row.input + row.output;
    assert!((50..536).contains(&used), "{row:?}");
    assert_budgets_are_the_ledger_s(&proxy, &["alice"], 2);
    // 40 tokens are more than the estimate of the input.
    let more = u64::try_from(600 - used).unwrap();
    let refused = proxy.chat(&key, &chat("hi", more, true));
    let error = assert_openai_error(&refused, 429);
    assert_eq!(error["llmproxy"]["used"], used);
    let fits = proxy.start(&Request::post(CHAT, chat("hi", more - 40, true)).key(&key));
    assert_eq!({ fits }.head().status, 200);
}

#[test]
fn without_a_limit_of_output_a_budget_is_overrun_by_no_more_than_what_was_in_flight() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = backend_that_holds(turnstile.clone(), 2, 10_000);
    // A request reserves 4,096 tokens of output, because it names no limit, and uses 10,010.
    let (budget, actual): (i64, i64) = (45_000, 10_010);
    let flags = ["--budget", "45ktokens/total"];
    let (mut proxy, key) = serve_limited(Home::new(&backend), &flags);
    let body = r#"{"model":"nobody-knows","messages":[{"role":"user","content":"hi"}]}"#;
    let first = crowd(proxy.address(), &key, body, 200);
    wait_until("two are booked, others are in flight", PATIENCE, || {
        proxy.rows().len() == 2 && backend.requests().len() >= 6
    });
    let in_flight = limits_of(&proxy, "alice")["in_flight"].clone();
    proxy.kill9();
    assert!(first.served() <= 2, "the others are held");
    let reserved = in_flight["reserved_tokens"].as_i64().unwrap();
    let each = reserved / in_flight["reserved_requests"].as_i64().unwrap();
    assert!((4_096..4_200).contains(&each), "{in_flight}");
    let most = budget + budget / each * (actual - each);
    proxy.restart();
    turnstile.allow(1_000);
    let second = crowd(proxy.address(), &key, body, 200).served();
    assert_nothing_is_held(&proxy, &["alice"]);
    let spent = spent(&proxy);
    eprintln!("{spent} tokens of {budget}, at most {most}; {second} were served after the kill");
    assert!(spent <= most, "{spent} tokens, at most {most}");
    assert!(second >= 1);
    assert_budgets_are_the_ledger_s(&proxy, &["alice"], 1);
}

// === A mixed load ===

/// A backend that answers as the question says, with other numbers of tokens each time.
fn mixed_backend(events: usize, pause: Duration) -> Backend {
    let came = AtomicU64::new(0);
    Backend::start(move |seen, wire| {
        let number = came.fetch_add(1, Ordering::Relaxed);
        let (input, output) = (number % 37 + 3, number % 11);
        let text = seen.text();
        if text.contains("fail") {
            wire.answer("500 Internal Server Error", &[], r#"{"error":{}}"#);
        } else if text.contains("reject") {
            wire.answer("400 Bad Request", &[], r#"{"error":{}}"#);
        } else if text.contains("break") {
            wire.sse_head();
            wire.chunk(delta("word "));
            wire.reset();
        } else if seen.asks_to_stream() {
            slow_stream(wire, events, pause, input, output);
        } else {
            wire.json(&chat_completion(input, output));
        }
    })
}

/// Sends one request of a mixed load.
fn mix(address: SocketAddr, key: &str, random: &mut Random) {
    let max_tokens = 20 + random.below(50);
    let is_reset = random.below(2) == 0;
    let content = ["hi", "fail", "reject", "break", "hello", "good day"];
    let content = content[usize::try_from(random.below(6)).unwrap()];
    let is_streamed = random.below(2) == 0 || content == "break";
    let request = Request::post(CHAT, chat(content, max_tokens, is_streamed)).key(key);
    match random.below(5) {
        0 => {
            let pause = Duration::from_micros(random.below(10_000));
            leave_within(address, &request.bytes("proxy"), pause, is_reset);
        }
        1 => leave_after(address, &request, random.below(3), is_reset),
        _ => {
            let mut connection = Connection::open(address);
            connection.send(&request);
            connection.try_answer();
        }
    }
}

#[track_caller]
fn run(home: &Home, arguments: &[&str]) {
    let ran = home.cli(arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.stderr);
}

/// Adds a row of so many days ago, before the server starts.
fn add_row(home: &Home, user_id: i64, days: i64, status: i64, tokens: i64, cost: Option<i64>) {
    let sql = "INSERT INTO usage_logs (started_at_ms, user_id, key_id, endpoint, model, input_tokens, output_tokens, \
               cached_tokens, reasoning_tokens, status, outcome, usage_source, duration_ms, cost_nano_usd) \
               VALUES ((strftime('%s', 'now') - ?1 * 86400) * 1000, ?2, ?2, '/v1/chat/completions', 'gpt-4o', ?3, 7, 0, 0, \
               ?4, 'completed', 'backend', 5, ?5)";
    home.writable_database()
        .execute(
            sql,
            rusqlite::params![days, user_id, tokens - 7, status, cost],
        )
        .unwrap();
}

#[test]
fn budgets_agree_with_the_ledger_s_own_sum_to_the_token_and_the_nano_dollar() {
    let _alone = alone();
    let backend = mixed_backend(3, Duration::from_millis(3));
    let home = Home::new(&backend)
        .set("TIME_ZONE", "UTC")
        .set("MAX_CONCURRENT_REQUESTS", "8");
    let keys = [home.user("alice"), home.user("bob")];
    run(&home, &["group", "add", "course"]);
    run(
        &home,
        &[
            "group",
            "set",
            "course",
            "--add",
            "alice",
            "--add",
            "bob",
            "--budget",
            "99usd/month",
            "--budget",
            "9Mtokens/total",
            "--budget",
            "1Mrequests/day",
        ],
    );
    let budgets = [
        ["99usd/day", "9Mtokens/month", "1Mrequests/total"],
        ["99usd/total", "9Mtokens/day", "1Mrequests/week"],
    ];
    for (user, [first, second, third]) in ["alice", "bob"].into_iter().zip(budgets) {
        run(
            &home,
            &[
                "user", "set", user, "--budget", first, "--budget", second, "--budget", third,
            ],
        );
    }
    // Rows of the past, in each window or none: one failed, one without a price.
    for (days, status, cost) in [
        (0, 200, Some(1)),
        (1, 200, Some(12_345_678_901)),
        (6, 500, None),
    ] {
        add_row(&home, 1, days, status, 1_000, cost);
        add_row(&home, 2, days + 20, status, 2_000, cost);
        add_row(&home, 2, days + 400, status, 3_000, cost);
    }
    let proxy = home.serve();
    let address = proxy.address();
    let users = ["alice", "bob"];
    thread::scope(|scope| {
        for thread in 0..8 {
            let key = &keys[thread % 2];
            scope.spawn(move || {
                let mut random = Random::of_thread(thread as u64);
                for _ in 0..60 {
                    mix(address, key, &mut random);
                }
            });
        }
    });
    assert_nothing_is_held(&proxy, &users);
    let rows = proxy.rows();
    let mut outcomes: HashMap<String, usize> = HashMap::new();
    for row in &rows {
        *outcomes
            .entry(format!("{} {}", row.status, row.outcome))
            .or_default() += 1;
    }
    eprintln!("{} rows: {outcomes:?}", rows.len());
    assert!(outcomes.len() >= 4, "the load is mixed: {outcomes:?}");
    assert_budgets_are_the_ledger_s(&proxy, &users, 12);
    // What adjustments add counts, too.
    let price = [
        "--input",
        "3.33",
        "--output",
        "12.34",
        "--from",
        "2020-01-01",
    ];
    run(&proxy, &[&["price", "set", "gpt-4o"][..], &price].concat());
    run(&proxy, &["costs", "reprice", "--start-time", "2020-01-01"]);
    wait_until("the adjustments count", PATIENCE, || {
        compare_with_ledger(&proxy, &users).1.is_empty()
    });
    assert_budgets_are_the_ledger_s(&proxy, &users, 12);
    let sql = "SELECT count(*) FROM usage_adjustments";
    let adjustments: i64 = proxy
        .database()
        .query_row(sql, [], |row| row.get(0))
        .unwrap();
    assert!(adjustments > 50, "{adjustments} adjustments");
}

// === Edits ===

/// Makes one change of limits or of a group, as an operator does.
fn edit(proxy: &Proxy, random: &mut Random) {
    let limits = [
        json!({"username": "alice", "budget": ["none"]}),
        json!({"username": "alice", "budget": ["none", "9Mtokens/day"]}),
        json!({"username": "alice", "budget": ["none", "99usd/month", "1Mrequests/day"]}),
        json!({"username": "alice", "requests_per_minute": "9000", "concurrent": "none"}),
        json!({"username": "alice", "tokens_per_minute": "900000", "concurrent": "90"}),
        json!({"username": "alice", "tokens_per_minute": "none", "requests_per_minute": "none"}),
        json!({"everybody": true, "budget": ["none", "9Mtokens/day"], "concurrent": "80"}),
        json!({"everybody": true, "budget": ["none"], "requests_per_minute": "8000"}),
        json!({"everybody": true, "concurrent": "none", "requests_per_minute": "none"}),
        json!({"group": "course", "budget": ["none", "9Mtokens/day", "99usd/total"]}),
        json!({"group": "course", "budget": ["none"], "concurrent": "70"}),
    ];
    let choice = usize::try_from(random.below(limits.len() as u64 + 4)).unwrap();
    let Some(limit) = limits.get(choice) else {
        let user = ["alice", "bob"][choice % 2];
        let flag = ["--add", "--remove"][usize::try_from(random.below(2)).unwrap()];
        // Who is already in the group, or not in it, is refused.
        proxy.cli(&["group", "set", "course", flag, user]);
        return;
    };
    let request = Request::post("/admin/set_limits", limit.to_string());
    let answer = proxy.send(&request);
    assert_eq!(answer.status, 200, "{limit}: {answer:?}");
}

#[test]
fn edits_of_limits_and_groups_under_load_lose_nothing() {
    let _alone = alone();
    // A stream takes longer than the server takes to follow an edit.
    let backend = mixed_backend(10, Duration::from_millis(40));
    let home = Home::new(&backend).set("TIME_ZONE", "UTC");
    let keys = [home.user("alice"), home.user("bob")];
    run(&home, &["group", "add", "course"]);
    let proxy = home.serve();
    let address = proxy.address();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for thread in 0..12 {
            let (key, is_over) = (&keys[thread % 2], &is_over);
            scope.spawn(move || {
                let mut random = Random::of_thread(thread as u64);
                while !is_over.load(Ordering::Relaxed) {
                    mix(address, key, &mut random);
                }
            });
        }
        let mut random = Random::of_thread(99);
        for _ in 0..50 {
            edit(&proxy, &mut random);
            // Edits come at any time, so that the server sees most of them alone.
            thread::sleep(Duration::from_millis(20 + random.below(120)));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let budgets = ["99usd/month", "9Mtokens/day", "1Mrequests/total"];
    for user in ["alice", "bob"] {
        let flags = budgets.map(|budget| ["--budget", budget]).concat();
        run(
            &proxy,
            &[&["user", "set", user, "--budget", "none"][..], &flags].concat(),
        );
        proxy.cli(&["group", "set", "course", "--remove", user]);
    }
    let flags = budgets.map(|budget| ["--budget", budget]).concat();
    let arguments = ["group", "set", "course", "--add", "alice", "--add", "bob"];
    let arguments = [&arguments[..], &["--budget", "none"], &flags].concat();
    run(&proxy, &arguments);
    wait_until("the server has all limits", PATIENCE, || {
        let count = |user| {
            let list = limits_of(&proxy, user);
            let limits = list["limits"].as_array().unwrap().iter();
            limits.filter(|limit| limit["kind"] == "budget").count()
        };
        count("alice") == 6 && count("bob") == 6
    });
    assert_nothing_is_held(&proxy, &["alice", "bob"]);
    wait_until("the ledger's sums are read", PATIENCE, || {
        compare_with_ledger(&proxy, &["alice", "bob"]).1.is_empty()
    });
    eprintln!("{} rows", proxy.rows().len());
    assert_budgets_are_the_ledger_s(&proxy, &["alice", "bob"], 12);
}

#[test]
fn a_window_that_no_budget_has_for_a_while_keeps_what_is_reserved() {
    let turnstile = Arc::new(Turnstile::default());
    let backend = backend_that_holds(turnstile.clone(), 0, 100);
    let (proxy, key) = serve_limited(Home::new(&backend), &["--budget", "1000tokens/day"]);
    let held = crowd(proxy.address(), &key, &chat("hi", 500, false), 1);
    let reserved = || limits_of(&proxy, "alice")["limits"][0]["reserved"].as_i64();
    wait_until("it is reserved", PATIENCE, || reserved() > Some(500));
    let before = reserved();
    backend.wait_for_requests(1);
    for budget in ["9Mtokens/month", "1000tokens/day"] {
        let flags = [
            "user", "set", "alice", "--budget", "none", "--budget", budget,
        ];
        set_limits(&proxy, &flags);
    }
    assert_eq!(
        reserved(),
        before,
        "what is in flight is reserved as before"
    );
    turnstile.allow(1);
    assert_eq!(held.served(), 1);
    assert_nothing_is_held(&proxy, &["alice"]);
    assert_budgets_are_the_ledger_s(&proxy, &["alice"], 1);
}
