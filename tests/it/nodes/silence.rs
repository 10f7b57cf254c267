//! Nodes that are stopped, or cut off from the database, for longer and shorter.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    Crowd, Nodes, assert_consistent, backend_of_hundred, backend_that_holds, booked, chat, chats,
    wait_until_all_are_booked,
};
use crate::harness::{
    CHAT, Connection, Home, PATIENCE, PostgresServer, Proxy, Request, Setup, has_postgres,
    in_own_namespaces, shell, wait_until,
};

/// A client waits for a node that is stopped.
const LONG_PATIENCE: Duration = Duration::from_secs(120);
/// Others take a silent node for dead after a minute.
const TAKEN_FOR_DEAD: Duration = Duration::from_secs(60);

/// A disk that is slow for a moment makes a server not ready for that moment.
#[track_caller]
fn wait_until_ready(node: &Proxy) {
    wait_until("the node is ready", PATIENCE, || {
        node.send(&Request::get("/ready")).status == 200
    });
}

/// Three nodes with requests at the backend: the first goes on, the second is stopped for half a minute,
/// the third until the first has taken it for dead and booked its requests by estimate.
#[test]
fn a_node_that_was_stopped_goes_on_also_after_it_was_taken_for_dead() {
    if !has_postgres() {
        return;
    }
    let (backend, turnstile) = backend_that_holds();
    let nodes = Nodes::start(&backend, 3);
    let key = nodes.user("alice", &["--budget", "2000tokens/day"]);
    let request = Request::post(CHAT, &*chat(70)).key(&key);
    let ask = |node: usize| {
        let connection = Connection::open(nodes.proxies[node].address());
        let mut connection = connection.with_patience(LONG_PATIENCE);
        connection.send(&request);
        connection
    };
    let mut of_second: Vec<Connection> = (0..3).map(|_| ask(1)).collect();
    let mut of_third: Vec<Connection> = (0..3).map(|_| ask(2)).collect();
    wait_until("six are at the backend", PATIENCE, || chats(&backend) == 6);
    // Requests that last for a second are noted in the database.
    thread::sleep(Duration::from_secs(2));
    let stopped = Instant::now();
    nodes.proxies[1].stand_still();
    nodes.proxies[2].stand_still();
    turnstile.allow(1_000);
    // The first node goes on meanwhile, with what is left.
    assert_eq!(nodes.proxies[0].chat(&key, &chat(70)).status, 200);
    thread::sleep(Duration::from_secs(30).saturating_sub(stopped.elapsed()));
    nodes.proxies[1].signal("CONT");
    for connection in &mut of_second {
        assert_eq!(connection.answer().status, 200);
    }
    assert_eq!(nodes.proxies[1].chat(&key, &chat(70)).status, 200);

    let mut database = nodes.database.connect();
    let mut crashed = || -> i64 {
        let sql = "SELECT count(*) FROM usage_logs WHERE outcome = 'crashed'";
        database.query_one(sql, &[]).unwrap().get(0)
    };
    wait_until("the third is taken for dead", LONG_PATIENCE, || {
        crashed() == 3
    });
    assert!(
        stopped.elapsed() > TAKEN_FOR_DEAD,
        "{:?}",
        stopped.elapsed()
    );
    nodes.proxies[2].signal("CONT");
    // Its answers have their rows already, which the first node has written.
    for connection in &mut of_third {
        assert_eq!(connection.answer().status, 200);
    }
    nodes.proxies[2].wait_for_log("it goes on: requests booked by estimate=3");
    wait_until_ready(&nodes.proxies[2]);
    let (rows, tokens, _) = nodes.booked();
    assert_eq!((rows, tokens), (5, 500));
    assert_eq!(nodes.proxies[2].chat(&key, &chat(70)).status, 200);
    let (rows, tokens, _) = nodes.booked();
    assert_eq!((rows, tokens), (6, 600));
    assert_eq!(crashed(), 3);
    nodes.assert_consistent();
    // What is left of the budget can be used by all, all of it.
    let crowd = Crowd::start(&nodes.proxies, &key, 2);
    let all_used = "SELECT coalesce(sum(input_tokens + output_tokens), 0)::bigint FROM usage_logs";
    let mut used = || -> i64 { database.query_one(all_used, &[]).unwrap().get(0) };
    wait_until("the budget is nearly used up", PATIENCE, || used() >= 1_700);
    thread::sleep(Duration::from_millis(300));
    crowd.end();
    assert!(used() <= 2_000, "{}", used());
}

/// A network namespace with two ways to it. It ends with this.
struct FarNetwork {
    process: Child,
}

impl FarNetwork {
    /// Its addresses are 10.9.0.2 and 10.9.1.2.
    fn new() -> Self {
        let process = Command::new("unshare")
            .args(["--kill-child", "-n", "sleep", "300"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let far = Self { process };
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        wait_until("the network is there", PATIENCE, || {
            let of_child = std::fs::read_link(format!("/proc/{}/ns/net", far.process_id()));
            of_child.is_ok_and(|of_child| of_child != own)
        });
        far.run("ip link set lo up");
        for way in 0..2 {
            shell(&format!(
                "ip link add near{way} type veth peer name far{way} && ip link set far{way} netns {} \
                 && ip addr add 10.9.{way}.1/30 dev near{way} && ip link set near{way} up",
                far.process_id()
            ));
            far.run(&format!(
                "ip addr add 10.9.{way}.2/30 dev far{way} && ip link set far{way} up"
            ));
        }
        far
    }

    fn process_id(&self) -> u32 {
        self.process.id()
    }

    fn run(&self, line: &str) {
        shell(&format!(
            "nsenter -t {} -n sh -c '{line}'",
            self.process_id()
        ));
    }
}

impl Drop for FarNetwork {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The way of two nodes to the database is cut, and that of a third is not, which takes them for dead.
/// Nothing says so to either end: packets are lost.
#[test]
fn a_cut_network_withholds_answers_or_keeps_rows_and_loses_none() {
    if !has_postgres() {
        return;
    }
    in_own_namespaces(
        a_cut_network_withholds_answers_or_keeps_rows_and_loses_none,
        "400m",
        || {
            let backend = backend_of_hundred();
            let far = FarNetwork::new();
            let server = PostgresServer::start_as(&Setup {
                network: Some((far.process_id(), "10.9.0.2,10.9.1.2")),
                ..Setup::default()
            });
            let url = |way: u8| {
                format!(
                    "postgres://llmproxy@10.9.{way}.2:{}/postgres?tcp_user_timeout=2&connect_timeout=1&sslmode=disable",
                    server.port
                )
            };
            let home = |way| Home::new(&backend).set("DATABASE_URL", &url(way));
            let desk = home(1);
            let refusing = home(0).serve();
            let serving = home(0).set("ON_LEDGER_FAILURE", "serve").serve();
            let near = home(1).serve();
            let key = desk.user("alice");
            let nodes = [refusing, serving, near];
            for node in &nodes {
                wait_until("each node knows the key", PATIENCE, || {
                    node.chat(&key, &chat(70)).status == 200
                });
            }
            let crowd = Crowd::start(&nodes, &key, 3);
            thread::sleep(Duration::from_millis(500));
            far.run("ip link set far0 down");
            let cut = Instant::now();
            let [refusing, serving, near] = &nodes;
            wait_until("the first refuses", PATIENCE, || {
                refusing.chat(&key, &chat(70)).status == 503
            });
            eprintln!("refused {:?} after the cut", cut.elapsed());
            assert_eq!(serving.chat(&key, &chat(70)).status, 200);
            assert_eq!(near.chat(&key, &chat(70)).status, 200);
            thread::sleep(Duration::from_secs(6).saturating_sub(cut.elapsed()));
            // A change cannot reach those who are cut off, and reaches the other one as ever.
            assert_eq!(desk.cli(&["user", "forbid", "alice"]).code, Some(0));
            // `a_change_on_one_node_counts_on_all_within_250_ms` measures it without a crowd.
            let changed = Instant::now();
            wait_until("the third knows it", PATIENCE, || {
                near.chat(&key, &chat(70)).status == 403
            });
            assert!(
                changed.elapsed() < Duration::from_secs(1),
                "{:?}",
                changed.elapsed()
            );
            assert_eq!(serving.chat(&key, &chat(70)).status, 200);
            let served = crowd.end();
            let mut database = server.connect("postgres");
            wait_until("only the third node is there", LONG_PATIENCE, || {
                let runs = database.query_one("SELECT count(*) FROM server_runs", &[]);
                runs.unwrap().get::<_, i64>(0) == 1
            });
            assert_eq!(serving.chat(&key, &chat(70)).status, 200);
            far.run("ip link set far0 up");
            for node in [refusing, serving] {
                wait_until("the key is forbidden everywhere", PATIENCE, || {
                    node.chat(&key, &chat(70)).status == 403
                });
            }
            eprintln!("forbidden everywhere {:?} after the cut", cut.elapsed());
            wait_until_all_are_booked(&backend, &mut database);
            for node in [refusing, serving] {
                node.wait_for_log("it goes on: requests booked by estimate=0");
                wait_until_ready(node);
            }
            let (rows, tokens, repeated) = booked(&mut database);
            eprintln!("{served} answers, {rows} rows");
            assert!(
                rows >= served && served > 100,
                "{rows} rows of {served} answers"
            );
            assert_eq!((tokens, repeated), (rows * 100, 0));
            assert_consistent(&desk);
        },
    );
}

/// A server whose processes all stand still takes what is sent, and answers nothing.
#[test]
fn a_database_that_hangs_is_a_failure_within_seconds() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let server = PostgresServer::start();
    let home = || Home::new(&backend).set("DATABASE_URL", &server.url("postgres"));
    let desk = home();
    let refusing = home().serve();
    let serving = home().set("ON_LEDGER_FAILURE", "serve").serve();
    let key = desk.user("alice");
    for node in [&refusing, &serving] {
        wait_until("each node knows the key", PATIENCE, || {
            node.chat(&key, &chat(70)).status == 200
        });
    }
    let ask = |node: &Proxy| {
        let connection = Connection::open(node.address());
        let mut connection = connection.with_patience(LONG_PATIENCE);
        connection.send(&Request::post(CHAT, &*chat(70)).key(&key));
        connection
    };
    server.signal("STOP");
    let hung = Instant::now();
    let (mut withheld, mut served) = (ask(&refusing), ask(&serving));
    assert_eq!(served.answer().status, 200);
    let withheld = withheld.try_answer();
    assert!(withheld.is_none_or(|answer| answer.status != 200 || !answer.clean));
    assert!(
        hung.elapsed() < Duration::from_secs(15),
        "{:?}",
        hung.elapsed()
    );
    assert_eq!(refusing.chat(&key, &chat(70)).status, 503);
    refusing.wait_for_log("the database has not answered for 10 s");
    for _ in 0..10 {
        assert_eq!(serving.chat(&key, &chat(70)).status, 200);
    }
    server.signal("CONT");
    wait_until("the first serves again", PATIENCE, || {
        refusing.chat(&key, &chat(70)).status == 200
    });
    let mut database = server.connect("postgres");
    wait_until_all_are_booked(&backend, &mut database);
    assert_eq!(booked(&mut database).2, 0, "none has two");
    assert_consistent(&desk);
}

/// A node that stands still itself, with an answer that waits for its row, has not waited for the database.
#[test]
fn a_node_that_stood_still_does_not_blame_the_database() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let server = PostgresServer::start();
    let home = Home::new(&backend).set("DATABASE_URL", &server.url("postgres"));
    let (node, key) = home.serve_alice();
    server.signal("STOP");
    let mut asked = Connection::open(node.address());
    asked.send(&Request::post(CHAT, &*chat(70)).key(&key));
    wait_until("the backend has answered", PATIENCE, || {
        chats(&backend) == 1
    });
    thread::sleep(Duration::from_millis(500));
    node.stand_still();
    thread::sleep(Duration::from_secs(11));
    node.signal("CONT");
    thread::sleep(Duration::from_millis(500));
    server.signal("CONT");
    assert_eq!(asked.answer().status, 200);
    assert_eq!(node.chat(&key, &chat(70)).status, 200);
    assert_eq!(booked(&mut server.connect("postgres")), (2, 200, 0));
}

/// While the database is away nobody can give a sign of life, so that the silence says nothing.
#[test]
fn a_database_that_was_away_for_over_a_minute_makes_nobody_dead() {
    if !has_postgres() {
        return;
    }
    let backend = backend_of_hundred();
    let mut server = PostgresServer::start();
    let home = || {
        Home::new(&backend)
            .set("DATABASE_URL", &server.url("postgres"))
            .set("ON_LEDGER_FAILURE", "serve")
    };
    let desk = home();
    let nodes: Vec<Proxy> = (0..3).map(|_| home().serve()).collect();
    let key = desk.user("alice");
    for node in &nodes {
        wait_until("each node knows the key", PATIENCE, || {
            node.chat(&key, &chat(70)).status == 200
        });
    }
    server.kill();
    let away = Instant::now();
    for node in nodes.iter().cycle().take(60) {
        assert_eq!(node.chat(&key, &chat(70)).status, 200);
    }
    thread::sleep((TAKEN_FOR_DEAD + Duration::from_secs(6)).saturating_sub(away.elapsed()));
    server.launch();
    let mut database = server.connect("postgres");
    wait_until_all_are_booked(&backend, &mut database);
    // Time in which one could take another for dead.
    thread::sleep(Duration::from_secs(3));
    for node in &nodes {
        wait_until_ready(node);
        assert_eq!(node.chat(&key, &chat(70)).status, 200);
    }
    assert_eq!(booked(&mut database).2, 0, "none has two");
    assert_consistent(&desk);
}
