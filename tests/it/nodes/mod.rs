//! Several nodes on one PostgreSQL database, and what happens when they, the database or the way between
//! them fail. The tests make a private server of the programs on the machine.

mod faults;
mod silence;
mod ways;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{
    Backend, CHAT, Connection, Home, PATIENCE, PostgresDatabase, Proxy, Request, Turnstile, alone,
    chat_completion, has_postgres, wait_until,
};
use crate::limits::later::{DONE, SWITCH, frame, signals, upgrade};

/// Nodes that share a database.
struct Nodes {
    database: PostgresDatabase,
    /// Commands run here.
    desk: Home,
    proxies: Vec<Proxy>,
}

impl Nodes {
    fn start(backend: &Backend, count: usize) -> Self {
        let database = PostgresDatabase::new();
        let url = database.url();
        Self::start_on(backend, count, database, &[("DATABASE_URL", &url)])
    }

    fn start_on(
        backend: &Backend,
        count: usize,
        database: PostgresDatabase,
        settings: &[(&str, &str)],
    ) -> Self {
        let home = || {
            let settings = settings.iter();
            settings.fold(Home::new(backend), |home, (name, value)| {
                home.set(name, value)
            })
        };
        let desk = home();
        // The first node makes the tables.
        let proxies = (0..count).map(|_| home().serve()).collect();
        Self {
            database,
            desk,
            proxies,
        }
    }

    /// Adds a user and waits until all nodes know the key.
    fn user(&self, name: &str, limits: &[&str]) -> String {
        let ran = self.desk.cli(&[&["user", "add", name], limits].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let key = ran.stdout.trim_end().to_owned();
        for node in &self.proxies {
            wait_until("each node knows the key", PATIENCE, || {
                node.send(&Request::get("/v1/models").key(&key)).status != 401
            });
        }
        key
    }

    /// Returns the number of rows, the sum of their tokens, and the number of rows that stand for
    /// something that is booked already.
    fn booked(&self) -> (i64, i64, i64) {
        booked(&mut self.database.connect())
    }

    /// Checks the sums of the ledger against its rows.
    #[track_caller]
    fn assert_consistent(&self) {
        assert_consistent(&self.desk);
    }
}

/// Returns the number of rows of chats, the sum of their tokens, and the number of rows that stand for
/// something that is booked already.
fn booked(database: &mut postgres::Client) -> (i64, i64, i64) {
    let sql = "SELECT count(*), coalesce(sum(input_tokens + output_tokens), 0)::bigint, \
         count(*) - count(DISTINCT backend_request_id) FROM usage_logs WHERE endpoint = '/v1/chat/completions' \
         AND status = 200";
    let row = database.query_one(sql, &[]).unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[track_caller]
fn assert_consistent(desk: &Home) {
    let checked = desk.cli(&["db", "check"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

/// Checks that each complete answer has a row, that none has two, and that all sums agree. An answer
/// whose end was withheld has a row all the same.
#[track_caller]
fn assert_booked(served: i64, database: &mut postgres::Client, desk: &Home) {
    let (rows, tokens, repeated) = booked(database);
    eprintln!("{served} answers, {rows} rows");
    assert!(served > 50, "{served}");
    assert_eq!(repeated, 0);
    assert!(rows >= served, "{rows} rows of {served} answers");
    assert_eq!(tokens, rows * 100);
    assert_consistent(desk);
}

/// Answers each chat with 100 tokens and an id of its own.
fn backend_of_hundred() -> Backend {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    Backend::start(|_, wire| {
        let id = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("request-{id}");
        let headers = [("content-type", "application/json"), ("x-request-id", &*id)];
        wire.answer("200 OK", &headers, chat_completion(30, 70));
    })
}

/// Answers each chat with 100 tokens when the turnstile lets it pass.
fn backend_that_holds() -> (Backend, Arc<Turnstile>) {
    let turnstile = Arc::new(Turnstile::default());
    let held = Arc::clone(&turnstile);
    let backend = Backend::start(move |seen, wire| {
        if seen.target() == CHAT {
            held.pass();
        }
        wire.json(&chat_completion(30, 70));
    });
    (backend, turnstile)
}

/// Returns the number of chats that a backend has got.
fn chats(backend: &Backend) -> i64 {
    let requests = backend.requests();
    let chats = requests.iter().filter(|seen| seen.target() == CHAT);
    i64::try_from(chats.count()).unwrap()
}

fn wait_until_all_are_booked(backend: &Backend, database: &mut postgres::Client) {
    wait_until("each chat of the backend has its row", PATIENCE, || {
        booked(database).0 == chats(backend)
    });
}

fn chat(max_tokens: u64) -> String {
    json!({
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "hi"}],
        "max_completion_tokens": max_tokens,
    })
    .to_string()
}

/// Sends requests until they are told to stop. Returns the number of complete answers with 200.
struct Crowd {
    stop: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<i64>>,
}

impl Crowd {
    fn start(nodes: &[Proxy], key: &str, clients_a_node: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let request = Request::post(CHAT, &*chat(70)).key(key);
        let clients = nodes
            .iter()
            .flat_map(|node| std::iter::repeat_n(node.address(), clients_a_node))
            .map(|address| {
                let (stop, request) = (Arc::clone(&stop), request.clone());
                thread::spawn(move || {
                    let mut served = 0;
                    while !stop.load(Ordering::Relaxed) {
                        let Ok(mut connection) = Connection::try_open(address) else {
                            thread::sleep(Duration::from_millis(20));
                            continue;
                        };
                        connection.send(&request);
                        match connection.try_answer() {
                            Some(answer) if answer.status == 200 && answer.clean => served += 1,
                            // A broken or refused request is not counted.
                            _ => thread::sleep(Duration::from_millis(20)),
                        }
                    }
                    served
                })
            })
            .collect();
        Self { stop, clients }
    }

    fn end(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        let clients = self.clients.into_iter();
        clients.map(|client| client.join().unwrap()).sum()
    }
}

#[test]
fn a_change_on_one_node_counts_on_all_within_250_ms() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let nodes = Nodes::start(&backend, 3);
    let key = nodes.user("alice", &[]);
    let mut times = Vec::new();
    for allowed in [false, true, false, true, false, true] {
        let word = if allowed { "allow" } else { "forbid" };
        let ran = nodes.desk.cli(&["user", word, "alice"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let changed = Instant::now();
        let expected = if allowed { 200 } else { 403 };
        for node in &nodes.proxies {
            wait_until("the node knows it", PATIENCE, || {
                node.chat(&key, &chat(70)).status == expected
            });
        }
        times.push(changed.elapsed());
    }
    // A machine that does other things takes longer now and then.
    times.sort_unstable();
    assert!(times[1] < Duration::from_millis(250), "{times:?}");
}

#[test]
fn a_budget_is_not_overrun_by_crowds_on_three_nodes() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let nodes = Nodes::start(&backend, 3);
    // A request reserves its 70 tokens of output and an estimate of its input, which is some 40, and uses
    // 100.
    let key = nodes.user("alice", &["--budget", "5000tokens/day"]);
    let crowd = Crowd::start(&nodes.proxies, &key, 12);
    wait_until(
        "the budget is nearly used up",
        Duration::from_secs(30),
        || nodes.booked().1 >= 4_600,
    );
    thread::sleep(Duration::from_millis(500));
    let served = crowd.end();
    let (rows, tokens, repeated) = nodes.booked();
    eprintln!("{served} answers, {rows} rows, {tokens} of 5000 tokens");
    assert!((4_600..=5_000).contains(&tokens), "{tokens}");
    assert_eq!((rows, repeated), (served, 0));
    nodes.assert_consistent();
}

#[test]
fn a_killed_node_gives_its_part_of_a_budget_back() {
    if !has_postgres() {
        return;
    }
    let (backend, turnstile) = backend_that_holds();
    let mut nodes = Nodes::start(&backend, 2);
    let key = nodes.user("alice", &["--budget", "1000tokens/day"]);
    // Eight of them reserve nearly everything at the first node, which is killed.
    let body = chat(70);
    let request = Request::post(CHAT, &*body).key(&key);
    let held: Vec<_> = (0..8).map(|_| nodes.proxies[0].start(&request)).collect();
    wait_until("eight are at the backend", PATIENCE, || {
        chats(&backend) == 8
    });
    let refused = nodes.proxies[1].send(&Request::post(CHAT, &*chat(300)).key(&key));
    assert_eq!(refused.status, 429, "{refused:?}");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("Other servers have set"), "{message}");
    nodes.proxies[0].kill9();
    drop(held);
    turnstile.allow(1_000);
    wait_until("the other node has it", PATIENCE, || {
        nodes.proxies[1]
            .send(&Request::post(CHAT, &*chat(300)).key(&key))
            .status
            == 200
    });
    nodes.assert_consistent();
}

#[test]
fn rates_are_those_of_all_nodes_together() {
    if !has_postgres() {
        return;
    }
    let _alone = alone();
    let backend = backend_of_hundred();
    let nodes = Nodes::start(&backend, 3);
    let key = nodes.user("alice", &["--requests-per-minute", "30"]);
    // Each node has seen the others by then.
    thread::sleep(Duration::from_millis(2_500));
    let mut served = 0;
    for node in &nodes.proxies {
        while node.chat(&key, &chat(70)).status == 200 {
            served += 1;
        }
    }
    // What flows in meanwhile, and what was used when the key was tried.
    assert!((24..=33).contains(&served), "{served}");
}

/// Each response of a socket reserves 4,096 tokens and uses 300.
#[test]
fn a_further_response_of_a_socket_waits_for_its_part_of_the_budget() {
    if !has_postgres() {
        return;
    }
    let (next, nexts) = signals();
    let turnstile = Arc::new(Turnstile::default());
    let held = Arc::clone(&turnstile);
    let backend = Backend::start(move |seen, wire| {
        if !seen.target().starts_with("/v1/realtime") {
            held.pass();
            return wire.json(&chat_completion(30, 70));
        }
        wire.write(SWITCH);
        while nexts.lock().unwrap().recv_timeout(PATIENCE).is_ok() {
            wire.write(frame(r#"{"type":"response.created","response":{}}"#));
            wire.write(frame(DONE));
        }
        wire.closed_by_peer_within(PATIENCE);
    });
    let nodes = Nodes::start(&backend, 2);
    turnstile.allow(2);
    let key = nodes.user("alice", &["--budget", "9000tokens/day"]);
    let mut socket = nodes.proxies[0].start(&upgrade("/v1/realtime?model=gpt-realtime", &key));
    assert_eq!(socket.head().status, 101);
    let other = Request::post(CHAT, &*chat(4_000)).key(&key);
    let mut other = nodes.proxies[1].start(&other);
    wait_until("the other node has its part", PATIENCE, || {
        chats(&backend) > 0
    });
    let used = || {
        let mut database = nodes.database.connect();
        let sql = "SELECT coalesce(sum(input_tokens + output_tokens), 0)::bigint FROM usage_logs";
        let used: i64 = database.query_one(sql, &[]).unwrap().get(0);
        used
    };
    // After these two nodes would overrun the budget.
    for response in 1..=3 {
        next.send(()).unwrap();
        wait_until("it is booked", PATIENCE, || used() == 300 * response);
    }
    let bytes = socket.raw_rest();
    drop(next);
    let close = bytes
        .windows(4)
        .any(|w| w[0] == 0x88 && w[2..] == 1008_u16.to_be_bytes());
    assert!(close, "{:?}", String::from_utf8_lossy(&bytes));
    turnstile.allow(1);
    assert_eq!(other.answer().status, 200);
    assert_eq!(used(), 1_000);
    nodes.assert_consistent();
}
